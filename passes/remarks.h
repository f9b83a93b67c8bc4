/* remarks.h: what is stored and why, for --remarks. */
#ifndef NDARTS_PASSES_REMARKS_H
#define NDARTS_PASSES_REMARKS_H

#include "passes/pass.h"

typedef enum Stored {
    STORED_not, /* computed where it is used */
#define STORED(identifier, words) STORED_##identifier,
#include "passes/stored.def"
#undef STORED
} Stored;

typedef struct Remark {
    const IrNode *node;
    Stored why;
    int64_t bytes;
    int count; /* of values like this one, which bytes is the sum of */
} Remark;

/* One line for all values of an operation that stand in a line of the text and are stored for one reason:
 *     darts.nd:37: remark: 'conv2d' is stored, 20 values, 31.5 MB (cells.0._ops.3 and others): it is no elementwise operation ...
 * In the order of the lines, of equal ones those that take most first. */
void remarks_print(FILE *out, Remark *remarks, int count);

#endif
