/* gradients_products.c: gradient rules of reductions, convolutions, pools and matrix products. */
#include "passes/gradients.h"

/* dy with the reduced axes back as ones, then stretched to x's type. */
void grad_reduce_sum(Gradients *g, IrNode *y, IrNode *dy) {
    IrType kept = y->inputs[0]->type;
    const IrAttr *axes = ir_attr(y, "axes");
    for (int i = 0; i < axes->count; i++) {
        kept.dim[axes->ints[i]] = 1;
    }
    IrNode *ones = gradients_reshape(g, dy, &kept);
    gradients_add(g, y, 0, gradients_broadcast(g, ones, &y->inputs[0]->type));
}

static IrAttr copy_ints(const IrNode *y, const char *name) {
    const IrAttr *attr = ir_attr(y, name);
    return ir_attr_ints(name, attr->count, attr->ints);
}

/* The gradient with respect to x as a convolution: of dy, with zeros between its pixels where the window took strides,
 * with the flipped weight. The padding makes the window's last tap at the first input pixel meet the first pixel of dy.
 */
static IrNode *transposed_convolution(Gradients *g, IrNode *y, IrNode *dy) {
    const int64_t *stride = ir_attr_get_ints(y, "stride"), *pad = ir_attr_get_ints(y, "pad"),
                  *dilation = ir_attr_get_ints(y, "dilation");
    const int64_t *x = y->inputs[0]->type.dim, *w = y->inputs[1]->type.dim;
    int64_t size[2], padding[4], ones[2] = {1, 1};
    for (int i = 0; i < 2; i++) {
        int64_t reach = dilation[i] * (w[2 + i] - 1);
        size[i] = (dy->type.dim[1 + i] - 1) * stride[i] + 1;
        padding[i] = reach - pad[i];
        padding[i + 2] = x[1 + i] - size[i] - padding[i] + reach;
    }
    IrAttr spread[] = {ir_attr_ints("stride", 2, stride), ir_attr_ints("size", 2, size)};
    IrAttr groups = ir_attr_int("groups", ir_attr_get_int(y, "groups", 1));
    IrAttr attrs[] = {ir_attr_ints("stride", 2, ones), ir_attr_ints("pad", 4, padding),
                      ir_attr_ints("dilation", 2, dilation), groups};
    if (stride[0] != 1 || stride[1] != 1) {
        dy = ir_build1(&g->b, OP_dilate, dy, 2, spread);
    }
    return ir_build2(&g->b, OP_conv2d, dy, ir_build1(&g->b, OP_flip_weight, y->inputs[1], 1, &groups), 4, attrs);
}

void grad_conv2d(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *x = y->inputs[0], *w = y->inputs[1];
    int64_t groups = ir_attr_get_int(y, "groups", 1);
    IrAttr attrs[] = {copy_ints(y, "stride"), copy_ints(y, "pad"), copy_ints(y, "dilation"),
                      ir_attr_int("groups", groups), ir_attr_ints("size", 2, &x->type.dim[1])};
    if (gradients_want(g, y, 0)) {
        bool flips = groups == 1 || ir_conv_is_depthwise(y);
        gradients_add(g, y, 0,
                      flips ? transposed_convolution(g, y, dy)
                            : ir_build2(&g->b, OP_conv2d_grad_input, dy, w, 5, attrs));
    }
    if (gradients_want(g, y, 1)) {
        attrs[4] = ir_attr_ints("kernel", 2, &w->type.dim[2]);
        gradients_add(g, y, 1, ir_build2(&g->b, OP_conv2d_grad_weight, dy, x, 5, attrs));
    }
}

static IrNode *product(Gradients *g, IrNode *a, IrNode *b, bool ta, bool tb) {
    IrAttr attrs[] = {ir_attr_bool("ta", ta), ir_attr_bool("tb", tb)};
    return ir_build2(&g->b, OP_matmul, a, b, 2, attrs);
}

/* With A' and B' the operands as they enter the product: dA' = dC B'^T and dB' = A'^T dC, each transposed as stored. */
void grad_matmul(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *a = y->inputs[0], *b = y->inputs[1];
    bool ta = ir_attr_get_int(y, "ta", false), tb = ir_attr_get_int(y, "tb", false);
    if (gradients_want(g, y, 0)) {
        gradients_add(g, y, 0, ta ? product(g, b, dy, tb, true) : product(g, dy, b, false, !tb));
    }
    if (gradients_want(g, y, 1)) {
        gradients_add(g, y, 1, tb ? product(g, dy, a, true, ta) : product(g, a, dy, !ta, false));
    }
}

static IrNode *pool_gradient(Gradients *g, IrNode *y, IrOp op, int count, IrNode *const *inputs) {
    IrAttr attrs[] = {copy_ints(y, "kernel"), copy_ints(y, "stride"), copy_ints(y, "pad"),
                      ir_attr_ints("size", 2, &y->inputs[0]->type.dim[1])};
    return ir_build(&g->b, op, NULL, count, inputs, 4, attrs);
}

void grad_max_pool(Gradients *g, IrNode *y, IrNode *dy) {
    IrAttr attrs[] = {copy_ints(y, "kernel"), copy_ints(y, "stride"), copy_ints(y, "pad")};
    IrNode *index = ir_build1(&g->b, OP_max_pool_index, y->inputs[0], 3, attrs);
    gradients_add(g, y, 0, pool_gradient(g, y, OP_max_pool_grad, 2, (IrNode *[]){dy, index}));
}

void grad_avg_pool(Gradients *g, IrNode *y, IrNode *dy) {
    gradients_add(g, y, 0, pool_gradient(g, y, OP_avg_pool_grad, 1, (IrNode *[]){dy}));
}
