/* tensorboard.h: the numbers of metrics.jsonl and the speed, for TensorBoard (`--tensorboard`). */
#ifndef NDARTS_RUNTIME_LOOPS_TENSORBOARD_H
#define NDARTS_RUNTIME_LOOPS_TENSORBOARD_H

#include "base/diag.h"

#define TENSORBOARD_FILE "events.out.tfevents.ndarts"

/* Can event files be written? ERROR_MACHINE when ndarts was built without protobuf-c. */
bool tensorboard_available(Error *error);
/* Writes FOLDER/TENSORBOARD_FILE anew from the metrics.jsonl and timing.jsonl beside it. */
bool tensorboard_write_all(const char *folder, Error *error);
/* Appends the last epoch of those two. */
bool tensorboard_append_last(const char *folder, Error *error);

#endif
