/* base_str.c: growable text, shortest doubles, maps. */
#include "base/hash.h"
#include "base/str.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Arena *arena;

static int create_arena(void **state) {
    (void)state;
    arena = arena_create();
    return 0;
}

static int destroy_arena(void **state) {
    (void)state;
    arena_destroy(arena);
    return 0;
}

static const char *show_double(double value) {
    Str s = str_create(arena);
    str_add_double(&s, value);
    return s.data;
}

static void test_append(void **state) {
    (void)state;
    Str s = str_create(arena);
    assert_string_equal(s.data, "");
    for (int i = 0; i < 1000; i++) {
        str_add(&s, "ab");
        str_add_bytes(&s, "cde", 1);
        str_addf(&s, "%d", i % 10);
    }
    assert_int_equal(s.length, 4000);
    assert_int_equal(strlen(s.data), 4000);
    assert_memory_equal(s.data + 3992, "abc8abc9", 9);
    str_addf(&s, "%5000s", "x");
    assert_int_equal(strlen(s.data), 9000);
    str_addf(&s, "%s", "");
    assert_int_equal(s.length, 9000);
}

/* One byte more or less than the capacity, from every length. */
static void test_append_at_the_edge(void **state) {
    (void)state;
    for (int length = 0; length < 140; length++) {
        Str s = str_create(arena);
        str_addf(&s, "%*s", length, "");
        str_addf(&s, "%s", "x");
        str_add(&s, "y");
        assert_int_equal(s.length, length + 2);
        assert_string_equal(s.data + length, "xy");
    }
}

static void test_doubles_known(void **state) {
    (void)state;
    const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {0.1, "0.1"},
        {1e-3, "0.001"},
        {1e20, "1e+20"},
        {1e16, "1e+16"},
        {123456.0, "123456.0"},
        {-2.5, "-2.5"},
        {1.0 / 3, "0.3333333333333333"},
        {5e-324, "5e-324"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {3e-4, "0.0003"},
        {0.30000000000000004, "0.30000000000000004"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(show_double(cases[i].value), cases[i].text);
}

/* The digits between the first and the last that is not zero. */
static int count_significant(const char *text) {
    int count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text == '-' || *text == '.' || (*text == '0' && count == 0))
            continue;
        count++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return count - zeros;
}

/* Random bit patterns and short decimals read back to themselves, and no fewer digits do. */
static void test_doubles_round_trip(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t bits = hash_fnv1a(&i, sizeof i);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (i % 2)
            value = ldexp((double)(bits % 100000), (int)(i % 40) - 20);
        if (!isfinite(value) || value == 0)
            continue;
        const char *text = show_double(value);
        assert_true(strtod(text, NULL) == value);
        assert_non_null(strpbrk(text, ".e"));
        char fewer[40];
        snprintf(fewer, sizeof fewer, "%.*e", count_significant(text) - 2, value);
        assert_true(count_significant(text) == 1 || strtod(fewer, NULL) != value);
    }
}

static void test_quoted(void **state) {
    (void)state;
    Str s = str_create(arena);
    str_add_quoted(&s, "a\"b\\c\nd\te\x01\x7f\xc3\xa9");
    assert_string_equal(s.data, "\"a\\\"b\\\\c\\nd\\te\\x01\\x7f\xc3\xa9\"");
    s = str_create(arena);
    str_add_quoted(&s, "caf\xe9 \xe2\x82");
    assert_string_equal(s.data, "\"caf\\xe9 \\xe2\\x82\"");
}

/* The ends of every row of the table of well-formed sequences, and what lies just outside. */
static void test_utf8(void **state) {
    (void)state;
    static const char *const good[] = {"a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xec\xbf\xbf",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf3\xbf\xbf\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(str_utf8_length(good[i]), strlen(good[i]));
    static const char *const bad[] = {"",
                                      "\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2"
                                      "a",
                                      "\xc2\xc0",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xe2\x82",
                                      "\xe2\x82"
                                      "a",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xf0\x90\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(str_utf8_length(bad[i]), 0);
    assert_int_equal(str_hex_byte("e9"), 0xe9);
    assert_int_equal(str_hex_byte("E9x"), 0xe9);
    assert_int_equal(str_hex_byte("0"), -1);
    assert_int_equal(str_hex_byte("g0"), -1);
}

static void test_predicates(void **state) {
    (void)state;
    assert_true(str_equal("a", "a"));
    assert_false(str_equal("a", "ab"));
    assert_true(str_starts_with("search.epochs", "search."));
    assert_false(str_starts_with("sea", "search."));
    assert_true(str_starts_with("x", ""));
    assert_true(str_ends_with("w.safetensors", ".safetensors"));
    assert_false(str_ends_with("s", "ss"));
    assert_true(str_ends_with("", ""));
}

static void test_bytes(void **state) {
    static const struct {
        const char *text;
        int64_t bytes;
    } right[] = {{"1", 1}, {"1500", 1500}, {"64K", 64000}, {"1.5M", 1500000}, {"0.002G", 2000000}, {"2G", 2000000000}};
    static const char *const wrong[] = {"", "0", "-1", "K", "1k", "1MB", "1 M", " 1", "+1", "0.1", "1e30", "inf"};
    int64_t bytes;
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_true(str_parse_bytes(right[i].text, &bytes));
        assert_int_equal(bytes, right[i].bytes);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(str_parse_bytes(wrong[i], &bytes));
}

static void test_map(void **state) {
    (void)state;
    StrMap map = str_map_create(arena);
    static int values[5000];
    char key[32];
    assert_null(str_map_get(&map, "absent"));
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        str_map_set(&map, key, &values[i]);
    }
    str_map_set(&map, "key7", &values[8]);
    str_map_set(&map, "", &values[1]);
    assert_int_equal(map.count, 5001);
    assert_ptr_equal(str_map_get(&map, "key7"), &values[8]);
    assert_ptr_equal(str_map_get(&map, ""), &values[1]);
    assert_null(str_map_get(&map, "key5000"));
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        assert_string_equal(map.entries[i].key, key);
        assert_ptr_equal(str_map_get(&map, key), &values[i == 7 ? 8 : i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),        cmocka_unit_test(test_append_at_the_edge),
        cmocka_unit_test(test_doubles_known), cmocka_unit_test(test_doubles_round_trip),
        cmocka_unit_test(test_quoted),        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_predicates),    cmocka_unit_test(test_map),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, create_arena, destroy_arena);
}
