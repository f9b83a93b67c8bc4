/* hessian_run.h: `ndarts-run hessian`: the Hessian of a search that is not running. */
#ifndef NDARTS_RUNTIME_LOOPS_HESSIAN_RUN_H
#define NDARTS_RUNTIME_LOOPS_HESSIAN_RUN_H

#include "runtime/driver/runtime.h"

typedef struct HessianOptions {
    RtProgramOptions
        program;         /* path: the text of a search, or the folder of one, whose network and checkpoint are taken;
                                 batch: of how many images; 0: as many as in a step */
    const char *weights; /* instead of the initial ones, or the checkpoint's; or NULL */
    int64_t epoch;       /* what noise and schedules are of; -1: the last that is done, of a text the first */
    bool spectrum;
} HessianOptions;

/* The tensors of hessian_results, on the first images of the alphas' part, as a search computes its eigenvalue. They lie in
 * the arena. What it does is said on stderr. */
bool hessian_run(Arena *arena, const HessianOptions *options, TensorFile *results, Error *error);

#endif
