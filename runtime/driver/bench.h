/* bench.h: how long a pass of a graph takes, over many passes of it. */
#ifndef NDARTS_RUNTIME_DRIVER_BENCH_H
#define NDARTS_RUNTIME_DRIVER_BENCH_H

#include "runtime/driver/runtime.h"

typedef struct BenchOptions {
    int warm_up; /* passes that are not counted */
    int repeats; /* passes that are; 0: as many as take so long, from 10 to 1000 */
    double seconds;
    bool cpu_time; /* the processor's time instead of the clock's: to compare on a busy machine, with one thread */
} BenchOptions;

typedef struct BenchResult {
    int count;
    double *seconds; /* of each pass, ascending */
} BenchResult;

/* Passes with a full batch of made-up images and labels; each copies its inputs to the device and waits for its end. A pass that
 * trains changes the program's parameters. */
bool bench_graph(RtProgram *program, GraphKind kind, const BenchOptions *options, Arena *arena, BenchResult *result,
                 Error *error);
/* The time that a share of the passes did not exceed, 0 to 1: 0 is the best, 0.5 the median. */
double bench_quantile(const BenchResult *result, double share);

#endif
