/* step.h: what a pass is given. Every number that changes from pass to pass, and the number that its draws have, is a
 * function of the settings and of how far the run is, and is computed here: for searches, trainings, traces, evaluation
 * and benchmarks alike, so that what is tested is what runs. */
#ifndef NDARTS_RUNTIME_DRIVER_STEP_H
#define NDARTS_RUNTIME_DRIVER_STEP_H

#include "runtime/driver/runtime.h"

/* How far a run is. */
typedef struct RtPosition {
    int64_t epoch, epochs;  /* the one at work, from 0; of the whole run, 1 at least */
    int64_t step, steps;    /* in the epoch, from 0; of an epoch, 1 at least */
    int64_t global_step;    /* steps that were taken before, in all epochs */
    int64_t alphas_updates; /* that were made before */
} RtPosition;

/* A pass of that kind: seed, number of its draws (a search's step s: 2s + 1 for what moves first, 2s + 2 for what moves
 * second; of second order the alphas have four, of which this is the first, and so a step five; a training's: s + 1;
 * evaluation in a search: that of the pass that would come next; all other passes 0) and all run-time scalars (ir/run_scalars.def). The images are the caller's to
 * add. settings: of the text; they and the position matter for passes that train, and may be NULL elsewhere. */
RtRun rt_step(GraphKind kind, const Settings *settings, uint64_t seed, const RtPosition *at);
/* Whether the weights move first in a step of a search; else the alphas. */
bool rt_step_weights_first(const Settings *settings);
/* The probability that a path is dropped: constant in a search; of a training it rises linearly with the epoch, from
 * 0. */
double rt_step_drop_probability(const Settings *settings, const RtPosition *at);

#endif
