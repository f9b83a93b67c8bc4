/* cuda_product_tiles.c: a product by tiles in shared memory: whatever cuda_fragment.c leaves.
 *
 * A block brings a tile of x and one of y into shared memory, a few k at a time: there what stands inline (batch
 * norm, relu) is computed once, not once for each product. Each thread keeps 4 x 4 results in registers. When a tile
 * has fewer results than threads, slices of threads share the k, and their sums are added in order. In tf32 and bf16 the same
 * tiles are multiplied by tensor cores (cuda_mma.c).
 *
 * What lies where (TM, TN: tiles of x and y; D: depth, k in a tile; threads count columns fastest):
 *     x        [D, TM + PAD]      kk * (TM + PAD) + mm,  m = x0 + mm,  k = k0 + kk      shared
 *     y        [D, TN + PAD]      kk * (TN + PAD) + nn,  n = y0 + nn                    shared
 *     thread   [slices, TM / EACH, TN / EACH]   slice, row / EACH, column / EACH; its k are kk = slice, slice + slices, ..
 *     total    [EACH, EACH]       mm = row + i, nn = column + j                         registers
 *     results  [slices, TM, TN]   (slice * TM + mm) * TN + nn                           shared, where x and y were */
#include "codegen/cuda/cuda_product.h"

enum { EACH = 4 /* results of a thread, each way */, PAD = 4, MOST_UNROLLED = 4 };

/* ---- sizes of tiles ---- */

static const CgScalar *first_load(const CgScalar *s) {
    if (s->kind == SCALAR_load)
        return s;
    for (int i = 0; i < s->arg_count; i++) {
        const CgScalar *load = first_load(s->args[i]);
        if (load && load->buffer->type.rank > 1)
            return load;
    }
    return NULL;
}

static int64_t memory_stride(const CgScalar *load, int axis) {
    int64_t stride = 0;
    for (int d = 0; d < load->index_count; d++)
        stride += load->index[d].divisor == 1 ? load->index[d].coef[axis] * load->buffer->stride[d] : 0;
    return stride;
}

static bool is_along_terms(const Product *q, const Factor *o) {
    const CgScalar *load = first_load(o->value);
    for (int i = 0; load && i < q->axis_count; i++)
        if (memory_stride(load, q->axes[i]) == 1)
            return true;
    return false;
}
/* Padding costs its share of the work, a narrow tile more loads for each product. */
static int choose_columns(int64_t count) {
    int best = 64;
    for (int tile = 32; tile >= 16; tile /= 2) {
        double cost = (double)((count + tile - 1) / tile * tile) * (1 + 8.0 / tile);
        double other = (double)((count + best - 1) / best * best) * (1 + 8.0 / best);
        if (cost < other)
            best = tile;
    }
    return best;
}
static bool choose_tiles(Product *q, const CudaGroup *group) {
    int results = CUDA_BLOCK_THREADS * EACH * EACH;
    q->y.tile = choose_columns(q->y.count);
    q->x.tile = results / q->y.tile;
    while (q->x.tile > 16 && q->x.tile / 2 >= q->x.count)
        q->x.tile /= 2;
    q->x.along_terms = is_along_terms(q, &q->x);
    q->y.along_terms = is_along_terms(q, &q->y);
    q->tensor = mma_is_meant(q);
    if (q->tensor) {
        mma_choose_warps(q);
    } else {
        q->slices = results / (q->x.tile * q->y.tile);
        q->depth = q->slices * EACH > 16 ? q->slices * EACH : 16;
    }
    q->staged = q->slices > 1 || group->step_count > 1;
    return true;
}

/* ---- printing ---- */

static void print_number(const Product *q, const Factor *o, bool term) {
    if (term)
        cuda_print_axes(q->p, o->value, false, q->axes, q->axis_count, "k");
    else
        cuda_print_axes(q->p, o->value, false, o->axes, o->axis_count, "m");
}

/* Neighbouring threads take what are neighbours in memory; a thread's place along that way is always the same. */
static void print_tile(const Product *q, const Factor *o) {
    CgPrinter *p = q->p;
    int fast = o->along_terms ? q->depth : o->tile, slow = o->along_terms ? o->tile : q->depth;
    int step = CUDA_BLOCK_THREADS / fast, turns = slow / step;
    const char *place[2] = {arena_printf(p->arena, "threadIdx.x %% %d", fast),
                            arena_printf(p->arena, "threadIdx.x / %d + turn * %d", fast, step)};
    const char *const term = "const int kk = %s, k = k0 + kk;", *const row = "const int mm = %s, m = %s0 + mm;";
    cg_c_open(p, "%s", "");
    cg_c_line(p, o->along_terms ? term : row, place[0], o->name);
    print_number(q, o, o->along_terms);
    cg_c_line(p, "_Pragma(\"unroll %d\")", turns < MOST_UNROLLED ? turns : MOST_UNROLLED);
    cg_c_open(p, "for (int turn = 0; turn < %d; turn++)", turns);
    cg_c_line(p, o->along_terms ? row : term, place[1], o->name);
    cg_c_line(p, "T value = 0;");
    cg_c_open(p, "if (%s)", product_inside(q, "m", o, "k"));
    print_number(q, o, !o->along_terms);
    cg_c_line(p, "value = %s;", cg_c_print_scalar(p, o->value));
    cg_c_close(p);
    if (mma_is_meant(q))
        mma_print_element(q, o);
    else
        cg_c_line(p, "%s[kk * %d + mm] = value;", o->name, o->tile + PAD);
    cg_c_close(p);
    cg_c_close(p);
}

