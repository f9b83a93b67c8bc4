/* shape.c: the type of each op's result. ops.def names a rule per op; shape_NAME is pasted from there, so a row whose
 * rule nobody wrote does not compile. Symbolic extents: N and K match only themselves (and 1 where broadcasting). When
 * a rule runs, the number of inputs and the attributes have been checked against ops.def. shape_window.c has the rules
 * of convolutions and pools. */
#include "ir/shape.h"

/* ---- axes ---- */

/* An axis of operand 0. */
static bool need_axis(const ShapeArgs *a, int64_t axis) {
    if (axis >= 0 && axis < shape_input(a, 0)->rank)
        return true;
    return ir_fail(a->error, "axis %lld of a value of rank %d", (long long)axis, shape_input(a, 0)->rank);
}

static bool need_constant_axis(const ShapeArgs *a, int64_t axis) {
    if (!need_axis(a, axis))
        return false;
    if (shape_input(a, 0)->dim[axis] > 0)
        return true;
    return ir_fail(a->error, "axis %lld has a symbolic extent", (long long)axis);
}

/* ---- anything of a stated type ---- */

static bool type_is_valid(const IrType *type) {
    if (type->rank < 0 || type->rank > IR_MAX_RANK)
        return false;
    for (int i = 0; i < type->rank; i++)
        if (type->dim[i] < 1 && type->dim[i] != IR_DIM_N && type->dim[i] != IR_DIM_K)
            return false;
    return true;
}

bool shape_given(const ShapeArgs *a, IrType *result) {
    if (!a->given)
        return ir_fail(a->error, "its type must be stated");
    if (!type_is_valid(a->given))
        return ir_fail(a->error, "the stated type has an extent that is neither positive nor N or K");
    for (int i = 0; i < a->input_count; i++)
        if (!shape_need_dtype(a, i, DTYPE_f32) || !shape_need_rank(a, i, 0))
            return false;
    *result = *a->given;
    return true;
}

bool shape_same(const ShapeArgs *a, IrType *result) {
    *result = *shape_input(a, 0);
    return shape_need_dtype(a, 0, DTYPE_f32);
}

/* ---- elementwise ---- */

/* numpy's rule for one pair of types; result may be left. */
static bool broadcast_pair(const ShapeArgs *a, const IrType *left, const IrType *right, IrType *result) {
    char text[2][IR_TYPE_TEXT];
    IrType wide = left->rank >= right->rank ? *left : *right;
    const IrType *narrow = left->rank >= right->rank ? right : left;
    int shift = wide.rank - narrow->rank;
    for (int i = 0; i < narrow->rank; i++) {
        int64_t *dim = &wide.dim[i + shift];
        if (*dim == 1)
            *dim = narrow->dim[i];
        else if (narrow->dim[i] != 1 && narrow->dim[i] != *dim)
            return ir_fail(a->error, "%s and %s do not broadcast", ir_type_format(left, text[0]),
                           ir_type_format(right, text[1]));
    }
    *result = wide;
    return true;
}

bool shape_broadcast(const ShapeArgs *a, IrType *result) {
    for (int i = 0; i < a->input_count; i++)
        if (!shape_need_dtype(a, i, DTYPE_f32))
            return false;
    IrType type = *shape_input(a, 0);
    for (int i = 1; i < a->input_count; i++)
        if (!broadcast_pair(a, &type, shape_input(a, i), &type))
            return false;
    *result = type;
    return true;
}

/* A choice is a number in memory, where whoever runs the graph can look at it. */
static bool need_choice(const ShapeArgs *a, int i) {
    if (ir_is(a->inputs[i], OP_NUMBER))
        return ir_fail(a->error, "operand %d, a choice, is a %s; it must be computed or given", i,
                       ir_op_info[a->inputs[i]->op].name);
    return shape_need_dtype(a, i, DTYPE_f32) && shape_need_rank(a, i, 0);
}

bool shape_choose(const ShapeArgs *a, IrType *result) {
    char text[2][IR_TYPE_TEXT];
    *result = *shape_input(a, 1);
    if (!need_choice(a, 0) || !shape_need_dtype(a, 1, DTYPE_f32))
        return false;
    if (a->input_count - 1 > IR_MAX_CASES)
        return ir_fail(a->error, "%d values to choose from; at most %d", a->input_count - 1, IR_MAX_CASES);
    for (int i = 2; i < a->input_count; i++)
        if (!ir_type_equal(shape_input(a, i), result))
            return ir_fail(a->error, "one of %s or %s cannot be chosen", ir_type_format(result, text[0]),
                           ir_type_format(shape_input(a, i), text[1]));
    return true;
}

