/* run.h: a search or a training, from its options to its results. */
#ifndef NDARTS_RUNTIME_LOOPS_RUN_H
#define NDARTS_RUNTIME_LOOPS_RUN_H

#include "base/arena.h"
#include "base/diag.h"
#include "codegen/codegen.h"
#include "runtime/loops/observer.h"
#include "runtime/ranks/ranks.h"

#include <stdio.h>

typedef struct LoopOptions {
    const char *path;
    const char *text;               /* RtProgramOptions.text; or NULL */
    const char *out;                /* folder of the results; NULL: runs/ and the text's name */
    const char *init;               /* weights to begin with, or NULL */
    const char *const *init_except; /* but not those whose names begin so */
    int init_except_count;
    bool resume, allow_different_build, allow_different_data, has_seed, tensorboard, log_steps, verbose;
    uint64_t seed;
    int threads;        /* 0: as many as there are cores */
    const Ranks *ranks; /* that do this run together; NULL: this process alone */
    const char *device;
    int64_t memory_budget;
    const char *tune;    /* RtProgramOptions.tune */
    const char *costs;   /* RtProgramOptions.costs; NULL: measured where they are needed */
    const char *profile; /* NULL; "" or the file of the trace: time all kernels */
    CgPrecision precision;
    const char *const *sets;
    int set_count;
    const char *recipe;          /* of a training: a text that says how, or NULL */
    const RunObserver *observer; /* NULL: a person at a terminal, and signals */
    int seed_count;              /* of a training: one for each of seeds, in folders of their own; 0: one, in out */
    const uint64_t *seeds;
    bool spread; /* of several seeds: every rank trains some of them by itself, in place of all ranks each of them */
} LoopOptions;

/* Searches, and prints the genotype that was found on result; messages go to stderr, all else to the folder. False,
 * with ERROR_INTERRUPTED, when a signal ended it: what was reached is saved then. SIGPIPE is ignored from here on: who
 * reads the messages may go away, the run goes on. */
bool search_run(Arena *arena, const LoopOptions *options, FILE *result, Error *error);
/* Likewise; accuracies on result, of several seeds a table with mean and deviation. */
bool train_run(Arena *arena, const LoopOptions *options, FILE *result, Error *error);

#endif
