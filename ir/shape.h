/* shape.h: what shape rules are given and share. */
#ifndef NDARTS_IR_SHAPE_H
#define NDARTS_IR_SHAPE_H

#include "ir/internal.h"

typedef struct ShapeArgs {
    const IrModule *module;
    IrOp op;
    const IrType *given;
    int input_count;
    IrNode *const *inputs;
    int attr_count;
    const IrAttr *attrs;
    char *error;
} ShapeArgs;

/* False with a message in a->error when the operands do not fit. */
typedef bool ShapeRule(const ShapeArgs *a, IrType *result);
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    ShapeRule shape_##shape;
#include "ir/ops.def"
#undef OP

/* ---- shape_check.c ---- */

const IrType *shape_input(const ShapeArgs *a, int i);
int64_t shape_attr_int(const ShapeArgs *a, const char *name); /* 0 when absent */
const IrAttr *shape_attr_list(const ShapeArgs *a, const char *name);

bool shape_need_dtype(const ShapeArgs *a, int i, IrDtype dtype);
bool shape_need_rank(const ShapeArgs *a, int i, int rank);
/* A list of count entries, none below least. */
bool shape_need_list(const ShapeArgs *a, const char *name, int count, int64_t least);
bool shape_need_equal(const ShapeArgs *a, const char *what, int64_t found, int64_t expected);
/* Puts an extent before the axis, or behind the last. */
void shape_insert_axis(IrType *type, int64_t axis, int64_t extent);
/* With the attribute partial, puts K in front: one result per chunk of the contracted N. */
bool shape_make_partial(const ShapeArgs *a, int64_t contracted, IrType *result);

#endif
