/* expand_random.c: noise and drop path as arithmetic on draws. Both are the identity outside training.
 * insert_noise.c has the formulas. */
#include "passes/expand.h"

#include <math.h>

IrNode *expand_deviation(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    (void)frame;
    (void)n;
    return rewrite_unary(&e->b, OP_sqrt, expand_moments(e, inputs[0], inputs[0]->type.rank).unbiased);
}

/* -log(-log(u + 2^-25)): the smallest u is 0. */
IrNode *expand_gumbel(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    (void)inputs;
    IrBuilder *b = &e->b;
    IrNode *u = expand_draw(e, frame, n, "uniform", n->type, NULL);
    if (u->op == OP_input) /* fed */
        return u;
    IrNode *log_u = rewrite_unary(b, OP_log, rewrite_binary(b, OP_add, u, ir_constant(b, ldexp(1, -25))));
    return rewrite_unary(b, OP_neg, rewrite_unary(b, OP_log, rewrite_unary(b, OP_neg, log_u)));
}

/* mean + lambda * z or mean + lambda * std(x) * z. The standard deviation is a constant to differentiation. */
static IrNode *gaussian(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *x, bool relative) {
    IrBuilder *b = &e->b;
    IrNode *amount = ir_constant(b, ir_attr_get_float(n, "std", 0));
    if (relative) {
        IrNode *std = rewrite_unary(b, OP_sqrt, expand_moments(e, x, x->type.rank).unbiased);
        amount = rewrite_binary(b, OP_mul, amount, rewrite_unary(b, OP_detach, std));
    }
    IrNode *z = expand_draw(e, frame, n, "normal", x->type, NULL);
    IrNode *mean = ir_constant(b, ir_attr_get_float(n, "mean", 0));
    return rewrite_binary(b, OP_add, mean, rewrite_binary(b, OP_mul, amount, z));
}

/* mean + (1 - 2u) * sqrt(3 * lambda): lambda is the variance. */
static IrNode *uniform(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *x) {
    IrBuilder *b = &e->b;
    IrNode *u = expand_draw(e, frame, n, "uniform", x->type, NULL);
    IrNode *twice = rewrite_binary(b, OP_mul, ir_constant(b, 2), u);
    IrNode *sign = rewrite_binary(b, OP_sub, ir_constant(b, 1), twice);
    IrNode *spread = rewrite_binary(b, OP_mul, sign, ir_constant(b, sqrt(3 * ir_attr_get_float(n, "std", 0))));
    return rewrite_binary(b, OP_add, ir_constant(b, ir_attr_get_float(n, "mean", 0)), spread);
}

IrNode *expand_noise(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    IrBuilder *b = &e->b;
    IrNode *x = inputs[0];
    if (!graph_kind_is_training(e->ctx->kind))
        return x;
    bool additive = str_equal(ir_attr_get_string(n, "mixture", "additive"), "additive");
    bool relative = additive && ir_attr_get_int(n, "relative", 0);
    bool is_uniform = str_equal(ir_attr_get_string(n, "distribution", ""), "uniform");
    IrNode *noise = is_uniform ? uniform(e, frame, n, x) : gaussian(e, frame, n, x, relative);
    IrNode *decay = ir_attr_get_int(n, "decay", 0) ? ir_scalar(b, "noise_decay") : NULL;
    if (additive)
        return rewrite_binary(b, OP_add, x, decay ? rewrite_binary(b, OP_mul, decay, noise) : noise);
    IrNode *y = rewrite_binary(b, OP_mul, x, noise);
    return decay ? rewrite_binary(b, OP_mul, y, decay) : y;
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
