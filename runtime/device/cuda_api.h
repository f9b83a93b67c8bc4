/* cuda_api.h: the part of the CUDA runtime (libcudart) that is used, found with dlopen: nothing of CUDA is linked or
 * included, so one program starts everywhere. Functions return cudaError_t as int; handles are void *. */
#ifndef NDARTS_RUNTIME_DEVICE_CUDA_API_H
#define NDARTS_RUNTIME_DEVICE_CUDA_API_H

#include "base/arena.h"
#include "base/diag.h"

#include <stddef.h>

typedef struct CudaDim {
    unsigned x, y, z;
} CudaDim;

/* What cudaLaunchKernelExC takes (cudaLaunchConfig_t), and one thing that it can be told (cudaLaunchAttribute). */
typedef struct CudaAttribute {
    int id, unused;
    int value[16];
} CudaAttribute;

typedef struct CudaLaunch {
    CudaDim grid, block;
    size_t shared;
    void *stream;
    CudaAttribute *attributes;
    unsigned count;
} CudaLaunch;

enum {
    CUDA_SUCCESS = 0,
    CUDA_INSUFFICIENT_DRIVER = 35,
    CUDA_NO_DEVICE = 100,
    CUDA_NO_KERNEL_IMAGE = 209,
    CUDA_LAUNCH_FAILURE = 719,
    CUDA_TO_DEVICE = 1,
    CUDA_TO_HOST = 2,
    CUDA_ON_DEVICE = 3,
    CUDA_PROGRAMMATIC_LAUNCH = 6, /* an attribute: may begin before what is in front of it on the stream has ended */
    CUDA_NON_BLOCKING = 1,
    CUDA_CAPTURE_THREAD_LOCAL = 1,
    CUDA_SET_CAPTURE_DEPENDENCIES = 1,
    CUDA_ATTRIBUTE_MAJOR = 75,
    CUDA_ATTRIBUTE_MINOR = 76
};

/*        name (without "cuda"), parameters, needed: without it nothing works */
#define CUDA_FUNCTIONS(X)                                                                                              \
    X(RuntimeGetVersion, (int *version), true)                                                                         \
    X(GetDeviceCount, (int *count), true)                                                                              \
    X(SetDevice, (int device), true)                                                                                   \
    X(DeviceGetAttribute, (int *value, int attribute, int device), true)                                               \
    X(MemGetInfo, (size_t * free_bytes, size_t * total), true)                                                         \
    X(Malloc, (void **memory, size_t bytes), true)                                                                     \
    X(Free, (void *memory), true)                                                                                      \
    X(HostAlloc, (void **memory, size_t bytes, unsigned flags), true)                                                  \
    X(FreeHost, (void *memory), true)                                                                                  \
    X(MemsetAsync, (void *memory, int value, size_t bytes, void *stream), true)                                        \
    X(MemcpyAsync, (void *to, const void *from, size_t bytes, int kind, void *stream), true)                           \
    X(StreamCreateWithFlags, (void **stream, unsigned flags), true)                                                    \
    X(StreamDestroy, (void *stream), true)                                                                             \
    X(StreamSynchronize, (void *stream), true)                                                                         \
    X(LaunchKernel, (const void *kernel, CudaDim grid, CudaDim block, void **arguments, size_t shared, void *stream),  \
      true)                                                                                                            \
    X(LibraryLoadData,                                                                                                 \
      (void **library, const void *image, void *jit, void **jit_values, unsigned jit_count, void *options,             \
       void **values, unsigned count),                                                                                 \
      true)                                                                                                            \
    X(LibraryUnload, (void *library), true)                                                                            \
    X(LibraryGetKernel, (void **kernel, void *library, const char *name), true)                                        \
    X(FuncGetAttributes, (void *attributes, const void *kernel), true)                                                 \
    X(LaunchKernelExC, (const CudaLaunch *launch, const void *kernel, void **arguments), false)                        \
    X(StreamBeginCapture, (void *stream, int mode), false)                                                             \
    X(StreamEndCapture, (void *stream, void **graph), false)                                                           \
    X(GraphInstantiateWithFlags, (void **executable, void *graph, unsigned long long flags), false)                    \
    X(GraphLaunch, (void *executable, void *stream), false)                                                            \
    X(GraphExecDestroy, (void *executable), false)                                                                     \
    X(GraphDestroy, (void *graph), false)                                                                              \
    X(StreamGetCaptureInfo,                                                                                            \
      (void *stream, int *state, unsigned long long *id, void **graph, void *const **nodes, const void **edges,        \
       size_t *count),                                                                                                 \
      false)                                                                                                           \
    X(StreamUpdateCaptureDependencies, (void *stream, void **nodes, const void *edges, size_t count, unsigned flags),  \
      false)                                                                                                           \
    X(EventCreateWithFlags, (void **event, unsigned flags), false)                                                     \
    X(EventRecord, (void *event, void *stream), false)                                                                 \
    X(EventElapsedTime, (float *milliseconds, void *begin, void *end), false)                                          \
    X(EventDestroy, (void *event), false)

typedef struct CudaApi {
    void *library;
    int version; /* 13000 */
    const char *(*GetErrorString)(int status);
#define CUDA_FUNCTION(name, parameters, needed) int(*name) parameters;
    CUDA_FUNCTIONS(CUDA_FUNCTION)
#undef CUDA_FUNCTION
} CudaApi;

/* ERROR_MACHINE, saying what to install, when there is no runtime or it is too old. The library stays loaded. */
bool cuda_api_load(CudaApi *api, Error *error);
/* How many devices there are; ERROR_MACHINE with the reason when there is none. */
bool cuda_api_count_devices(const CudaApi *api, int *count, Error *error);
bool cuda_api_has_graphs(const CudaApi *api);
/* "sm_90" */
bool cuda_api_arch(const CudaApi *api, int device, Arena *arena, const char **arch, Error *error);
/* "NVIDIA H100 80GB HBM3"; "CUDA device" when the runtime does not say. */
const char *cuda_api_device_name(const CudaApi *api, int device, Arena *arena);
/* True on success; else ERROR_MACHINE: "WHAT: the runtime's message". */
bool cuda_check(const CudaApi *api, int status, const char *what, Error *error);

#endif
