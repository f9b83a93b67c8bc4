/* cuda_product.c: sums of products (dense convolutions, the gradients of their weights, matrix products) by tiles.
 *
 *     result[m, n] = sum over k of x[m, k] * y[n, k]
 *
 * m stands for the result's axes that only x depends on, n for those that only y depends on, k for the axes of the sum.
 * Which is which follows from the description of an element, so one schedule serves them all; padding is part of x or
 * y. A block brings a tile of x and one of y into shared memory, a few k at a time: there what stands inline (batch
 * norm, relu) is computed once, not once for each product. Each thread keeps 4 x 4 results in registers. When a tile
 * has fewer results than threads, slices of threads share the k, and their sums are added in order. So the order of
 * additions depends on shapes only.
 *
 * In tf32 and bf16 the same tiles are multiplied by tensor cores (cuda_mma.c).
 *
 * What lies where (M, N: count of x and y; TM, TN: their tiles; D: depth, k in a tile; blocks, tiles and threads count
 * columns fastest):
 *     block    [images or chunks, ceil(M / TM), ceil(N / TN)]
 *     x        [D, TM + PAD]      kk * (TM + PAD) + mm,  m = x0 + mm,  k = k0 + kk      shared
 *     y        [D, TN + PAD]      kk * (TN + PAD) + nn,  n = y0 + nn                    shared
 *     thread   [slices, TM / EACH, TN / EACH]   slice, row / EACH, column / EACH; its k are kk = slice, slice + slices, ..
 *     total    [EACH, EACH]       mm = row + i, nn = column + j                         registers
 *     results  [slices, TM, TN]   (slice * TM + mm) * TN + nn                           shared, where x and y were
 * m and n are the result's own axes, each side's innermost in memory fastest (cuda_axes.c).
 *
 * A tile lies in one image. Partial sums: a tile belongs to a chunk, and the block walks over the chunk's images in
 * order. */
#include "codegen/cuda/cuda_product.h"

#include <string.h>

enum {
    EACH = 4 /* results of a thread, each way */,
    PAD = 4,
    LEAST_TERMS = 8,
    LEAST_ROWS = 8,
    LEAST_COLUMNS = 4,
    MOST_UNROLLED = 4
};

/* ---- is it a product? ---- */

static uint32_t guard_axes(const CgScalar *guard) {
    uint32_t mask = 0;
    for (int i = 0; i < guard->index_count; i++)
        mask |= cg_index_axes(&guard->index[i]);
    return mask;
}

/* The same guard around one factor. */
static CgScalar *guard_factor(Arena *arena, const CgScalar *guard, CgScalar *factor) {
    CgScalar *copy = ARENA_NEW(arena, CgScalar);
    *copy = *guard;
    copy->args = ARENA_ARRAY(arena, CgScalar *, 2);
    copy->args[0] = factor;
    copy->args[1] = guard->args[1];
    copy->axes = guard_axes(guard) | factor->axes;
    return copy;
}

static bool is_zero(const CgScalar *s) {
    return s->kind == SCALAR_constant && s->value == 0;
}

/* The factors of a term; what guards the product goes to the factor that depends on all that it tests. */
static bool read_factors(Product *q, const CgScalar *term, uint32_t term_axes) {
    const CgScalar *guard = term->kind == SCALAR_guard ? term : NULL, *product = guard ? guard->args[0] : term;
    if (product->kind != SCALAR_op || product->op != OP_mul || (guard && !is_zero(guard->args[1])))
        return false;
    q->x.value = product->args[0];
    q->y.value = product->args[1];
    if (!guard)
        return true;
    uint32_t tests = guard_axes(guard) & ~term_axes;
    if (!(tests & ~q->x.value->axes))
        q->x.value = guard_factor(q->arena, guard, product->args[0]);
    else if (!(tests & ~q->y.value->axes))
        q->y.value = guard_factor(q->arena, guard, product->args[1]);
    return q->x.value->kind == SCALAR_guard || q->y.value->kind == SCALAR_guard;
}

