/* evaluate_network.h: how good given weights of a network are on a data set. */
#ifndef NDARTS_RUNTIME_LOOPS_EVALUATE_NETWORK_H
#define NDARTS_RUNTIME_LOOPS_EVALUATE_NETWORK_H

#include "runtime/loops/evaluate.h"

typedef struct EvaluateOptions {
    RtProgramOptions program; /* path: a text, textual IR or a module; batch 0: 64 */
    const char *weights;
    const TensorFile *tensors; /* weights instead of a file's; or NULL */
    const char *data;          /* a source of images; NULL: that of the text's training */
    const char *part;          /* "test" (NULL too) or "train": of its images */
} EvaluateOptions;

typedef struct NetworkEvaluation {
    const char *source; /* of the images */
    int64_t given;      /* images there are; Evaluation.images could be read */
    Evaluation result;
    Classwise *classes;
} NetworkEvaluation;

const char *evaluate_part(const EvaluateOptions *options);
double evaluate_images_per_second(const NetworkEvaluation *evaluation);
/* All of it, a line of JSON. */
const char *evaluate_network_json(Arena *arena, const EvaluateOptions *options, const NetworkEvaluation *evaluation);
/* Says (diag_notes) what images it found. The result lies in the arena. */
bool evaluate_network(Arena *arena, const EvaluateOptions *options, NetworkEvaluation *evaluation, Error *error);

#endif
