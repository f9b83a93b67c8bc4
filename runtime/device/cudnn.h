/* cudnn.h: dense convolutions and their gradients by cuDNN (libcudnn, found with dlopen) instead of our kernels, where
 * that was measured to be faster. The choice for a shape on a card is made once and kept in the cache's file
 * cudnn-choices. */
#ifndef NDARTS_RUNTIME_DEVICE_CUDNN_H
#define NDARTS_RUNTIME_DEVICE_CUDNN_H

#include "codegen/plan/plan.h"
#include "runtime/device/cuda_api.h"

typedef struct Cudnn Cudnn;         /* the library, for one device */
typedef struct CudnnConv CudnnConv; /* a convolution of one shape */

/* For the whole process: --no-cudnn. */
void cudnn_forbid(void);
/* "9.19.0", or what is missing. */
const char *cudnn_describe(Arena *arena);
/* NULL where there is no usable library, or it is forbidden. card: names it in the file of choices. */
Cudnn *cudnn_open(const CudaApi *api, const char *card);
void cudnn_close(Cudnn *cudnn);

/* For the plan's largest batch. NULL when cuDNN cannot, or its memory is not there. */
CudnnConv *cudnn_conv_create(Cudnn *cudnn, const PlanConv *conv, int64_t batch, CgPrecision precision);
void cudnn_conv_destroy(Cudnn *cudnn, CudnnConv *conv);
size_t cudnn_conv_bytes(const CudnnConv *conv); /* of the device's memory */
/* Puts it on the stream; false: cuDNN's mistake. Addresses of the device; one of them is that of the result. All are
 * single precision, or all bf16; input and output NHWC, weights OHWI. */
bool cudnn_conv_run(Cudnn *cudnn, CudnnConv *conv, void *stream, void *input, void *output, void *weight);

/* Does the library take what both its interfaces are told of the convolution? That needs no card. */
typedef enum CudnnAnswer { CUDNN_missing, CUDNN_refuses, CUDNN_takes } CudnnAnswer;
CudnnAnswer cudnn_check(const PlanConv *conv, int64_t batch, CgPrecision precision);

/* What the file of choices says about the shape: 1 cuDNN, 0 our kernel, -1 nothing. */
int cudnn_recall(const Cudnn *cudnn, const PlanConv *conv, int64_t batch, CgPrecision precision);
/* Instead of what it said before. */
void cudnn_remember(const Cudnn *cudnn, const PlanConv *conv, int64_t batch, CgPrecision precision, bool chosen);

#endif
