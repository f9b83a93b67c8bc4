/* scalar_form.h: what an elementwise op does to numbers: the scalar form of its row, compiled in double. */
#ifndef NDARTS_IR_SCALAR_FORM_H
#define NDARTS_IR_SCALAR_FORM_H

#include "ir/ir.h"

/* One element of the result, of one element of each operand. bug() when the op is not elementwise. As emitted code does under
 * f64, infinities and what is no number included; tests/unit/codegen_evaluate.c compares them. */
double ir_evaluate(IrOp op, int count, const double *operands);

#endif