static bool check_cases(const ShapeArgs *a) {
    const IrAttr *cases = shape_attr_list(a, "cases");
    for (int i = 0; i < cases->count; i++)
        if (cases->ints[i] < (i ? cases->ints[i - 1] + 1 : 0) || cases->ints[i] >= IR_MAX_CASES)
            return ir_fail(a->error, "cases ascend and are 0 to %d", IR_MAX_CASES - 1);
    return cases->count > 0 || ir_fail(a->error, "cases are missing");
}

bool shape_assign(const ShapeArgs *a, IrType *result) {
    bool conditional = shape_attr_list(a, "cases") != NULL;
    *result = *shape_input(a, 0);
    if (a->input_count != 1 + conditional)
        return ir_fail(a->error, "%d operands; it takes %s", a->input_count, conditional ? "2 with cases" : "1");
    return shape_need_dtype(a, 0, DTYPE_f32) && (!conditional || (need_choice(a, 1) && check_cases(a)));
}

bool shape_one_hot(const ShapeArgs *a, IrType *result) {
    int64_t classes = shape_attr_int(a, "classes");
    if (!shape_need_dtype(a, 0, DTYPE_i32) || !shape_need_rank(a, 0, 1))
        return false;
    if (classes < 1)
        return ir_fail(a->error, "%lld classes", (long long)classes);
    *result = ir_type(DTYPE_f32, 2, (int64_t[]){shape_input(a, 0)->dim[0], classes});
    return true;
}

/* ---- views ---- */

bool shape_slice(const ShapeArgs *a, IrType *result) {
    int64_t axis = shape_attr_int(a, "axis"), begin = shape_attr_int(a, "begin"), end = shape_attr_int(a, "end");
    if (!need_constant_axis(a, axis))
        return false;
    *result = *shape_input(a, 0);
    if (begin < 0 || begin >= end || end > result->dim[axis])
        return ir_fail(a->error, "elements %lld to %lld of an axis of %lld", (long long)begin, (long long)end,
                       (long long)result->dim[axis]);
    result->dim[axis] = end - begin;
    return true;
}

bool shape_pad(const ShapeArgs *a, IrType *result) {
    int64_t axis = shape_attr_int(a, "axis"), begin = shape_attr_int(a, "begin"), end = shape_attr_int(a, "end");
    if (!need_constant_axis(a, axis))
        return false;
    if (begin < 0 || end < 0)
        return ir_fail(a->error, "padding of %lld and %lld", (long long)begin, (long long)end);
    *result = *shape_input(a, 0);
    result->dim[axis] += begin + end;
    return true;
}

bool shape_concat(const ShapeArgs *a, IrType *result) {
    enum { MOST_PARTS = 64 }; /* what reads an element chooses among them */
    int64_t axis = shape_attr_int(a, "axis"), total = 0;
    char text[2][IR_TYPE_TEXT];
    if (a->input_count > MOST_PARTS)
        return ir_fail(a->error, "%d tensors; it joins at most %d", a->input_count, MOST_PARTS);
    for (int i = 0; i < a->input_count; i++) {
        IrType type = *shape_input(a, i);
        if (type.rank != shape_input(a, 0)->rank)
            return shape_need_rank(a, i, shape_input(a, 0)->rank);
        if (!need_constant_axis(a, axis))
            return false;
        if (type.dim[axis] < 1)
            return ir_fail(a->error, "axis %lld of operand %d has a symbolic extent", (long long)axis, i);
        total += type.dim[axis];
        type.dim[axis] = shape_input(a, 0)->dim[axis];
        if (!ir_type_equal(&type, shape_input(a, 0)))
            return ir_fail(a->error, "%s and %s differ not only in axis %lld",
                           ir_type_format(shape_input(a, 0), text[0]), ir_type_format(shape_input(a, i), text[1]),
                           (long long)axis);
    }
    *result = *shape_input(a, 0);
    result->dim[axis] = total;
    return true;
}

static void type_remove_axis(IrType *type, int64_t axis) {
    for (int64_t i = axis; i + 1 < type->rank; i++)
        type->dim[i] = type->dim[i + 1];
    type->dim[--type->rank] = 0;
}

