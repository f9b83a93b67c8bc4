/* scalar_form.c: the scalar forms of ops.def as C functions of doubles; see scalar_form.h. A form is compiled here and printed by
 * the dialects, so both say the same; what it calls is nd_NAME below and in the preludes of the dialects. */
#include "ir/scalar_form.h"

#include <math.h>

#define FUNCTION(name)                                                                                                 \
    static double nd_##name(double a) {                                                                                \
        return name(a);                                                                                                \
    }
#include "ir/functions.def"
FUNCTION(exp)
FUNCTION(log)
FUNCTION(sqrt)
FUNCTION(tanh)
#undef FUNCTION

static double nd_abs(double a) {
    return fabs(a);
}

static double nd_sigmoid(double a) {
    return 1 / (1 + exp(-a));
}

static double nd_max(double a, double b) {
    return a > b ? a : b;
}

static double nd_min(double a, double b) {
    return a < b ? a : b;
}

static double nd_gt(double a, double b) {
    return a > b;
}

static double nd_select(double condition, double a, double b) {
    return condition != 0 ? a : b;
}

static double nd_add_n(const double *operands, int count) {
    double sum = operands[0];
    for (int i = 1; i < count; i++)
        sum += operands[i];
    return sum;
}

double ir_evaluate(IrOp op, int count, const double *operands) {
    const double none = 0, x = operands[0], y = count > 1 ? operands[1] : none, z = count > 2 ? operands[2] : none;
    if (!(ir_op_info[op].flags & OP_ELEMENTWISE))
        bug("%s is not elementwise", ir_op_info[op].name);
    switch (op) {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    case OP_##id:                                                                                                      \
        return scalar;
#include "ir/ops.def"
#undef OP
    case OP_COUNT:
        break;
    }
    bug("op %d has no row", op);
}
