/* cuda.h: parts of the CUDA dialect (emit_cuda.c, cuda_axes.c, cuda_product.c, cuda_sum.c, cuda_window.c). */
#ifndef NDARTS_CODEGEN_CUDA_H
#define NDARTS_CODEGEN_CUDA_H

#include "codegen/emit.h"

/* The runtime starts blocks of so many threads; kernels that share memory rely on it. */
enum { CUDA_BLOCK_THREADS = 256 };

/* Names the given axes of constant extent (the last of them varies fastest) by what `number`, a variable that counts
 * through all of them, says. value: what will be read there, or NULL; stored: and the result written. */
void cuda_print_axes(CgPrinter *p, CgScalar *value, bool stored, const int *axes, int count, const char *number);
/* The same for the result's axes that are constant. */
void cuda_print_element(CgPrinter *p, const CgStep *step, const char *number);
/* Opens the loop over the images of the variable `chunk`; first: " + slice", or "". */
void cuda_print_chunk(CgPrinter *p, const char *first, int step);
/* Private memory of the variable `image`. */
void cuda_print_private_bases(CgPrinter *p, const CgStep *step);

/* A sum of products by tiles in shared memory, on tensor cores in tf32 and bf16; false, and nothing printed, when it is none or too small. */
bool cuda_print_product(CgPrinter *p, CgPrecision precision, const CgStep *step, CgLaunch launch, int64_t *threads);
/* A depthwise convolution by tiles in shared memory; false, and nothing printed, when it is none. */
bool cuda_print_window(CgPrinter *p, const CgProgram *program, const CgStep *step, int64_t *threads);
/* The same for the gradients of its weights. */
bool cuda_print_window_grad(CgPrinter *p, const CgProgram *program, const CgStep *step, int64_t *threads);
/* A sum shared by the threads of a block; false, and nothing printed, when one thread an element does as well. */
bool cuda_print_sum(CgPrinter *p, const CgStep *step, int64_t elements, CgLaunch launch, int64_t *threads);

/* Fills in conv when the step's kernel is a dense convolution with all operands in memory. */
bool cuda_describe_conv(const CgPrinter *p, CgPrecision precision, const CgStep *step, CgConv *conv);

#endif
