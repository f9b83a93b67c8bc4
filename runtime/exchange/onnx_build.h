/* onnx_build.h: ONNX graphs under construction. Everything lives in an arena; values are known by their names. */
#ifndef NDARTS_RUNTIME_EXCHANGE_ONNX_BUILD_H
#define NDARTS_RUNTIME_EXCHANGE_ONNX_BUILD_H

#include "base/arena.h"
#include "base/diag.h"
#include "onnx.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

enum { ONNX_OPSET = 17, ONNX_IR_VERSION = 8 };

typedef struct OnnxBuilder {
    Arena *arena;
    Onnx__GraphProto graph;
    Onnx__NodeProto *node; /* the latest; attributes go to it */
    size_t node_capacity, initializer_capacity, input_capacity, output_capacity, attribute_capacity;
    int serial; /* of values without a name */
} OnnxBuilder;

void onnx_begin(OnnxBuilder *b, Arena *arena, const char *name);
/* A node with one output, whose name is returned. */
const char *onnx_node(OnnxBuilder *b, const char *op, int input_count, const char *const *inputs);
/* Attributes of the latest node. */
void onnx_int(OnnxBuilder *b, const char *name, int64_t value);
void onnx_ints(OnnxBuilder *b, const char *name, int count, const int64_t *values);
/* Calls the latest node's output otherwise. */
void onnx_rename(OnnxBuilder *b, const char *name);

/* Initialisers; data is not copied. */
void onnx_floats(OnnxBuilder *b, const char *name, int rank, const int64_t *dims, const float *data);
const char *onnx_int_list(OnnxBuilder *b, int count, const int64_t *values);
const char *onnx_float(OnnxBuilder *b, double value);

/* What goes in and out, float32; an extent of -1 is called "N". */
void onnx_input(OnnxBuilder *b, const char *name, int rank, const int64_t *dims);
void onnx_output(OnnxBuilder *b, const char *name, int rank, const int64_t *dims);

bool onnx_write(OnnxBuilder *b, const char *path, Error *error);

#endif
