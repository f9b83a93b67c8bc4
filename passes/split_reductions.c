/* split_reductions.c: sums over the images of the batch in two steps, so that they do not depend on the number of
 * threads: partial sums over each of K chunks of images, then the partial sums in a fixed tree. %s =
 * reduce_sum %x {axes=[0, 1, 2]}           %p = reduce_partial %x {axes=[0, 1, 2]}     f32[K,C]
 *                                            =>     %s = reduce_merge %p                        f32[C]
 * Likewise conv2d_grad_weight and a matmul whose contracted axis is N become partial=true and a merge. What is of a rank's own
 * images alone (own=true) says so where it is merged.
 * Unchanged: reductions that leave N in place. */
#include "passes/pass.h"

static bool reduces_images(const IrNode *n) {
    const IrNode *x = n->inputs[0];
    if (x->type.rank == 0 || x->type.dim[0] != IR_DIM_N) {
        return false;
    }
    const IrAttr *axes = ir_attr(n, "axes");
    for (int i = 0; i < axes->count; i++) {
        if (axes->ints[i] == 0) {
            return true;
        }
    }
    return false;
}

static bool contracts_images(const IrNode *n) {
    const IrNode *a = n->inputs[0];
    return ir_attr_get_int(n, "ta", false) && a->type.rank == 2 && a->type.dim[0] == IR_DIM_N;
}

static IrNode *build_without(IrBuilder *b, IrOp op, IrNode *n, const char *name, const IrAttr *more) {
    IrAttr attrs[IR_MAX_ATTRS];
    int count = 0;
    for (int i = 0; i < n->attr_count; i++) {
        if (!str_equal(n->attrs[i].name, name)) {
            attrs[count++] = n->attrs[i];
        }
    }
    if (more) {
        attrs[count++] = *more;
    }
    return ir_build(b, op, NULL, n->input_count, n->inputs, count, attrs);
}

/* The node that computes n by chunks, or NULL when n needs none. */
static IrNode *build_partial(IrBuilder *b, IrNode *n) {
    IrOp op = n->op;
    if (op == OP_reduce_sum && reduces_images(n)) {
        return build_without(b, OP_reduce_partial, n, "own", NULL);
    }
    bool product = (ir_is_weight_gradient(n) && n->type.rank == 4) || (op == OP_matmul && contracts_images(n));
    if (!product || ir_is_partial(n)) {
        return NULL;
    }
    const IrAttr by_chunks = ir_attr_bool("partial", true);
    return build_without(b, op, n, "partial", &by_chunks);
}

bool pass_split_reductions(PassContext *ctx, IrGraph *g) {
    bool changed = false;
    ir_clear_scratch(g);
    for (IrNode *n = g->first; n; n = n->next) {
        IrBuilder b = {.graph = g, .before = n, .diag = ctx->diag, .span = n->span, .tag = n->tag};
        IrNode *partial = build_partial(&b, n);
        if (partial) {
            const IrAttr own = ir_attr_bool("own", true);
            n->scratch = ir_build1(&b, OP_reduce_merge, partial, ir_attr_get_int(n, "own", 0), &own);
            changed = true;
        }
    }
    ir_replace_by_scratch(g);
    return changed;
}
