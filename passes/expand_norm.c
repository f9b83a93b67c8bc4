/* expand_norm.c: batch norm, softmax and cross entropy as arithmetic on primitives. */
#include "passes/expand.h"

IrNode *expand_element_count(Expander *e, double positions, bool own) {
    IrNode *batch = ir_scalar(&e->b, own ? "own_batch" : "batch");
    return positions == 1 ? batch : rewrite_binary(&e->b, OP_mul, batch, ir_constant(&e->b, positions));
}

/* Over the axes in front. */
static IrNode *sum_images(IrBuilder *b, IrNode *x, int axes, bool own) {
    static const int64_t in_front[IR_MAX_RANK] = {0, 1, 2, 3};
    IrAttr attrs[] = {ir_attr_ints("axes", axes, in_front), ir_attr_bool("own", true)};
    return ir_build1(b, OP_reduce_sum, x, own ? 2 : 1, attrs);
}

ExpandMoments expand_moments(Expander *e, IrNode *x, int axes, bool own) {
    IrBuilder *b = &e->b;
    double positions = 1;
    for (int i = 1; i < axes; i++)
        positions *= (double)x->type.dim[i];
    ExpandMoments m;
    IrNode *sum = sum_images(b, x, axes, own);
    IrNode *squares = sum_images(b, rewrite_binary(b, OP_mul, x, x), axes, own);
    m.n = expand_element_count(e, positions, own);
    m.mean = rewrite_binary(b, OP_div, sum, m.n);
    IrNode *square_of_mean = rewrite_binary(b, OP_mul, m.mean, m.mean);
    IrNode *difference = rewrite_binary(b, OP_sub, rewrite_binary(b, OP_div, squares, m.n), square_of_mean);
    m.variance = rewrite_binary(b, OP_max, difference, ir_constant(b, 0));
    /* One element has no unbiased variance; its biased one is zero and stays so. */
    IrNode *one = ir_constant(b, 1);
    IrNode *rest = rewrite_binary(b, OP_max, rewrite_binary(b, OP_sub, m.n, one), one);
    m.unbiased = rewrite_binary(b, OP_mul, m.variance, rewrite_binary(b, OP_div, m.n, rest));
    return m;
}

/* running = (1 - momentum) * running + momentum * now */
static void assign_running(Expander *e, const ExpandFrame *frame, IrNode *running, IrNode *now, double momentum) {
    IrBuilder *b = &e->b;
    IrNode *old = rewrite_binary(b, OP_mul, running, ir_constant(b, 1 - momentum));
    IrNode *new = rewrite_binary(b, OP_add, old, rewrite_binary(b, OP_mul, now, ir_constant(b, momentum)));
    rewrite_assign(b, ir_attr_get_string(running, "name", ""), new, &frame->when);
}

typedef struct BatchNorm {
    IrNode *weight, *bias; /* NULL unless affine */
    IrNode *running_mean, *running_var;
} BatchNorm;

static BatchNorm make_parameters(Expander *e, const ExpandFrame *frame, const IrNode *n) {
    const char *name = expand_resolve_name(e, frame, ir_attr_get_string(n, "name", ""));
    Arena *arena = e->ctx->arena;
    IrType type = ir_type(DTYPE_f32, 1, &n->type.dim[n->type.rank - 1]);
    BatchNorm bn = {0};
    if (ir_attr_get_int(n, "affine", 0)) {
        bn.weight = expand_parameter(e, frame, arena_printf(arena, "%s.weight", name), type, "weight", "ones", 0);
        bn.bias = expand_parameter(e, frame, arena_printf(arena, "%s.bias", name), type, "weight", "zeros", 0);
    }
    bn.running_mean =
        expand_parameter(e, frame, arena_printf(arena, "%s.running_mean", name), type, "statistic", "zeros", 0);
    bn.running_var =
        expand_parameter(e, frame, arena_printf(arena, "%s.running_var", name), type, "statistic", "ones", 0);
    return bn;
}

static IrNode *deviation_of(IrBuilder *b, const IrNode *n, IrNode *variance) {
    IrNode *eps = ir_constant(b, ir_attr_get_float(n, "eps", 1e-5));
    return rewrite_unary(b, OP_sqrt, rewrite_binary(b, OP_add, variance, eps));
}

/* With statistics that each rank has of its own images. y = (x - mean) / sqrt(variance + eps) * weight + bias, in this order:
 * so the gradients of weight and bias are sums over images, which all ranks can add up. */
static IrNode *normalize_own(Expander *e, const IrNode *n, const BatchNorm *bn, IrNode *x) {
    IrBuilder *b = &e->b;
    ExpandMoments m = expand_moments(e, x, x->type.rank - 1, true);
    IrNode *scale = rewrite_binary(b, OP_div, ir_constant(b, 1), deviation_of(b, n, m.variance));
    IrNode *y = rewrite_binary(b, OP_mul, rewrite_binary(b, OP_sub, x, m.mean), scale);
    y = bn->weight ? rewrite_binary(b, OP_mul, y, bn->weight) : y;
    return bn->bias ? rewrite_binary(b, OP_add, y, bn->bias) : y;
}

