/* arena.h: memory that is given back all at once.
 * A compilation owns one arena; frontend/, ir/, passes/ and codegen/ never call free. */
#ifndef NDARTS_BASE_ARENA_H
#define NDARTS_BASE_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

typedef struct Arena Arena;

/* Makes an empty arena. Running out of memory ends the program with exit code 2 and a message, unless arena_escape says
 * otherwise. */
Arena *arena_create(void);
/* Likewise, and it lives as long as its owner, which destroys it: for a thread that makes a part of what the owner has. */
Arena *arena_create_in(Arena *owner);
void arena_destroy(Arena *arena); /* NULL is allowed; not one that has an owner */
/* Empties it and keeps a block for what comes next: for work that begins anew thousands of times. */
void arena_reset(Arena *arena);

/* Zeroed memory, aligned to 16 bytes. */
void *arena_alloc(Arena *arena, size_t size);
/* A copy of old (old_size bytes) with room for new_size bytes; the rest is zeroed. */
void *arena_grow(Arena *arena, const void *old, size_t old_size, size_t new_size);
char *arena_strdup(Arena *arena, const char *text);
char *arena_strndup(Arena *arena, const char *text, size_t length);
char *arena_printf(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *arena, const char *format, va_list args);

/* Where this thread jumps to when memory runs out, instead of ending the program; or NULL. For a library, which must not
 * end the program of others; what was allocated on the way is lost. */
extern _Thread_local jmp_buf *arena_escape;

#define ARENA_NEW(arena, Type) ((Type *)arena_alloc((arena), sizeof(Type)))
#define ARENA_ARRAY(arena, Type, count) ((Type *)arena_alloc((arena), sizeof(Type) * (size_t)(count)))

/* Appends to a growable array kept as three variables: ARENA_PUSH(arena, v->items, v->count, v->capacity, item). */
#define ARENA_PUSH(arena, items, count, capacity, item)                                                                \
    do {                                                                                                               \
        if ((count) == (capacity)) {                                                                                   \
            size_t arena_new_ = (capacity) ? 2 * (size_t)(capacity) : 8;                                               \
            (items) = arena_grow((arena), (items), sizeof(*(items)) * (size_t)(count), sizeof(*(items)) * arena_new_); \
            (capacity) = (__typeof__(capacity))arena_new_;                                                             \
        }                                                                                                              \
        (items)[(count)++] = (item);                                                                                   \
    } while (0)

#endif
