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

void grad_conv2d(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *x = y->inputs[0], *w = y->inputs[1];
    IrAttr attrs[] = {copy_ints(y, "stride"), copy_ints(y, "pad"), copy_ints(y, "dilation"),
                      ir_attr_int("groups", ir_attr_get_int(y, "groups", 1)),
                      ir_attr_ints("size", 2, &x->type.dim[1])};
    if (gradients_want(g, y, 0)) {
        gradients_add(g, y, 0, ir_build2(&g->b, OP_conv2d_grad_input, dy, w, 5, attrs));
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