bool shape_index(const ShapeArgs *a, IrType *result) {
    int64_t axis = shape_attr_int(a, "axis"), at = shape_attr_int(a, "at");
    if (!need_constant_axis(a, axis))
        return false;
    *result = *shape_input(a, 0);
    if (at < 0 || at >= result->dim[axis])
        return ir_fail(a->error, "element %lld of an axis of %lld", (long long)at, (long long)result->dim[axis]);
    type_remove_axis(result, axis);
    return true;
}

bool shape_place(const ShapeArgs *a, IrType *result) {
    int64_t axis = shape_attr_int(a, "axis"), at = shape_attr_int(a, "at"), size = shape_attr_int(a, "size");
    *result = *shape_input(a, 0);
    if (axis < 0 || axis > result->rank || result->rank == IR_MAX_RANK)
        return ir_fail(a->error, "a new axis %lld in a value of rank %d", (long long)axis, result->rank);
    if (at < 0 || at >= size)
        return ir_fail(a->error, "element %lld of an axis of %lld", (long long)at, (long long)size);
    shape_insert_axis(result, axis, size);
    return true;
}

bool shape_shuffle(const ShapeArgs *a, IrType *result) {
    int64_t groups = shape_attr_int(a, "groups");
    *result = *shape_input(a, 0);
    int64_t channels = result->rank ? result->dim[result->rank - 1] : 1;
    if (groups < 1 || channels < 1 || channels % groups)
        return ir_fail(a->error, "%lld groups do not divide %lld channels", (long long)groups, (long long)channels);
    return true;
}

static bool read_shape_attr(const ShapeArgs *a, IrType *result) {
    const IrAttr *shape = shape_attr_list(a, "shape");
    if (shape->count > IR_MAX_RANK)
        return ir_fail(a->error, "a shape of rank %d; at most %d", shape->count, IR_MAX_RANK);
    *result = ir_type(shape_input(a, 0)->dtype, shape->count, shape->ints);
    if (!type_is_valid(result))
        return ir_fail(a->error, "shape has an extent that is neither positive nor -1 (N) or -2 (K)");
    return true;
}

static int count_symbols(const IrType *type, int64_t symbol) {
    int count = 0;
    for (int i = 0; i < type->rank; i++)
        count += type->dim[i] == symbol;
    return count;
}

bool shape_reshape(const ShapeArgs *a, IrType *result) {
    char text[2][IR_TYPE_TEXT];
    const IrType *from = shape_input(a, 0);
    if (!read_shape_attr(a, result))
        return false;
    if (ir_type_count(from, 1, 1) == ir_type_count(result, 1, 1) &&
        count_symbols(from, IR_DIM_N) == count_symbols(result, IR_DIM_N) &&
        count_symbols(from, IR_DIM_K) == count_symbols(result, IR_DIM_K))
        return true;
    return ir_fail(a->error, "%s has not as many elements as %s", ir_type_format(from, text[0]),
                   ir_type_format(result, text[1]));
}

bool shape_broadcast_to(const ShapeArgs *a, IrType *result) {
    char text[2][IR_TYPE_TEXT];
    IrType both;
    if (!read_shape_attr(a, result))
        return false;
    if (broadcast_pair(a, shape_input(a, 0), result, &both) && ir_type_equal(&both, result))
        return true;
    return ir_fail(a->error, "%s does not broadcast to %s", ir_type_format(shape_input(a, 0), text[0]),
                   ir_type_format(result, text[1]));
}

/* ---- reductions ---- */

static bool check_axes(const ShapeArgs *a, bool reduced[IR_MAX_RANK]) {
    const IrAttr *axes = shape_attr_list(a, "axes");
    for (int i = 0; i < axes->count; i++) {
        if (!need_axis(a, axes->ints[i]))
            return false;
        if (i && axes->ints[i] <= axes->ints[i - 1])
            return ir_fail(a->error, "axes must ascend");
        if (shape_input(a, 0)->dim[axes->ints[i]] == IR_DIM_K)
            return ir_fail(a->error, "axis %lld is K, which only reduce_merge adds up", (long long)axes->ints[i]);
        reduced[axes->ints[i]] = true;
    }
    return true;
}

