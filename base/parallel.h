/* parallel.h: pieces of work beside each other, that share nothing they change. */
#ifndef NDARTS_BASE_PARALLEL_H
#define NDARTS_BASE_PARALLEL_H

typedef void ParallelTask(void *data, int index);

/* task(data, 0) to task(data, count - 1), each in a thread of its own as far as there are any to be had; returns when all
 * have ended. What a thread is told by its caller (base/: where messages go, whom to ask whether to stop, what a bug
 * prints, where to go without memory, the C locale) holds for all of them. */
void parallel_run(int count, ParallelTask *task, void *data);
/* From here on this process does one piece after the other: it works in the background of one that somebody waits for. */
void parallel_leave_cores(void);

#endif
