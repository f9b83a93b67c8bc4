/* cuda_window_fits.c: which steps are computed by tiles of depthwise convolutions, and which of them share one. */
#include "codegen/cuda/cuda_window.h"

#include <string.h>

IrNode *window_operand(const IrNode *node) {
    return node->inputs[ir_is_weight_gradient(node)];
}

const int64_t *window_output(const IrNode *node) {
    return ir_is_weight_gradient(node) ? node->inputs[0]->type.dim : node->type.dim;
}

/* Pixels from the first tap to the last. */
static int64_t count_reach(const IrNode *node) {
    const int64_t *weight = ir_conv_weight(node), *dilation = ir_attr_get_ints(node, "dilation");
    return ((weight[2] - 1) * dilation[ROW] + 1) * ((weight[3] - 1) * dilation[COLUMN] + 1);
}

/* A depthwise convolution, or its gradient, that a tile can hold. */
static bool fits_tile(const IrNode *node) {
    if (!ir_conv_is_depthwise(node))
        return false;
    const int64_t *weight = ir_conv_weight(node);
    return weight[2] * weight[3] <= WINDOW_MOST_TAPS && count_reach(node) <= WINDOW_MOST_REACH;
}

static void find_inlined(FoundWindows *f, IrNode *node) {
    for (int i = 0; i < node->input_count && f->count <= WINDOW_MOST; i++) {
        IrNode *x = node->inputs[i];
        bool known = false;
        for (int j = 0; j < f->count; j++)
            known = known || f->nodes[j] == x;
        if (x->inlined && fits_tile(x) && !known)
            f->nodes[f->count++] = x;
        else if (x->inlined && !known)
            find_inlined(f, x);
    }
}

FoundWindows window_find(const CgStep *step) {
    FoundWindows f = {0};
    if (fits_tile(step->node))
        f.nodes[f.count++] = step->node;
    else if (ir_is(step->node, OP_ELEMENTWISE))
        find_inlined(&f, step->node);
    return f;
}

/* Does the convolution read one pixel of x for each of its own, at the same place? */
static bool is_pointwise(const IrNode *node) {
    if (!ir_is_convolution(node) || ir_attr_get_int(node, "groups", 1) != 1)
        return false;
    const int64_t *weight = ir_conv_weight(node), *x = node->inputs[0]->type.dim;
    return weight[2] * weight[3] == 1 && x[1] == node->type.dim[1] && x[2] == node->type.dim[2];
}

bool window_can_be_inside(const IrNode *node, const IrNode *x) {
    return is_pointwise(node) && node->inputs[0] == x && ir_is_convolution(x) && fits_tile(x);
}

IrNode *window_inside(const IrNode *node) {
    IrNode *x = node->input_count ? node->inputs[0] : NULL;
    return x && x->inlined && window_can_be_inside(node, x) ? x : NULL;
}

static bool same_pair(const IrNode *a, const IrNode *b, const char *name) {
    return !memcmp(ir_attr_get_ints(a, name), ir_attr_get_ints(b, name), 2 * sizeof(int64_t));
}

/* Random numbers are named by the element of their own step. */
bool window_fits(const CgProgram *program, Arena *scratch, const CgStep *step) {
    (void)scratch;
    FoundWindows f = window_find(step);
    bool fine = f.count > 0 && f.count <= WINDOW_MOST && !ir_is_weight_gradient(step->node) && step->int_count == 0 &&
                cuda_fits_int(program->options, step);
    int64_t reach = 0;
    for (int i = 0; i < f.count && fine; i++) {
        fine = ir_type_equal(&f.nodes[i]->type, &step->node->type) && same_pair(f.nodes[i], f.nodes[0], "stride");
        reach += count_reach(f.nodes[i]);
    }
    return fine && reach <= WINDOW_MOST_REACH;
}

bool window_fits_gradient(const CgStep *step) {
    return ir_is_weight_gradient(step->node) && fits_tile(step->node);
}

/* Pixels from the first tap of either to the last of either. */
static int64_t count_common_reach(const IrNode *a, const IrNode *b) {
    const IrNode *const nodes[2] = {a, b};
    int64_t reach = 1;
    for (int side = 0; side < 2; side++) {
        int64_t before = 0, behind = 0;
        for (int i = 0; i < 2; i++) {
            int64_t pad = ir_attr_get_ints(nodes[i], "pad")[side];
            int64_t rest =
                (ir_conv_weight(nodes[i])[2 + side] - 1) * ir_attr_get_ints(nodes[i], "dilation")[side] - pad;
            before = pad > before ? pad : before;
            behind = rest > behind ? rest : behind;
        }
        reach *= before + behind + 1;
    }
    return reach;
}

/* Can two windows, or gradients of their weights, move over one tile? */
static bool share_tile(const CgStep *a, const CgStep *b) {
    const IrNode *x = a->node, *y = b->node;
    if (!fits_tile(x) || x->op != y->op)
        return false;
    const int64_t *from = window_output(x), *to = window_output(y);
    return window_operand(x) == window_operand(y) && from[1] == to[1] && from[2] == to[2] &&
           same_pair(x, y, "stride") && count_common_reach(x, y) <= WINDOW_MOST_REACH;
}

/* Do they have the same taps? Those are candidates of different edges. */
static bool same_window(const CgStep *a, const CgStep *b) {
    const int64_t *x = ir_conv_weight(a->node), *y = ir_conv_weight(b->node);
    return x[2] == y[2] && x[3] == y[3] && same_pair(a->node, b->node, "dilation");
}

bool window_stands_beside(const CudaGroup *group, const CgStep *step) {
    for (int i = 0; i < group->step_count; i++)
        if (!share_tile(group->steps[i], step) || same_window(group->steps[i], step))
            return false;
    return group->step_count < CUDA_GROUP_WINDOWS;
}
