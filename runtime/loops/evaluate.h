/* evaluate.h: how good a program's parameters are on some images. */
#ifndef NDARTS_RUNTIME_LOOPS_EVALUATE_H
#define NDARTS_RUNTIME_LOOPS_EVALUATE_H

#include "runtime/data/data.h"
#include "runtime/driver/step.h"
#include "runtime/loops/classwise.h"

/* Of one run of one graph. */
typedef struct PassResult {
    double loss;
    int64_t images;            /* that it ran on */
    int64_t correct, correct5; /* images whose label is the largest logit, is among the five largest */
} PassResult;

/* Means over images; NaN when there were none. */
typedef struct Evaluation {
    double loss, accuracy, accuracy5; /* accuracies in 0..1; accuracy5 is NaN where it says nothing: below 6 classes */
    int64_t images;
    double seconds;
} Evaluation;

/* Below so many classes the five largest logits are all there are. */
enum { EVALUATE_TOP = 5 };
/* "PREFIX99.12 %" of a top-5 accuracy, "" of one that says nothing. */
const char *evaluate_top5_words(Arena *arena, const char *prefix, double accuracy5);
/* How many labels are among the `first` largest logits of their image (N x classes); of equal logits the first counts
 * as larger. */
int64_t evaluate_count_correct(const Tensor *logits, const int32_t *labels, int first);
/* The mean over images of the cross entropy, without label smoothing. */
double evaluate_loss(const Tensor *logits, const int32_t *labels);
/* The graph that evaluation runs: eval, or infer where a module has only that. */
GraphKind evaluate_kind(const RtProgram *program);
/* The pass of that graph which belongs to no run. */
RtRun evaluate_alone(const RtProgram *program);
/* Runs one graph that has the inputs "input" and "labels" and the outputs "logits" and "loss"; or infer, which has
 * neither labels nor loss. classwise, or NULL, counts the images by class. */
bool evaluate_batch(RtProgram *program, RtRun run, const Batch *batch, Classwise *classwise, PassResult *result,
                    Error *error);
/* Likewise a graph that has the inputs "input_valid" and "labels_valid" too, which are those of batch and of the result:
 * on as many images as both batches have. */
bool evaluate_pair(RtProgram *program, RtRun run, const Batch *training, const Batch *batch, PassResult *result,
                   Error *error);
/* The pass that run is (of the graph evaluate_kind) on all images of the loader; classwise, unless NULL, is counted anew. Stops early, with true,
 * when *stop (may be NULL) becomes true. */
bool evaluate_images(RtProgram *program, Loader *loader, RtRun run, bool (*stop)(void), Classwise *classwise,
                     Evaluation *result, Error *error);

#endif
