/* base_json.c: strings of any bytes in JSON and back, and numbers that JSON has none for. */
#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect_text(const char *bytes, const char *text) {
    Arena *arena = arena_create();
    json_t *value = json_text(bytes);
    assert_string_equal(json_string_value(value), text);
    assert_string_equal(json_bytes(arena, json_string_value(value)), bytes);
    json_decref(value);
    arena_destroy(arena);
}

static void test_text(void **state) {
    (void)state;
    expect_text("", "");
    expect_text("runs/a b\n\"c\" \xc3\xa9", "runs/a b\n\"c\" \xc3\xa9");
    expect_text("C:\\new\\path\\", "C:\\new\\path\\");
    expect_text("caf\xe9", "caf\\xe9");
    expect_text("\xff\xfe/\xc3", "\\xff\\xfe/\\xc3");
    expect_text("\\xe9 and \xe9", "\\x5cxe9 and \\xe9");
    expect_text("\\\\x41\\x", "\\\\x5cx41\\x5cx");
}

/* Every two bytes, alone and in the middle of others. */
static void test_all_bytes(void **state) {
    (void)state;
    Arena *arena = arena_create();
    for (int i = 1; i < 256; i++) {
        for (int j = 1; j < 256; j++) {
            char bytes[] = {'a', (char)i, (char)j, '\\', 'x', (char)i, 0};
            json_t *value = json_text(bytes);
            assert_non_null(value);
            assert_string_equal(json_bytes(arena, json_string_value(value)), bytes);
            json_decref(value);
        }
        arena_reset(arena);
    }
    arena_destroy(arena);
}

static void test_whole(void **state) {
    (void)state;
    Arena *arena = arena_create();
    json_t *object = json_object(), *list = json_array();
    json_append(list, json_number(0.5));
    json_append(list, json_number(NAN));
    json_append(list, json_number(-INFINITY));
    json_add(object, "list", list);
    json_add(object, "name \xff", json_text("\xe9"));
    assert_string_equal(json_print(arena, object, JSON_COMPACT),
                        "{\"list\":[0.5,null,null],\"name \\\\xff\":\"\\\\xe9\"}");
    assert_null(json_bytes(arena, NULL));
    json_decref(object);
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_all_bytes),
        cmocka_unit_test(test_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
