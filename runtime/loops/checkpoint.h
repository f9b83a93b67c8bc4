/* checkpoint.h: everything a search needs to go on bit by bit, in one safetensors file.
 * Tensors: all parameters, running statistics, alphas and the optimisers' memory under their own names. The rest is in
 * the file's metadata, as strings (docs/cli.md lists them). Draws are counter-based, so the seed and the position are
 * the whole random state. */
#ifndef NDARTS_RUNTIME_LOOPS_CHECKPOINT_H
#define NDARTS_RUNTIME_LOOPS_CHECKPOINT_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/tensor_file.h"
#include "ir/ir.h"
#include "runtime/data/data.h"

#include <stdint.h>

/* Sums over the part of the epoch that is done, for its averages. */
typedef struct SearchSums {
    double loss, alphas_loss, grad_norm;
    int64_t correct, images, alphas_correct, alphas_images, steps;
} SearchSums;

typedef struct Checkpoint {
    uint64_t seed;
    int64_t epoch, epochs;  /* the one in work; how many there are */
    int64_t step;           /* steps of this epoch that are done */
    int64_t batch;          /* of this epoch, the next one: more than step, where whole batches could not be read */
    int64_t alphas_batch;   /* the same of the alphas' images, counted on through all rounds of the epoch */
    int64_t global_step;    /* steps of all epochs that are done */
    int64_t alphas_updates; /* Adam's t */
    SearchSums sums;
    int64_t best_epoch;   /* of a training: the epoch with the best accuracy so far, -1 before the first */
    double best_accuracy; /* 0..1 */
    DataMark data, test;  /* the images of training, and those of testing; zero: not known, or none */
    const char *identity; /* of the module */
    const char *settings; /* checkpoint_settings of the text */
    const char *costs;    /* of a search for a latency: cost_hash; "" of others, NULL: not known */
    TensorFile tensors;
} Checkpoint;

/* Atomic: after a failure (ERROR_MACHINE) an earlier file of that name is as it was. */
bool checkpoint_write(const char *path, const Checkpoint *checkpoint, Error *error);
/* A missing, truncated or altered file is ERROR_INPUT. One of an earlier version lacks the marks and the batches, which
 * are then as many as steps. */
bool checkpoint_read(Arena *arena, const char *path, Checkpoint *checkpoint, Error *error);

/* Of the tensors' names, types, shapes and data, in any order. */
uint64_t checkpoint_hash(const TensorFile *tensors);

/* The settings of a text, as a textual module without graphs: lines "set key = value". */
const char *checkpoint_settings(Arena *arena, const IrModule *module);
/* Back to a module; mistakes are ERROR_INPUT in the name of path. */
IrModule *checkpoint_parse_settings(Arena *arena, const char *path, const char *text, Error *error);
/* The first setting in which two such texts differ, data.path and what candidates cost aside: "search.epochs is 50 here, 20 in the checkpoint";
 * NULL when none. */
const char *checkpoint_compare_settings(Arena *arena, const char *here, const char *there);

#endif
