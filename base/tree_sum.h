/* tree_sum.h: the order in which the sums of chunks are added up (passes/split_reductions.c), here for whoever has some of
 * the chunks only: rows 2i and 2i + 1 first, then such pairs likewise, and so on; what has no neighbour waits. Compiled
 * modules do the same (codegen/c/prelude_c.c). */
#ifndef NDARTS_BASE_TREE_SUM_H
#define NDARTS_BASE_TREE_SUM_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TREE_SUM_WIDTH = 64,  /* so many sums are computed side by side */
    TREE_SUM_MESSAGES = 4 /* so many messages with rows of sums are under way between ranks, at most */
};

/* Into how few rows a rank can add up its chunks, when all ranks have as many of them: every power of two that divides
 * their number is a whole branch of the tree, wherever they begin. */
int64_t tree_sum_rows(int64_t chunks);

/* sums[i] of element i of all rows, `count` (at most TREE_SUM_WIDTH) elements side by side in a row, which begins `stride`
 * elements behind the one before it; f64: elements are doubles, else floats. */
void tree_sum(const void *rows, bool f64, int64_t row_count, int64_t stride, int count, double *sums);

#endif
