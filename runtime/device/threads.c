/* threads.c: the worker pool. A job is announced by a new generation number; workers wait for it by spinning for about
 * a tenth of a millisecond and then on a condition variable. A barrier counts arrivals and flips its own generation. A
 * thread that has spun for long yields, since another program may have its core; with more threads than cores it does
 * so soon.
 *
 * A process that fork makes has the pool's memory, but of its threads only the one that forked. There the workers are not
 * waited for, and the next job starts others; the mutex and the condition are made anew, for what the old ones say is of
 * threads that are not there. */
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
    int started;        /* so many of them, */
    unsigned forks;     /* after so many forks: other than now, and they are of another process */
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

/* Of this process and those that it comes from; counted in each child, so that a job need not ask for its process. */
static atomic_uint forks;

static void count_fork(void) {
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, count_fork);
}

static bool is_of_this_process(const RtThreads *t) {
    return t->forks == atomic_load_explicit(&forks, memory_order_relaxed);
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

static void stop_workers(RtThreads *t) {
    if (t->started && is_of_this_process(t)) {
        t->stop = true;
        announce(t);
        for (int i = 0; i < t->started; i++)
            pthread_join(t->workers[i], NULL);
        pthread_cond_destroy(&t->wake);
        pthread_mutex_destroy(&t->mutex);
    }
    t->started = 0;
}

/* All of them, or none. */
static bool start_workers(RtThreads *t, Error *error) {
    *t = (RtThreads){.count = t->count, .spins = t->spins, .workers = t->workers};
    t->forks = atomic_load_explicit(&forks, memory_order_relaxed);
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->wake, NULL);
    for (; t->started < t->count - 1; t->started++) {
        if (!start_worker(t, t->started + 1)) {
            error_set(error, ERROR_MACHINE, "cannot start thread %d of %d", t->started + 2, t->count);
            stop_workers(t);
            return false;
        }
    }
    return true;
}

RtThreads *rt_threads_create(int count, Error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    RtThreads *t = aligned_alloc(CACHE_LINE, sizeof *t);
    pthread_t *workers = calloc((size_t)count, sizeof *workers);
    if (!t || !workers) {
        free(t);
        free(workers);
        error_set(error, ERROR_MACHINE, "out of memory for %d threads", count);
        return NULL;
    }
    *t = (RtThreads){.count = count, .workers = workers};
    t->spins = count > machine_core_count() ? SPINS_CROWDED : SPINS_BEFORE_YIELD;
    if (start_workers(t, error))
        return t;
    free(workers);
    free(t);
    return NULL;
}

void rt_threads_destroy(RtThreads *t) {
    if (!t)
        return;
    stop_workers(t);
    free(t->workers);
    free(t);
}

int rt_threads_count(const RtThreads *t) {
    return t->count;
}

bool rt_threads_run(RtThreads *t, RtJob *job, void *argument, Error *error) {
    if (t->count == 1) {
        job(argument, 0);
        return true;
    }
    bool there = t->started == t->count - 1 && is_of_this_process(t);
    if (!there && !start_workers(t, error))
        return false;
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
    return true;
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
