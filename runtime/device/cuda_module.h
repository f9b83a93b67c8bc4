/* cuda_module.h: modules for the GPU: generated CUDA source through NVRTC and the cache, or a .cubin file. */
#ifndef NDARTS_RUNTIME_DEVICE_CUDA_MODULE_H
#define NDARTS_RUNTIME_DEVICE_CUDA_MODULE_H

#include "codegen/codegen.h"
#include "runtime/device/cuda_api.h"
#include "runtime/device/loaded_module.h"

typedef struct CudaModule {
    RtModule base; /* its kernels are NULL: the device's are below */
    int library_count;
    void **libraries;
    void **kernels; /* in the order of the plan */
} CudaModule;

/* What decides the bits beside the source; arch: "sm_90". */
const char *cuda_module_toolchain(const char *arch, Arena *arena);
/* As the backend's remember, identify, find and build (runtime/device/backend.h). */
void cuda_module_remember(const CgOutput *output, const char *text_key, const char *arch);
const char *cuda_module_identify(const char *text_key, const char *arch, Arena *arena);
CudaModule *cuda_module_find(const CudaApi *api, const char *text_key, const char *arch, Arena *arena,
                             const char **identity);
CudaModule *cuda_module_build(const CudaApi *api, const CgOutput *output, const char *text_key, const char *arch,
                              int threads, Arena *arena, const char **identity, Error *error);
CudaModule *cuda_module_load(const CudaApi *api, const char *path, const char *arch, Arena *arena,
                             const char **identity, Error *error);
/* What goes into a .cubin file, with its plan: the units are compiled side by side and linked (nvjitlink.h; output has
 * one unit where that is missing). */
bool cuda_module_compile(const CgOutput *output, const char *arch, int threads, Arena *arena, void **bytes,
                         size_t *size, Error *error);
void cuda_module_unload(const CudaApi *api, CudaModule *module); /* NULL is allowed */

#endif
