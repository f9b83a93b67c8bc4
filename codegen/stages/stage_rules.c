/* stage_rules.c: one rule for each name in the column `stage` of ops.def: the element of the result at an index, as a
 * scalar. stage_windows.c has convolutions, pools and products. */
#include "codegen/stages/stage.h"

#include <math.h>
#include <string.h>

CgRule *const cg_rules[OP_COUNT] = {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes) stage_##stage,
#include "ir/ops.def"
#undef OP
};

CgScalar *stage_none(CgBuild *b, IrNode *node, const CgIndex *index) {
    (void)index;
    bug("%%%d = %s of @%s should have been expanded", node->id, ir_op_info[node->op].name, b->program->graph->name);
}

/* ---- sources ---- */

CgScalar *stage_load(CgBuild *b, IrNode *node, const CgIndex *index) {
    return cg_load(b, b->program->buffer_of[node->id], index);
}

CgScalar *stage_constant(CgBuild *b, IrNode *node, const CgIndex *index) {
    (void)index;
    return cg_constant(b, ir_attr_get_float(node, "value", 0));
}

CgScalar *stage_scalar(CgBuild *b, IrNode *node, const CgIndex *index) {
    (void)index;
    return cg_run(b, ir_attr_get_string(node, "name", ""));
}

/* Elements count row-major within the image; without N everything is image 0. */
CgScalar *stage_draw(CgBuild *b, IrNode *node, const CgIndex *index) {
    const char *name = ir_attr_get_string(node, "distribution", "normal");
    CgDraw draw = str_equal(name, "uniform")     ? DRAW_uniform
                  : str_equal(name, "bernoulli") ? DRAW_bernoulli
                                                 : DRAW_normal;
    const IrType *type = &node->type;
    bool images = type->rank && type->dim[0] == IR_DIM_N;
    CgIndex where[2] = {cg_index_constant(0), images ? index[0] : cg_index_constant(0)};
    for (int d = images; d < type->rank; d++)
        where[0] = cg_index_add(cg_index_scale(where[0], type->dim[d]), index[d]);
    CgIndex none[IR_MAX_RANK];
    for (int d = 0; d < IR_MAX_RANK; d++)
        none[d] = cg_index_constant(0);
    CgScalar *keep = draw == DRAW_bernoulli ? cg_value_at(b, node->inputs[0], none) : NULL;
    return cg_draw(b, draw, ir_attr_get_string(node, "stream", ""), 2, where, keep);
}

/* ---- elementwise ---- */

/* Operand's element for a result's index: aligned at the right, extents of 1 stretch. */
static CgScalar *broadcast_operand(CgBuild *b, IrNode *operand, int rank, const CgIndex *index) {
    CgIndex own[IR_MAX_RANK];
    const IrType *type = &operand->type;
    for (int d = 0; d < type->rank; d++)
        own[d] = type->dim[d] == 1 ? cg_index_constant(0) : index[rank - type->rank + d];
    return cg_value_at(b, operand, own);
}

CgScalar *stage_elementwise(CgBuild *b, IrNode *node, const CgIndex *index) {
    CgScalar *args[3];
    for (int i = 0; i < node->input_count; i++)
        args[i] = broadcast_operand(b, node->inputs[i], node->type.rank, index);
    return cg_op(b, node->op, node->input_count, args);
}

CgScalar *stage_add_n(CgBuild *b, IrNode *node, const CgIndex *index) {
    CgScalar *sum = broadcast_operand(b, node->inputs[0], node->type.rank, index);
    for (int i = 1; i < node->input_count; i++)
        sum = cg_op2(b, OP_add, sum, broadcast_operand(b, node->inputs[i], node->type.rank, index));
    return sum;
}

CgScalar *stage_one_hot(CgBuild *b, IrNode *node, const CgIndex *index) {
    return cg_equal(b, node->inputs[0], index, index[1]);
}

/* The operand as it is. */
CgScalar *stage_same(CgBuild *b, IrNode *node, const CgIndex *index) {
    return cg_value_at(b, node->inputs[0], index);
}

