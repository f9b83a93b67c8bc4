/* op.c: the table of operations, and how what one is given is refused. */
#include "ir/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The flags as the rows say them. */
enum {
    PURE = OP_PURE,
    ELEMENTWISE = OP_ELEMENTWISE,
    EXACT = OP_EXACT,
    FUNCTION = OP_FUNCTION,
    WHOLE = OP_WHOLE,
    VIEW = OP_VIEW,
    ONCE = OP_ONCE,
    REDUCTION = OP_REDUCTION,
    SUM = OP_SUM,
    WINDOW = OP_WINDOW,
    PRODUCT = OP_PRODUCT,
    HIGH = OP_HIGH,
    SOURCE = OP_SOURCE,
    GIVEN = OP_GIVEN,
    NUMBER = OP_NUMBER,
    EFFECT = OP_EFFECT,
    LAZY = OP_LAZY,
    RANKS = OP_RANKS
};

const IrOpInfo ir_op_info[OP_COUNT] = {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    [OP_##id] = {#id, inputs, flags, #scalar, attributes},
#include "ir/ops.def"
#undef OP
};

bool ir_op_find(const char *name, IrOp *op) {
    for (int i = 0; i < OP_COUNT; i++) {
        if (str_equal(ir_op_info[i].name, name)) {
            *op = (IrOp)i;
            return true;
        }
    }
    return false;
}

char ir_op_infix(IrOp op) {
    const char *form = ir_op_info[op].scalar;
    return strlen(form) == strlen("x + y") && form[0] == 'x' && form[4] == 'y' ? form[2] : 0;
}

bool ir_op_find_infix(char infix, IrOp *op) {
    for (int i = 0; i < OP_COUNT; i++) {
        if (infix && ir_op_infix((IrOp)i) == infix) {
            *op = (IrOp)i;
            return true;
        }
    }
    return false;
}

bool ir_fail(char error[IR_ERROR_TEXT], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(error, IR_ERROR_TEXT, format, args);
    va_end(args);
    return false;
}
