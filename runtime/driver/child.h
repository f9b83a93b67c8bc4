/* child.h: work in a process of its own. */
#ifndef NDARTS_RUNTIME_DRIVER_CHILD_H
#define NDARTS_RUNTIME_DRIVER_CHILD_H

#include "base/diag.h"

typedef bool RtChildWork(void *data, Error *error);

/* Runs work(data, error) in a copy of this process and waits for it: what it allocates is given back to the system, and
 * nothing that it changes in memory is seen here; only its result and its error are. Without another process (the system
 * refuses one) the work is done here. A crash there is ERROR_MACHINE here. */
bool child_run(RtChildWork *work, void *data, Error *error);

#endif
