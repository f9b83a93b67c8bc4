/* sink_shuffles.c: moves shuffles of channels behind the elementwise operations that follow, so that a sum of shuffled
 * values becomes one shuffle of a sum, and its gradient one shuffle of a gradient.
 *     %1 = shuffle %x {groups=4}
 *     %2 = shuffle %y {groups=4}              %1 = mul %x, %w
 *     %3 = mul %1, %w                 =>      %2 = add %1, %y
 *     %4 = add %3, %2                         %3 = shuffle %2 {groups=4}
 * What is shuffled may be concats of parts of the same extents: then the operations are done part by part, and one
 * concat is left. Every operand is a shuffle that nothing else uses, or the same for all channels (%w: f32[]).
 * Keeps: the bits, as elements only move. Changes nothing else. */
#include "passes/rewrite.h"

/* By anything but n. */
static bool is_used_elsewhere(const IrGraph *g, const IrNode *x, const IrNode *n) {
    for (const IrNode *user = g->first; user; user = user->next)
        for (int i = 0; i < user->input_count; i++)
            if (user->inputs[i] == x && user != n)
                return true;
    for (int i = 0; i < g->output_count; i++)
        if (g->outputs[i].value == x)
            return true;
    return false;
}

static bool is_same_for_channels(const IrNode *x) {
    return x->type.rank == 0 || x->type.dim[x->type.rank - 1] == 1;
}

/* The first shuffle among n's operands when all are as they have to be; else NULL. */
static const IrNode *find_shuffle(const IrGraph *g, const IrNode *n) {
    const IrNode *first = NULL;
    for (int i = 0; i < n->input_count; i++) {
        const IrNode *x = n->inputs[i];
        if (is_same_for_channels(x))
            continue;
        bool alike = x->op == OP_shuffle && ir_type_equal(&x->type, &n->type) && !is_used_elsewhere(g, x, n) &&
                     (!first || ir_attr_get_int(x, "groups", 1) == ir_attr_get_int(first, "groups", 1));
        if (!alike)
            return NULL;
        first = first ? first : x;
    }
    return first;
}

static bool is_concat_of_channels(const IrNode *x) {
    return x->op == OP_concat && ir_attr_get_int(x, "axis", 0) == x->type.rank - 1;
}

/* Are the shuffled values concats of the same parts? */
static bool has_parts(const IrGraph *g, const IrNode *n, const IrNode *shuffle) {
    const IrNode *first = shuffle->inputs[0];
    for (int i = 0; i < n->input_count; i++) {
        const IrNode *x = n->inputs[i]->op == OP_shuffle ? n->inputs[i]->inputs[0] : NULL;
        if (!x)
            continue;
        if (!is_concat_of_channels(x) || is_used_elsewhere(g, x, n->inputs[i]) || x->input_count != first->input_count)
            return false;
        for (int k = 0; k < x->input_count; k++)
            if (!ir_type_equal(&x->inputs[k]->type, &first->inputs[k]->type))
                return false;
    }
    return true;
}

/* n of what is shuffled: of part `part` of it, or of all when that is -1. */
static IrNode *apply(Arena *arena, IrBuilder *b, const IrNode *n, int part) {
    IrNode **inputs = ARENA_ARRAY(arena, IrNode *, n->input_count);
    for (int i = 0; i < n->input_count; i++) {
        IrNode *x = n->inputs[i];
        inputs[i] = x->op != OP_shuffle ? x : part < 0 ? x->inputs[0] : x->inputs[0]->inputs[part];
    }
    return ir_build(b, n->op, NULL, n->input_count, inputs, n->attr_count, n->attrs);
}

static IrNode *apply_to_parts(Arena *arena, IrBuilder *b, const IrNode *n, int count) {
    IrNode **parts = ARENA_ARRAY(arena, IrNode *, count);
    for (int i = 0; i < count; i++)
        parts[i] = apply(arena, b, n, i);
    IrAttr axis = ir_attr_int("axis", n->type.rank - 1);
    return ir_build(b, OP_concat, NULL, count, parts, 1, &axis);
}

bool pass_sink_shuffles(PassContext *ctx, IrGraph *g) {
    bool changed = false;
    for (IrNode *n = g->first, *next; n; n = next) {
        next = n->next;
        const IrNode *shuffle = ir_is(n, OP_ELEMENTWISE) ? find_shuffle(g, n) : NULL;
        if (!shuffle)
            continue;
        IrBuilder b = {.graph = g, .before = n, .span = n->span, .tag = n->tag};
        IrNode *value = has_parts(g, n, shuffle) ? apply_to_parts(ctx->arena, &b, n, shuffle->inputs[0]->input_count)
                                                 : apply(ctx->arena, &b, n, -1);
        ir_replace_uses(g, n, ir_build(&b, OP_shuffle, NULL, 1, &value, shuffle->attr_count, shuffle->attrs));
        ir_node_remove(n);
        changed = true;
    }
    return changed;
}
