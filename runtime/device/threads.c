/* threads.c: the worker pool. A job is announced by a new generation number; workers wait for it by spinning for about
 * a tenth of a millisecond and then on a condition variable. A barrier counts arrivals and flips its own generation. A
 * thread that has spun for long yields, since another program may have its core; with more threads than cores it does
 * so soon. */
#include "runtime/device/threads.h"

#include "runtime/device/machine.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SPINS_BEFORE_SLEEP = 4000, SPINS_BEFORE_YIELD = 20000, SPINS_CROWDED = 20, CACHE_LINE = 64 };

struct RtThreads {
    int count;
    int spins;          /* before a thread that waits yields */
    pthread_t *workers; /* count - 1 */
    RtJob *job;
    void *argument;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop; /* written before a new generation is announced */
    _Alignas(CACHE_LINE) atomic_uint generation;
    _Alignas(CACHE_LINE) atomic_int finished;
    _Alignas(CACHE_LINE) atomic_int arrived;
    _Alignas(CACHE_LINE) atomic_uint phase;
};

typedef struct Worker {
    RtThreads *threads;
    int number;
} Worker;

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits until *value differs from old. */
static void spin_while_equal(atomic_uint *value, unsigned old, int spins) {
    for (int i = 0; atomic_load_explicit(value, memory_order_acquire) == old; i++) {
        if (i < spins)
            pause_briefly();
        else
            sched_yield();
    }
}

static void wait_for_job(RtThreads *t, unsigned seen) {
    for (int i = 0; i < SPINS_BEFORE_SLEEP; i++) {
        if (atomic_load_explicit(&t->generation, memory_order_acquire) != seen)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&t->mutex);
    while (atomic_load_explicit(&t->generation, memory_order_acquire) == seen)
        pthread_cond_wait(&t->wake, &t->mutex);
    pthread_mutex_unlock(&t->mutex);
}

static void *worker_main(void *argument) {
    Worker worker = *(Worker *)argument;
    free(argument);
    RtThreads *t = worker.threads;
    for (unsigned seen = 0;; seen++) {
        wait_for_job(t, seen);
        if (t->stop)
            return NULL;
        t->job(t->argument, worker.number);
        atomic_fetch_add_explicit(&t->finished, 1, memory_order_release);
    }
}

static void announce(RtThreads *t) {
    pthread_mutex_lock(&t->mutex);
    atomic_fetch_add_explicit(&t->generation, 1, memory_order_release);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

static bool start_worker(RtThreads *t, int number) {
    Worker *worker = malloc(sizeof *worker);
    if (!worker)
        return false;
    *worker = (Worker){t, number};
    if (pthread_create(&t->workers[number - 1], NULL, worker_main, worker) == 0)
        return true;
    free(worker);
    return false;
}

RtThreads *rt_threads_create(int count, Error *error) {
    RtThreads *t = aligned_alloc(CACHE_LINE, sizeof *t);
    pthread_t *workers = calloc((size_t)count, sizeof *workers);
    if (!t || !workers) {
        free(t);
        free(workers);
        error_set(error, ERROR_MACHINE, "out of memory for %d threads", count);
        return NULL;
    }
    *t = (RtThreads){.count = 1, .workers = workers};
    t->spins = count > machine_core_count() ? SPINS_CROWDED : SPINS_BEFORE_YIELD;
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->wake, NULL);
    for (; t->count < count; t->count++) {
        if (!start_worker(t, t->count)) {
            error_set(error, ERROR_MACHINE, "cannot start thread %d of %d", t->count + 1, count);
            rt_threads_destroy(t);
            return NULL;
        }
    }
    return t;
}

void rt_threads_destroy(RtThreads *t) {
    if (!t)
        return;
    t->stop = true;
    announce(t);
    for (int i = 0; i < t->count - 1; i++)
        pthread_join(t->workers[i], NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->mutex);
    free(t->workers);
    free(t);
}

int rt_threads_count(const RtThreads *t) {
    return t->count;
}

void rt_threads_run(RtThreads *t, RtJob *job, void *argument) {
    if (t->count == 1) {
        job(argument, 0);
        return;
    }
    t->job = job;
    t->argument = argument;
    atomic_store_explicit(&t->finished, 0, memory_order_relaxed);
    announce(t);
    job(argument, 0);
    for (int i = 0; atomic_load_explicit(&t->finished, memory_order_acquire) < t->count - 1; i++) {
        if (i < t->spins)
            pause_briefly();
        else
            sched_yield();
    }
}

void rt_threads_barrier(RtThreads *t) {
    if (t->count == 1)
        return;
    unsigned phase = atomic_load_explicit(&t->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) == t->count - 1) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&t->phase, phase + 1, memory_order_release);
    } else {
        spin_while_equal(&t->phase, phase, t->spins);
    }
}
