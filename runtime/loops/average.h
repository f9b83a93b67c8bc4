/* average.h: the average of the weights that a training with train.ema keeps beside them, as the states ema/NAME. */
#ifndef NDARTS_RUNTIME_LOOPS_AVERAGE_H
#define NDARTS_RUNTIME_LOOPS_AVERAGE_H

#include "runtime/driver/runtime.h"

/* Weights and running statistics change places with their averages; doing it again brings them back. Nothing changes in
 * a program without averages. */
bool average_exchange(RtProgram *program, Error *error);

#endif