static void reduce_axes(const IrType *from, const bool reduced[IR_MAX_RANK], bool keep, IrType *result) {
    *result = (IrType){.dtype = from->dtype};
    for (int i = 0; i < from->rank; i++)
        if (!reduced[i] || keep)
            result->dim[result->rank++] = reduced[i] ? 1 : from->dim[i];
}

bool shape_reduce(const ShapeArgs *a, IrType *result) {
    bool reduced[IR_MAX_RANK] = {false};
    if (!shape_need_dtype(a, 0, DTYPE_f32) || !check_axes(a, reduced))
        return false;
    reduce_axes(shape_input(a, 0), reduced, shape_attr_int(a, "keep"), result);
    return true;
}

bool shape_argmax(const ShapeArgs *a, IrType *result) {
    *result = *shape_input(a, 0);
    if (!shape_need_dtype(a, 0, DTYPE_f32) || !need_constant_axis(a, result->rank - 1))
        return false;
    type_remove_axis(result, result->rank - 1);
    return true;
}

bool shape_reduce_partial(const ShapeArgs *a, IrType *result) {
    bool reduced[IR_MAX_RANK] = {false};
    if (!shape_need_dtype(a, 0, DTYPE_f32) || !check_axes(a, reduced))
        return false;
    if (!shape_input(a, 0)->rank || shape_input(a, 0)->dim[0] != IR_DIM_N)
        return ir_fail(a->error, "axis 0 is not N");
    reduced[0] = true;
    reduce_axes(shape_input(a, 0), reduced, shape_attr_int(a, "keep"), result);
    if (result->rank == IR_MAX_RANK)
        return ir_fail(a->error, "no room for K: the result would have rank %d", result->rank + 1);
    shape_insert_axis(result, 0, IR_DIM_K);
    return true;
}

bool shape_reduce_merge(const ShapeArgs *a, IrType *result) {
    *result = *shape_input(a, 0);
    if (!shape_need_dtype(a, 0, DTYPE_f32))
        return false;
    if (!result->rank || result->dim[0] != IR_DIM_K)
        return ir_fail(a->error, "axis 0 is not K");
    type_remove_axis(result, 0);
    return true;
}

/* ---- products ---- */

bool shape_matmul(const ShapeArgs *a, IrType *result) {
    for (int i = 0; i < 2; i++)
        if (!shape_need_dtype(a, i, DTYPE_f32) || !shape_need_rank(a, i, 2))
            return false;
    bool ta = shape_attr_int(a, "ta"), tb = shape_attr_int(a, "tb");
    const IrType *x = shape_input(a, 0), *y = shape_input(a, 1);
    if (!shape_need_equal(a, "the inner extent of operand 1", y->dim[tb ? 1 : 0], x->dim[ta ? 0 : 1]))
        return false;
    *result = ir_type(DTYPE_f32, 2, (int64_t[]){x->dim[ta ? 1 : 0], y->dim[tb ? 0 : 1]});
    return shape_make_partial(a, x->dim[ta ? 0 : 1], result);
}

/* ---- calls ---- */

static const IrGraph *find_callee(const ShapeArgs *a, const char *name) {
    const IrGraph *callee = a->module ? ir_graph_find(a->module, name) : NULL;
    if (!callee)
        ir_fail(a->error, "there is no graph @%s", name);
    else if (callee->output_count != 1) {
        ir_fail(a->error, "@%s has %d outputs; a function has one", name, callee->output_count);
        return NULL;
    }
    return callee;
}

static bool check_arguments(const ShapeArgs *a, const IrGraph *callee, int count) {
    char text[2][IR_TYPE_TEXT];
    if (callee->arg_count != count)
        return ir_fail(a->error, "@%s takes %d arguments, not %d", callee->name, callee->arg_count, count);
    for (int i = 0; i < count; i++)
        if (!ir_type_equal(&callee->args[i]->type, shape_input(a, i)))
            return ir_fail(a->error, "argument %d of @%s is %s; it takes %s", i, callee->name,
                           ir_type_format(shape_input(a, i), text[0]), ir_type_format(&callee->args[i]->type, text[1]));
    return true;
}

bool shape_call(const ShapeArgs *a, IrType *result) {
    const IrAttr *symbols = shape_attr_list(a, "callee");
    if (symbols->count != 1)
        return ir_fail(a->error, "callee has %d names; it must have 1", symbols->count);
    const IrGraph *callee = find_callee(a, symbols->symbols[0]);
    if (!callee || !check_arguments(a, callee, a->input_count))
        return false;
    *result = callee->outputs[0].value->type;
    return true;
}

