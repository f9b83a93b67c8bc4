/* The pool of threads, and a process that is forked while it is there. */
#include "runtime/device/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, ROUNDS = 100, SECONDS = 30 };

typedef struct Job {
    RtThreads *threads;
    atomic_int before;
    int after[THREADS]; /* how many each saw behind the barrier */
} Job;

static void count(void *argument, int thread) {
    Job *job = argument;
    atomic_fetch_add(&job->before, 1);
    rt_threads_barrier(job->threads);
    job->after[thread] = job->before;
}

/* Every thread takes part once. */
static bool works(RtThreads *threads) {
    Error error = {0};
    for (int round = 0; round < ROUNDS; round++) {
        Job job = {.threads = threads};
        if (!rt_threads_run(threads, count, &job, &error))
            return false;
        for (int i = 0; i < THREADS; i++)
            if (job.after[i] != THREADS)
                return false;
    }
    return true;
}

/* What body says in a child; one that hangs is killed by the alarm. */
static bool in_child(bool (*body)(RtThreads *), RtThreads *threads) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(SECONDS);
        _exit(body(threads) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status == 0;
}

static bool close_only(RtThreads *threads) {
    rt_threads_destroy(threads);
    return true;
}

static bool work_and_close(RtThreads *threads) {
    bool ok = works(threads) && in_child(works, threads) && works(threads);
    rt_threads_destroy(threads);
    return ok;
}

static void test_fork(void **state) {
    (void)state;
    Error error = {0};
    RtThreads *threads = rt_threads_create(THREADS, &error);
    assert_non_null(threads);
    assert_true(in_child(close_only, threads));
    assert_true(works(threads));
    usleep(10000); /* the workers sleep */
    assert_true(in_child(close_only, threads));
    assert_true(in_child(work_and_close, threads));
    assert_true(works(threads));
    rt_threads_destroy(threads);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fork)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
