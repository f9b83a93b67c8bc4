/* fuzz.h: what every fuzz target defines: takes any bytes and returns 0; whatever is wrong with them, it must not
 * crash. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/arena.h"
#include "base/diag.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What driver.c puts into damaged copies besides bytes and numbers: words of the target's language, ended by NULL. A
 * target need not have any. */
extern const char *const fuzz_words[] __attribute__((weak));

/* A source ends with a zero that its size does not count. */
static inline SourceFile *fuzz_source(Arena *arena, const char *path, const uint8_t *data, size_t size) {
    char *text = arena_alloc(arena, size + 1);
    if (size)
        memcpy(text, data, size);
    SourceFile *source = ARENA_NEW(arena, SourceFile);
    *source = (SourceFile){.path = path, .text = text, .size = size};
    return source;
}

/* For parsers that want a file: writes one; false when the disk is full. A new one each time: some file systems put
 * what replaces a file's contents on the disk at once. */
static inline bool fuzz_write(const char *path, const void *data, size_t size) {
    unlink(path);
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(data, 1, size, file) == size;
    return file && fclose(file) == 0 && ok;
}

#endif
