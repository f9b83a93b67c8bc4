/* threads.h: a pool of threads that work through one job together. The caller is thread 0. Inside a job the threads
 * meet at barriers, spinning, because stages are short; between jobs they spin a moment and then sleep, so an idle pool
 * costs nothing. */
#ifndef NDARTS_RUNTIME_DEVICE_THREADS_H
#define NDARTS_RUNTIME_DEVICE_THREADS_H

#include "base/diag.h"

typedef struct RtThreads RtThreads;
typedef void RtJob(void *argument, int thread);

/* NULL with ERROR_MACHINE when the system refuses threads. */
RtThreads *rt_threads_create(int count, Error *error);
void rt_threads_destroy(RtThreads *threads); /* NULL is allowed */
int rt_threads_count(const RtThreads *threads);
/* Runs job(argument, t) on every thread t and returns when all are done. In a process that was forked since, it starts
 * threads first; false with ERROR_MACHINE, and nothing done, when the system refuses them. */
bool rt_threads_run(RtThreads *threads, RtJob *job, void *argument, Error *error);
/* Called by every thread of the running job: returns when all have arrived. */
void rt_threads_barrier(RtThreads *threads);

#endif
