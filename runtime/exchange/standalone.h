/* standalone.h: a network as one C file with its weights, for programs that want no library. */
#ifndef NDARTS_RUNTIME_EXCHANGE_STANDALONE_H
#define NDARTS_RUNTIME_EXCHANGE_STANDALONE_H

#include "base/tensor_file.h"
#include "codegen/codegen.h"

/* Writes path (NAME.c) and NAME.h beside it: float32 images N x C x H x W in, logits N x classes out. output is of the
 * graph infer alone, with the options standalone, batch 1, one chunk, one unit. The weights have been checked. */
bool rt_standalone_write(Arena *arena, const char *path, const CgOutput *output, const TensorFile *weights,
                         Error *error);

#endif
