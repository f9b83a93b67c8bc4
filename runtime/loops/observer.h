/* observer.h: who watches a run that is part of another program. Such a run catches no signals: it asks its observer
 * whether to end, and tells it what a terminal would show. */
#ifndef NDARTS_RUNTIME_LOOPS_OBSERVER_H
#define NDARTS_RUNTIME_LOOPS_OBSERVER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct RunStep {
    int64_t epoch, epochs, step, steps; /* so many steps of the epoch are done, of so many */
    double loss, accuracy;              /* means of the epoch so far; accuracy in 0..1 */
    double images_per_second;           /* of the run so far */
} RunStep;

/* An epoch that is complete, and written down. */
typedef struct RunEpoch {
    int64_t epoch, epochs;             /* epoch counts from 0 */
    const char *metrics;               /* its line of metrics.jsonl */
    const char *genotype;              /* of a search; else NULL */
    double seconds, images_per_second; /* that it took; of its steps */
} RunEpoch;

/* Called in the thread of the run. Functions may be NULL. */
typedef struct RunObserver {
    void *context;
    bool (*stop)(void *context); /* asked before every step and every batch that is evaluated */
    void (*step)(void *context, const RunStep *step);
    void (*epoch)(void *context, const RunEpoch *epoch);
} RunObserver;

#endif
