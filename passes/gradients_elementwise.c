/* gradients_elementwise.c: gradient rules of the elementwise operations, and the two that end a path. */
#include "passes/gradients.h"

static IrNode *times(Gradients *g, IrNode *x, IrNode *y) {
    return gradients_binary(g, OP_mul, x, y);
}

static IrNode *constant(Gradients *g, double value) {
    return ir_constant(&g->b, value);
}

void grad_zero(Gradients *g, IrNode *y, IrNode *dy) {
    (void)g, (void)y, (void)dy;
}

void grad_none(Gradients *g, IrNode *y, IrNode *dy) {
    (void)g, (void)dy;
    bug("the gradient of '%s' was asked for", ir_op_info[y->op].name);
}

void grad_add(Gradients *g, IrNode *y, IrNode *dy) {
    gradients_add(g, y, 0, dy);
    gradients_add(g, y, 1, dy);
}

void grad_sub(Gradients *g, IrNode *y, IrNode *dy) {
    gradients_add(g, y, 0, dy);
    if (gradients_want(g, y, 1)) {
        gradients_add(g, y, 1, gradients_unary(g, OP_neg, dy));
    }
}

void grad_mul(Gradients *g, IrNode *y, IrNode *dy) {
    for (int i = 0; i < 2; i++) {
        if (gradients_want(g, y, i)) {
            gradients_add(g, y, i, times(g, dy, y->inputs[1 - i]));
        }
    }
}

void grad_div(Gradients *g, IrNode *y, IrNode *dy) {
    if (gradients_want(g, y, 0)) {
        gradients_add(g, y, 0, gradients_binary(g, OP_div, dy, y->inputs[1]));
    }
    if (gradients_want(g, y, 1)) {
        IrNode *quotient = gradients_binary(g, OP_div, times(g, dy, y), y->inputs[1]);
        gradients_add(g, y, 1, gradients_unary(g, OP_neg, quotient));
    }
}

/* dy goes to the operand that was taken, to the first on ties. */
static void choose_gradient(Gradients *g, IrNode *y, IrNode *dy, IrNode *second_taken) {
    IrNode *zero = constant(g, 0);
    if (gradients_want(g, y, 0)) {
        gradients_add(g, y, 0, gradients_select(g, second_taken, zero, dy));
    }
    if (gradients_want(g, y, 1)) {
        gradients_add(g, y, 1, gradients_select(g, second_taken, dy, zero));
    }
}

void grad_max(Gradients *g, IrNode *y, IrNode *dy) {
    choose_gradient(g, y, dy, gradients_binary(g, OP_gt, y->inputs[1], y->inputs[0]));
}

void grad_min(Gradients *g, IrNode *y, IrNode *dy) {
    choose_gradient(g, y, dy, gradients_binary(g, OP_gt, y->inputs[0], y->inputs[1]));
}

void grad_select(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *zero = constant(g, 0);
    if (gradients_want(g, y, 1)) {
        gradients_add(g, y, 1, gradients_select(g, y->inputs[0], dy, zero));
    }
    if (gradients_want(g, y, 2)) {
        gradients_add(g, y, 2, gradients_select(g, y->inputs[0], zero, dy));
    }
}

/* The operands' gradients are dy where they are chosen. */
void grad_choose(Gradients *g, IrNode *y, IrNode *dy) {
    IrCondition outer = g->where;
    int count = y->input_count - 1;
    for (int c = 0; c < count; c++) {
        g->where = (IrCondition){y->inputs[0], UINT64_C(1) << c, count};
        gradients_add(g, y, 1 + c, dy);
    }
    g->where = outer;
}

void grad_neg(Gradients *g, IrNode *y, IrNode *dy) {
    gradients_add(g, y, 0, gradients_unary(g, OP_neg, dy));
}

void grad_relu(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *zero = constant(g, 0);
    IrNode *positive = gradients_binary(g, OP_gt, y->inputs[0], zero);
    gradients_add(g, y, 0, gradients_select(g, positive, dy, zero));
}

void grad_exp(Gradients *g, IrNode *y, IrNode *dy) {
    gradients_add(g, y, 0, times(g, dy, y));
}

void grad_log(Gradients *g, IrNode *y, IrNode *dy) {
    gradients_add(g, y, 0, gradients_binary(g, OP_div, dy, y->inputs[0]));
}

void grad_sqrt(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *half = times(g, dy, constant(g, 0.5));
    gradients_add(g, y, 0, gradients_binary(g, OP_div, half, y));
}

void grad_tanh(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *square = times(g, y, y);
    IrNode *slope = gradients_binary(g, OP_sub, constant(g, 1), square);
    gradients_add(g, y, 0, times(g, dy, slope));
}

void grad_sigmoid(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *slope = times(g, y, gradients_binary(g, OP_sub, constant(g, 1), y));
    gradients_add(g, y, 0, times(g, dy, slope));
}

void grad_sin(Gradients *g, IrNode *y, IrNode *dy) {
    gradients_add(g, y, 0, times(g, dy, gradients_unary(g, OP_cos, y->inputs[0])));
}

void grad_cos(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *product = times(g, dy, gradients_unary(g, OP_sin, y->inputs[0]));
    gradients_add(g, y, 0, gradients_unary(g, OP_neg, product));
}

/* 0 at 0, as PyTorch's sign. */
void grad_abs(Gradients *g, IrNode *y, IrNode *dy) {
    IrNode *zero = constant(g, 0);
    IrNode *positive = gradients_binary(g, OP_gt, y->inputs[0], zero);
    IrNode *negative = gradients_binary(g, OP_gt, zero, y->inputs[0]);
    IrNode *below = gradients_select(g, negative, gradients_unary(g, OP_neg, dy), zero);
    gradients_add(g, y, 0, gradients_select(g, positive, dy, below));
}

void grad_add_n(Gradients *g, IrNode *y, IrNode *dy) {
    for (int i = 0; i < y->input_count; i++) {
        gradients_add(g, y, i, dy);
    }
}
