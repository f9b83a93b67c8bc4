/* bench_table.h: a table of architectures that somebody trained: what each reaches on some sets of images, such as
 * NAS-Bench-201's. It is CSV, plain or packed by gzip, with a heading:
 *
 *     architecture,cifar10,cifar100
 *     |nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|,93.97,71.20 */
#ifndef NDARTS_RUNTIME_REPORT_BENCH_TABLE_H
#define NDARTS_RUNTIME_REPORT_BENCH_TABLE_H

#include "base/error.h"
#include "base/str.h"

typedef struct BenchRow {
    const char *architecture;
    int64_t line;
    const double *accuracies; /* in percent, one for each set */
} BenchRow;

typedef struct BenchTable {
    const char *path;
    int set_count;
    const char *const *sets; /* what the columns behind the first are called */
    StrMap rows;             /* const BenchRow * by architecture, in the order of the file; at least one */
} BenchTable;

/* NULL: ERROR_INPUT, with the line, when it is no such table. */
const BenchTable *bench_table_read(Arena *arena, const char *path, Error *error);
/* The row of exactly this architecture; NULL: there is none. */
const BenchRow *bench_table_find(const BenchTable *table, const char *architecture);
/* 1 and how many architectures are strictly better. */
int64_t bench_table_rank(const BenchTable *table, const BenchRow *row, int set);
/* The first of the best. */
const BenchRow *bench_table_best(const BenchTable *table, int set);

#endif
