/* expand_random.c: drop path, dropout, Gumbel's distribution and deviations as arithmetic. Drop path and dropout are the identity
 * outside training. */
#include "passes/expand.h"

#include <math.h>

IrNode *expand_deviation(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    (void)frame;
    (void)n;
    return rewrite_unary(&e->b, OP_sqrt, expand_moments(e, inputs[0], inputs[0]->type.rank, false).unbiased);
}

/* -log(-log(u + 2^-25)): the smallest u is 0. The largest is 1 - 2^-24, whose sum single precision would round to 1, and
 * the draw to infinity. */
IrNode *expand_gumbel(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    (void)inputs;
    IrBuilder *b = &e->b;
    IrNode *u = expand_draw(e, frame, n, "uniform", n->type, NULL);
    if (u->op == OP_input) /* fed */
        return u;
    IrNode *inside = rewrite_binary(b, OP_add, u, ir_constant(b, ldexp(1, -25)));
    inside = rewrite_binary(b, OP_min, inside, ir_constant(b, 1 - ldexp(1, -24)));
    IrNode *log_u = rewrite_unary(b, OP_log, inside);
    return rewrite_unary(b, OP_neg, rewrite_unary(b, OP_log, rewrite_unary(b, OP_neg, log_u)));
}

/* y = x * mask / keep, one mask for each image. */
IrNode *expand_drop_path(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    IrBuilder *b = &e->b;
    if (!graph_kind_is_training(e->ctx->kind))
        return inputs[0];
    IrType type = inputs[0]->type;
    for (int i = 1; i < type.rank; i++)
        type.dim[i] = 1;
    IrNode *keep = ir_scalar(b, "drop_keep");
    IrNode *mask = expand_draw(e, frame, n, "bernoulli", type, keep);
    return rewrite_binary(b, OP_div, rewrite_binary(b, OP_mul, inputs[0], mask), keep);
}

/* y = x * mask / keep, a draw for each element. */
IrNode *expand_dropout(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    IrBuilder *b = &e->b;
    double probability = ir_attr_get_float(n, "probability", 0);
    if (!graph_kind_is_training(e->ctx->kind) || probability == 0)
        return inputs[0];
    const char *name = expand_resolve_name(e, frame, ir_attr_get_string(n, "name", ""));
    const char *stream = name[0] ? arena_printf(e->ctx->arena, "dropout.%s", name) : "dropout";
    IrNode *keep = ir_constant(b, 1 - probability);
    IrNode *mask = expand_stream(e, stream, "bernoulli", inputs[0]->type, keep);
    return rewrite_binary(b, OP_div, rewrite_binary(b, OP_mul, inputs[0], mask), keep);
}
