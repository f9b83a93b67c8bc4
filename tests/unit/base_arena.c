/* base_arena.c: the arena: zeroed, aligned, and nothing overlaps. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    Arena *arena = arena_create();
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *memory = arena_alloc(arena, size);
        assert_int_equal((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size);
    }
    arena_destroy(arena);
    arena_destroy(NULL);
}

/* Small and large allocations in turn; each keeps its own pattern. */
static void test_allocations_do_not_overlap(void **state) {
    (void)state;
    enum { COUNT = 200 };
    Arena *arena = arena_create();
    unsigned char *memory[COUNT];
    size_t sizes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = i % 9 == 0 ? 200000 + i : 1 + 37 * i;
        memory[i] = arena_alloc(arena, sizes[i]);
        memset(memory[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(memory[i][j], (unsigned char)i);
    }
    arena_destroy(arena);
}

static void test_grow_and_push(void **state) {
    (void)state;
    Arena *arena = arena_create();
    int *items = NULL, count = 0, capacity = 0;
    for (int i = 0; i < 1000; i++)
        ARENA_PUSH(arena, items, count, capacity, i * i);
    assert_int_equal(count, 1000);
    for (int i = 0; i < count; i++)
        assert_int_equal(items[i], i * i);
    char *grown = arena_grow(arena, "abc", 3, 6);
    assert_memory_equal(grown, "abc\0\0\0", 6);
    assert_non_null(arena_grow(arena, NULL, 0, 8));
    arena_destroy(arena);
}

static void test_strings(void **state) {
    (void)state;
    Arena *arena = arena_create();
    assert_string_equal(arena_strdup(arena, "sep_conv_3x3"), "sep_conv_3x3");
    assert_string_equal(arena_strndup(arena, "sep_conv_3x3", 3), "sep");
    assert_string_equal(arena_strndup(arena, NULL, 0), "");
    assert_string_equal(arena_printf(arena, "cells.%d._ops.%d", 3, 13), "cells.3._ops.13");
    assert_int_equal(strlen(arena_printf(arena, "%1000d", 1)), 1000);
    arena_destroy(arena);
}

static void test_reset(void **state) {
    (void)state;
    Arena *arena = arena_create();
    arena_reset(arena);
    for (int round = 0; round < 20; round++) {
        for (size_t size = 1; size < 400000; size = size * 3 + 1) {
            unsigned char *memory = arena_alloc(arena, size);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(memory[i], 0);
            memset(memory, 0xff, size);
        }
        arena_reset(arena);
    }
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zeroed_and_aligned),
        cmocka_unit_test(test_allocations_do_not_overlap),
        cmocka_unit_test(test_grow_and_push),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
