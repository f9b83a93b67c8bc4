/* weights.h: weights from a file held against what a network wants, by name and shape. */
#ifndef NDARTS_RUNTIME_DRIVER_WEIGHTS_H
#define NDARTS_RUNTIME_DRIVER_WEIGHTS_H

#include "runtime/driver/runtime.h"

/* Does the file have every required tensor (required NULL: all are), those it has in the right shapes, and, unless
 * more_allowed, nothing else but counters, alphas, the auxiliary head and an optimiser's memory? Every difference is
 * printed on diag_stream(), a line each; the error only counts them. */
bool weights_fit(Arena *arena, const RtTensorInfo *wanted, const bool *required, int count, const TensorFile *file,
                 bool more_allowed, Error *error);
/* Reads the file and takes the weights out of it. NULL is right for a program that has weights embedded. net names the
 * program in messages. Nothing is changed on an error. */
bool weights_load(RtProgram *program, const char *net, const char *path, Error *error);

#endif
