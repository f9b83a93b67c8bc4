/* cuda_empty.h: a kernel that does nothing: what a launch takes by itself, for profiles and for measuring a card. */
#ifndef NDARTS_RUNTIME_DEVICE_CUDA_EMPTY_H
#define NDARTS_RUNTIME_DEVICE_CUDA_EMPTY_H

#include "runtime/device/cuda_api.h"

typedef struct CudaEmpty {
    void *library, *kernel;
    void *early; /* the same, made for programmatic launch: lets the next begin, waits for the one before */
} CudaEmpty;

/* Compiled for the architecture "sm_90". */
bool cuda_empty_open(const CudaApi *api, const char *arch, CudaEmpty *empty, Error *error);
void cuda_empty_close(const CudaApi *api, CudaEmpty *empty);
/* Seconds between two events with one launch between them, the best of some; 0 when the runtime cannot say. */
double cuda_empty_seconds(const CudaApi *api, const CudaEmpty *empty, void *stream);

#endif
