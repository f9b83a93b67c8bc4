/* runtime_child.c: work in a process of its own: results, errors, crashes, and that its memory is its own. */
#include "runtime/driver/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { LARGE = 96 << 20 };

static bool fill_memory(void *data, Error *error) {
    char *memory = malloc(LARGE);
    if (!memory)
        return error_set(error, ERROR_MACHINE, "no memory");
    memset(memory, 1, LARGE);
    *(int *)data = memory[LARGE / 2];
    return true;
}

static long resident_kilobytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void test_memory_is_its_own(void **state) {
    (void)state;
    Error error = {0};
    int changed = 0;
    long before = resident_kilobytes();
    assert_true(child_run(fill_memory, &changed, NULL, &error));
    assert_int_equal(error.kind, ERROR_NONE);
    assert_int_equal(changed, 0);
    assert_true(resident_kilobytes() - before < LARGE / 1024 / 4);
}

static bool find_mistake(void *data, Error *error) {
    return error_set(error, ERROR_INPUT, "there is no %s", (const char *)data);
}

static void test_errors_come_back(void **state) {
    (void)state;
    Error error = {0};
    assert_false(child_run(find_mistake, "elephant", NULL, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_string_equal(error.message, "there is no elephant");
}

static bool crash(void *data, Error *error) {
    (void)data, (void)error;
    raise(SIGKILL);
    return true;
}

static bool leave(void *data, Error *error) {
    (void)data, (void)error;
    _Exit(7);
}

static void test_crashes(void **state) {
    (void)state;
    Error error = {0};
    assert_false(child_run(crash, NULL, NULL, &error));
    assert_int_equal(error.kind, ERROR_MACHINE);
    assert_string_equal(error.message, "the process that compiles was killed by signal 9");
    error = (Error){0};
    assert_false(child_run(leave, NULL, NULL, &error));
    assert_string_equal(error.message, "the process that compiles ended with status 7");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_its_own),
        cmocka_unit_test(test_errors_come_back),
        cmocka_unit_test(test_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
