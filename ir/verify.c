/* verify.c: whether a graph is well formed. Runs after every pass; the first violation is the answer. */
#include "ir/internal.h"
#include "ir/run_scalars.h"
#include "ir/schedules.h"

#include <string.h>

typedef struct Verifier {
    const IrGraph *graph;
    Arena *arena;   /* of the message */
    Arena *own;     /* of the rest: a compilation verifies a hundred times */
    IrNode **nodes; /* by id: a walk along the links would wait for memory at every node */
    int count, capacity;
} Verifier;

static const char *complain(const Verifier *v, const IrNode *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static const char *complain(const Verifier *v, const IrNode *node, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *message = arena_vprintf(v->arena, format, args);
    va_end(args);
    if (!node)
        return arena_printf(v->arena, "graph @%s: %s", v->graph->name, message);
    return arena_printf(v->arena, "graph @%s: %%%d = %s: %s", v->graph->name, node->id, ir_op_info[node->op].name,
                        message);
}

/* Ids are fresh, so a node that is not in the order is not at its id. */
static bool is_in_graph(const Verifier *v, const IrNode *node) {
    return node->id >= 0 && node->id < v->count && v->nodes[node->id] == node;
}

static const char *check_operands(const Verifier *v, const IrNode *node) {
    for (int i = 0; i < node->input_count; i++) {
        const IrNode *input = node->inputs[i];
        if (!input)
            return complain(v, node, "operand %d is missing", i);
        if (!is_in_graph(v, input))
            return complain(v, node, "operand %d (%s) is not in the graph", i, ir_op_info[input->op].name);
        if (input->id >= node->id)
            return complain(v, node, "operand %d (%%%d) comes later", i, input->id);
        if (ir_is(input, OP_EFFECT))
            return complain(v, node, "operand %d (%%%d = %s) is no value", i, input->id, ir_op_info[input->op].name);
    }
    return NULL;
}

static const char *check_type(const Verifier *v, const IrNode *node) {
    char error[IR_ERROR_TEXT], text[2][IR_TYPE_TEXT];
    IrType type;
    if (!ir_infer_type(v->graph->module, node->op, &node->type, node->input_count, node->inputs, node->attr_count,
                       node->attrs, &type, error))
        return complain(v, node, "%s", error);
    if (!ir_type_equal(&type, &node->type))
        return complain(v, node, "its type is %s; the shape rule says %s", ir_type_format(&node->type, text[0]),
                        ir_type_format(&type, text[1]));
    return NULL;
}

static const char *check_annotations(const Verifier *v, const IrNode *node) {
    if (node->place < PLACE_none || node->place > PLACE_prepared)
        return complain(v, node, "place %d", node->place);
    if (node->stage < -1 || node->stage >= v->count || node->offset < 0) /* no more stages than nodes */
        return complain(v, node, "stage %d, offset %lld", node->stage, (long long)node->offset);
    return NULL;
}

/* Functions name parameters relatively; only in step graphs the names are those of the module's table. */
static bool is_step_graph(const IrGraph *graph) {
    return graph->output_count && graph->outputs[0].name[0];
}

static const char *check_scalar(const Verifier *v, const IrNode *node) {
    const char *name = node->op == OP_scalar ? ir_attr_get_string(node, "name", "") : NULL;
    Schedule schedule;
    if (!name || run_scalar_find(name) >= 0 || schedule_parse(name, &schedule))
        return NULL;
    return complain(v, node, "there is no run-time scalar '%s'%s", name,
                    diag_choices(v->arena, name, run_scalar_names, RUN_SCALAR_COUNT));
}

static const char *check_param(const Verifier *v, const IrNode *node) {
    const char *name = ir_param_name(node);
    if (!name || !is_step_graph(v->graph))
        return NULL;
    const IrParam *param = ir_module_find_param(v->graph->module, name);
    if (param && !ir_type_equal(&param->type, &node->type))
        return complain(v, node, "parameter %s is %s, not %s", param->name, ir_type_string(v->arena, &param->type),
                        ir_type_string(v->arena, &node->type));
    return NULL;
}

static const char *check_node(const Verifier *v, const IrNode *node) {
    if (node->graph != v->graph)
        return complain(v, node, "belongs to another graph");
    const char *message = check_operands(v, node);
    if (!message)
        message = check_type(v, node);
    if (!message)
        message = check_annotations(v, node);
    message = message ? message : check_param(v, node);
    return message ? message : check_scalar(v, node);
}

static const char *check_args(const Verifier *v) {
    int inputs = 0;
    for (int i = 0; i < v->count; i++)
        inputs += v->nodes[i]->op == OP_input;
    if (inputs != v->graph->arg_count)
        return complain(v, NULL, "%d arguments but %d input nodes", v->graph->arg_count, inputs);
    for (int i = 0; i < v->graph->arg_count; i++) {
        const IrNode *arg = v->graph->args[i];
        if (!is_in_graph(v, arg) || arg->op != OP_input)
            return complain(v, NULL, "argument %d is not an input node of the graph", i);
        if (arg->id != i)
            return complain(v, arg, "argument %d is not node %d of the graph", i, i);
        if (ir_graph_find_arg(v->graph, ir_attr_get_string(arg, "name", "")) != arg)
            return complain(v, arg, "there are two arguments %s", ir_attr_get_string(arg, "name", ""));
    }
    return NULL;
}

static const char *check_outputs(const Verifier *v) {
    for (int i = 0; i < v->graph->output_count; i++) {
        const IrOutput *output = &v->graph->outputs[i];
        if (!output->value || !is_in_graph(v, output->value))
            return complain(v, NULL, "output \"%s\" is not in the graph", output->name);
        if (ir_is(output->value, OP_EFFECT))
            return complain(v, output->value, "output \"%s\" is no value", output->name);
        for (int j = 0; j < i; j++)
            if (str_equal(v->graph->outputs[j].name, output->name))
                return complain(v, NULL, "two outputs are called \"%s\"", output->name);
    }
    return NULL;
}

/* Numbers the nodes, as ir_graph_number does. */
static const char *list_nodes(Verifier *v, IrGraph *graph) {
    for (IrNode *node = graph->first, *prev = NULL; node; prev = node, node = node->next) {
        if (node->prev != prev)
            return complain(v, node, "the links of the order are broken");
        node->id = v->count;
        ARENA_PUSH(v->own, v->nodes, v->count, v->capacity, node);
    }
    graph->next_id = v->count;
    IrNode *last = v->count ? v->nodes[v->count - 1] : NULL;
    return graph->last == last ? NULL : complain(v, NULL, "the last node is not the end of the order");
}

const char *ir_verify_graph(const IrGraph *graph, Arena *arena) {
    Verifier v = {.graph = graph, .arena = arena, .own = arena_create()};
    const char *message = list_nodes(&v, (IrGraph *)(uintptr_t)graph);
    for (int i = 0; i < v.count && !message; i++)
        message = check_node(&v, v.nodes[i]);
    message = message ? message : check_args(&v);
    message = message ? message : check_outputs(&v);
    arena_destroy(v.own);
    return message;
}

/* ---- calls must not go in a circle, nor too deep; what is called is measured before its callers ---- */

typedef struct CallChecker {
    const IrModule *module;
    Arena *arena;
    StrMap state; /* of a graph: 1 being visited, 2 done */
    int depth;
} CallChecker;

static const char *visit_graph(CallChecker *c, const IrGraph *graph);

static const char *visit_callees(CallChecker *c, const IrNode *node) {
    for (int i = 0; i < node->attr_count; i++) {
        const IrAttr *attr = &node->attrs[i];
        for (int j = 0; attr->kind == ATTR_symbols && j < attr->count; j++) {
            const IrGraph *callee = ir_graph_find(c->module, attr->symbols[j]);
            const char *message = callee ? visit_graph(c, callee) : NULL;
            if (message)
                return message;
        }
    }
    return NULL;
}

static const char *visit_graph(CallChecker *c, const IrGraph *graph) {
    uintptr_t state = (uintptr_t)str_map_get(&c->state, graph->name);
    if (state == 1)
        return arena_printf(c->arena, "graph @%s calls itself", graph->name);
    if (state == 2)
        return NULL;
    if (c->depth == IR_MAX_CALL_DEPTH)
        return arena_printf(c->arena, "graph @%s is called more than %d deep", graph->name, IR_MAX_CALL_DEPTH);
    c->depth++;
    str_map_set(&c->state, graph->name, (void *)(uintptr_t)1);
    for (const IrNode *node = graph->first; node; node = node->next) {
        const char *message = visit_callees(c, node);
        if (message)
            return message;
    }
    c->depth--;
    str_map_set(&c->state, graph->name, (void *)(uintptr_t)2);
    ir_graph_measure((IrGraph *)(uintptr_t)graph);
    return NULL;
}

static const char *check_calls(const IrModule *module, Arena *arena) {
    CallChecker c = {.module = module, .arena = arena, .state = str_map_create(arena)};
    for (int i = 0; i < module->graph_count; i++) {
        const char *message = visit_graph(&c, module->graphs[i]);
        if (message)
            return message;
    }
    return NULL;
}

const char *ir_verify_module(const IrModule *module, Arena *arena) {
    for (int i = 0; i < module->graph_count; i++) {
        if (ir_graph_find(module, module->graphs[i]->name) != module->graphs[i])
            return arena_printf(arena, "there are two graphs @%s", module->graphs[i]->name);
        const char *message = ir_verify_graph(module->graphs[i], arena);
        if (message)
            return message;
    }
    return check_calls(module, arena);
}
