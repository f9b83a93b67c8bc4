/* search.h: the parts of `ndarts-run search`, private to search*.c. */
#ifndef NDARTS_RUNTIME_SEARCH_H
#define NDARTS_RUNTIME_SEARCH_H

#include "runtime/checkpoint.h"
#include "runtime/data.h"
#include "runtime/progress.h"
#include "runtime/runtime.h"
#include "runtime/schedule.h"

/* The command line. */
typedef struct SearchOptions {
    const char *path;
    const char *out;  /* folder of the results */
    const char *init; /* weights to begin with, or NULL */
    bool resume, allow_different_build, has_seed, help;
    uint64_t seed;
    int threads; /* 0: as many as there are cores */
    const char *device;
    CgPrecision precision;
    const char **sets;
    int set_count, set_capacity;
} SearchOptions;

/* What the text says, where it concerns the loop (docs/ir.md, "settings"). */
typedef struct SearchSettings {
    int64_t epochs, frozen_epochs;
    uint64_t seed;
    LearningRate weights_lr;
    double alphas_lr, beta1, beta2;
    double drop_keep;
} SearchSettings;

typedef struct Search {
    Arena *arena;
    SearchOptions options;
    SearchSettings settings;
    const IrModule *module; /* of the text; used for settings and to derive */
    DataOptions data_options;
    Dataset data;
    int64_t weights_images; /* the first so many train the weights, the rest the alphas */
    Augment augment, no_augment;
    Loader *weights_loader, *alphas_loader, *eval_loader;
    RtProgram *program;
    int64_t steps;       /* per epoch */
    Checkpoint at;       /* the position; its tensors are filled only while saving and loading */
    Checkpoint restored; /* as read, until it is taken */
    Arena *restored_arena;
    Progress progress;
    double epoch_started, epoch_rate; /* seconds; images per second in its steps */
} Search;

/* search_options.c. ERROR_INPUT for a wrong command line. */
bool search_options_parse(Arena *arena, int argc, char **argv, SearchOptions *options, Error *error);
void search_print_usage(FILE *out);
bool search_settings_read(const IrModule *module, SearchSettings *settings, Error *error);

/* search_setup.c: reads the text and the data, compiles, starts the loaders, takes initial weights or the checkpoint.
 */
bool search_open(Search *s, Error *error);
void search_close(Search *s);

/* search_save.c */
const char *search_file(const Search *s, const char *name); /* OUT/name */
bool search_save_checkpoint(Search *s, Error *error);
/* Reads OUT's checkpoint and sees that it is of this experiment; then, with the program open, takes its state and
 * position. */
bool search_read_checkpoint(Search *s, Error *error);
bool search_take_checkpoint(Search *s, Error *error);
/* genotype.nd and the drawings of its cells. */
bool search_save_genotype(Search *s, Error *error);
const char *search_genotype_text(Search *s, Arena *arena);
/* normal.svg and reduce.svg, when Graphviz is installed. */
void search_draw_cells(Search *s);

#endif
