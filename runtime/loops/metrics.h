/* metrics.h: what a search leaves behind for programs to read: one JSON object per line and epoch.
 * Nothing in these files depends on time or on the number of threads, except timing.jsonl. */
#ifndef NDARTS_RUNTIME_LOOPS_METRICS_H
#define NDARTS_RUNTIME_LOOPS_METRICS_H

#include "runtime/driver/runtime.h"

#include <jansson.h>

/* What the network that a search finds is expected to cost (passes/objective.c). */
typedef struct MetricsObjective {
    const char *output;        /* of the graph eval */
    const char *key;           /* in metrics.jsonl */
    const char *target;        /* the setting */
    const char *before, *unit; /* of the number in a line of words: "latency ", "ms" */
    const char *title;         /* of its curve */
} MetricsObjective;
enum { METRICS_OBJECTIVES = 3 };
extern const MetricsObjective metrics_objectives[METRICS_OBJECTIVES];

typedef struct EpochMetrics {
    int64_t epoch, steps, alphas_updates;
    bool frozen; /* the alphas did not move */
    double lr, alphas_lr;
    double train_loss, train_accuracy, grad_norm; /* means over the epoch; accuracies in 0..1 */
    double alphas_loss, alphas_accuracy;          /* on the batches that moved the alphas; NaN when frozen */
    double valid_loss, valid_accuracy;            /* after the epoch, evaluation mode */
    double alphas_entropy;                        /* mean over edges; log(candidates) when uniform */
    double eigenvalue;                            /* of the alphas' Hessian; NaN: none was computed */
    double expected[METRICS_OBJECTIVES];          /* NaN: it is no objective */
    const char *stopped_by;                       /* the rule that ends the search here; or NULL */
    int64_t genotype_of;                          /* and the epoch whose genotype it returns */
} EpochMetrics;

/* Of one epoch of a training. */
typedef struct TrainMetrics {
    int64_t epoch, steps;
    double lr, drop_path; /* of its last step */
    double train_loss, train_accuracy, grad_norm;
    const char *valid_data; /* what the next are of: "test", "hold_out" */
    double valid_loss, valid_accuracy, valid_accuracy5;
    int64_t best_epoch;
    double best_accuracy;
} TrainMetrics;

/* All append one line; ERROR_MACHINE when it cannot be written. */
bool metrics_append_line(const char *path, json_t *line, Error *error); /* takes line */
bool metrics_append(const char *path, const EpochMetrics *metrics, Error *error);
bool metrics_append_train(const char *path, const TrainMetrics *metrics, Error *error);
/* The lines that these append. */
const char *metrics_line(Arena *arena, const EpochMetrics *metrics);
const char *metrics_train_line(Arena *arena, const TrainMetrics *metrics);
bool metrics_append_timing(const char *path, int64_t epoch, double seconds, double images_per_second, Error *error);
/* The weights of every alpha parameter (derive_weigh), a row per edge with a number per candidate, under the parameter's name:
 * {"epoch": 0, "alphas_normal": [[...], ...]}. settings: of the text, for the candidates of each edge. */
bool metrics_append_alphas(const char *path, int64_t epoch, const RtProgram *program, const IrModule *settings,
                           Error *error);
/* Removes the lines of this epoch and later ones, and what is no JSON: before a search goes on. *found is how many of
 * the epochs before have a line; without the file, none. */
bool metrics_trim(const char *path, int64_t epoch, int64_t *found, Error *error);
/* The lines that are JSON objects, as an array that the caller gives back. NULL when there is no such file, or with an
 * error when it cannot be read. */
json_t *metrics_load(Arena *arena, const char *path, Error *error);
json_t *metrics_load_last(Arena *arena, const char *path, Error *error); /* the last line alone */
/* Mean entropy of these rows. */
double metrics_alphas_entropy(const RtProgram *program, const IrModule *settings);

#endif
