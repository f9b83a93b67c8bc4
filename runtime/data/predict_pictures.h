/* predict_pictures.h: what files of pictures show, by a network. */
#ifndef NDARTS_RUNTIME_DATA_PREDICT_PICTURES_H
#define NDARTS_RUNTIME_DATA_PREDICT_PICTURES_H

#include "runtime/driver/runtime.h"

enum { PREDICT_BEST = 5 };

typedef struct ClassGuess {
    int number;
    const char *name; /* NULL: it has none */
    double probability;
} ClassGuess;

typedef struct PicturesOptions {
    const char *net;         /* names the program in messages */
    const char *data;        /* a source that says how pictures are normalised, or NULL: the text's training does */
    const char *class_names; /* a file with a name a line, or NULL */
    const char *const *paths;
    int count;
    /* Gets the best classes of every picture that can be read, the best first, in the order of the paths. */
    void (*show)(void *context, const char *path, const ClassGuess *best, int count);
    void *context;
} PicturesOptions;

/* A program of predict_open. A broken picture is named on stderr and skipped. logits: of the others, in the arena. */
bool predict_pictures(Arena *arena, RtProgram *program, const PicturesOptions *options, Tensor *logits, Error *error);

#endif