static void print_multiply(const Product *q) {
    CgPrinter *p = q->p;
    if (mma_is_meant(q)) {
        mma_print_multiply(q);
        return;
    }
    cg_c_line(p, "_Pragma(\"unroll 2\")"); /* more takes long to compile */
    cg_c_open(p, "for (int k = slice; k < %d; k += %d)", q->depth, q->slices);
    cg_c_line(p, "T u[%d], v[%d];", EACH, EACH);
    cg_c_line(p, "_Pragma(\"unroll\") for (int i = 0; i < %d; i++) u[i] = x[k * %d + row + i];", EACH, q->x.tile + PAD);
    cg_c_line(p, "_Pragma(\"unroll\") for (int j = 0; j < %d; j++) v[j] = y[k * %d + column + j];", EACH,
              q->y.tile + PAD);
    cg_c_line(p, "_Pragma(\"unroll\") for (int i = 0; i < %d; i++)", EACH);
    cg_c_line(p, "    _Pragma(\"unroll\") for (int j = 0; j < %d; j++) total[i][j] += u[i] * v[j];", EACH);
    cg_c_close(p);
}
/* All k of an image. */
static void print_terms(const Product *q) {
    CgPrinter *p = q->p;
    cg_c_open(p, "for (int k0 = 0; k0 < %lld; k0 += %d)", (long long)q->terms, q->depth);
    print_tile(q, &q->x);
    print_tile(q, &q->y);
    cg_c_line(p, "__syncthreads();");
    print_multiply(q);
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
}
static void print_result(const Product *q) {
    if (q->staged)
        cg_c_line(q->p, "results[(slice * %d + mm) * %d + nn] = value;", q->x.tile, q->y.tile);
    else
        product_store(q, "value", "");
}

static void print_own_results(const Product *q) {
    CgPrinter *p = q->p;
    if (mma_is_meant(q)) {
        mma_print_results(q, print_result);
        return;
    }
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", EACH);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int j = 0; j < %d; j++)", EACH);
    cg_c_line(p, "const int mm = row + i, nn = column + j;");
    cg_c_line(p, "const T value = total[i][j];");
    print_result(q);
    cg_c_close(p);
    cg_c_close(p);
}
/* The slices' sums, in order. A thread's column is always the same. */
static void print_staged(const Product *q) {
    CgPrinter *p = q->p;
    int results = q->x.tile * q->y.tile;
    cg_c_line(p, "__syncthreads();");
    cg_c_open(p, "for (int e = threadIdx.x; e < %d; e += %d)", results, CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int mm = e / %d, nn = e %% %d;", q->y.tile, q->y.tile);
    cg_c_line(p, "T sum = results[e];");
    if (q->slices > 1)
        cg_c_line(p, "for (int s = 1; s < %d; s++) sum += results[s * %d + e];", q->slices, results);
    product_store(q, "sum", "");
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
}

static int shared_elements(const Product *q) {
    int tiles = q->depth * (q->x.tile + q->y.tile + 2 * PAD),
        results = q->staged ? CUDA_BLOCK_THREADS * EACH * EACH : 0;
    return tiles > results ? tiles : results;
}
static void print_threads(const Product *q) {
    CgPrinter *p = q->p;
    if (mma_is_meant(q)) {
        mma_print_threads(q);
        return;
    }
    int across = q->y.tile / EACH, each = across * (q->x.tile / EACH);
    cg_c_line(p, "__shared__ __align__(16) T shared[%d];", shared_elements(q));
    cg_c_line(p, "T *const x = shared, *const y = shared + %d%s;", q->depth * (q->x.tile + PAD),
              q->staged ? ", *const results = shared" : "");
    if (q->k->group->step_count > 1)
        cg_c_line(p, "T *const sums = shared;");
    cg_c_line(p, "const int slice = threadIdx.x / %d, place = threadIdx.x %% %d;", each, each);
    cg_c_line(p, "const int row = place / %d * %d, column = place %% %d * %d;", across, EACH, across, EACH);
}
/* ---- a tile ---- */

static void begin_total(const Product *q) {
    if (q->tensor)
        cg_c_line(q->p, "T total[%d][%d][4] = {};", q->rows, q->columns);
    else
        cg_c_line(q->p, "T total[%d][%d] = {};", EACH, EACH);
}

static void print_results(const Product *q) {
    print_own_results(q);
    if (q->staged)
        print_staged(q);
}

static void begin_sums(const Product *q) {
    cuda_begin_sums(q->k, 1);
}

static void end_sums(const Product *q) {
    cg_c_line(q->p, "const int column0 = y0 + threadIdx.x %% %d;", q->y.tile);
    cuda_end_sums(q->k, 1, q->y.tile, "column0", product_inside(q, "column0", &q->y, NULL));
}

const ProductWay product_tiles = {choose_tiles, print_threads, NULL,       NULL,    begin_total,
                                  print_terms,  print_results, begin_sums, end_sums};
