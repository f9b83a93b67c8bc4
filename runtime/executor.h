/* executor.h: runs the stages of one graph on the threads of the CPU. */
#ifndef NDARTS_RUNTIME_EXECUTOR_H
#define NDARTS_RUNTIME_EXECUTOR_H

#include "runtime/backend.h"
#include "runtime/threads.h"

typedef struct RtExecutor RtExecutor;

/* NULL with ERROR_MACHINE when there is no memory for the threads' private arenas. */
RtExecutor *rt_executor_create(const RtModule *module, const PlanGraph *graph, const RtArenas *arenas,
                               RtThreads *threads, Error *error);
void rt_executor_destroy(RtExecutor *executor); /* NULL is allowed */
/* From now on every call is timed. */
void rt_executor_profile(RtExecutor *executor, ProfileGraph *profile);
size_t rt_executor_bytes(const RtExecutor *executor);
void rt_executor_run(RtExecutor *executor, const void *const *inputs, const NdRun *run, bool prepare);

#endif
