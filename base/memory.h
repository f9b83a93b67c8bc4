/* memory.h: one answer to a failed allocation, for our own code and for the libraries we use: the program ends with
 * exit code 2 and a message, or the thread leaves by arena_escape. No caller, and no library that forgets to look, goes
 * on without its memory. */
#ifndef NDARTS_BASE_MEMORY_H
#define NDARTS_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* As calloc for one, but never NULL; free takes what it returns. */
void *memory_alloc(size_t size);
/* For who cannot go on: does not return. */
_Noreturn void memory_fail(size_t size);

/* Jansson leaves out what it has no memory for; from now on it allocates as above. Called once by every program, before
 * anything else. A library (in_library) changes only what its own calls allocate, those made under arena_escape: the
 * program that uses it may use Jansson itself. */
void memory_guard_json(bool in_library);

#endif
