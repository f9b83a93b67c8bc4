/* loaded_module.h: a module file (.so), loaded. docs/modules.md has the symbols. */
#ifndef NDARTS_RUNTIME_DEVICE_LOADED_MODULE_H
#define NDARTS_RUNTIME_DEVICE_LOADED_MODULE_H

#include "codegen/plan/abi.h"
#include "codegen/plan/plan.h"

typedef struct RtModule {
    void *handle; /* of dlopen */
    int file;     /* open while an entry of the cache is in use, else -1 */
    Arena *arena; /* of the plan */
    const Plan *plan;
    NdKernel *const *kernels;
    const unsigned char *weights; /* a safetensors file, or NULL */
    size_t weights_size;
    bool needs_bf16; /* it has instructions for bf16 (machine_has_bf16) */
} RtModule;

/* A file that is no module, or is truncated, or whose plan is damaged: NULL with ERROR_INPUT, saying what was expected.
 */
RtModule *rt_module_load(const char *path, Error *error);
void rt_module_unload(RtModule *module); /* NULL is allowed */

#endif
