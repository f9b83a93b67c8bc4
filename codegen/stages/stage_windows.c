/* stage_windows.c: rules of convolutions, pools and matrix products. Activations are [n,h,w,c], weights [o,i,kh,kw].
 *
 * Groups. With one group, or one channel in each, a channel's group is 0 or the channel itself. Otherwise it would be a
 * quotient, which indices cannot hold: then the sum also runs over all groups, guarded by "the channel lies in it". */
#include "codegen/stages/stage.h"

#include <math.h>

typedef struct Window {
    int64_t stride[2], pad[2], dilation[2], kernel[2];
} Window;

static void read_pair(const IrNode *node, const char *name, int64_t pair[2]) {
    const IrAttr *attr = ir_attr(node, name);
    pair[0] = attr ? attr->ints[0] : 1;
    pair[1] = attr ? attr->ints[1] : 1;
}

static Window read_window(const IrNode *node) {
    Window w;
    read_pair(node, "stride", w.stride);
    read_pair(node, "dilation", w.dilation);
    read_pair(node, "kernel", w.kernel);
    read_pair(node, "pad", w.pad);
    return w;
}

/* Forward: output position * stride - pad + tap * dilation. */
static CgIndex input_position(const Window *w, int side, CgIndex position, CgIndex tap) {
    CgIndex scaled = cg_index_scale(position, w->stride[side]);
    return cg_index_shift(cg_index_add(scaled, cg_index_scale(tap, w->dilation[side])), -w->pad[side]);
}

/* Backward: (input position + pad - tap * dilation) / stride, where that is whole. */
static CgIndex output_position(const Window *w, int side, CgIndex position, CgIndex tap) {
    CgIndex back = cg_index_add(position, cg_index_scale(tap, -w->dilation[side]));
    return cg_index_divide(cg_index_shift(back, w->pad[side]), w->stride[side]);
}

/* ---- convolutions ---- */

typedef struct Groups {
    int64_t count, inputs, outputs; /* groups; channels of each */
    int axis;                       /* of the sum over groups, or -1 */
    CgIndex group;                  /* which one */
    int axes[4], axis_count;        /* reduction axes, in order */
} Groups;

/* channel: the given one, of `each` channels a group. */
static Groups open_groups(CgBuild *b, int64_t count, int64_t inputs, int64_t outputs, CgIndex channel, int64_t each) {
    Groups g = {.count = count, .inputs = inputs, .outputs = outputs, .axis = -1};
    g.group = count == 1 ? cg_index_constant(0) : channel;
    if (count > 1 && each > 1) {
        g.axis = cg_add_axis(b, count, true);
        g.group = cg_index_axis(g.axis);
        g.axes[g.axis_count++] = g.axis;
    }
    return g;
}

static CgIndex add_sum_axis(CgBuild *b, Groups *g, int64_t extent) {
    int axis = cg_add_axis(b, extent, true);
    g->axes[g->axis_count++] = axis;
    return cg_index_axis(axis);
}

/* A channel's number within the group. */
static CgIndex within_group(const Groups *g, CgIndex channel, int64_t each) {
    return each == 1 ? cg_index_constant(0) : cg_index_add(channel, cg_index_scale(g->group, -each));
}

static CgIndex of_group(const Groups *g, CgIndex within, int64_t each) {
    return cg_index_add(cg_index_scale(g->group, each), within);
}

static CgScalar *product_of(CgBuild *b, IrNode *x, const CgIndex *x_at, IrNode *y, const CgIndex *y_at) {
    CgScalar *right = cg_value_at(b, y, y_at);
    return cg_op2(b, OP_mul, cg_value_at(b, x, x_at), right);
}

CgScalar *stage_conv2d(CgBuild *b, IrNode *node, const CgIndex *index) {
    IrNode *x = node->inputs[0], *weight = node->inputs[1];
    Window w = read_window(node);
    int64_t count = ir_attr_get_int(node, "groups", 1), outputs = weight->type.dim[0] / count;
    Groups g = open_groups(b, count, weight->type.dim[1], outputs, index[3], outputs);
    CgIndex kh = add_sum_axis(b, &g, weight->type.dim[2]), kw = add_sum_axis(b, &g, weight->type.dim[3]);
    CgIndex i = add_sum_axis(b, &g, g.inputs);
    CgIndex from[4] = {index[0], input_position(&w, 0, index[1], kh), input_position(&w, 1, index[2], kw),
                       of_group(&g, i, g.inputs)};
    CgIndex weight_at[4] = {index[3], i, kh, kw};
    CgIndex tests[3] = {from[1], from[2], within_group(&g, index[3], outputs)};
    int64_t bounds[3] = {x->type.dim[1], x->type.dim[2], outputs};
    CgScalar *product = product_of(b, x, from, weight, weight_at);
    CgScalar *term = cg_guard(b, g.axis >= 0 ? 3 : 2, tests, bounds, product, cg_constant(b, 0));
    return cg_reduce(b, REDUCE_sum, false, g.axis_count, g.axes, term);
}

