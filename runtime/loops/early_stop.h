/* early_stop.h: when a search ends before its time, and what it returns then. */
#ifndef NDARTS_RUNTIME_LOOPS_EARLY_STOP_H
#define NDARTS_RUNTIME_LOOPS_EARLY_STOP_H

#include "ir/settings.h"
#include "passes/derive.h"

typedef struct EarlyStop {
    const char *rule;    /* "eigenvalue", "skips"; NULL: the search goes on */
    int64_t genotype_of; /* the epoch whose genotype is returned */
} EarlyStop;

/* Whether an eigenvalue belongs to this epoch: every so many, from the first, and in the last. */
bool early_stop_has_eigenvalue(int64_t every, int64_t epoch, int64_t epochs);

/* RobustDARTS (Zela et al., 2020). m(k): the mean of the last `window` eigenvalues up to number k, of all while there are
 * fewer. After epoch e, number k, the search ends when m(k) / m(k - delta) > factor, and returns the genotype of the epoch in
 * the middle of the earlier window, e - every (window / 2 + delta), unless that comes before `start`. The last epoch ends by
 * itself. eigenvalues: those of all epochs up to this one, in order. */
EarlyStop early_stop_by_eigenvalue(const EarlyStopSettings *rules, int64_t every, int64_t epoch, int64_t epochs,
                                   const double *eigenvalues, int64_t count);
/* DARTS+ (Liang et al., 2019), its first criterion: the normal cell (the first kind) has `skips` skip connections or more.
 * Returns the genotype at hand. */
EarlyStop early_stop_by_skips(const EarlyStopSettings *rules, int64_t epoch, int64_t epochs, const GenotypeCell *cell);

#endif
