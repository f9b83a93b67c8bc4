/* train.h: the parts of `ndarts-run train`, private to train*.c. */
#ifndef NDARTS_RUNTIME_LOOPS_TRAIN_H
#define NDARTS_RUNTIME_LOOPS_TRAIN_H

#include "runtime/loops/loop.h"

/* How a training ended. Accuracies in 0..1, of images that were not trained on. */
typedef struct TrainResult {
    uint64_t seed;
    const char *data; /* what last and best are of: "test" or "hold_out" */
    int64_t images;   /* how many those are */
    int64_t epochs, best_epoch;
    double last_accuracy, last_loss, best_accuracy;
    bool has_test; /* with hold_out: the weights of best_epoch on the test images */
    double test_accuracy, test_accuracy5, test_loss;
    int64_t test_images;
    const Classwise *last_classes, *test_classes; /* by class, of this process's own evaluations; else NULL */
} TrainResult;

typedef struct Train {
    Loop loop;
    Dataset test;
    int64_t train_images; /* the first so many of the training images are trained on, the rest is held out */
    Loader *train_loader, *valid_loader;
    Classwise *valid_classes; /* of the latest evaluation */
    TrainResult result;
    bool has_last;         /* result.last_* are of the current weights */
    double train_accuracy; /* of the latest epoch that was trained here */
} Train;

/* train_setup.c: reads text and data, compiles, starts the loaders, takes initial weights or the checkpoint. */
bool train_open(Train *t, Error *error);
void train_close(Train *t);

/* One training from its beginning, or its checkpoint, to its end. whole: as in Loop. waiting: ranks that go on when this one
 * is ready for its first step, by ranks_all; or NULL. */
bool train_once(Arena *arena, const LoopOptions *options, const RunFolder *whole, const Ranks *waiting,
                TrainResult *result, Error *error);

/* train_result.c */
/* The training is over: weights.safetensors, the test images when there was a hold-out, result.json. */
bool train_finish(Train *t, Error *error);
/* Of a training that was finished before; false when there is none, or with an error when it cannot be read. */
bool train_read_result(Arena *arena, const char *path, TrainResult *result, Error *error);
void train_print_result(FILE *out, const TrainResult *result);
/* A table of several seeds with mean and deviation, on out and as OUT/summary.json. */
bool train_summarize(Arena *arena, const char *folder, const TrainResult *results, int count, FILE *out, Error *error);

#endif
