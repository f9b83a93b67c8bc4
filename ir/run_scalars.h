/* run_scalars.h: the run-time scalars that have a name of their own (run_scalars.def); others are schedules
 * (schedules.h). */
#ifndef NDARTS_IR_RUN_SCALARS_H
#define NDARTS_IR_RUN_SCALARS_H

typedef enum RunScalar {
#define RUN_SCALAR(name, neutral, rule) RUN_##name,
#include "ir/run_scalars.def"
#undef RUN_SCALAR
    RUN_SCALAR_COUNT
} RunScalar;

extern const char *const run_scalar_names[RUN_SCALAR_COUNT];
/* -1 when there is none of that name. */
int run_scalar_find(const char *name);

#endif
