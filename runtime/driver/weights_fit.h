/* weights_fit.h: weights held against what a network wants, by name and shape. */
#ifndef NDARTS_RUNTIME_DRIVER_WEIGHTS_FIT_H
#define NDARTS_RUNTIME_DRIVER_WEIGHTS_FIT_H

#include "runtime/driver/runtime.h"

/* Does the file have every required tensor (required NULL: all are), those it has in the right shapes, and, unless
 * more_allowed, nothing else but counters, alphas, the auxiliary head and an optimiser's memory? Every difference is
 * printed on diag_stream(), a line each; the error only counts them. */
bool weights_fit(Arena *arena, const RtTensorInfo *wanted, const bool *required, int count, const TensorFile *file,
                 bool more_allowed, Error *error);
#endif
