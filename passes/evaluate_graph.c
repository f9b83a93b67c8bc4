/* evaluate_graph.c: one node after the other, each an array of doubles, elements in row-major order.
 * For functions of a few hundred numbers; the code generator is for all else. */
#include "passes/evaluate_graph.h"

#include "ir/scalar_form.h"
#include "ir/schedules.h"

#include <math.h>

typedef struct Evaluation {
    Arena *arena;
    const double **values; /* by the id of the node */
} Evaluation;

static int64_t count_of(const IrType *type) {
    return ir_type_count(type, 1, 1);
}

static void unravel(const IrType *type, int64_t flat, int64_t *index) {
    for (int i = type->rank - 1; i >= 0; i--) {
        index[i] = flat % type->dim[i];
        flat /= type->dim[i];
    }
}

/* Where an operand lies that is stretched to the result, their last axes on top of each other; first: axes of the
 * index before those of the result. */
static int64_t operand_at(const IrType *operand, const IrType *result, const int64_t *index) {
    int64_t flat = 0;
    for (int i = 0; i < operand->rank; i++)
        flat = flat * operand->dim[i] + (operand->dim[i] == 1 ? 0 : index[result->rank - operand->rank + i]);
    return flat;
}

static void run_elementwise(const Evaluation *e, const IrNode *n, double *out) {
    double *x = ARENA_ARRAY(e->arena, double, n->input_count);
    int64_t index[IR_MAX_RANK];
    for (int64_t i = 0; i < count_of(&n->type); i++) {
        unravel(&n->type, i, index);
        for (int k = 0; k < n->input_count; k++)
            x[k] = e->values[n->inputs[k]->id][operand_at(&n->inputs[k]->type, &n->type, index)];
        out[i] = ir_evaluate(n->op, n->input_count, x);
    }
}

void evaluate_softmax(const double *values, int64_t count, double *weights) {
    double largest = values[0], sum = 0;
    for (int64_t i = 1; i < count; i++)
        largest = values[i] > largest ? values[i] : largest;
    for (int64_t i = 0; i < count; i++)
        sum += weights[i] = exp(values[i] - largest);
    for (int64_t i = 0; i < count; i++)
        weights[i] /= sum;
}

static void run_softmax(const Evaluation *e, const IrNode *n, double *out) {
    int64_t width = n->type.rank ? n->type.dim[n->type.rank - 1] : 1;
    const double *x = e->values[n->inputs[0]->id];
    for (int64_t row = 0; row < count_of(&n->type); row += width)
        evaluate_softmax(x + row, width, out + row);
}

/* Every element goes to where its index has nothing in the axes that are reduced. */
static void run_reduction(const Evaluation *e, const IrNode *n, double *out) {
    const IrType *from = &n->inputs[0]->type;
    const IrAttr *axes = ir_attr(n, "axes");
    bool reduced[IR_MAX_RANK] = {false};
    for (int i = 0; i < axes->count; i++)
        reduced[axes->ints[i]] = true;
    for (int64_t i = 0; i < count_of(&n->type); i++)
        out[i] = n->op == OP_reduce_max ? -INFINITY : 0;
    int64_t index[IR_MAX_RANK];
    for (int64_t i = 0; i < count_of(from); i++) {
        double x = e->values[n->inputs[0]->id][i];
        int64_t to = 0;
        unravel(from, i, index);
        for (int k = 0; k < from->rank; k++)
            to = reduced[k] ? to : to * from->dim[k] + index[k];
        out[to] = n->op == OP_reduce_max ? fmax(out[to], x) : out[to] + x;
    }
}

/* index and slice: the part of an axis that begins at `begin`. */
static void run_part(const Evaluation *e, const IrNode *n, int64_t begin, double *out) {
    const IrType *from = &n->inputs[0]->type;
    int64_t axis = ir_attr_get_int(n, "axis", 0), inner = 1;
    for (int k = (int)axis + 1; k < from->rank; k++)
        inner *= from->dim[k];
    int64_t kept = n->op == OP_index ? inner : inner * n->type.dim[axis], whole = inner * from->dim[axis];
    for (int64_t i = 0; i < count_of(&n->type); i++)
        out[i] = e->values[n->inputs[0]->id][i / kept * whole + begin * inner + i % kept];
}

static void run_concat(const Evaluation *e, const IrNode *n, double *out) {
    int64_t axis = ir_attr_get_int(n, "axis", 0), inner = 1, at = 0;
    for (int k = (int)axis + 1; k < n->type.rank; k++)
        inner *= n->type.dim[k];
    int64_t whole = inner * n->type.dim[axis];
    for (int k = 0; k < n->input_count; k++) {
        int64_t part = inner * n->inputs[k]->type.dim[axis];
        for (int64_t i = 0; i < count_of(&n->inputs[k]->type); i++)
            out[i / part * whole + at + i % part] = e->values[n->inputs[k]->id][i];
        at += part;
    }
}

/* Schedules as at the end of a run. */
static bool run_scalar(const IrNode *n, double *out, Error *error) {
    static const ScheduleTime end = {.done = 1e6, .epochs = 1e6, .tick = 1};
    const char *name = ir_attr_get_string(n, "name", "");
    Schedule schedule;
    if (!schedule_parse(name, &schedule))
        return error_set(error, ERROR_INPUT, "the weights of the candidates depend on '%s', which only a run knows",
                         name);
    *out = schedule_value(&schedule, &end);
    return true;
}

static bool run_node(const Evaluation *e, const IrNode *n, double *out, Error *error) {
    if (ir_is(n, OP_ELEMENTWISE))
        run_elementwise(e, n, out);
    else if (n->op == OP_softmax)
        run_softmax(e, n, out);
    else if (n->op == OP_reduce_sum || n->op == OP_reduce_max)
        run_reduction(e, n, out);
    else if (n->op == OP_index || n->op == OP_slice)
        run_part(e, n, ir_attr_get_int(n, n->op == OP_index ? "at" : "begin", 0), out);
    else if (n->op == OP_concat)
        run_concat(e, n, out);
    else if (n->op == OP_constant)
        *out = ir_attr_get_float(n, "value", 0);
    else if (n->op == OP_scalar)
        return run_scalar(n, out, error);
    else if (n->op != OP_reshape)
        return error_set(error, ERROR_INPUT,
                         "the weights of the candidates are computed with '%s', which only a run does",
                         ir_op_info[n->op].name);
    else
        for (int64_t i = 0; i < count_of(&n->type); i++)
            out[i] = e->values[n->inputs[0]->id][i];
    return true;
}

const double *evaluate_graph(Arena *arena, const IrGraph *graph, const double *argument, Error *error) {
    int count = 0;
    for (IrNode *n = graph->first; n; n = n->next)
        n->id = count++;
    Evaluation e = {.arena = arena, .values = ARENA_ARRAY(arena, const double *, count)};
    for (const IrNode *n = graph->first; n; n = n->next) {
        double *out = ARENA_ARRAY(arena, double, count_of(&n->type));
        e.values[n->id] = n->op == OP_input ? argument : out;
        if (n->op != OP_input && !run_node(&e, n, out, error))
            return NULL;
    }
    return e.values[graph->outputs[0].value->id];
}
