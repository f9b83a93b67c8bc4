/* trace.h: what a text computes, written down. */
#ifndef NDARTS_RUNTIME_LOOPS_TRACE_H
#define NDARTS_RUNTIME_LOOPS_TRACE_H

#include "runtime/driver/runtime.h"

typedef struct TraceOptions {
    RtProgramOptions
        program; /* path, sets, seed, precision, ...; which steps, streams and batch follow from the feed */
    const char *weights, *feed, *out; /* safetensors; weights may be NULL */
    int64_t epoch, steps;             /* what rates, drop path and noise are of; steps of a search */
    bool hessian, spectrum;           /* of the stand-alone pass, with respect to the alphas: hessian_results */
    bool epoch_per_step;              /* a step of a search is in the epoch after that of the step before */
} TraceOptions;

/* docs/cli.md lists the tensors that are read from feed and written to out. */
bool trace_run(const TraceOptions *options, Error *error);

#endif