bool shape_mixed(const ShapeArgs *a, IrType *result) {
    const IrAttr *symbols = shape_attr_list(a, "candidates");
    char text[2][IR_TYPE_TEXT];
    if (!symbols->count)
        return ir_fail(a->error, "no candidates");
    if (symbols->count > IR_MAX_CASES && shape_attr_int(a, "chosen"))
        return ir_fail(a->error, "%d candidates to choose from; at most %d", symbols->count, IR_MAX_CASES);
    if (!shape_need_dtype(a, 1, DTYPE_f32) || !shape_need_rank(a, 1, 1) ||
        !shape_need_equal(a, "the number of weights", shape_input(a, 1)->dim[0], symbols->count))
        return false;
    for (int i = 0; i < symbols->count; i++) {
        const IrGraph *callee = find_callee(a, symbols->symbols[i]);
        if (!callee || !check_arguments(a, callee, 1))
            return false;
        const IrType *type = &callee->outputs[0].value->type;
        if (i && !ir_type_equal(type, result))
            return ir_fail(a->error, "candidate @%s gives %s, @%s gives %s", symbols->symbols[0],
                           ir_type_format(result, text[0]), callee->name, ir_type_format(type, text[1]));
        *result = *type;
    }
    return true;
}

bool shape_scalar(const ShapeArgs *a, IrType *result) {
    *result = ir_type_scalar();
    return shape_need_dtype(a, 0, DTYPE_f32);
}

/* A class for each image, or parts of all classes. */
static bool check_targets(const ShapeArgs *a) {
    const IrType *logits = shape_input(a, 0), *targets = shape_input(a, 1);
    if (targets->rank == 1)
        return shape_need_dtype(a, 1, DTYPE_i32) &&
               shape_need_equal(a, "the number of labels", targets->dim[0], logits->dim[0]);
    return shape_need_dtype(a, 1, DTYPE_f32) && shape_need_rank(a, 1, 2) &&
           shape_need_equal(a, "the number of labels", targets->dim[0], logits->dim[0]) &&
           shape_need_equal(a, "the number of classes", targets->dim[1], logits->dim[1]);
}

bool shape_cross_entropy(const ShapeArgs *a, IrType *result) {
    if (a->input_count > 3)
        return ir_fail(a->error, "%d operands; it takes 2 or 3", a->input_count);
    if (a->input_count == 3 &&
        (!shape_need_dtype(a, 2, DTYPE_f32) || !shape_need_rank(a, 2, 1) ||
         !shape_need_equal(a, "the number of weights", shape_input(a, 2)->dim[0], shape_input(a, 0)->dim[1])))
        return false;
    if (!shape_need_dtype(a, 0, DTYPE_f32) || !shape_need_rank(a, 0, 2) || !check_targets(a))
        return false;
    *result = ir_type_scalar();
    return true;
}

/* ---- all of them ---- */

static ShapeRule *const shape_rules[OP_COUNT] = {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    [OP_##id] = shape_##shape,
#include "ir/ops.def"
#undef OP
};

static bool check_input_count(IrOp op, int count, char error[IR_ERROR_TEXT]) {
    int expected = ir_op_info[op].inputs;
    if (expected >= 0 && count != expected)
        return ir_fail(error, "%d operands; it takes %d", count, expected);
    if (expected < 0 && count < AT_LEAST(0) - expected)
        return ir_fail(error, "%d operands; it takes at least %d", count, AT_LEAST(0) - expected);
    return true;
}

bool ir_infer_type(const IrModule *module, IrOp op, const IrType *given, int input_count, IrNode *const *inputs,
                   int attr_count, const IrAttr *attrs, IrType *result, char error[256]) {
    ShapeArgs a = {module, op, given, input_count, inputs, attr_count, attrs, error};
    char text[IR_TYPE_TEXT];
    *result = (IrType){0};
    if (!check_input_count(op, input_count, error) || !ir_op_check_attrs(op, attr_count, attrs, error) ||
        !shape_rules[op](&a, result))
        return false;
    return ir_type_fits(result) || ir_fail(error, "%s is too large: a value has at most 2^48 bytes, an axis 2^31 - 1",
                                           ir_type_format(result, text));
}
