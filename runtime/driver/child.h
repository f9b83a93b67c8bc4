/* child.h: work in a process of its own. */
#ifndef NDARTS_RUNTIME_DRIVER_CHILD_H
#define NDARTS_RUNTIME_DRIVER_CHILD_H

#include "base/diag.h"

typedef bool RtChildWork(void *data, Error *error);
typedef struct RtChild RtChild; /* a process whose work goes on */
typedef enum RtChildState { CHILD_WORKS, CHILD_DONE, CHILD_FAILED } RtChildState;

/* Runs work(data, error) in a copy of this process and waits for it: what it allocates is given back to the system, and
 * nothing that it changes in memory is seen here; only its result and its error are. Without another process (the system
 * refuses one) the work is done here. A crash there is ERROR_MACHINE here.
 * With later, it returns as soon as the work calls child_hand_over, and *later is the process, which goes on; NULL when the
 * work is over. */
bool child_run(RtChildWork *work, void *data, RtChild **later, Error *error);
/* By the work: is there a process that would go on while this one does? */
bool child_can_hand_over(void);
void child_hand_over(void);
/* How far it is; does not wait. */
RtChildState child_look(RtChild *child);
/* Ends it if it still works, and forgets it; whether it did. NULL is allowed. */
bool child_end(RtChild *child);

#endif