/* Axes of the sum, which a chunk's images are not among. */
static CgScalar *read_sum(Product *q) {
    CgScalar *value = q->step->value;
    bool is_sum = value->kind == SCALAR_reduce && value->reduce == REDUCE_sum && !value->in_double;
    if (!is_sum)
        return NULL;
    q->terms = 1;
    for (int i = 0; i < value->reduce_count; i++) {
        int axis = value->reduce_axes[i];
        if (q->step->axes[axis].extent < 0)
            return NULL;
        q->terms *= q->step->axes[axis].extent;
        q->axes[q->axis_count++] = axis;
    }
    return value->args[0];
}

static void give_axis(Factor *o, int axis, int64_t extent) {
    o->axes[o->axis_count++] = axis;
    o->count *= extent;
}

/* Every axis of the result belongs to one of the operands; an axis of both (a depthwise channel) makes it no product.
 */
static bool read_axes(Product *q) {
    const CgStep *step = q->step;
    q->x.count = q->y.count = 1;
    for (int i = 0; i < step->out->type.rank; i++) {
        int axis = step->out->order[i];
        int64_t extent = step->axes[axis].extent;
        if (extent == 1 || (axis == 0 && q->launch != LAUNCH_once))
            continue;
        uint32_t bit = UINT32_C(1) << axis, in_x = q->x.value->axes & bit, in_y = q->y.value->axes & bit;
        if (extent < 0 || in_x == in_y)
            return false;
        give_axis(in_x ? &q->x : &q->y, axis, extent);
    }
    return true;
}

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

static void choose_tiles(Product *q) {
    int results = CUDA_BLOCK_THREADS * EACH * EACH;
    q->y.tile = choose_columns(q->y.count);
    q->x.tile = results / q->y.tile;
    while (q->x.tile > 16 && q->x.tile / 2 >= q->x.count)
        q->x.tile /= 2;
    q->x.along_terms = is_along_terms(q, &q->x);
    q->y.along_terms = is_along_terms(q, &q->y);
    if (mma_is_meant(q)) {
        mma_choose_warps(q);
        return;
    }
    q->slices = results / (q->x.tile * q->y.tile);
    q->depth = q->slices * EACH > 16 ? q->slices * EACH : 16;
}

/* ---- printing ---- */

/* "m < 36 && k < 100", as far as a tile can be beyond the end. */
static const char *inside(const Product *q, const char *m, const Factor *o, const char *k) {
    bool all = o->count % o->tile == 0, all_terms = !k || q->terms % q->depth == 0;
    if (all && all_terms)
        return "true";
    if (all || all_terms)
        return arena_printf(q->arena, "%s < %lld", all ? k : m, (long long)(all ? q->terms : o->count));
    return arena_printf(q->arena, "%s < %lld && %s < %lld", m, (long long)o->count, k, (long long)q->terms);
}

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
    cg_c_open(p, "if (%s)", inside(q, "m", o, "k"));
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
    cuda_print_private_bases(q->k);
    cg_c_open(p, "for (int k0 = 0; k0 < %lld; k0 += %d)", (long long)q->terms, q->depth);
    print_tile(q, &q->x);
    print_tile(q, &q->y);
    cg_c_line(p, "__syncthreads();");
    print_multiply(q);
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
}

/* By the sums behind the product, the numbers of a tile's rows and columns name the axes for all. */
static void name_result(const Product *q) {
    CgPrinter *p = q->p;
    const CudaGroup *group = q->k->group;
    const char *rows[CG_MAX_AXES], *columns[CG_MAX_AXES];
    CudaUse uses[CUDA_GROUP_STEPS] = {{q->step, NULL, q->x.axes, true}};
    int pixels[CUDA_GROUP_STEPS][CG_MAX_AXES];
    for (int i = 1; i < group->step_count; i++) {
        const CgScalar *sum = group->steps[i]->value;
        for (int a = 0; a < q->x.axis_count; a++)
            pixels[i][a] = sum->reduce_axes[q->x.axes[a] - 1];
        uses[i] = (CudaUse){group->steps[i], sum->args[0], pixels[i], false};
    }
    cuda_name_axes(p, uses, group->step_count, q->x.axis_count, "m", rows);
    cuda_use_names(p, q->x.axes, q->x.axis_count, rows);
    CudaUse column = {q->step, NULL, q->y.axes, true};
    cuda_name_axes(p, &column, 1, q->y.axis_count, "n", columns);
    cuda_use_names(p, q->y.axes, q->y.axis_count, columns);
}

