/* evaluate_network.h: how good given weights of a network are on a data set. */
#ifndef NDARTS_RUNTIME_LOOPS_EVALUATE_NETWORK_H
#define NDARTS_RUNTIME_LOOPS_EVALUATE_NETWORK_H

#include "runtime/loops/evaluate.h"

typedef struct EvaluateOptions {
    RtProgramOptions program; /* path: a text, textual IR or a module; batch 0: 64 */
    const char *weights;
    const char *data; /* a source of images; NULL: that of the text's training */
    bool train_part;  /* the training images, not the test images */
} EvaluateOptions;

typedef struct NetworkEvaluation {
    const char *source; /* of the images */
    int64_t given;      /* images there are; Evaluation.images could be read */
    Evaluation result;
    Classwise *classes;
} NetworkEvaluation;

/* Says on stderr what images it found. The result lies in the arena. */
bool evaluate_network(Arena *arena, const EvaluateOptions *options, NetworkEvaluation *evaluation, Error *error);

#endif
