/* abi.h: what a compiled module and its caller agree on, and the only place where its numbers stand: the preludes print
 * the emitted source's declarations from here, so a module needs no header. docs/modules.md describes the plan. */
#ifndef NDARTS_CODEGEN_PLAN_ABI_H
#define NDARTS_CODEGEN_PLAN_ABI_H

#include <stdint.h>

#define ND_SCALAR_COUNT 16
/* A GPU's blocks have so many threads; kernels that share memory rely on it. */
enum { ND_BLOCK_THREADS = 256 };

/* The run-time block: what changes between runs of the same module.
 *   seed
 *   step        number of the forward pass: the 4th counter word of every draw
 *   image_base  global index of the batch's first image in the epoch
 *   batch       images in this batch, <= the plan's batch
 *   chunks      K of the plan; chunk k holds images [k * batch / K, (k + 1) * batch / K)
 *   scalar      by index into the plan's "scalars" */
#define ND_RUN_MEMBERS(MEMBER)                                                                                         \
    MEMBER(uint64_t seed, step, image_base)                                                                            \
    MEMBER(int64_t batch, chunks)                                                                                      \
    MEMBER(double scalar[ND_SCALAR_COUNT])

/* One call of a kernel. In stages over images a kernel computes one image.
 *   image        a chunk without images is called once with image = -1: zero the partial sums and return
 *   chunk
 *   first        1 for the first image of its chunk (partial sums start anew)
 *   band, bands  modules with "bands": rows [h * band / bands, h * (band + 1) / bands) of the result's h are wanted;
 *                kernels that do not compute by rows do everything for band 0 and nothing for the others
 *   scratch      per thread, as large as the plan says, 64-byte aligned; contents undefined */
#define ND_WORK_MEMBERS(MEMBER)                                                                                        \
    MEMBER(int64_t image, chunk, first)                                                                                \
    MEMBER(const NdRun *run)                                                                                           \
    MEMBER(int64_t band, bands)                                                                                        \
    MEMBER(void *scratch)

/* buffers: base addresses as the plan lists them (whole batch; the kernel adds its image's offset; for private buffers the
 * base is the thread's own one image). ints: constants of the call, such as hashes of stream names. */
#define ND_KERNEL_TYPE void NdKernel(void *const *buffers, const int64_t *ints, const NdWork *work)

#define ND_DECLARED(...) __VA_ARGS__;
typedef struct NdRun {
    ND_RUN_MEMBERS(ND_DECLARED)
} NdRun;
typedef struct NdWork {
    ND_WORK_MEMBERS(ND_DECLARED)
} NdWork;
typedef ND_KERNEL_TYPE;
#undef ND_DECLARED

/* The same as text, for the preludes. */
#define ND_TEXT_OF(...) #__VA_ARGS__
#define ND_TEXT(...) ND_TEXT_OF(__VA_ARGS__)
#define ND_MEMBER_TEXT(...) "    " ND_TEXT(__VA_ARGS__) ";\n"
#define ND_RUN_TEXT "struct NdRun {\n" ND_RUN_MEMBERS(ND_MEMBER_TEXT) "}"
#define ND_WORK_TEXT "struct NdWork {\n" ND_WORK_MEMBERS(ND_MEMBER_TEXT) "}"

/* Symbols of a module:
 *   NdKernel *const nd_kernels[];           indexed by the plan
 *   const unsigned char nd_plan[];          the bytes of plan_bytes (plan.h) */

#endif
