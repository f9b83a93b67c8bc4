/* abi.h: what a compiled module (.so) and its caller agree on. The emitted C repeats these declarations literally, so
 * a module needs no header. docs/modules.md describes the plan. */
#ifndef NDARTS_CODEGEN_ABI_H
#define NDARTS_CODEGEN_ABI_H

#include <stdint.h>

enum { ND_SCALAR_COUNT = 16 };

/* The run-time block: what changes between runs of the same module. */
typedef struct NdRun {
    uint64_t seed;
    uint64_t step;                  /* number of the forward pass: the 4th counter word of every draw */
    uint64_t image_base;            /* global index of the batch's first image in the epoch */
    int64_t batch;                  /* images in this batch, <= the plan's batch */
    int64_t chunks;                 /* K of the plan; chunk k holds images [k * batch / K, (k + 1) * batch / K) */
    double scalar[ND_SCALAR_COUNT]; /* by index into the plan's "scalars" */
} NdRun;

/* One call of a kernel. In stages over images a kernel computes one image; first is 1 for the first image of its chunk
 * (partial sums start anew; a chunk without images is called once with image = -1: zero the partial sums and return). */
typedef struct NdWork {
    int64_t image;
    int64_t chunk;
    int64_t first;
    const NdRun *run;
    /* Modules with "bands": rows [h * band / bands, h * (band + 1) / bands) of the result's h are wanted; kernels that do
     * not compute by rows do everything for band 0 and nothing for the others. */
    int64_t band, bands;
    void *scratch; /* per thread, as large as the plan says, 64-byte aligned; contents undefined */
} NdWork;

/* buffers: base addresses as the plan lists them (whole batch; the kernel adds its image's offset; for private buffers the
 * base is the thread's own one image). ints: constants of the call, such as hashes of stream names. */
typedef void NdKernel(void *const *buffers, const int64_t *ints, const NdWork *work);

/* Symbols of a module:
 *   NdKernel *const nd_kernels[];           indexed by the plan
 *   const unsigned char nd_plan[];          8 bytes "ndplan\0\1", 8 bytes little-endian length, then that many bytes of JSON */

#endif
