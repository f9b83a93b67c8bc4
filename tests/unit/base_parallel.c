/* base_parallel.c: pieces of work beside each other: all are done, each is told what its caller is, and leaves as it would. */
#include "base/parallel.h"

#include "base/arena.h"
#include "base/cancel.h"
#include "base/diag.h"
#include "base/memory.h"

#include <locale.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 7 };

typedef struct Pieces {
    int done[COUNT];
    bool told[COUNT];
    FILE *stream;
    int without_memory; /* which of them finds none; -1: none */
} Pieces;

static void work(void *data, int index) {
    Pieces *p = data;
    p->told[index] = diag_stream() == p->stream && cancel_wanted() && strtod("0.5", NULL) == 0.5;
    if (index == p->without_memory)
        memory_fail(8);
    p->done[index]++;
}

static bool wanted(void *context) {
    return *(bool *)context;
}

static void check_all(const Pieces *p) {
    for (int i = 0; i < COUNT; i++) {
        assert_true(p->told[i]);
        assert_int_equal(p->done[i], i != p->without_memory);
    }
}

static void test_all_are_done_and_told(void **state) {
    (void)state;
    bool yes = true;
    const Cancel asked = {wanted, &yes};
    Pieces p = {.stream = tmpfile(), .without_memory = -1};
    cancel = &asked;
    diag_redirected = p.stream;
    parallel_run(COUNT, work, &p);
    parallel_run(0, work, &p);
    diag_redirected = NULL;
    cancel = NULL;
    fclose(p.stream);
    check_all(&p);
}

/* Whichever piece it is, the others end first, and the caller leaves by its own way. */
static void test_without_memory(void **state) {
    (void)state;
    bool yes = true;
    const Cancel asked = {wanted, &yes};
    for (volatile int failing = 0; failing < 2; failing++) {
        Pieces p = {.stream = stderr, .without_memory = failing};
        jmp_buf escape;
        volatile bool left = false;
        cancel = &asked;
        arena_escape = &escape;
        if (setjmp(escape))
            left = true;
        else
            parallel_run(COUNT, work, &p);
        arena_escape = NULL;
        cancel = NULL;
        assert_true(left);
        check_all(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_are_done_and_told),
                                       cmocka_unit_test(test_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
