/* cubin.h: data inside of compiled modules for CUDA: found, and filled in after compiling, since compilers are slow with large
 * initialisers. A module compiled with the option `rooms` has arrays of the right sizes under the names of its symbols. */
#ifndef NDARTS_RUNTIME_DEVICE_CUBIN_H
#define NDARTS_RUNTIME_DEVICE_CUBIN_H

#include "codegen/plan/plan.h"

/* The bytes of a symbol and how many there are to the end of its section; NULL when there is no such symbol, or this is no ELF
 * file, or a damaged one. */
const unsigned char *cubin_find(const void *cubin, size_t size, const char *symbol, size_t *available);
typedef struct CubinKernel {
    int registers, shared_bytes; /* of a thread; static, of a block */
    int stack_bytes;             /* of a thread, in slow memory: not 0 when registers were spilled */
} CubinKernel;
/* What the compiler noted for a kernel; false when there is none of that name. */
bool cubin_kernel(const void *cubin, size_t size, const char *name, CubinKernel *kernel);
/* Writes nd_plan; false when the module has no room for it. */
bool cubin_fill_plan(Arena *arena, const Plan *plan, void *cubin, size_t size);
/* Writes nd_weights: the bytes of a safetensors file. */
bool cubin_fill_weights(const void *weights, size_t weights_size, void *cubin, size_t size);
/* Header and bytes of nd_weights. */
size_t cubin_weights_room(size_t weights_size);

#endif
