/* predict_pictures.h: the parts of `ndarts-run infer`, private to infer*.c. */
#ifndef NDARTS_RUNTIME_DATA_PREDICT_PICTURES_H
#define NDARTS_RUNTIME_DATA_PREDICT_PICTURES_H

#include "runtime/loops/args.h"

typedef struct Infer {
    Arena *arena;
    const char *net, *weights, *input, *output, *profile; /* profile: NULL, "" for tables only, or the trace's file */
    const char *classes, *data, *recipe;
    ArgList pictures; /* files */
    int64_t batch;
    bool json;
    ProgramArgs program_args;
    RtProgram *program;
    Tensor images; /* of --input */
} Infer;

/* The logits of images; logits->data has room for them. */
bool infer_run(const Infer *f, const Tensor *images, const Tensor *logits, Error *error);
/* infer_pictures.c: prints the five best classes of every picture; with --output writes the logits too. */
bool infer_pictures(Infer *f, Error *error);

#endif
