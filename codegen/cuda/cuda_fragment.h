/* cuda_fragment.h: parts of the two ways of products straight from memory. */
#ifndef NDARTS_CODEGEN_CUDA_CUDA_FRAGMENT_H
#define NDARTS_CODEGEN_CUDA_CUDA_FRAGMENT_H

#include "codegen/cuda/cuda_product.h"

enum {
    FRAGMENT_WARPS = CUDA_BLOCK_THREADS / 32,
    FRAGMENT_ROWS = 16,
    FRAGMENT_COLUMNS = 8,
    FRAGMENT_TERMS = 16,
    FRAGMENT_EACH = 4 /* terms of a lane; elements of a vector of them, or of results */
};

/* The innermost axis of a factor's own; -1: none. */
int fragment_last_axis(const Factor *o);
/* Can the factor be read in vectors along an axis; the result be stored so, along the columns? */
bool fragment_reads(const Product *q, const Factor *o, int axis, int width);
bool fragment_stores(const Product *q, const Factor *columns);

/* The place of a vector, or where the last one is. */
const char *fragment_inside(const Product *q, const char *place, int64_t count, int64_t tile, int width);
/* Axes named by the variables k and m. */
void fragment_name_terms(const Product *q, const Factor *o);
void fragment_name_own(const Product *q, const Factor *o);
/* The vector of o along the axis, spread over to[0], to[stride], ... */
void fragment_print_vector(const Product *q, const Factor *o, int axis, int width, const char *to, int stride);
/* Four results at row mm and columns from nn (product_store). */
void fragment_store(const Product *q, const char *value, const char *at);
void fragment_begin_total(const Product *q);

#endif
