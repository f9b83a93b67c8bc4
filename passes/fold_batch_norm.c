/* fold_batch_norm.c: in inference, moves the scale of a batch norm into the weight of the convolution before it.
 *     %c = conv2d %x, %w                       %v = mul %w, (reshape %scale {shape=[O, 1, 1, 1]})
 *     %n = mul %c, %scale               =>     %c = conv2d %x, %v
 *     %y = add %n, %shift                      %y = add %c, %shift
 * The new weight depends on parameters alone, so it is computed once, when they change.
 * Unchanged: when %c has another user, when %scale is no vector of channels or depends on the input, and in training.
 */
#include "passes/rewrite.h"
#include "passes/staging.h"

typedef struct Fold {
    const bool *prepared; /* by id of the old nodes */
    const int *uses;
} Fold;

static bool is_channel_vector(const IrNode *scale, const IrNode *conv) {
    int rank = scale->type.rank;
    return rank >= 1 && scale->type.dim[rank - 1] == conv->type.dim[3] &&
           ir_type_count(&scale->type, 1, 1) == conv->type.dim[3];
}

static bool can_fold(const Fold *f, const IrNode *conv, const IrNode *scale) {
    return ir_is_convolution(conv) && f->uses[conv->id] == 1 && f->prepared[scale->id] &&
           f->prepared[conv->inputs[1]->id] && is_channel_vector(scale, conv);
}

static void fold(PassContext *ctx, IrNode *product, IrNode *conv, IrNode *scale) {
    IrBuilder b = {
        .graph = product->graph, .before = product, .diag = ctx->diag, .span = product->span, .tag = product->tag};
    IrNode *w = conv->inputs[1];
    IrAttr shape = ir_attr_ints("shape", 4, (int64_t[]){w->type.dim[0], 1, 1, 1});
    IrNode *column = ir_build1(&b, OP_reshape, scale, 1, &shape);
    IrNode *inputs[] = {conv->inputs[0], ir_build2(&b, OP_mul, w, column, 0, NULL)};
    product->scratch = ir_build(&b, OP_conv2d, NULL, 2, inputs, conv->attr_count, conv->attrs);
    conv->mark = product->mark = 1; /* replaced */
}

bool pass_fold_batch_norm(PassContext *ctx, IrGraph *g) {
    if (graph_kind_is_training(ctx->kind)) {
        return false;
    }
    Fold f = {.prepared = staging_find_prepared(ctx, g), .uses = ir_count_uses(g, ctx->arena)};
    bool changed = false;
    ir_clear_scratch(g);
    for (IrNode *n = g->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < 2 && n->op == OP_mul && !n->scratch; i++) {
            if (can_fold(&f, n->inputs[i], n->inputs[1 - i])) {
                fold(ctx, n, n->inputs[i], n->inputs[1 - i]);
                changed = true;
            }
        }
    }
    ir_replace_uses_by_scratch(g);
    rewrite_remove_marked(g);
    return changed;
}
