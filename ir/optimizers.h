/* optimizers.h: the rows of optimizers.def: what is known of an optimiser without its arithmetic. */
#ifndef NDARTS_IR_OPTIMIZERS_H
#define NDARTS_IR_OPTIMIZERS_H

#include <stdbool.h>

enum { OPTIMIZER_MOST_STATES = 4, OPTIMIZER_MOST_SCALARS = 3, OPTIMIZER_MOST_ARGUMENTS = 8 };

typedef struct OptimizerRow {
    const char *name;
    const char *states[OPTIMIZER_MOST_STATES];       /* NULL behind the last */
    const char *scalars[OPTIMIZER_MOST_SCALARS];     /* likewise */
    const char *arguments[OPTIMIZER_MOST_ARGUMENTS]; /* likewise */
} OptimizerRow;

enum {
#define OPTIMIZER(name, ...) OPTIMIZER_##name,
#include "ir/optimizers.def"
#undef OPTIMIZER
    OPTIMIZER_COUNT
};
extern const OptimizerRow optimizer_rows[OPTIMIZER_COUNT];
extern const char optimizer_words[]; /* "sgd|adam|...|": what the settings *.optimizer allow */

const OptimizerRow *optimizer_find(const char *name); /* NULL when there is none, and for NULL */
/* Whether NAME of a setting SECTION.NAME is for this optimiser: false for what only others have. */
bool optimizer_takes(const OptimizerRow *row, const char *name);

#endif
