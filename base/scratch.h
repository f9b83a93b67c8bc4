/* scratch.h: folders for the work of a moment, which a killed process leaves behind for the next one to remove. */
#ifndef NDARTS_BASE_SCRATCH_H
#define NDARTS_BASE_SCRATCH_H

#include "base/arena.h"
#include "base/diag.h"

#include <stdint.h>

typedef struct Scratch {
    const char *folder; /* PREFIX.ndarts-build-XXXXXX */
    int lock;
} Scratch;

/* A new folder that only this user can enter; those of the same prefix that nobody uses any more go. prefix: a path. */
bool scratch_make(Arena *arena, const char *prefix, Scratch *scratch, Error *error);
/* Removes it and all that is in it. */
void scratch_remove(Scratch *scratch);
/* Removes this user's folders PREFIX...build-XXXXXX that no process holds; the bytes of those that stay. */
int64_t scratch_sweep(Arena *arena, const char *prefix);
/* $TMPDIR or /tmp. */
const char *scratch_place(void);

#endif
