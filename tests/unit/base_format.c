/* base_format.c: format_text says what vsnprintf says, in any room. */
#include "base/format.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 100 };

static void check(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void check(const char *format, ...) {
    for (size_t size = 0; size <= ROOM; size++) {
        char got[ROOM + 1], wanted[ROOM + 1];
        memset(got, 'x', sizeof got);
        memset(wanted, 'x', sizeof wanted);
        va_list args, again;
        va_start(args, format);
        va_copy(again, args);
        int length = format_text(got, size, format, args), expected = vsnprintf(wanted, size, format, again);
        va_end(again);
        va_end(args);
        assert_int_equal(length, expected);
        if (size)
            assert_string_equal(got, wanted);
        /* Nothing behind the room; what of the room is behind the text may be anything. */
        assert_int_equal(got[size], 'x');
    }
}

static void test_simple(void **state) {
    (void)state;
    check("plain");
    check("%s", "");
    check("%s and %s%s", "one", "two", "three");
    check("100 %% of %d%%", 7);
    check("%c%c", 'a', 'b');
    check("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
    check("%lld %lld %lld", 0LL, LLONG_MAX, LLONG_MIN);
    check("%ld %ld", LONG_MAX, LONG_MIN);
    check("%zu %zu", (size_t)0, (size_t)-1);
    check("%.*s|%.*s|%.*s", 2, "three", 9, "three", -1, "three");
    check("nd_k%d(x + %lld * %s, %.*s);\n", 12, 345678901234LL, "width", 1, "yz");
}

static void test_left_to_printf(void **state) {
    (void)state;
    check("%5d|%-5s|%05.1f", 3, "ab", 2.25);
    check("%x %u %lu", 255u, 7u, 3ul);
    check("%.2s %.*f", "three", 2, 1.5);
    check("%s %g", "both", 0.1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_simple), cmocka_unit_test(test_left_to_printf)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
