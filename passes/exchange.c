/* exchange.c: for a program of several ranks, each of which has so many of the batch's images, and K of its chunks: what adds
 * up the chunks adds up those of all ranks.
 *     %s = reduce_merge %p     f32[K,C] -> f32[C]     =>     %s = exchange %p
 * Behind it every rank has the same values, so what is computed of them is computed by all alike. Needs: split-reductions.
 * Unchanged: everything in a program of one process. A sum over N that is no sum of chunks cannot be made so, and is a bug. */
#include "passes/pass.h"

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

bool pass_exchange(PassContext *ctx, IrGraph *g) {
    bool changed = false;
    if (ctx->ranks <= 1)
        return false;
    check_images(g);
    ir_clear_scratch(g);
    for (IrNode *n = g->first; n; n = n->next) {
        if (n->op != OP_reduce_merge)
            continue;
        IrBuilder b = {.graph = g, .before = n, .diag = ctx->diag, .span = n->span, .tag = n->tag};
        n->scratch = ir_build1(&b, OP_exchange, n->inputs[0], 0, NULL);
        changed = true;
    }
    ir_replace_by_scratch(g);
    return changed;
}
