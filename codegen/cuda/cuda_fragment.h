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

/* ---- cuda_fragment_window.c ---- */
/* Chooses the tile of q->window: at most so many pixels, so many bytes of shared memory, lane_bytes of which the product
 * takes for each channel. */
bool fragment_choose_window(Product *q, const WindowRoom *room);
/* The shared memory, and each thread's vector of channels. */
void fragment_declare_window(const Product *q);
/* Computes the window's results of the tile at x0, of the channels from k0 + sixteen * 16 on, into shared memory; what
 * was there must have been read. */
void fragment_make_window(const Product *q);
/* The address of four of them, of row mm1 and the lane's terms at `at`. */
const char *fragment_window_vector(const Product *q, const char *mm);

#endif
