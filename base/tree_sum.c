/* tree_sum.c: see tree_sum.h. waiting[l] is the sum of 2^l rows that has no neighbour yet; a row that comes takes what waits
 * for it along, as adding 1 carries in a binary number. */
#include "base/tree_sum.h"

#include <string.h>

enum { MOST_LEVELS = 40 };

typedef double Sums[TREE_SUM_WIDTH];

int64_t tree_sum_rows(int64_t chunks) {
    while (chunks % 2 == 0)
        chunks /= 2;
    return chunks;
}

static void load(const void *rows, bool f64, int64_t at, int count, double *sum) {
    for (int i = 0; i < count; i++)
        sum[i] = f64 ? ((const double *)rows)[at + i] : (double)((const float *)rows)[at + i];
}

static void add(const double *before, int count, double *sum) {
    for (int i = 0; i < count; i++)
        sum[i] = before[i] + sum[i];
}

void tree_sum(const void *rows, bool f64, int64_t row_count, int64_t stride, int count, double *sums) {
    Sums waiting[MOST_LEVELS], sum;
    size_t bytes = sizeof *sum * (size_t)count;
    for (int64_t row = 0; row < row_count; row++) {
        int level = 0;
        load(rows, f64, row * stride, count, sum);
        for (; row >> level & 1; level++)
            add(waiting[level], count, sum);
        memcpy(waiting[level], sum, bytes);
    }
    bool any = false;
    for (int level = 0; row_count >> level; level++) {
        if (!(row_count >> level & 1))
            continue;
        if (any)
            add(waiting[level], count, sums);
        else
            memcpy(sums, waiting[level], bytes);
        any = true;
    }
}