/* The operand that the step is for. */
CgScalar *stage_choose(CgBuild *b, IrNode *node, const CgIndex *index) {
    return cg_value_at(b, node->inputs[b->step->operand], index);
}

/* ---- views ---- */

static CgScalar *shifted(CgBuild *b, IrNode *operand, const CgIndex *index, int axis, int64_t distance) {
    CgIndex own[IR_MAX_RANK];
    memcpy(own, index, sizeof *own * (size_t)operand->type.rank);
    own[axis] = cg_index_shift(own[axis], distance);
    return cg_value_at(b, operand, own);
}

CgScalar *stage_slice(CgBuild *b, IrNode *node, const CgIndex *index) {
    return shifted(b, node->inputs[0], index, (int)ir_attr_get_int(node, "axis", 0), ir_attr_get_int(node, "begin", 0));
}

CgScalar *stage_pad(CgBuild *b, IrNode *node, const CgIndex *index) {
    int axis = (int)ir_attr_get_int(node, "axis", 0);
    int64_t begin = ir_attr_get_int(node, "begin", 0);
    CgIndex inner = cg_index_shift(index[axis], -begin);
    CgScalar *inside = shifted(b, node->inputs[0], index, axis, -begin);
    return cg_guard(b, 1, &inner, &node->inputs[0]->type.dim[axis], inside, cg_constant(b, 0));
}

/* result[o][i] = weight[i][o] with the kernel reversed; depthwise ones keep their channel. */
CgScalar *stage_flip_weight(CgBuild *b, IrNode *node, const CgIndex *index) {
    IrNode *weight = node->inputs[0];
    bool swap = ir_attr_get_int(node, "groups", 1) == 1;
    CgIndex at[4] = {index[swap ? 1 : 0], index[swap ? 0 : 1]};
    for (int i = 2; i < 4; i++)
        at[i] = cg_index_shift(cg_index_scale(index[i], -1), weight->type.dim[i] - 1);
    return cg_value_at(b, weight, at);
}

CgScalar *stage_dilate(CgBuild *b, IrNode *node, const CgIndex *index) {
    IrNode *x = node->inputs[0];
    const int64_t *stride = ir_attr_get_ints(node, "stride");
    CgIndex at[4] = {index[0], cg_index_divide(index[1], stride[0]), cg_index_divide(index[2], stride[1]), index[3]};
    CgScalar *outside = cg_constant(b, 0);
    return cg_guard(b, 2, &at[1], &x->type.dim[1], cg_value_at(b, x, at), outside);
}

/* From the last part to the first: each is chosen where it reaches, the parts after it elsewhere. */
CgScalar *stage_concat(CgBuild *b, IrNode *node, const CgIndex *index) {
    int axis = (int)ir_attr_get_int(node, "axis", 0), last = node->input_count - 1;
    int64_t begin = node->type.dim[axis] - node->inputs[last]->type.dim[axis];
    CgScalar *rest = shifted(b, node->inputs[last], index, axis, -begin);
    for (int i = last - 1; i >= 0; i--) {
        int64_t extent = node->inputs[i]->type.dim[axis];
        begin -= extent;
        CgIndex inner = cg_index_shift(index[axis], -begin);
        rest = cg_guard(b, 1, &inner, &extent, shifted(b, node->inputs[i], index, axis, -begin), rest);
    }
    return rest;
}

/* Element channel of group g, both of them known, in a shuffled value's operand: operand[g * each + channel]. */
static CgScalar *at_channel(CgBuild *b, IrNode *node, const CgIndex *index, CgIndex channel) {
    CgIndex own[IR_MAX_RANK];
    int last = node->type.rank - 1;
    memcpy(own, index, sizeof *own * (size_t)last);
    own[last] = channel;
    return cg_value_at(b, node->inputs[0], own);
}

/* result[c * groups + g] = x[g * each + c], as a choice among the groups, where (channel - g) / groups is whole, or among
 * the c, of whose channels there are `groups` in a row; whichever are fewer. */
