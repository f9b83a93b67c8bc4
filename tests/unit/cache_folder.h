/* cache_folder.h: a folder of a test's own, in which it works and has its cache. */
#ifndef NDARTS_TESTS_CACHE_FOLDER_H
#define NDARTS_TESTS_CACHE_FOLDER_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static bool cache_folder_enter(Arena *arena) {
    char *folder = arena_strdup(arena, "/tmp/ndarts-test-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 && setenv("XDG_CACHE_HOME", folder, 1) == 0;
}

/* Removes it; 0: done. */
static int cache_folder_leave(Arena *arena) {
    return chdir("/") == 0 ? system(arena_printf(arena, "rm -rf '%s'", getenv("XDG_CACHE_HOME"))) : 1;
}

#endif
