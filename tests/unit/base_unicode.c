/* base_unicode.c: UTF-8, and what messages say of characters that are taken for others. */
#include "base/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static size_t decode(const char *text, uint32_t *code) {
    return unicode_decode(text, text + strlen(text), code);
}

static void test_decode(void **state) {
    (void)state;
    static const char *const wrong[] = {"\x80",
                                        "\xc3",
                                        "\xc0\xaf",
                                        "\xe0\x80\xaf",
                                        "\xed\xa0\x80",
                                        "\xf4\x90\x80\x80",
                                        "\xff",
                                        "\xe2\x82",
                                        "\xf0\x8f\xbf\xbf",
                                        ""};
    uint32_t code = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(decode(wrong[i], &code), 0);
    assert_int_equal(decode("a", &code), 1);
    assert_int_equal(code, 'a');
    assert_int_equal(decode("\xc3\xa9", &code), 2);
    assert_int_equal(code, 0xe9);
    assert_int_equal(decode("\xe2\x82\xac!", &code), 3);
    assert_int_equal(code, 0x20ac);
    assert_int_equal(decode("\xf0\x9f\x98\x80", &code), 4);
    assert_int_equal(code, 0x1f600);
}

static void test_meaning(void **state) {
    (void)state;
    static const struct {
        uint32_t code;
        const char *meaning;
    } known[] = {{0xa0, " "},   {0x200b, ""},  {0x201d, "\""}, {0x2212, "-"}, {0xff01, "!"}, {0xff08, "("},
                 {0xff5e, "~"}, {0xff10, "0"}, {0xff21, "A"},  {0xff22, "B"}, {0xff41, "a"}, {0xff3c, "\\"},
                 {0x0430, "a"}, {0x0421, "C"}, {0x2264, "<="}, {0xfeff, ""}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_string_equal(unicode_meaning(known[i].code), known[i].meaning);
    assert_null(unicode_meaning('a'));
    assert_null(unicode_meaning(0xe9));
    assert_null(unicode_meaning(0x0416));
}

static void expect_description(Arena *arena, const char *text, const char *expected) {
    Str out = str_create(arena);
    unicode_describe(&out, text, text + strlen(text));
    assert_string_equal(out.data, expected);
}

static void test_describe(void **state) {
    (void)state;
    Arena *arena = arena_create();
    expect_description(arena, "@", "character '@'");
    expect_description(arena, "\xc3\xa9t", "character '\xc3\xa9' (U+00E9)");
    expect_description(arena, "\xc2\xa0", "U+00A0 (no-break space); use a blank");
    expect_description(arena, "\xe2\x80\x8b", "U+200B (zero-width space); leave it out");
    expect_description(arena, "\xe2\x80\x93", "'\xe2\x80\x93' (U+2013, dash); use '-'");
    expect_description(arena, "\x1b", "U+001B");
    expect_description(arena, "\xe9", "byte 0xe9: this is not UTF-8");
    arena_destroy(arena);
}

static void test_columns(void **state) {
    (void)state;
    assert_int_equal(unicode_columns('a'), 1);
    assert_int_equal(unicode_columns(0x4e2d), 2);
    assert_int_equal(unicode_columns(0xff08), 2);
    assert_int_equal(unicode_columns(0x0301), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode), cmocka_unit_test(test_meaning),
                                       cmocka_unit_test(test_describe), cmocka_unit_test(test_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
