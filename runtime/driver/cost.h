/* cost.h: what the operations of a network cost, or the candidates of a supernet: each compiled by itself, as inference of a batch,
 * and timed on this machine, or estimated for a GPU. */
#ifndef NDARTS_RUNTIME_DRIVER_COST_H
#define NDARTS_RUNTIME_DRIVER_COST_H

#include "runtime/device/cards.h"
#include "runtime/driver/bench.h"

/* One function of the text on one shape: a candidate of edges, or an operation that is called. */
typedef struct CostItem {
    const char *name;         /* sep_conv_3x3_16_1 */
    const char *key;          /* what it computes, and on what: the hash of its graph and of those that it calls */
    const IrNode *user;       /* the first that calls it, or mixes it with others */
    int candidate_of, called; /* how many mixed operations it is a candidate of; how many calls there are */
    int64_t parameters, macs; /* as IrStats counts them; convolutions and linear layers together */
    int64_t memory;           /* bytes of state and values */
    double
        seconds; /* of a pass over the batch: the best, since others on the machine only add; less that of a pass which computes next to nothing */
} CostItem;

typedef struct CostTable {
    int count;
    CostItem *items;          /* in the order of the text's first use */
    double rest;              /* seconds of what is computed outside of them */
    double sum;               /* of the rest and of all calls; candidates are in it, all of them, for each edge */
    double whole;             /* seconds of a pass of the whole network, measured; of a supernet 0 */
    RtProgramOptions options; /* that all were compiled with */
    const Card *card;         /* for which seconds are estimated, not measured; or NULL */
} CostTable;

/* Every function is measured once, and kept in the cache under its key, what else its code depends on, and the processor.
 * With a card nothing runs, nor is anything compiled: seconds are card_estimate's. */
bool cost_measure(Arena *arena, const RtProgramOptions *options, const BenchOptions *bench, const Card *card,
                  CostTable *table, Error *error);
/* "cpu", "cuda:1", "h100, estimated" */
const char *cost_device(Arena *arena, const CostTable *table);

/* cost_table.c: the table as JSON, on one line (docs/cli.md, ndarts-run cost). */
const char *cost_table_text(Arena *arena, const CostTable *table);

#endif
