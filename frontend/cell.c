/* cell.c: cells of genotypes. In a cell the inputs are called s0, s1, ...; every operation applied in it is an edge:
 *     call %x {callee=[@sep_conv_3x3_16_1], name="cells.0._ops.3", edge=true}
 * numbered in the order of the text. Edges from an input have the stride of the cell (2 in a reduction), others 1. Where
 * parameters are called otherwise than edges ("layers.{edge}"), the call says so: params="cells.0.layers.3". */
#include "frontend/lower.h"

#include <string.h>

/* The number that {edge}, {from} or {to} stands for at `at`; -1: none of them, or not known. */
static int placeholder(const char *at, const char *const *words, const int *numbers, size_t *length) {
    for (int i = 0; i < 3; i++) {
        *length = strlen(words[i]);
        if (strncmp(at, words[i], *length) == 0)
            return numbers[i];
    }
    return -1;
}

const char *lower_edge_params(Lower *l, Frame *f, const char *names, int edge, int from, int to, Span span) {
    static const char *const words[] = {"{edge}", "{from}", "{to}"};
    const int numbers[] = {edge, from, to};
    Str out = str_create(l->arena);
    for (const char *c = names; *c;) {
        size_t length = 1;
        int number = *c == '{' ? placeholder(c, words, numbers, &length) : -1;
        if (*c == '{' && number < 0) {
            lower_error(l, f, span, "in the names \"%s\" of edges there may stand %s", names,
                        from < 0 ? "{edge}" : "{edge}, {from} and {to}");
            return NULL;
        }
        if (*c == '{')
            str_addf(&out, "%d", number);
        else
            str_add_bytes(&out, c, 1);
        c += length;
    }
    const char *params = lower_join(l->arena, l->target->prefix, out.data ? out.data : "");
    return lower_claim_name(l, f, params, span) ? params : NULL;
}

Value lower_genotype_field(Lower *l, Frame *f, const Ast *genotype, const char *name, Span span) {
    const char **names = NULL;
    int count = 0, capacity = 0;
    for (int i = 0; i < genotype->count; i++) {
        const Ast *cell = genotype->kids[i];
        if (str_equal(cell->name, name)) {
            Stage *stage = ARENA_NEW(l->arena, Stage);
            *stage = (Stage){.kind = STAGE_cell, .span = cell->span, .name = cell->name, .definition = cell};
            return value_stage(stage);
        }
        ARENA_PUSH(l->arena, names, count, capacity, cell->name);
    }
    return lower_error(l, f, span, "genotype '%s' has no cell '%s'%s", genotype->name, name,
                       diag_choices(l->arena, name, names, (size_t)count));
}

Value lower_apply_cell(Lower *l, Frame *f, const Stage *cell, int count, const Value *inputs, const Bindings *named,
                       Span span) {
    Frame *frame = lower_frame(l, f, cell->definition, span);
    const Binding *stride = bindings_find(named, "stride"), *names = bindings_find(named, "names");
    frame->cell = true;
    frame->stride = stride ? stride->value : value_int(1);
    frame->names = names ? names->value.s : NULL;
    frame->input_count = count;
    frame->inputs = ARENA_ARRAY(l->arena, IrNode *, count);
    for (int i = 0; i < count; i++) {
        frame->inputs[i] = inputs[i].tensor;
        lower_set_variable(l, frame, arena_printf(l->arena, "s%d", i), inputs[i]);
    }
    if (l->depth > MAX_INSIDE)
        return lower_give_up_circle(l, frame, span, "cells", MAX_INSIDE);
    l->depth++;
    lower_run_block(l, frame, cell->definition->kids[0]);
    l->depth--;
    if (!frame->returned)
        return (Value){.kind = VALUE_error};
    return frame->result;
}
