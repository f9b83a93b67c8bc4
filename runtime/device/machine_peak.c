/* machine_peak.c: the most multiply-adds that the machine does: as many chains of them in registers as hide their
 * latency. Compiled with contraction of a * x + y, unlike everything else: the sums are thrown away. */
#include "runtime/device/machine.h"

#include "base/clock.h"

#include <pthread.h>

enum { MOST_THREADS = 256, REPEATS = 5 };
static const double repeat_operations = 1.5e9;

/* double NAME(rounds): COUNT accumulators of BYTES bytes, `rounds` multiply-adds on each. */
#define CHAINS(NAME, TARGET, BYTES, COUNT)                                                                             \
    typedef float NAME##_vector __attribute__((vector_size(BYTES)));                                                   \
    TARGET __attribute__((noinline)) static float NAME(long rounds) {                                                  \
        NAME##_vector a[COUNT];                                                                                        \
        for (int i = 0; i < COUNT; i++)                                                                                \
            for (int lane = 0; lane < BYTES / 4; lane++)                                                               \
                a[i][lane] = (float)i;                                                                                 \
        NAME##_vector x = a[1] * 1e-9f + 1.0f, y = a[2] * 1e-9f;                                                       \
        for (long r = 0; r < rounds; r++) {                                                                            \
            _Pragma("GCC unroll 24") for (int i = 0; i < COUNT; i++) a[i] = a[i] * x + y;                              \
        }                                                                                                              \
        float sum = 0;                                                                                                 \
        for (int i = 0; i < COUNT; i++)                                                                                \
            sum += a[i][0];                                                                                            \
        return sum;                                                                                                    \
    }

#if defined(__x86_64__)
CHAINS(chains_64, __attribute__((target("avx512f"))), 64, 24)
CHAINS(chains_32, __attribute__((target("avx2,fma"))), 32, 12)
#endif
CHAINS(chains_16, , 16, 12)

typedef struct Chains {
    float (*run)(long rounds);
    double operations; /* of a round */
} Chains;

static Chains choose_chains(void) {
#if defined(__x86_64__)
    if (machine_vector_bytes() == 64)
        return (Chains){chains_64, 2.0 * 16 * 24};
    if (machine_vector_bytes() == 32)
        return (Chains){chains_32, 2.0 * 8 * 12};
#endif
    return (Chains){chains_16, 2.0 * 4 * 12};
}

/* Operations per second, the best of several tries. */
static void *measure_thread(void *best) {
    Chains chains = choose_chains();
    long rounds = (long)(repeat_operations / chains.operations);
    for (int i = 0; i < REPEATS; i++) {
        double start = clock_now();
        volatile float kept = chains.run(rounds);
        (void)kept;
        double rate = chains.operations * (double)rounds / (clock_now() - start);
        if (rate > *(double *)best)
            *(double *)best = rate;
    }
    return NULL;
}

double machine_measure_peak(int threads) {
    pthread_t thread[MOST_THREADS];
    double rate[MOST_THREADS] = {0}, sum = 0;
    int started = 0;
    threads = threads < MOST_THREADS ? threads : MOST_THREADS;
    while (started < threads && pthread_create(&thread[started], NULL, measure_thread, &rate[started]) == 0)
        started++;
    for (int i = 0; i < started; i++) {
        pthread_join(thread[i], NULL);
        sum += rate[i];
    }
    return started > 0 ? sum * threads / started : 0;
}
