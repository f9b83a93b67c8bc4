/* gradients.c: what the rules build gradients of; see gradients.h. */
#include "passes/gradients.h"

bool gradients_want(const Gradients *g, const IrNode *y, int i) {
    return g->wanted[y->inputs[i]->id];
}

IrNode *gradients_unary(Gradients *g, IrOp op, IrNode *x) {
    return ir_build1(&g->b, op, x, 0, NULL);
}

static bool is_one(const IrNode *n) {
    return n->type.rank == 0 && ir_is_constant(n, 1);
}

IrNode *gradients_binary(Gradients *g, IrOp op, IrNode *x, IrNode *y) {
    if (op == OP_mul && is_one(x)) {
        return y;
    }
    if (op == OP_mul && is_one(y)) {
        return x;
    }
    return ir_build2(&g->b, op, x, y, 0, NULL);
}

IrNode *gradients_select(Gradients *g, IrNode *condition, IrNode *x, IrNode *y) {
    return ir_build3(&g->b, OP_select, condition, x, y, 0, NULL);
}

IrNode *gradients_reshape(Gradients *g, IrNode *x, const IrType *type) {
    if (ir_type_equal(&x->type, type)) {
        return x;
    }
    IrAttr shape = ir_attr_ints("shape", type->rank, type->dim);
    return ir_build1(&g->b, OP_reshape, x, 1, &shape);
}

IrNode *gradients_broadcast(Gradients *g, IrNode *x, const IrType *type) {
    if (ir_type_equal(&x->type, type)) {
        return x;
    }
    IrAttr shape = ir_attr_ints("shape", type->rank, type->dim);
    return ir_build1(&g->b, OP_broadcast, x, 1, &shape);
}

/* The sum of x over the axes along which something of the target type was stretched to x's type. */
static IrNode *sum_stretched(Gradients *g, IrNode *x, const IrType *target) {
    int64_t axes[IR_MAX_RANK];
    int count = 0;
    int lead = x->type.rank - target->rank;
    for (int a = 0; a < x->type.rank; a++) {
        if (a < lead || (target->dim[a - lead] == 1 && x->type.dim[a] != 1)) {
            axes[count++] = a;
        }
    }
    if (count > 0) {
        IrAttr attr = ir_attr_ints("axes", count, axes);
        x = ir_build1(&g->b, OP_reduce_sum, x, 1, &attr);
    }
    return gradients_reshape(g, x, target);
}

void gradients_add(Gradients *g, IrNode *y, int i, IrNode *contribution) {
    IrNode *x = y->inputs[i];
    if (!g->wanted[x->id]) {
        return;
    }
    contribution = sum_stretched(g, contribution, &x->type);
    IrNode **sum = &g->sum[x->id];
    *sum = *sum ? gradients_binary(g, OP_add, *sum, contribution) : contribution;
}
