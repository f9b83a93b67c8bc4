/* executor.h: runs the stages of one graph on the threads of the CPU. */
#ifndef NDARTS_RUNTIME_DEVICE_EXECUTOR_H
#define NDARTS_RUNTIME_DEVICE_EXECUTOR_H

#include "runtime/device/backend.h"
#include "runtime/device/threads.h"

typedef struct RtExecutor RtExecutor;

/* thread_arenas: for each thread, room for the graph's private values and the kernels' scratch; graphs may share them, for
 * they run one at a time. share: as in RtBackend.bind. NULL with ERROR_MACHINE when there is no memory. */
RtExecutor *rt_executor_create(const RtModule *module, const PlanGraph *graph, const RtArenas *arenas,
                               const RtShare *share, void *const *thread_arenas, RtThreads *threads, Error *error);
void rt_executor_destroy(RtExecutor *executor); /* NULL is allowed */
/* Of messages to other ranks. */
size_t rt_executor_bytes(const RtExecutor *executor);
/* The next runs call the kernels of another module of the same source. */
void rt_executor_renew(RtExecutor *executor, const RtModule *module);
/* From now on every call is timed. */
void rt_executor_profile(RtExecutor *executor, ProfileGraph *profile);
/* Fails where threads cannot be started, in a process that was forked (threads.h). */
bool rt_executor_run(RtExecutor *executor, const void *const *inputs, const NdRun *run, bool prepare, Error *error);

#endif
