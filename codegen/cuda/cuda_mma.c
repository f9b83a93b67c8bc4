/* cuda_mma.c: the tiles of a product multiplied by tensor cores: mma.sync on 16 rows, 8 columns and 8 words of k, a
 * word being one tf32 or two bf16. Operands are rounded when they go into shared memory, sums are f32.
 *
 * A tile's row of k is `words` long and 4 more apart from the next, so that the eight rows and four words that a warp
 * reads together lie in 32 different banks. In a warp lane l has row l / 4 and word l % 4, and rows and words 8 and 4
 * further on; of the result it has columns 2 (l % 4) and one more, in the same rows. */
#include "codegen/cuda/cuda_product.h"

enum { WARPS = CUDA_BLOCK_THREADS / 32, ROWS = 16, COLUMNS = 8, WORDS = 8, PAD_WORDS = 4 };

bool mma_is_meant(const Product *q) {
    return q->precision == PRECISION_tf32 || q->precision == PRECISION_bf16;
}

static int terms_of_word(const Product *q) {
    return q->precision == PRECISION_bf16 ? 2 : 1;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Eight warps: up to 32 columns each, then rows, then slices of k. */
void mma_choose_warps(Product *q) {
    int each = terms_of_word(q);
    q->across = q->y.tile > 32 ? q->y.tile / 32 : 1;
    q->columns = q->y.tile / (COLUMNS * q->across);
    q->down = least(WARPS / q->across, q->x.tile / ROWS);
    q->rows = q->x.tile / (ROWS * q->down);
    q->slices = WARPS / (q->across * q->down);
    q->words = q->slices > 2 ? q->slices * WORDS : 2 * WORDS;
    if (each == 2 && q->slices == 1 && q->terms <= each * WORDS)
        q->words = WORDS;
    q->stride = q->words + PAD_WORDS;
    q->depth = q->words * each;
}

int mma_shared_words(const Product *q) {
    int tiles = (q->x.tile + q->y.tile) * q->stride, results = q->staged ? q->slices * q->x.tile * q->y.tile : 0;
    return tiles > results ? tiles : results;
}

void mma_print_threads(const Product *q) {
    CgPrinter *p = q->p;
    cg_c_line(p, "__shared__ __align__(16) uint32_t shared[%d];", mma_shared_words(q));
    cg_c_line(p, "uint32_t *const x = shared, *const y = shared + %d;", q->x.tile * q->stride);
    if (q->staged)
        cg_c_line(p, "T *const results = (T *)shared;");
    if (q->k->group->step_count > 1)
        cg_c_line(p, "T *const sums = (T *)shared;");
    cg_c_line(p, "const int warp = threadIdx.x / 32, group = threadIdx.x %% 32 / 4, word = threadIdx.x %% 4;");
    cg_c_line(p, "const int slice = warp / %d, place = warp %% %d;", q->across * q->down, q->across * q->down);
    cg_c_line(p, "const int row = place / %d * %d + group, column = place %% %d * %d;", q->across, q->rows * ROWS,
              q->across, q->columns * COLUMNS);
}

void mma_print_element(const Product *q, const Factor *o) {
    if (q->precision == PRECISION_bf16)
        cg_c_line(q->p, "((uint16_t *)%s)[mm * %d + kk] = nd_to_bf16(value);", o->name, 2 * q->stride);
    else
        cg_c_line(q->p, "%s[mm * %d + kk] = nd_to_tf32(value);", o->name, q->stride);
}

void mma_print_multiply(const Product *q) {
    CgPrinter *p = q->p;
    cg_c_open(p, "for (int k = slice * %d; k < %d; k += %d)", WORDS, q->words, q->slices * WORDS);
    cg_c_line(p, "uint32_t u[%d][4], v[%d][2];", q->rows, q->columns);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", q->rows);
    cg_c_line(p, "const uint32_t *const from = x + (row + i * %d) * %d + k + word;", ROWS, q->stride);
    cg_c_line(p, "u[i][0] = from[0], u[i][1] = from[%d], u[i][2] = from[4], u[i][3] = from[%d];", 8 * q->stride,
              8 * q->stride + 4);
    cg_c_close(p);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int j = 0; j < %d; j++)", q->columns);
    cg_c_line(p, "const uint32_t *const from = y + (column + j * %d + group) * %d + k + word;", COLUMNS, q->stride);
    cg_c_line(p, "v[j][0] = from[0], v[j][1] = from[4];");
    cg_c_close(p);
    cg_c_line(p, "_Pragma(\"unroll\") for (int i = 0; i < %d; i++)", q->rows);
    cg_c_line(p, "    _Pragma(\"unroll\") for (int j = 0; j < %d; j++) nd_mma_%s(total[i][j], u[i], v[j]);", q->columns,
              cg_precision_name(q->precision));
    cg_c_close(p);
}

void mma_print_results(const Product *q, void (*store)(const Product *q)) {
    CgPrinter *p = q->p;
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", q->rows);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int j = 0; j < %d; j++)", q->columns);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int e = 0; e < 4; e++)");
    cg_c_line(p, "const int mm = row + i * %d + e / 2 * 8, nn = column + j * %d + 2 * word + e %% 2;", ROWS, COLUMNS);
    cg_c_line(p, "const T value = total[i][j][e];");
    store(q);
    cg_c_close(p);
    cg_c_close(p);
    cg_c_close(p);
}