CgScalar *stage_shuffle(CgBuild *b, IrNode *node, const CgIndex *index) {
    int last = node->type.rank - 1;
    int64_t groups = ir_attr_get_int(node, "groups", 1), each = node->type.dim[last] / groups;
    bool by_group = groups <= each;
    int64_t count = by_group ? groups : each, extent = by_group ? each : groups;
    CgScalar *chosen = NULL;
    for (int64_t i = count - 1; i >= 0; i--) {
        CgIndex inner = by_group ? cg_index_divide(cg_index_shift(index[last], -i), groups)
                                 : cg_index_shift(index[last], -i * groups);
        CgIndex channel = by_group ? cg_index_shift(inner, i * each) : cg_index_shift(cg_index_scale(inner, each), i);
        CgScalar *value = at_channel(b, node, index, channel);
        chosen = chosen ? cg_guard(b, 1, &inner, &extent, value, chosen) : value;
    }
    return chosen;
}

CgScalar *stage_index(CgBuild *b, IrNode *node, const CgIndex *index) {
    int axis = (int)ir_attr_get_int(node, "axis", 0);
    CgIndex own[IR_MAX_RANK];
    for (int d = 0; d < node->inputs[0]->type.rank; d++)
        own[d] = d == axis ? cg_index_constant(ir_attr_get_int(node, "at", 0)) : index[d - (d > axis)];
    return cg_value_at(b, node->inputs[0], own);
}

CgScalar *stage_place(CgBuild *b, IrNode *node, const CgIndex *index) {
    int axis = (int)ir_attr_get_int(node, "axis", 0);
    CgIndex own[IR_MAX_RANK], inner = cg_index_shift(index[axis], -ir_attr_get_int(node, "at", 0));
    for (int d = 0; d < node->inputs[0]->type.rank; d++)
        own[d] = index[d + (d >= axis)];
    int64_t one = 1;
    CgScalar *outside = cg_constant(b, 0);
    return cg_guard(b, 1, &inner, &one, cg_value_at(b, node->inputs[0], own), outside);
}

CgScalar *stage_broadcast(CgBuild *b, IrNode *node, const CgIndex *index) {
    return broadcast_operand(b, node->inputs[0], node->type.rank, index);
}

/* Product of extents; N and K only match themselves. */
static int64_t volume(const IrType *type, int begin, int end) {
    int64_t product = 1;
    for (int d = begin; d < end; d++)
        product *= type->dim[d] == IR_DIM_N   ? INT64_C(1) << 40
                   : type->dim[d] == IR_DIM_K ? INT64_C(1) << 20
                                              : type->dim[d];
    return product;
}

/* Several dimensions of the operand read as one: only from row-major memory, where a too large last index carries over.
 */
static void check_contiguous(const CgBuild *b, const IrNode *operand) {
    const CgBuffer *buffer = b->program->buffer_of[operand->id];
    bool in_order = buffer != NULL;
    for (int d = 0; buffer && d < buffer->type.rank; d++)
        in_order = in_order && buffer->order[d] == d;
    if (!in_order)
        bug("reshape merges dimensions of %%%d, which is inlined or not row-major", operand->id);
}

/* Dimensions of operand and result are matched in the smallest groups of equal volume. */
CgScalar *stage_reshape(CgBuild *b, IrNode *node, const CgIndex *index) {
    IrNode *operand = node->inputs[0];
    const IrType *from = &operand->type, *to = &node->type;
    CgIndex own[IR_MAX_RANK];
    int f = 0, t = 0;
    while (f < from->rank) {
        int f_end = f + 1, t_end = t;
        while (volume(from, f, f_end) != volume(to, t, t_end)) {
            if (volume(from, f, f_end) < volume(to, t, t_end))
                f_end++;
            else
                t_end++;
        }
        int long_axes = 0;
        CgIndex linear = cg_index_constant(0);
        for (; t < t_end; t++)
            linear = cg_index_add(cg_index_scale(linear, to->dim[t] < 0 ? 1 : to->dim[t]), index[t]);
        for (int d = f; d < f_end; d++) {
            long_axes += from->dim[d] != 1;
            own[d] = cg_index_constant(0);
        }
        if (long_axes > 1)
            check_contiguous(b, operand);
        for (int d = f_end - 1; d >= f; d--)
            if (from->dim[d] != 1 || d == f) {
                own[d] = linear;
                break;
            }
        f = f_end;
    }
    return cg_value_at(b, operand, own);
}

