/* memory.c: allocations that do not fail, and Jansson's among them. */
#include "base/memory.h"

#include "base/arena.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

_Thread_local jmp_buf *arena_escape = NULL;

void memory_fail(size_t size) {
    if (arena_escape)
        longjmp(*arena_escape, 1);
    fprintf(stderr, "error: out of memory (%zu bytes wanted)\n", size);
    exit(2);
}

static void *check(void *memory, size_t size) {
    if (!memory && size)
        memory_fail(size);
    return memory;
}

void *memory_alloc(size_t size) {
    return check(calloc(1, size), size);
}

/* ---- Jansson ---- */

static bool only_under_escape;
static json_malloc_t json_before; /* what allocates for the program around us; its free stays */

static void *alloc_json(size_t size) {
    void *memory = json_before(size);
    return only_under_escape && !arena_escape ? memory : check(memory, size);
}

static void set_json_allocator(void) {
    json_free_t free_before;
    json_get_alloc_funcs(&json_before, &free_before);
    json_set_alloc_funcs(alloc_json, free_before);
}

void memory_guard_json(bool in_library) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    only_under_escape = in_library;
    pthread_once(&once, set_json_allocator);
}
