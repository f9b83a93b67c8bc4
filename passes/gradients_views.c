/* gradients_views.c: gradient rules of the views. What a view reads twice is summed, what it leaves out gets zero. */
#include "passes/gradients.h"

static IrNode *build_view(Gradients *g, IrOp op, IrNode *x, int attr_count, const IrAttr *attrs) {
    return ir_build1(&g->b, op, x, attr_count, attrs);
}

static IrNode *slice(Gradients *g, IrNode *x, int64_t axis, int64_t begin, int64_t end) {
    IrAttr attrs[] = {ir_attr_int("axis", axis), ir_attr_int("begin", begin), ir_attr_int("end", end)};
    return build_view(g, OP_slice, x, 3, attrs);
}

void grad_slice(Gradients *g, IrNode *y, IrNode *dy) {
    int64_t axis = ir_attr_get_int(y, "axis", 0);
    int64_t begin = ir_attr_get_int(y, "begin", 0);
    int64_t after = y->inputs[0]->type.dim[axis] - ir_attr_get_int(y, "end", 0);
    IrAttr attrs[] = {ir_attr_int("axis", axis), ir_attr_int("begin", begin), ir_attr_int("end", after)};
    gradients_add(g, y, 0, build_view(g, OP_pad, dy, 3, attrs));
}

void grad_pad(Gradients *g, IrNode *y, IrNode *dy) {
    int64_t axis = ir_attr_get_int(y, "axis", 0);
    int64_t begin = ir_attr_get_int(y, "begin", 0);
    gradients_add(g, y, 0, slice(g, dy, axis, begin, begin + y->inputs[0]->type.dim[axis]));
}

void grad_concat(Gradients *g, IrNode *y, IrNode *dy) {
    int64_t axis = ir_attr_get_int(y, "axis", 0);
    int64_t begin = 0;
    for (int i = 0; i < y->input_count; i++) {
        int64_t end = begin + y->inputs[i]->type.dim[axis];
        if (gradients_want(g, y, i)) {
            gradients_add(g, y, i, slice(g, dy, axis, begin, end));
        }
        begin = end;
    }
}

void grad_index(Gradients *g, IrNode *y, IrNode *dy) {
    int64_t axis = ir_attr_get_int(y, "axis", 0);
    IrAttr attrs[] = {ir_attr_int("axis", axis), ir_attr_int("at", ir_attr_get_int(y, "at", 0)),
                      ir_attr_int("size", y->inputs[0]->type.dim[axis])};
    gradients_add(g, y, 0, build_view(g, OP_place, dy, 3, attrs));
}

void grad_place(Gradients *g, IrNode *y, IrNode *dy) {
    IrAttr attrs[] = {ir_attr_int("axis", ir_attr_get_int(y, "axis", 0)),
                      ir_attr_int("at", ir_attr_get_int(y, "at", 0))};
    gradients_add(g, y, 0, build_view(g, OP_index, dy, 2, attrs));
}

/* Interleaving the other way around takes it back. */
void grad_shuffle(Gradients *g, IrNode *y, IrNode *dy) {
    IrAttr groups = ir_attr_int("groups", y->type.dim[y->type.rank - 1] / ir_attr_get_int(y, "groups", 1));
    gradients_add(g, y, 0, build_view(g, OP_shuffle, dy, 1, &groups));
}

void grad_reshape(Gradients *g, IrNode *y, IrNode *dy) {
    gradients_add(g, y, 0, gradients_reshape(g, dy, &y->inputs[0]->type));
}

/* gradients_add sums over what was stretched. */
void grad_broadcast(Gradients *g, IrNode *y, IrNode *dy) {
    gradients_add(g, y, 0, dy);
}
