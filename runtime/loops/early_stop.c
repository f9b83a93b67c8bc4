/* early_stop.c: the rules, functions of what was seen so far. */
#include "runtime/loops/early_stop.h"

bool early_stop_has_eigenvalue(int64_t every, int64_t epoch, int64_t epochs) {
    return every > 0 && (epoch % every == 0 || epoch == epochs - 1);
}

static double mean_before(const double *eigenvalues, int64_t last, int64_t window) {
    int64_t first = last + 1 > window ? last + 1 - window : 0;
    double sum = 0;
    for (int64_t i = first; i <= last; i++)
        sum += eigenvalues[i];
    return sum / (double)(last + 1 - first);
}

EarlyStop early_stop_by_eigenvalue(const EarlyStopSettings *rules, int64_t every, int64_t epoch, int64_t epochs,
                                   const double *eigenvalues, int64_t count) {
    const EarlyStop goes_on = {NULL, -1};
    int64_t last = count - 1, before = last - rules->delta, chosen = epoch - every * (rules->window / 2 + rules->delta);
    if (epoch >= epochs - 1 || chosen < rules->start || before < 0)
        return goes_on;
    double ratio = mean_before(eigenvalues, last, rules->window) / mean_before(eigenvalues, before, rules->window);
    return ratio > rules->factor ? (EarlyStop){"eigenvalue", chosen} : goes_on;
}

EarlyStop early_stop_by_skips(const EarlyStopSettings *rules, int64_t epoch, int64_t epochs, const GenotypeCell *cell) {
    bool many = rules->skips > 0 && genotype_count_skips(cell) >= rules->skips;
    return many && epoch < epochs - 1 ? (EarlyStop){"skips", epoch} : (EarlyStop){NULL, -1};
}
