/* clock.c: the system's clocks as seconds. */
#include "base/clock.h"

double clock_read(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double clock_now(void) {
    return clock_read(CLOCK_MONOTONIC);
}