CgScalar *stage_conv2d_grad_input(CgBuild *b, IrNode *node, const CgIndex *index) {
    IrNode *dy = node->inputs[0], *weight = node->inputs[1];
    Window w = read_window(node);
    int64_t count = ir_attr_get_int(node, "groups", 1), inputs = weight->type.dim[1];
    Groups g = open_groups(b, count, inputs, weight->type.dim[0] / count, index[3], inputs);
    CgIndex kh = add_sum_axis(b, &g, weight->type.dim[2]), kw = add_sum_axis(b, &g, weight->type.dim[3]);
    CgIndex o = of_group(&g, add_sum_axis(b, &g, g.outputs), g.outputs);
    CgIndex from[4] = {index[0], output_position(&w, 0, index[1], kh), output_position(&w, 1, index[2], kw), o};
    CgIndex i = within_group(&g, index[3], inputs), weight_at[4] = {o, i, kh, kw};
    CgIndex tests[3] = {from[1], from[2], i};
    int64_t bounds[3] = {dy->type.dim[1], dy->type.dim[2], inputs};
    CgScalar *product = product_of(b, dy, from, weight, weight_at);
    CgScalar *term = cg_guard(b, g.axis >= 0 ? 3 : 2, tests, bounds, product, cg_constant(b, 0));
    return cg_reduce(b, REDUCE_sum, false, g.axis_count, g.axes, term);
}

/* partial: index 0 is the image; otherwise the sum runs over all images. */
CgScalar *stage_conv2d_grad_weight(CgBuild *b, IrNode *node, const CgIndex *index) {
    IrNode *dy = node->inputs[0], *x = node->inputs[1];
    Window w = read_window(node);
    bool partial = ir_attr_get_int(node, "partial", 0);
    const CgIndex *at = index + partial;
    const int64_t *dim = node->type.dim + partial;
    int64_t count = ir_attr_get_int(node, "groups", 1), outputs = dim[0] / count;
    Groups g = open_groups(b, count, dim[1], outputs, at[0], outputs);
    CgIndex n = partial ? index[0] : add_sum_axis(b, &g, IR_DIM_N);
    CgIndex oh = add_sum_axis(b, &g, dy->type.dim[1]), ow = add_sum_axis(b, &g, dy->type.dim[2]);
    CgIndex dy_at[4] = {n, oh, ow, at[0]};
    CgIndex x_at[4] = {n, input_position(&w, 0, oh, at[2]), input_position(&w, 1, ow, at[3]),
                       of_group(&g, at[1], g.inputs)};
    CgIndex tests[3] = {x_at[1], x_at[2], within_group(&g, at[0], outputs)};
    int64_t bounds[3] = {x->type.dim[1], x->type.dim[2], outputs};
    CgScalar *product = product_of(b, dy, dy_at, x, x_at);
    CgScalar *term = cg_guard(b, g.axis >= 0 ? 3 : 2, tests, bounds, product, cg_constant(b, 0));
    return cg_reduce(b, REDUCE_sum, false, g.axis_count, g.axes, term);
}

/* ---- products ---- */

/* [M,L] x [L,P]; partial: the sum over the images L = N is left to the chunks. */
CgScalar *stage_matmul(CgBuild *b, IrNode *node, const CgIndex *index) {
    IrNode *x = node->inputs[0], *y = node->inputs[1];
    bool ta = ir_attr_get_int(node, "ta", 0), tb = ir_attr_get_int(node, "tb", 0);
    bool partial = ir_attr_get_int(node, "partial", 0);
    int axis = partial ? 0 : cg_add_axis(b, x->type.dim[ta ? 0 : 1], true);
    CgIndex l = partial ? index[0] : cg_index_axis(axis);
    CgIndex x_at[2] = {ta ? l : index[partial], ta ? index[partial] : l};
    CgIndex y_at[2] = {tb ? index[partial + 1] : l, tb ? l : index[partial + 1]};
    CgScalar *product = product_of(b, x, x_at, y, y_at);
    return partial ? product : cg_reduce(b, REDUCE_sum, false, 1, &axis, product);
}

/* ---- pools ---- */

