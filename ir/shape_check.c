/* shape_check.c: what shape rules read and what they ask for; see shape.h. */
#include "ir/shape.h"

#include <stdio.h>

const IrType *shape_input(const ShapeArgs *a, int i) {
    return &a->inputs[i]->type;
}

int64_t shape_attr_int(const ShapeArgs *a, const char *name) {
    const IrAttr *attr = ir_attr_find(a->attr_count, a->attrs, name);
    return attr ? attr->i : 0;
}

const IrAttr *shape_attr_list(const ShapeArgs *a, const char *name) {
    return ir_attr_find(a->attr_count, a->attrs, name);
}

static const char *dim_text(int64_t dim, char text[24]) {
    if (dim == IR_DIM_N || dim == IR_DIM_K)
        return dim == IR_DIM_N ? "N" : "K";
    snprintf(text, 24, "%lld", (long long)dim);
    return text;
}

bool shape_need_dtype(const ShapeArgs *a, int i, IrDtype dtype) {
    if (shape_input(a, i)->dtype == dtype)
        return true;
    return ir_fail(a->error, "operand %d is %s; it must be %s", i, ir_dtype_name(shape_input(a, i)->dtype),
                   ir_dtype_name(dtype));
}

bool shape_need_rank(const ShapeArgs *a, int i, int rank) {
    char text[IR_TYPE_TEXT];
    if (shape_input(a, i)->rank == rank)
        return true;
    return ir_fail(a->error, "operand %d is %s; it must have rank %d", i, ir_type_format(shape_input(a, i), text),
                   rank);
}

bool shape_need_list(const ShapeArgs *a, const char *name, int count, int64_t least) {
    const IrAttr *list = shape_attr_list(a, name);
    if (list->count != count)
        return ir_fail(a->error, "%s has %d entries; it must have %d", name, list->count, count);
    for (int i = 0; i < count; i++)
        if (list->ints[i] < least)
            return ir_fail(a->error, "%s contains %lld; the least is %lld", name, (long long)list->ints[i],
                           (long long)least);
    return true;
}

bool shape_need_equal(const ShapeArgs *a, const char *what, int64_t found, int64_t expected) {
    char text[2][24];
    if (found == expected)
        return true;
    return ir_fail(a->error, "%s is %s; expected %s", what, dim_text(found, text[0]), dim_text(expected, text[1]));
}

/* A partial result per chunk of the contracted N. */
void shape_insert_axis(IrType *type, int64_t axis, int64_t extent) {
    for (int64_t i = type->rank++; i > axis; i--)
        type->dim[i] = type->dim[i - 1];
    type->dim[axis] = extent;
}

bool shape_make_partial(const ShapeArgs *a, int64_t contracted, IrType *result) {
    if (!shape_attr_int(a, "partial"))
        return true;
    if (contracted != IR_DIM_N)
        return ir_fail(a->error, "partial, but what is added up is not N");
    shape_insert_axis(result, 0, IR_DIM_K);
    return true;
}
