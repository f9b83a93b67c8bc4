/* arena.c: a list of zeroed blocks; an allocation takes the next bytes of the newest block.
 * Blocks double up to a limit, so that small compilations stay small; what does not fit half a block gets its own. */
#include "base/arena.h"

#include "base/format.h"
#include "base/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_FIRST_BLOCK = 1 << 16, ARENA_LARGEST_BLOCK = 1 << 22 };

typedef struct ArenaBlock {
    struct ArenaBlock *next;
    size_t size, used;
    _Alignas(ARENA_ALIGN) char data[];
} ArenaBlock;

struct Arena {
    ArenaBlock *blocks; /* the first one is the one being filled */
    size_t next_size;
    Arena *owned, *next; /* arenas of this one; the next of the same owner */
};

static ArenaBlock *new_block(size_t size) {
    ArenaBlock *block = memory_alloc(sizeof(ArenaBlock) + size);
    block->size = size;
    return block;
}

Arena *arena_create(void) {
    Arena *arena = memory_alloc(sizeof *arena);
    arena->next_size = ARENA_FIRST_BLOCK;
    return arena;
}

Arena *arena_create_in(Arena *owner) {
    Arena *arena = arena_create();
    arena->next = owner->owned;
    owner->owned = arena;
    return arena;
}

void arena_destroy(Arena *arena) {
    if (!arena)
        return;
    for (Arena *owned = arena->owned, *next; owned; owned = next) {
        next = owned->next;
        arena_destroy(owned);
    }
    for (ArenaBlock *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

void arena_reset(Arena *arena) {
    ArenaBlock *kept = arena->blocks;
    if (!kept)
        return;
    for (ArenaBlock *block = kept->next, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    memset(kept->data, 0, kept->used);
    kept->next = NULL;
    kept->used = 0;
}

/* A block of its own goes behind the one being filled, which keeps its rest. */
static void *alloc_alone(Arena *arena, size_t size) {
    ArenaBlock *block = new_block(size);
    block->used = size;
    if (arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        arena->blocks = block;
    }
    return block->data;
}

void *arena_alloc(Arena *arena, size_t size) {
    if (size > SIZE_MAX / 2)
        memory_fail(size);
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    ArenaBlock *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        if (size > arena->next_size / 2)
            return alloc_alone(arena, size);
        block = new_block(arena->next_size);
        block->next = arena->blocks;
        arena->blocks = block;
        if (arena->next_size < ARENA_LARGEST_BLOCK)
            arena->next_size *= 2;
    }
    void *memory = block->data + block->used;
    block->used += size;
    return memory;
}

void *arena_grow(Arena *arena, const void *old, size_t old_size, size_t new_size) {
    void *memory = arena_alloc(arena, new_size);
    if (old_size)
        memcpy(memory, old, old_size < new_size ? old_size : new_size);
    return memory;
}

char *arena_strndup(Arena *arena, const char *text, size_t length) {
    char *copy = arena_alloc(arena, length + 1);
    if (length)
        memcpy(copy, text, length);
    return copy;
}

char *arena_strdup(Arena *arena, const char *text) {
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(Arena *arena, const char *format, va_list args) {
    char usual[256]; /* most text is shorter, and so is printed once */
    va_list again;
    va_copy(again, args);
    int printed = format_text(usual, sizeof usual, format, args);
    size_t length = printed < 0 ? 0 : (size_t)printed;
    char *text = arena_alloc(arena, length + 1);
    if (length < sizeof usual)
        memcpy(text, usual, length);
    else
        format_text(text, length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(Arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}
