/* export.h: a network and its weights for other programs. */
#ifndef NDARTS_RUNTIME_EXCHANGE_EXPORT_H
#define NDARTS_RUNTIME_EXCHANGE_EXPORT_H

#include "base/arena.h"
#include "base/diag.h"

typedef struct ExportOptions {
    const char *net, *weights, *output; /* a text; safetensors; .onnx, or .safetensors for the weights alone */
    const char *const *sets;            /* of net */
    int set_count;
} ExportOptions;

bool export_network(Arena *arena, const ExportOptions *options, Error *error);

#endif
