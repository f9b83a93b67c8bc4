/* schedule.h: the numbers that change with the epoch or the step. Epochs and updates count from 0 and 1. */
#ifndef NDARTS_RUNTIME_LOOPS_SCHEDULE_H
#define NDARTS_RUNTIME_LOOPS_SCHEDULE_H

#include "base/diag.h"
#include "ir/ir.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum LrSchedule { SCHEDULE_cosine, SCHEDULE_constant, SCHEDULE_linear } LrSchedule;

typedef struct LearningRate {
    LrSchedule schedule;
    double max, min; /* at the first epoch; at the end */
    bool per_step;   /* it changes with every step, not with every epoch */
    int64_t warm_up; /* epochs in which it rises linearly to what the schedule says */
} LearningRate;

/* Reads PREFIX.lr, PREFIX.lr_min, PREFIX.schedule and PREFIX.every ("search.weights"); warm_up stays the caller's.
 * Defaults 0.025, 0 and cosine when lr_min is there, else constant. */
void schedule_read(const IrModule *module, const char *prefix, LearningRate *rate);
/* cosine: min + (max - min) * (1 + cos(pi * epoch / epochs)) / 2; linear: max + (min - max) * epoch / epochs. */
double schedule_lr(const LearningRate *rate, int64_t epoch, int64_t epochs);
/* The rate of step `step` of an epoch of `steps`: with warm-up, and by the step when it is per_step. */
double schedule_step_lr(const LearningRate *rate, int64_t epoch, int64_t epochs, int64_t step, int64_t steps);
/* (1 + cos(pi * epoch / 50)) / 2: the 50 is the published code's, whatever the number of epochs. */
double schedule_noise_decay(int64_t epoch);
/* 1 - beta^t for update number t = 1, 2, ... */
double schedule_adam_bias(double beta, int64_t t);

#endif