/* ---- reductions ---- */

static bool reduces(const IrNode *node, int axis) {
    const IrAttr *axes = ir_attr(node, "axes");
    for (int i = 0; i < axes->count; i++)
        if (axes->ints[i] == axis)
            return true;
    return false;
}

/* The operand's index: new axes for what is reduced, the result's for the rest. from: first dimension that may be
 * reduced. */
static int open_reduction(CgBuild *b, IrNode *node, const CgIndex *index, int from, int axes[4],
                          CgIndex own[IR_MAX_RANK]) {
    const IrType *type = &node->inputs[0]->type;
    bool keep = ir_attr_get_int(node, "keep", 0);
    int count = 0, position = from;
    for (int d = from; d < type->rank; d++) {
        if (!reduces(node, d)) {
            own[d] = index[position++];
            continue;
        }
        position += keep;
        if (count == 4)
            bug("reduction over more than 4 axes");
        axes[count] = cg_add_axis(b, type->dim[d], true);
        own[d] = cg_index_axis(axes[count++]);
    }
    return count;
}

/* Small sums that are computed once (norms of gradients, losses) are worth a double. */
CgScalar *stage_reduce_sum(CgBuild *b, IrNode *node, const CgIndex *index) {
    int axes[4];
    CgIndex own[IR_MAX_RANK];
    int count = open_reduction(b, node, index, 0, axes, own);
    bool in_double = node->type.rank == 0 || node->type.dim[0] != IR_DIM_N;
    return cg_reduce(b, REDUCE_sum, in_double, count, axes, cg_value_at(b, node->inputs[0], own));
}

CgScalar *stage_reduce_max(CgBuild *b, IrNode *node, const CgIndex *index) {
    int axes[4];
    CgIndex own[IR_MAX_RANK];
    int count = open_reduction(b, node, index, 0, axes, own);
    return cg_reduce(b, REDUCE_max, false, count, axes, cg_value_at(b, node->inputs[0], own));
}

CgScalar *stage_argmax(CgBuild *b, IrNode *node, const CgIndex *index) {
    CgIndex own[IR_MAX_RANK];
    int last = node->type.rank, axis = cg_add_axis(b, node->inputs[0]->type.dim[last], true);
    for (int d = 0; d < last; d++)
        own[d] = index[d];
    own[last] = cg_index_axis(axis);
    return cg_reduce(b, REDUCE_argmax, false, 1, &axis, cg_value_at(b, node->inputs[0], own));
}

/* Index 0 of the result (K) is the image; with keep the reduced N itself stays as an extent of 1 behind it. */
CgScalar *stage_reduce_partial(CgBuild *b, IrNode *node, const CgIndex *index) {
    int axes[4];
    CgIndex own[IR_MAX_RANK];
    bool keep = ir_attr_get_int(node, "keep", 0);
    own[0] = index[0];
    CgIndex rest[IR_MAX_RANK + 1];
    for (int d = 1; d < IR_MAX_RANK; d++)
        rest[d] = d + keep < node->type.rank ? index[d + keep] : cg_index_constant(0);
    int count = open_reduction(b, node, rest, 1, axes, own);
    return cg_reduce(b, REDUCE_sum, true, count, axes, cg_value_at(b, node->inputs[0], own));
}

CgScalar *stage_reduce_merge(CgBuild *b, IrNode *node, const CgIndex *index) {
    CgIndex own[IR_MAX_RANK];
    int axis = cg_add_axis(b, IR_DIM_K, true);
    own[0] = cg_index_axis(axis);
    for (int d = 0; d < node->type.rank; d++)
        own[d + 1] = index[d];
    return cg_reduce(b, REDUCE_sum, true, 1, &axis, cg_value_at(b, node->inputs[0], own));
}