static CgScalar *pool(CgBuild *b, IrNode *node, const CgIndex *index, CgReduce reduce, double outside) {
    IrNode *x = node->inputs[0];
    Window w = read_window(node);
    int rows = cg_add_axis(b, w.kernel[0], true), columns = cg_add_axis(b, w.kernel[1], true);
    int axes[2] = {rows, columns};
    CgIndex at[4] = {index[0], input_position(&w, 0, index[1], cg_index_axis(rows)),
                     input_position(&w, 1, index[2], cg_index_axis(columns)), index[3]};
    CgScalar *padding = cg_constant(b, outside);
    CgScalar *tap = cg_guard(b, 2, at + 1, x->type.dim + 1, cg_value_at(b, x, at), padding);
    return cg_reduce(b, reduce, false, 2, axes, tap);
}

CgScalar *stage_max_pool(CgBuild *b, IrNode *node, const CgIndex *index) {
    return pool(b, node, index, REDUCE_max, -INFINITY);
}

CgScalar *stage_max_pool_index(CgBuild *b, IrNode *node, const CgIndex *index) {
    return pool(b, node, index, REDUCE_argmax, -INFINITY);
}

/* How many of the window's rows (side 0) or columns (side 1) at an output position are not padding. */
static CgScalar *count_inside(CgBuild *b, const Window *w, int side, CgIndex position, int64_t extent) {
    int axis = cg_add_axis(b, w->kernel[side], true);
    CgIndex at = input_position(w, side, position, cg_index_axis(axis));
    CgScalar *zero = cg_constant(b, 0);
    CgScalar *one = cg_guard(b, 1, &at, &extent, cg_constant(b, 1), zero);
    if (one->kind == SCALAR_constant)
        return cg_constant(b, one->value * (double)w->kernel[side]);
    return cg_reduce(b, REDUCE_sum, false, 1, &axis, one);
}

static CgScalar *window_size(CgBuild *b, const Window *w, CgIndex row, CgIndex column, int64_t height, int64_t width) {
    CgScalar *columns = count_inside(b, w, 1, column, width);
    return cg_op2(b, OP_mul, count_inside(b, w, 0, row, height), columns);
}

CgScalar *stage_avg_pool(CgBuild *b, IrNode *node, const CgIndex *index) {
    Window w = read_window(node);
    const int64_t *dim = node->inputs[0]->type.dim;
    CgScalar *sum = pool(b, node, index, REDUCE_sum, 0);
    return cg_op2(b, OP_div, sum, window_size(b, &w, index[1], index[2], dim[1], dim[2]));
}

/* Sum over the windows that contain the position; at is filled with the window's index. */
static CgScalar *pool_grad(CgBuild *b, IrNode *node, const CgIndex *index,
                           CgScalar *term(CgBuild *, IrNode *, const Window *, const CgIndex *, CgIndex)) {
    Window w = read_window(node);
    int rows = cg_add_axis(b, w.kernel[0], true), columns = cg_add_axis(b, w.kernel[1], true);
    int axes[2] = {rows, columns};
    CgIndex kh = cg_index_axis(rows), kw = cg_index_axis(columns);
    CgIndex at[4] = {index[0], output_position(&w, 0, index[1], kh), output_position(&w, 1, index[2], kw), index[3]};
    CgIndex tap = cg_index_add(cg_index_scale(kh, w.kernel[1]), kw);
    CgScalar *inside = term(b, node, &w, at, tap);
    CgScalar *guarded = cg_guard(b, 2, at + 1, node->inputs[0]->type.dim + 1, inside, cg_constant(b, 0));
    return cg_reduce(b, REDUCE_sum, false, 2, axes, guarded);
}

static CgScalar *chosen_tap(CgBuild *b, IrNode *node, const Window *w, const CgIndex *at, CgIndex tap) {
    (void)w;
    CgScalar *is_chosen = cg_equal(b, node->inputs[1], at, tap);
    CgScalar *dy = cg_value_at(b, node->inputs[0], at);
    CgScalar *args[3] = {is_chosen, dy, cg_constant(b, 0)};
    return cg_op(b, OP_select, 3, args);
}

CgScalar *stage_max_pool_grad(CgBuild *b, IrNode *node, const CgIndex *index) {
    return pool_grad(b, node, index, chosen_tap);
}

static CgScalar *averaged(CgBuild *b, IrNode *node, const Window *w, const CgIndex *at, CgIndex tap) {
    (void)tap;
    const int64_t *size = node->type.dim + 1;
    CgScalar *count = window_size(b, w, at[1], at[2], size[0], size[1]);
    return cg_op2(b, OP_div, cg_value_at(b, node->inputs[0], at), count);
}

CgScalar *stage_avg_pool_grad(CgBuild *b, IrNode *node, const CgIndex *index) {
    return pool_grad(b, node, index, averaged);
}
