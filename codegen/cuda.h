/* cuda.h: parts of the CUDA dialect (emit_cuda.c, cuda_product.c, cuda_sum.c, cuda_window.c). */
#ifndef NDARTS_CODEGEN_CUDA_H
#define NDARTS_CODEGEN_CUDA_H

#include "codegen/emit.h"

/* The runtime starts blocks of so many threads; kernels that share memory rely on it. */
enum { CUDA_BLOCK_THREADS = 256 };

/* Constants for the given axes out of the variable `rest`, the last of them varying fastest. */
void cuda_print_indices(CgPrinter *p, const int *axes, int count);
/* Those of the result's axes that are constant, the innermost in memory fastest. */
void cuda_print_element(CgPrinter *p, const CgStep *step);
/* Private memory of the variable `image`. */
void cuda_print_private_bases(CgPrinter *p, const CgStep *step);

/* A sum of products by tiles in shared memory; false, and nothing printed, when it is none or too small. */
bool cuda_print_product(CgPrinter *p, const CgStep *step, CgLaunch launch, int64_t *threads);
/* A depthwise convolution by tiles in shared memory; false, and nothing printed, when it is none. */
bool cuda_print_window(CgPrinter *p, const CgProgram *program, const CgStep *step, int64_t *threads);
/* A sum shared by the threads of a block; false, and nothing printed, when one thread an element does as well. */
bool cuda_print_sum(CgPrinter *p, const CgStep *step, int64_t elements, CgLaunch launch, int64_t *threads);

#endif
