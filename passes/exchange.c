/* exchange.c: for a program of several ranks, each of which has so many of the batch's images, and K of its chunks: what adds
 * up the chunks adds up those of all ranks.
 *     %s = reduce_merge %p     f32[K,C] -> f32[C]     =>     %s = exchange %p
 * Behind it every rank has the same values, so what is computed of them is computed by all alike. Needs: split-reductions.
 * Unchanged: everything in a program of one process; and with own=true what a rank has for itself, of which only images may be
 * computed. When both are wanted of the same values, their chunks are added up once. A sum over N that is no sum of chunks
 * cannot be made so, and is a bug. */
#include "passes/pass.h"

PassFunction pass_dce;

static bool has_images(const IrNode *n) {
    return ir_type_has_dim(&n->type, IR_DIM_N) || ir_type_has_dim(&n->type, IR_DIM_K);
}

/* Images meet in sums of chunks, nowhere else. */
static void check_images(const IrGraph *g) {
    for (const IrNode *n = g->first; n; n = n->next) {
        bool merges = n->op == OP_reduce_merge || has_images(n);
        for (int i = 0; i < n->input_count && !merges; i++)
            if (has_images(n->inputs[i]))
                bug("%%%d = %s of @%s needs the images of all ranks", n->id, ir_op_info[n->op].name, g->name);
    }
}

static bool is_own(const IrNode *n) {
    return n->op == OP_reduce_merge && ir_attr_get_int(n, "own", 0);
}

/* What all ranks have alike, the state above all, is of nothing that one has for itself. */
static void check_own(const PassContext *ctx, IrGraph *g) {
    ir_graph_number(g);
    bool *own = ARENA_ARRAY(ctx->arena, bool, g->next_id);
    for (const IrNode *n = g->first; n; n = n->next) {
        own[n->id] = is_own(n);
        for (int i = 0; i < n->input_count && !has_images(n); i++)
            own[n->id] = own[n->id] || own[n->inputs[i]->id];
        if (own[n->id] && ir_is(n, OP_EFFECT))
            bug("%%%d = %s of @%s would not be the same on all ranks", n->id, ir_op_info[n->op].name, g->name);
    }
    for (int i = 0; i < g->output_count; i++)
        if (own[g->outputs[i].value->id])
            bug("the output %s of @%s would not be the same on all ranks", g->outputs[i].name, g->name);
}

/* Over the same values in the same way: text of what is summed, and how, that no other has. */
static const char *sum_key(Arena *arena, const IrNode *partial) {
    Str key = str_create(arena);
    str_addf(&key, "%d %d", partial->inputs[0]->id, (int)ir_attr_get_int(partial, "keep", 0));
    const IrAttr *axes = ir_attr(partial, "axes");
    for (int i = 0; i < axes->count; i++)
        str_addf(&key, " %d", (int)axes->ints[i]);
    return key.data;
}

/* Whichever comes first in the graph serves both. */
static bool share_partials(PassContext *ctx, IrGraph *g) {
    StrMap sums = str_map_create(ctx->arena);
    bool shared = false;
    for (IrNode *n = g->first; n; n = n->next) {
        IrNode *partial = n->op == OP_reduce_merge ? n->inputs[0] : NULL;
        if (!partial || partial->op != OP_reduce_partial)
            continue;
        const char *key = sum_key(ctx->arena, partial);
        IrNode *first = str_map_get(&sums, key);
        if (!first)
            str_map_set(&sums, key, partial);
        else if (first != partial) {
            n->inputs[0] = first;
            shared = true;
        }
    }
    return shared;
}

static bool has_own(const IrGraph *g) {
    for (const IrNode *n = g->first; n; n = n->next)
        if (is_own(n))
            return true;
    return false;
}

bool pass_exchange(PassContext *ctx, IrGraph *g) {
    bool changed = false;
    if (ctx->ranks <= 1)
        return false;
    check_images(g);
    if (has_own(g)) {
        check_own(ctx, g);
        changed = share_partials(ctx, g) && pass_dce(ctx, g);
    }
    ir_clear_scratch(g);
    for (IrNode *n = g->first; n; n = n->next) {
        if (n->op != OP_reduce_merge || is_own(n))
            continue;
        IrBuilder b = {.graph = g, .before = n, .diag = ctx->diag, .span = n->span, .tag = n->tag};
        n->scratch = ir_build1(&b, OP_exchange, n->inputs[0], 0, NULL);
        changed = true;
    }
    ir_replace_by_scratch(g);
    return changed;
}
