/* classwise.h: what images of each class were taken for: accuracy per class and the confusion matrix, in the terms of
 * scikit-learn (the accuracy of a class is its recall; rows are true classes, columns predicted ones). */
#ifndef NDARTS_RUNTIME_LOOPS_CLASSWISE_H
#define NDARTS_RUNTIME_LOOPS_CLASSWISE_H

#include "base/arena.h"
#include "base/tensor_file.h"

#include <jansson.h>
#include <stdio.h>

/* Of more classes no matrix is kept: nobody could read it. */
enum { CLASSWISE_MOST = 1024 };

typedef struct Classwise {
    int classes;
    const char *const *names; /* NULL: they have none */
    int64_t *images, *correct;
    int64_t *confusion; /* classes x classes, row-major; NULL above CLASSWISE_MOST */
} Classwise;

/* All counts 0. names may be NULL, and must live as long. */
Classwise *classwise_create(Arena *arena, int classes, const char *const *names);
void classwise_clear(Classwise *c);
/* The class of the largest logit of image n; of equal ones the first; what is no number counts as the largest. */
int classwise_predict(const Tensor *logits, int64_t n);
/* logits: N x classes. */
void classwise_add(Classwise *c, const Tensor *logits, const int32_t *labels);
/* The mean of the accuracies of the classes that have images; NaN when none has. */
double classwise_balanced(const Classwise *c);
/* Adds to object: balanced_accuracy, classes (name, images, correct, accuracy of each), confusion (null where none is
 * kept). What has no images has the accuracy null. */
void classwise_to_json(const Classwise *c, json_t *object);
/* What classwise_to_json added; NULL when that is not there, or no such thing. */
Classwise *classwise_from_json(Arena *arena, const json_t *object);
double classwise_accuracy(const Classwise *c, int i); /* of class i; NaN without images */
/* A line for each class, or for the worst when there are many. */
void classwise_print(FILE *out, const Classwise *c);
/* Numbers of the classes that have images, the least accurate first, at most `most`; returns how many. */
int classwise_worst(const Classwise *c, int most, int *worst);
/* The class that images of class i were most often taken for by mistake; -1 when there was no mistake, or no matrix. */
int classwise_mistaken(const Classwise *c, int i);

#endif
