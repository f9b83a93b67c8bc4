/* onnx.h: an inference graph as an ONNX file. */
#ifndef NDARTS_RUNTIME_EXCHANGE_ONNX_H
#define NDARTS_RUNTIME_EXCHANGE_ONNX_H

#include "base/tensor_file.h"
#include "ir/ir.h"

/* Opset 17. Images go in as N x C x H x W; initialisers have the names of the parameters. The weights have been checked
 * against the module's table. An operation that ONNX has no word for is ERROR_INPUT; without protobuf-c (when ndarts
 * was built) it is ERROR_MACHINE. */
bool onnx_export(Arena *arena, const IrGraph *graph, const TensorFile *weights, const char *path, Error *error);

#endif