/* Of several ranks. */
static bool is_local(const PassContext *ctx) {
    return ctx->ranks > 1 && graph_kind_is_training(ctx->kind) && settings_batch_norm_is_local(&ctx->settings);
}

/* y = x * scale + shift with scale = weight / sqrt(variance + eps), shift = bias - mean * scale; weight 1 and bias 0
 * unless affine. Everything but x and y has one element for each channel. Running statistics are of all images in any case. */
IrNode *expand_batch_norm(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    IrBuilder *b = &e->b;
    IrNode *x = inputs[0];
    BatchNorm bn = make_parameters(e, frame, n);
    IrNode *mean = bn.running_mean, *variance = bn.running_var;
    if (graph_kind_is_training(e->ctx->kind)) {
        ExpandMoments m = expand_moments(e, x, x->type.rank - 1, false);
        mean = m.mean;
        variance = m.variance;
        double momentum = ir_attr_get_float(n, "momentum", 0.1);
        assign_running(e, frame, bn.running_mean, m.mean, momentum);
        assign_running(e, frame, bn.running_var, m.unbiased, momentum);
    }
    if (is_local(e->ctx))
        return normalize_own(e, n, &bn, x);
    IrNode *deviation = deviation_of(b, n, variance);
    IrNode *scale = rewrite_binary(b, OP_div, bn.weight ? bn.weight : ir_constant(b, 1), deviation);
    IrNode *moved = rewrite_binary(b, OP_mul, mean, scale);
    IrNode *shift = bn.bias ? rewrite_binary(b, OP_sub, bn.bias, moved) : rewrite_unary(b, OP_neg, moved);
    return rewrite_binary(b, OP_add, rewrite_binary(b, OP_mul, x, scale), shift);
}

/* Over the last axis; the largest element is subtracted first, so that exp cannot overflow. */
IrNode *expand_softmax(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    (void)frame;
    (void)n;
    IrBuilder *b = &e->b;
    int last = inputs[0]->type.rank - 1;
    IrNode *largest = rewrite_reduce(b, OP_reduce_max, inputs[0], last, last + 1, true);
    IrNode *powers = rewrite_unary(b, OP_exp, rewrite_binary(b, OP_sub, inputs[0], largest));
    return rewrite_binary(b, OP_div, powers, rewrite_reduce(b, OP_reduce_sum, powers, last, last + 1, true));
}

/* The mean over the images of -sum_c target_c * log softmax(logits)_c, target = (1 - s) * one_hot(label) + s / classes
 * with the label smoothing s; where the classes have parts in an image instead of a label, these for one_hot. With weights w of the classes, target_c is multiplied by w_c, and the sum over the images
 * is divided by that of w_label instead of their number, as PyTorch's CrossEntropyLoss does. */
IrNode *expand_cross_entropy(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    (void)frame;
    IrBuilder *b = &e->b;
    IrNode *logits = inputs[0];
    int64_t classes = logits->type.dim[1];
    IrNode *z = rewrite_binary(b, OP_sub, logits, rewrite_reduce(b, OP_reduce_max, logits, 1, 2, true));
    IrNode *sum = rewrite_reduce(b, OP_reduce_sum, rewrite_unary(b, OP_exp, z), 1, 2, true);
    IrNode *log_softmax = rewrite_binary(b, OP_sub, z, rewrite_unary(b, OP_log, sum));
    IrAttr attrs[] = {ir_attr_int("classes", classes)};
    IrNode *target = inputs[1]->type.rank == 2 ? inputs[1] : ir_build1(b, OP_one_hot, inputs[1], 1, attrs);
    IrNode *weights = n->input_count > 2 ? inputs[2] : NULL;
    IrNode *count =
        weights ? rewrite_reduce(b, OP_reduce_sum, rewrite_binary(b, OP_mul, target, weights), 0, 2, false) : NULL;
    double s = ir_attr_get_float(n, "smoothing", 0);
    if (s > 0) {
        target = rewrite_binary(b, OP_mul, target, ir_constant(b, 1 - s));
        target = rewrite_binary(b, OP_add, target, ir_constant(b, s / (double)classes));
    }
    if (weights)
        target = rewrite_binary(b, OP_mul, target, weights);
    IrNode *total = rewrite_reduce(b, OP_reduce_sum, rewrite_binary(b, OP_mul, log_softmax, target), 0, 2, false);
    return rewrite_unary(b, OP_neg,
                         rewrite_binary(b, OP_div, total, count ? count : expand_element_count(e, 1, false)));
}
