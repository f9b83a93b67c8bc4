/* lookup.h: what a table of architectures says about the genotypes of a search, epoch by epoch. */
#ifndef NDARTS_RUNTIME_REPORT_LOOKUP_H
#define NDARTS_RUNTIME_REPORT_LOOKUP_H

#include "runtime/report/bench_table.h"

typedef struct LookupEpoch {
    int64_t epoch; /* from 0 */
    const char *architecture;
    const BenchRow *row; /* NULL: the table does not have it */
} LookupEpoch;

typedef struct Lookup {
    int count, missing; /* missing: not in the table */
    const LookupEpoch *epochs;
    const LookupEpoch *found; /* whose genotype is that of the search: the last, unless it ended early */
} Lookup;

/* Of FOLDER/genotypes.jsonl. False, with ERROR_INPUT, when there is none, it is of a space whose genotypes are no strings, or the table
 * has none of them. */
bool lookup_search(Arena *arena, const BenchTable *table, const char *folder, Lookup *lookup, Error *error);

#endif
