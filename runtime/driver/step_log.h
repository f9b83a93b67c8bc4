/* step_log.h: what every run of a graph was given, written down where it is handed to the device. */
#ifndef NDARTS_RUNTIME_DRIVER_STEP_LOG_H
#define NDARTS_RUNTIME_DRIVER_STEP_LOG_H

#include "base/diag.h"
#include "codegen/codegen.h"
#include "codegen/plan/abi.h"
#include "codegen/plan/plan.h"

typedef struct StepLog StepLog;

/* Lines are added to what the file holds. NULL with an error. */
StepLog *step_log_open(const char *path, Error *error);
/* A line: {"graph": "train", "seed": 5, "step": 1, "image_base": 0, "batch": 8, "chunks": 8, "scalars": {"lr": 0.1}} */
bool step_log_add(StepLog *log, const Plan *plan, GraphKind kind, const NdRun *block, Error *error);
void step_log_close(StepLog *log); /* NULL is allowed */

#endif
