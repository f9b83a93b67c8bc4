/* driver.c: runs a fuzz target without libFuzzer: every seed file as it is, then COUNT damaged copies, the same ones in
 * every run. Memory is limited, so that a file which talks a parser into asking for too much is found as well.
 *
 *     fuzz_TARGET COUNT SEED_FILE... */
#include "base/arena.h"
#include "base/diag.h"
#include "tests/fuzz/fuzz.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#endif
#endif

static uint64_t state = 1;

static uint32_t draw(uint32_t below) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return below ? (uint32_t)((state >> 33) % below) : 0;
}

enum { MOST_ADDED = 24, MOST_DAMAGES = 4 };

/* The next number written in digits becomes one that nobody thought of. */
static size_t damage_number(uint8_t *data, size_t size, size_t at) {
    static const char *const numbers[] = {
        "0",    "-1", "3", "1000", "65536", "2147483648", "4294967295", "9223372036854775807", "18446744073709551616",
        "1e308"};
    const char *number = numbers[draw(sizeof numbers / sizeof numbers[0])];
    size_t length = strlen(number);
    while (at < size && (data[at] < '0' || data[at] > '9'))
        at++;
    size_t end = at;
    while (end < size && data[end] >= '0' && data[end] <= '9')
        end++;
    if (at == size || length > MOST_ADDED)
        return size;
    memmove(data + at + length, data + end, size - end);
    memcpy(data + at, number, length);
    return size - (end - at) + length;
}

/* A word goes where one begins: instead of it, or before it. */
static size_t damage_word(uint8_t *data, size_t size, size_t at) {
    size_t count = 0;
    while (fuzz_words[count])
        count++;
    const char *word = fuzz_words[draw((uint32_t)count)];
    size_t length = strlen(word), end;
    while (at < size && !isalnum(data[at]))
        at++;
    for (end = at; end < size && draw(2) && isalnum(data[end]);)
        while (end < size && isalnum(data[end]))
            end++;
    if (at == size || length > MOST_ADDED)
        return size;
    memmove(data + at + length, data + end, size - end);
    memcpy(data + at, word, length);
    return size - (end - at) + length;
}

/* One of the damages that broken and hostile files have. Returns the new size, at most MOST_ADDED more. */
static size_t damage(uint8_t *data, size_t size) {
    static const uint8_t extremes[] = {0, 1, 0x7f, 0x80, 0xff};
    if (size == 0)
        return 0;
    size_t at = draw((uint32_t)size), length = 1 + draw(8);
    length = length < size - at ? length : size - at;
    if (fuzz_words && draw(3) == 0)
        return damage_word(data, size, at);
    switch (draw(7)) {
    case 0:
        data[at] ^= (uint8_t)(1u << draw(8));
        return size;
    case 1:
        data[at] = (uint8_t)draw(256);
        return size;
    case 2:
        memset(data + at, extremes[draw(5)], length);
        return size;
    case 3:
        return at;
    case 4:
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 5:
        return damage_number(data, size, at);
    default:
        memmove(data + at, data + draw((uint32_t)(size - length) + 1), length);
        return size;
    }
}

int main(int argc, char **argv) {
    const struct rlimit limit = {UINT64_C(3) << 30, UINT64_C(3) << 30};
    if (argc < 3) {
        fprintf(stderr, "usage: %s COUNT SEED_FILE...\n", argv[0]);
        return 1;
    }
#if !defined(__SANITIZE_ADDRESS__)
    setrlimit(RLIMIT_AS, &limit);
#else
    (void)limit;
#endif
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    int count = atoi(argv[1]), seeds = argc - 2;
    for (int i = 0; i < seeds + count; i++) {
        const SourceFile *seed = source_read(arena, argv[2 + i % seeds], &error);
        if (!seed)
            return error_report(&error);
        uint8_t *copy = malloc(seed->size + MOST_DAMAGES * MOST_ADDED);
        size_t size = seed->size;
        if (size)
            memcpy(copy, seed->text, size);
        for (uint32_t k = i < seeds ? 0 : 1 + draw(MOST_DAMAGES); k > 0; k--)
            size = damage(copy, size);
        /* Of exactly its size, so that a sanitizer sees a read behind its end. */
        uint8_t *exact = malloc(size ? size : 1);
        memcpy(exact, copy, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
        free(copy);
        arena_destroy(arena);
        arena = arena_create();
    }
    arena_destroy(arena);
    printf("%d inputs\n", seeds + count);
    return 0;
}