static void print_store(const Product *q, const char *value) {
    CgPrinter *p = q->p;
    cg_c_line(p, "const int m = x0 + mm, n = y0 + nn;");
    const char *rows = inside(q, "m", &q->x, NULL), *columns = inside(q, "n", &q->y, NULL);
    cg_c_open(p, "if (%s && %s)", rows, columns);
    name_result(q);
    cg_c_store(p, q->step->out, cg_c_result_offset(p), value, false);
    if (q->k->group->step_count > 1) {
        const char *names[CG_MAX_AXES];
        memcpy(names, p->axis_name, sizeof names);
        cuda_add_to_sums(q->k, 1, names);
        cuda_set_step(q->k, 0);
        memcpy(p->axis_name, names, sizeof names);
    }
    cg_c_close(p);
}

static void print_result(const Product *q) {
    if (q->staged)
        cg_c_line(q->p, "results[(slice * %d + mm) * %d + nn] = value;", q->x.tile, q->y.tile);
    else
        print_store(q, "value");
}

static void print_results(const Product *q) {
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
    print_store(q, "sum");
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

/* A tile's results; partial sums are those of a chunk's images. */
static void print_block(const Product *q) {
    CgPrinter *p = q->p;
    if (mma_is_meant(q))
        cg_c_line(p, "T total[%d][%d][4] = {};", q->rows, q->columns);
    else
        cg_c_line(p, "T total[%d][%d] = {};", EACH, EACH);
    if (q->step->partial) {
        cuda_print_chunk(p, "", 1);
        p->axis_name[0] = "image";
        print_terms(q);
        cg_c_close(p);
    } else {
        print_terms(q);
    }
    print_results(q);
    if (q->staged)
        print_staged(q);
}

static int64_t count_tiles(const Factor *o) {
    return (o->count + o->tile - 1) / o->tile;
}

/* Tiles of an image, a chunk, or all. */
static int64_t print_tiles(const Product *q) {
    CgPrinter *p = q->p;
    const char *outer = q->launch == LAUNCH_chunks ? "chunk" : q->launch == LAUNCH_images ? "image" : NULL;
    const char *times = q->launch == LAUNCH_chunks   ? "run->chunks * "
                        : q->launch == LAUNCH_images ? "run->batch * "
                                                     : "";
    long long rows = (long long)count_tiles(&q->x), columns = (long long)count_tiles(&q->y);
    cg_c_open(p, "for (int block = blockIdx.x; block < %s%lld; block += gridDim.x)", times, rows * columns);
    cg_c_line(p, "const int y0 = block %% %lld * %d, x0 = block / %lld %% %lld * %d;", columns, q->y.tile, columns,
              rows, q->x.tile);
    if (outer)
        cg_c_line(p, "const int64_t %s = block / %lld;", outer, rows * columns);
    if (outer && !q->step->partial)
        p->axis_name[0] = outer;
    print_block(q);
    cg_c_close(p);
    return rows * columns;
}

/* With sums behind it: a block has the columns of a chunk and goes over all rows of its images. */
static int64_t print_chunks(const Product *q) {
    CgPrinter *p = q->p;
    long long rows = (long long)count_tiles(&q->x), columns = (long long)count_tiles(&q->y);
    int parts = q->k->group->parts;
    cg_c_open(p, "for (int block = blockIdx.x; block < run->chunks * %lld; block += gridDim.x)", columns * parts);
    cg_c_line(p, "const int y0 = block %% %lld * %d, row0 = block / %lld;", columns, q->y.tile, columns);
    cg_c_line(p, "const int chunk = row0 / %d, part = row0 %% %d;", parts, parts);
    p->row = "row0";
    cuda_begin_sums(q->k, 1);
    cuda_print_chunk(p, "", 1);
    cg_c_open(p, "for (int x0 = part * %d; x0 < %lld; x0 += %d)", q->x.tile, rows * q->x.tile, parts * q->x.tile);
    p->axis_name[0] = "image";
    print_block(q);
    cg_c_close(p);
    cg_c_close(p);
    cg_c_line(p, "const int column0 = y0 + threadIdx.x %% %d;", q->y.tile);
    cuda_end_sums(q->k, 1, q->y.tile, "column0", inside(q, "column0", &q->y, NULL));
    cg_c_close(p);
    return columns * parts;
}

/* ---- what is a product ---- */

static bool describe(Product *q) {
    const CgScalar *term = read_sum(q);
    uint32_t term_axes = q->step->partial ? 1 : 0;
    for (int i = 0; i < q->axis_count; i++)
        term_axes |= UINT32_C(1) << q->axes[i];
    return term && read_factors(q, term, term_axes) && read_axes(q) && q->terms >= LEAST_TERMS &&
           q->x.count >= LEAST_ROWS && q->y.count >= LEAST_COLUMNS;
}

static Product make_product(Arena *arena, const CgOptions *options, const CgStep *step) {
    return (Product){.arena = arena,
                     .precision = options->precision,
                     .step = step,
                     .launch = cuda_step_launch(step),
                     .x.name = "x",
                     .y.name = "y"};
}

static bool is_product(const CgProgram *program, Arena *scratch, const CgStep *step) {
    Product q = make_product(scratch, program->options, step);
    return cuda_fits_int(program->options, step) && describe(&q);
}

/* Does a tile lie in one image, its columns being channels of the result [N, H, W, C]? Dense convolutions with a window do
 * not count: a library may compute those (cuda_conv.c). */
static bool has_channel_tiles(const CgProgram *program, Arena *scratch, const CudaGroup *group) {
    Product q = make_product(scratch, program->options, group->steps[0]);
    const IrNode *node = group->steps[0]->node;
    bool pointwise = ir_is_convolution(node) && node->inputs[1]->type.dim[2] * node->inputs[1]->type.dim[3] == 1;
    if (!pointwise || !describe(&q))
        return false;
    bool pixels = true;
    for (int i = 0; i < q.x.axis_count; i++)
        pixels = pixels && (q.x.axes[i] == 1 || q.x.axes[i] == 2);
    return pixels && q.y.axis_count == 1 && q.y.axes[0] == 3;
}

static void print_product(CudaKernel *k) {
    Product q = make_product(k->p->arena, k->program->options, k->group->steps[0]);
    q.k = k;
    q.p = k->p;
    if (!describe(&q))
        bug("%%%d is no product", q.step->node->id);
    bool sums = k->group->step_count > 1;
    choose_tiles(&q);
    k->tensor = mma_is_meant(&q);
    q.staged = q.slices > 1 || sums;
    print_threads(&q);
    k->threads = (sums ? print_chunks(&q) : print_tiles(&q)) * CUDA_BLOCK_THREADS;
}

/* A block takes rows of tiles. */
static int64_t most_parts(const CgProgram *program, Arena *scratch, const CudaGroup *group) {
    Product q = make_product(scratch, program->options, group->steps[0]);
    if (!describe(&q))
        bug("%%%d is no product", q.step->node->id);
    choose_tiles(&q);
    return count_tiles(&q.x);
}

const CudaSchedule cuda_schedule_product = {.name = "product",
                                            .fits = is_product,
                                            .takes_sums = has_channel_tiles,
                                            .most_parts = most_parts,
                                            .print = print_product};
