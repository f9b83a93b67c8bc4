/* cuda_product.h: a sum of products by tiles, as cuda_product.c finds it and its ways compute it. */
#ifndef NDARTS_CODEGEN_CUDA_CUDA_PRODUCT_H
#define NDARTS_CODEGEN_CUDA_CUDA_PRODUCT_H

#include "codegen/cuda/cuda_window.h"

/* Sums behind a product whose rows a window makes, at most: there must be room for them. */
enum { PRODUCT_WINDOW_SUMS = 2 };

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
    const CgOptions *options;
    CgPrecision precision;
    const CgStep *step;
    Factor x, y;
    int axes[CG_MAX_AXES], axis_count; /* of the sum, without the images of a chunk */
    int64_t terms;
    int slices, depth; /* threads or warps that share the k of a tile; k in a tile */
    bool tensor;       /* tensor cores multiply */
    bool staged;       /* results go through shared memory: slices are added there, and sums made of them */
    PlanLaunch launch;
    /* cuda_mma.c: warps side by side along n and m; 16 x 8 blocks of a warp, along m and n; 32-bit words in a tile's
     * row of k, and from row to row */
    int across, down, rows, columns, words, stride;
    /* cuda_fragment.c: across to columns too; y has the rows, x the columns; channels of a lane in each */
    bool swapped;
    int row_width, column_width;
    /* cuda_fragment_window.c: a depthwise convolution that stands inline as x, and its tile, whose pixels are rows; NULL: x
     * comes from memory */
    IrNode *window;
    WindowTile *made;
    int room; /* rows of a tile that warps have registers for: x.tile of them are there */
} Product;

/* Where in a kernel: before the loop over tiles, when all have the same columns, or where the columns are known. */
typedef enum ProductPlace { BEFORE_TILES, IN_COLUMNS } ProductPlace;

/* How a tile is computed. */
typedef struct ProductWay {
    /* Does it do for the product, and the sums behind it? Then the sizes are chosen. */
    bool (*choose)(Product *q, const CudaGroup *group);
    void (*print_threads)(const Product *q);             /* who has what; shared memory */
    void (*begin)(const Product *q, ProductPlace place); /* NULL: nothing; as is the next */
    void (*end)(const Product *q);                       /* of a tile's columns */
    void (*begin_total)(const Product *q);
    void (*print_terms)(const Product *q); /* adds those of an image */
    void (*print_results)(const Product *q);
    void (*begin_sums)(const Product *q);
    void (*end_sums)(const Product *q);
} ProductWay;
/* WideDevice.makes_inside: whatever else the kernel does, is there room for the window's tile, and is it worth it (cuda_fragment_rows.c)? */
bool product_makes_inside(const IrNode *pointwise, IrNode *window, int element_bytes, int64_t images);
extern const ProductWay product_fragment_rows, product_fragment_both, product_tiles; /* tiles: do for all */

/* ---- cuda_fragment_window.c ---- */
/* Blocks that a multiprocessor can have registers for, of a kernel whose rows a window makes; 0: nobody knows. */
int product_resident_blocks(const Product *q);

/* ---- cuda_product_store.c ---- */
/* "m < 36 && k < 100", as far as a tile can be beyond the end. */
const char *product_inside(const Product *q, const char *m, const Factor *o, const char *k);
/* Stores the value of row mm and column nn of the tile, and adds to the sums behind the product; with the printer's vectors
 * it is four columns, and at says which of the thread's sums: "[j]". */
void product_store(const Product *q, const char *value, const char *at);

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
