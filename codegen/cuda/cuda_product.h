/* cuda_product.h: a sum of products by tiles, as cuda_product.c finds it and cuda_mma.c computes it. */
#ifndef NDARTS_CODEGEN_CUDA_CUDA_PRODUCT_H
#define NDARTS_CODEGEN_CUDA_CUDA_PRODUCT_H

#include "codegen/cuda/cuda.h"

typedef struct Factor {
    CgScalar *value;
    const char *name;                  /* of its tile */
    int axes[CG_MAX_AXES], axis_count; /* of the result, that only it depends on; the innermost in memory last */
    int64_t count;                     /* their extents' product */
    int tile;
    bool along_terms; /* neighbours in memory are neighbours in k */
} Factor;

typedef struct Product {
    CudaKernel *k; /* NULL while it is only looked at */
    CgPrinter *p;
    Arena *arena;
    CgPrecision precision;
    const CgStep *step;
    Factor x, y;
    int axes[CG_MAX_AXES], axis_count; /* of the sum, without the images of a chunk */
    int64_t terms;
    int slices, depth; /* threads or warps that share the k of a tile; k in a tile */
    bool staged;       /* results go through shared memory: slices are added there, and sums made of them */
    PlanLaunch launch;
    /* cuda_mma.c: warps side by side along n and m; 16 x 8 blocks of a warp, along m and n; 32-bit words in a tile's
     * row of k, and from row to row */
    int across, down, rows, columns, words, stride;
} Product;

/* ---- cuda_mma.c ---- */
bool mma_is_meant(const Product *q);
/* slices, depth and all of the last lines above; the tiles are chosen. */
void mma_choose_warps(Product *q);
int mma_shared_words(const Product *q);
void mma_print_threads(const Product *q);
/* What is stored in the tile for `value` at kk, mm. */
void mma_print_element(const Product *q, const Factor *o);
void mma_print_multiply(const Product *q);
/* Opens loops over a thread's results and says their mm, nn, and `value`; what stands inside is printed by store. */
void mma_print_results(const Product *q, void (*store)(const Product *q));

#endif
