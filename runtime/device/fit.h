/* fit.h: step graphs that keep to a budget of memory. Counted is what a program allocates: parameters and optimiser,
 * values computed from them, values of the whole batch (of the graph that needs most), and what each thread has for
 * itself. */
#ifndef NDARTS_RUNTIME_DEVICE_FIT_H
#define NDARTS_RUNTIME_DEVICE_FIT_H

#include "codegen/plan/plan.h"

/* Bytes. */
typedef struct RtMemory {
    int64_t state, prepared, work;
    int64_t each;  /* of one thread: private values and the kernels' scratch; on a GPU: of one image */
    int64_t count; /* threads, or images */
} RtMemory;
RtMemory rt_plan_memory(const Plan *plan, int threads);
int64_t rt_memory_total(const RtMemory *memory);

/* How a graph is to be made: batch, chunks, precision and target as in cg. */
typedef struct RtBuild {
    const CgOptions *cg;
    int64_t keep_bytes;
    bool wide;
    bool left_out; /* set: there was more to keep (PassContext.left_out) */
} RtBuild;
typedef bool RtBuildGraphs(void *data, RtBuild *build, IrGraph **graphs, Error *error);

typedef struct RtFit {
    IrModule *module;
    int kind_count;
    CgOptions cg;
    int threads;
    int64_t budget;           /* bytes; 0: none */
    int64_t limit;            /* bytes: a budget that is too small is exceeded up to this; 0: it is not */
    bool wide;                /* memory need not be shared over time, if there is enough (PassContext.wide) */
    bool fixed;               /* graphs can be built only once: the budget is checked, nothing more is kept */
    const char *batch_option; /* how the user sets the batch: "--set search.batch=", for advice */
    RtBuildGraphs *build;
    void *data;
} RtFit;

/* Builds the graphs. With a budget, what would be computed again is kept as far as there is room, by what it costs per
 * byte; ERROR_INPUT when the budget (or the limit) cannot be met, saying what is needed, what takes most and which batch would fit. */
bool rt_fit_graphs(const RtFit *fit, IrGraph **graphs, Error *error);

#endif
