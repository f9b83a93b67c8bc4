/* step_log.c: one JSON object for each run of a graph: its run-time block, scalars under their names. */
#include "runtime/driver/step_log.h"

#include "base/file.h"
#include "base/json.h"
#include "ir/run_scalars.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct StepLog {
    FILE *file;
    Arena *arena;
    const char *path;
};

enum { EXACT_DIGITS = 17 }; /* so that a double is read back as it was */

StepLog *step_log_open(const char *path, Error *error) {
    int descriptor = file_open_append(path, error);
    if (descriptor < 0)
        return NULL;
    Arena *arena = arena_create();
    StepLog *log = ARENA_NEW(arena, StepLog);
    *log = (StepLog){.file = fdopen(descriptor, "a"), .arena = arena, .path = arena_strdup(arena, path)};
    if (log->file)
        return log;
    error_set(error, ERROR_MACHINE, "%s: cannot write: %s", path, strerror(errno));
    close(descriptor);
    arena_destroy(arena);
    return NULL;
}

/* Where a rank's part of the batch begins and what it is of: only the programs of several ranks ask, and the line has the whole batch. */
static bool is_of_share(const char *scalar) {
    int row = run_scalar_find(scalar);
    return row == RUN_batch || row == RUN_first_chunk || row == RUN_own_batch;
}

static json_t *describe(const Plan *plan, GraphKind kind, const NdRun *block) {
    json_t *line = json_object(), *scalars = json_object();
    json_add(line, "graph", json_text(graph_kind_name(kind)));
    json_add(line, "seed", json_integer((json_int_t)block->seed));
    json_add(line, "step", json_integer((json_int_t)block->step));
    json_add(line, "image_base", json_integer((json_int_t)block->image_base));
    json_add(line, "batch", json_integer(block->batch));
    json_add(line, "chunks", json_integer(block->chunks));
    for (int i = 0; i < plan->scalar_count; i++)
        if (!is_of_share(plan->scalars[i]))
            json_add(scalars, plan->scalars[i], json_number(block->scalar[i]));
    json_add(line, "scalars", scalars);
    return line;
}

bool step_log_add(StepLog *log, const Plan *plan, GraphKind kind, const NdRun *block, Error *error) {
    Arena *arena = arena_create();
    json_t *line = describe(plan, kind, block);
    const char *text = json_print(arena, line, JSON_COMPACT | JSON_REAL_PRECISION(EXACT_DIGITS));
    bool ok = fputs(text, log->file) >= 0 && fputc('\n', log->file) != EOF && fflush(log->file) == 0;
    int code = errno;
    json_decref(line);
    arena_destroy(arena);
    return ok || error_set(error, ERROR_MACHINE, "%s: cannot write: %s", log->path, strerror(code));
}

void step_log_close(StepLog *log) {
    if (!log)
        return;
    fclose(log->file); /* every line was flushed */
    arena_destroy(log->arena);
}
