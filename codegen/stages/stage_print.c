/* stage_print.c: stages as text (--emit=stages).
 *
 *     graph search-alphas
 *     stage 0 over images
 *       %5 = conv2d f32[N,32,32,16] in work+0 [i0=N, i1=32, i2=32, i3=16; i4=3, i5=3, i6=3]
 *         sum(i4, i5, i6: [i1 + i4 - 1 < 32, i2 + i5 - 1 < 32 ? %0[i0, i1 + i4 - 1, i2 + i5 - 1, i6] * ... : 0])
 */
#include "codegen/stages/stage.h"

#include <stdlib.h>

static void print_index(const CgIndex *index, Str *out) {
    bool first = true;
    if (index->divisor != 1)
        str_add(out, "(");
    for (int a = 0; a < CG_MAX_AXES; a++) {
        int64_t coef = index->coef[a], size = coef < 0 ? -coef : coef;
        if (!coef)
            continue;
        str_add(out, first ? (coef < 0 ? "-" : "") : coef < 0 ? " - " : " + ");
        if (size != 1)
            str_addf(out, "%lld*", (long long)size);
        str_addf(out, "i%d", a);
        first = false;
    }
    if (first)
        str_addf(out, "%lld", (long long)index->constant);
    else if (index->constant)
        str_addf(out, " %c %lld", index->constant < 0 ? '-' : '+', (long long)llabs(index->constant));
    if (index->divisor != 1)
        str_addf(out, ")/%lld", (long long)index->divisor);
}

static void print_indices(const CgScalar *s, Str *out) {
    for (int i = 0; i < s->index_count; i++) {
        if (i)
            str_add(out, ", ");
        print_index(&s->index[i], out);
    }
}

static void print_scalar(const CgProgram *p, const CgScalar *s, Str *out);

static void print_args(const CgProgram *p, const CgScalar *s, Str *out) {
    for (int i = 0; i < s->arg_count; i++) {
        if (i)
            str_add(out, ", ");
        print_scalar(p, s->args[i], out);
    }
}

static void print_guard(const CgProgram *p, const CgScalar *s, Str *out) {
    str_add(out, "[");
    for (int i = 0; i < s->index_count; i++) {
        if (i)
            str_add(out, ", ");
        print_index(&s->index[i], out);
        str_addf(out, " < %lld", (long long)s->upper[i]);
    }
    str_add(out, " ? ");
    print_scalar(p, s->args[0], out);
    str_add(out, " : ");
    print_scalar(p, s->args[1], out);
    str_add(out, "]");
}

static void print_reduce(const CgProgram *p, const CgScalar *s, Str *out) {
    static const char *const names[] = {[REDUCE_sum] = "sum", [REDUCE_max] = "max", [REDUCE_argmax] = "argmax"};
    str_addf(out, "%s%s(", s->in_double ? "wide_" : "", names[s->reduce]);
    for (int i = 0; i < s->reduce_count; i++)
        str_addf(out, i ? ", i%d" : "i%d", s->reduce_axes[i]);
    str_add(out, ": ");
    print_scalar(p, s->args[0], out);
    str_add(out, ")");
}

static void print_draw(const CgProgram *p, const CgScalar *s, Str *out) {
    static const char *const names[] = {
        [DRAW_uniform] = "uniform", [DRAW_normal] = "normal", [DRAW_bernoulli] = "bernoulli"};
    str_addf(out, "%s(stream %d; ", names[s->draw], s->number);
    print_indices(s, out);
    if (s->arg_count)
        str_add(out, "; ");
    print_args(p, s, out);
    str_add(out, ")");
}

static void print_op(const CgProgram *p, const CgScalar *s, Str *out) {
    char infix = ir_op_infix(s->op);
    if (!infix) {
        str_addf(out, "%s(", ir_op_info[s->op].name);
        print_args(p, s, out);
    } else {
        str_add(out, "(");
        print_scalar(p, s->args[0], out);
        str_addf(out, " %c ", infix);
        print_scalar(p, s->args[1], out);
    }
    str_add(out, ")");
}

static void print_scalar(const CgProgram *p, const CgScalar *s, Str *out) {
    switch (s->kind) {
    case SCALAR_constant:
        str_add_double(out, s->value);
        break;
    case SCALAR_load:
        str_addf(out, "%%%d", s->buffer->node->id);
        if (s->buffer->whole)
            str_addf(out, "+%lld", (long long)s->buffer->shift);
        str_add(out, "[");
        print_indices(s, out);
        str_add(out, "]");
        break;
    case SCALAR_run:
        str_add(out, s->number < 0 ? "batch" : p->names->names[s->number]);
        break;
    case SCALAR_index:
        print_index(&s->index[0], out);
        break;
    case SCALAR_op:
        print_op(p, s, out);
        break;
    case SCALAR_guard:
        print_guard(p, s, out);
        break;
    case SCALAR_draw:
        print_draw(p, s, out);
        break;
    case SCALAR_reduce:
        print_reduce(p, s, out);
        break;
    }
}

static void print_extent(int64_t extent, Str *out) {
    if (extent < 0)
        str_add(out, extent == IR_DIM_N ? "N" : "K");
    else
        str_addf(out, "%lld", (long long)extent);
}

static void print_step(const CgProgram *p, const CgStep *step, Str *out) {
    static const char *const places[] = {
        [PLACE_none] = "none", [PLACE_state] = "state",     [PLACE_input] = "input",
        [PLACE_work] = "work", [PLACE_private] = "private", [PLACE_prepared] = "prepared"};
    const IrNode *node = step->node;
    str_addf(out, "  %%%d = %s %s in %s+%lld [", node->id, ir_op_info[node->op].name,
             ir_type_string(p->arena, &node->type), places[step->out->place], (long long)step->out->offset);
    for (int a = 0; a < step->axis_count; a++) {
        str_addf(out, "%si%d=", a ? a == step->out->type.rank ? "; " : ", " : "", a);
        print_extent(step->axes[a].extent, out);
    }
    str_add(out, step->partial ? "] partial" : "]");
    if (step->when.choice)
        str_addf(out, " when %%%d is", p->choices[step->when.choice - 1]->id);
    for (int c = 0, count = 0; step->when.choice && c < IR_MAX_CASES; c++)
        if (step->when.cases >> c & 1)
            str_addf(out, "%s%d", count++ ? " or " : " ", c);
    str_add(out, "\n    ");
    print_scalar(p, step->value, out);
    str_add(out, "\n");
}

void cg_print_program(const CgProgram *program, Str *out) {
    static const char *const domains[] = {[DOMAIN_images] = "over images",
                                          [DOMAIN_parallel] = "parallel",
                                          [DOMAIN_serial] = "serial",
                                          [DOMAIN_exchange] = "exchange"};
    str_addf(out, "graph %s\n", program->graph->name);
    for (int i = 0; i < program->stage_count; i++) {
        const CgStage *stage = program->stages[i];
        str_addf(out, "stage %d %s%s\n", i, domains[stage->domain], stage->prepared ? ", prepared" : "");
        for (int j = 0; j < stage->step_count; j++)
            print_step(program, stage->steps[j], out);
    }
}
