/* cuda_product.c: sums of products (dense convolutions, the gradients of their weights, matrix products).
 *
 *     result[m, n] = sum over k of x[m, k] * y[n, k]
 *
 * m stands for the result's axes that only x depends on, n for those that only y depends on, k for the axes of the sum.
 * Which is which follows from the description of an element, so one schedule serves them all; padding is part of x or
 * y. m and n are the result's own axes, each side's innermost in memory fastest (cuda_axes.c).
 *
 * A block computes tiles of TM x TN results, [images or chunks, ceil(M / TM), ceil(N / TN)] of them, columns fastest. Here is
 * what a product is, and the loops over its tiles; how a tile is computed is a ProductWay: from vectors in memory straight
 * into tensor cores where that can be (cuda_fragment.c), by tiles in shared memory (cuda_product_tiles.c) else. The order
 * of additions depends on shapes only.
 *
 * A tile lies in one image. Partial sums: a tile belongs to a chunk, and the block walks over the chunk's images in
 * order. */
#include "codegen/cuda/cuda_product.h"

enum { LEAST_TERMS = 8, LEAST_ROWS = 8, LEAST_COLUMNS = 4 };

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
/* ---- ways ---- */

static const ProductWay *choose_way(Product *q, const CudaGroup *group) {
    static const ProductWay *const ways[] = {&product_fragment_rows, &product_fragment_both, &product_tiles};
    int i = 0;
    while (!ways[i]->choose(q, group))
        i++;
    return ways[i];
}

/* ---- loops over tiles ---- */

/* A tile's results; partial sums are those of a chunk's images. */
static void print_tile(const Product *q, const ProductWay *way) {
    CgPrinter *p = q->p;
    way->begin_total(q);
    if (q->step->partial) {
        cuda_print_chunk(p, "", 1);
        p->axis_name[0] = "image";
    }
    cuda_print_private_bases(q->k);
    way->print_terms(q);
    if (q->step->partial)
        cg_c_close(p);
    way->print_results(q);
}

static int64_t count_tiles(const Factor *o) {
    return (o->count + o->tile - 1) / o->tile;
}

/* Tiles of an image, a chunk, or all. */
static int64_t print_tiles(const Product *q, const ProductWay *way) {
    CgPrinter *p = q->p;
    const char *outer = q->launch == LAUNCH_chunks ? "chunk" : q->launch == LAUNCH_images ? "image" : NULL;
    const char *times = q->launch == LAUNCH_chunks   ? "run->chunks * "
                        : q->launch == LAUNCH_images ? "run->batch * "
                                                     : "";
    long long rows = (long long)count_tiles(&q->x), columns = (long long)count_tiles(&q->y);
    if (way->begin)
        way->begin(q, BEFORE_TILES);
    cg_c_open(p, "for (int block = blockIdx.x; block < %s%lld; block += gridDim.x)", times, rows * columns);
    cg_c_line(p, "const int y0 = block %% %lld * %d, x0 = block / %lld %% %lld * %d;", columns, q->y.tile, columns,
              rows, q->x.tile);
    if (outer)
        cg_c_line(p, "const int64_t %s = block / %lld;", outer, rows * columns);
    if (outer && !q->step->partial)
        p->axis_name[0] = outer;
    if (way->begin)
        way->begin(q, IN_COLUMNS);
    print_tile(q, way);
    if (way->end)
        way->end(q);
    cg_c_close(p);
    return rows * columns;
}

/* With sums behind it: a block has the columns of a chunk and goes over all rows of its images. */
static int64_t print_chunks(const Product *q, const ProductWay *way) {
    CgPrinter *p = q->p;
    long long rows = (long long)count_tiles(&q->x), columns = (long long)count_tiles(&q->y);
    int parts = q->k->group->parts;
    if (way->begin)
        way->begin(q, BEFORE_TILES);
    cg_c_open(p, "for (int block = blockIdx.x; block < run->chunks * %lld; block += gridDim.x)", columns * parts);
    cg_c_line(p, "const int y0 = block %% %lld * %d, row0 = block / %lld;", columns, q->y.tile, columns);
    cg_c_line(p, "const int chunk = row0 / %d, part = row0 %% %d;", parts, parts);
    p->row = "row0";
    if (way->begin)
        way->begin(q, IN_COLUMNS);
    way->begin_sums(q);
    cuda_print_chunk(p, "", 1);
    cg_c_open(p, "for (int x0 = part * %d; x0 < %lld; x0 += %d)", q->x.tile, rows * q->x.tile, parts * q->x.tile);
    p->axis_name[0] = "image";
    print_tile(q, way);
    cg_c_close(p);
    cg_c_close(p);
    way->end_sums(q);
    if (way->end)
        way->end(q);
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
                     .options = options,
                     .precision = options->precision,
                     .step = step,
                     .launch = cuda_step_launch(step),
                     .x.name = "x",
                     .y.name = "y",
                     .window = step->int_count ? NULL : window_inside(step->node)};
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
    bool pixels = !q.window || group->step_count <= PRODUCT_WINDOW_SUMS;
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
    const ProductWay *way = choose_way(&q, k->group);
    k->tensor = q.tensor;
    k->resident = q.made ? product_resident_blocks(&q) : 0;
    way->print_threads(&q);
    k->threads = (sums ? print_chunks(&q, way) : print_tiles(&q, way)) * CUDA_BLOCK_THREADS;
}

/* A block takes rows of tiles. */
static int64_t most_parts(const CgProgram *program, Arena *scratch, const CudaGroup *group) {
    Product q = make_product(scratch, program->options, group->steps[0]);
    if (!describe(&q))
        bug("%%%d is no product", q.step->node->id);
    choose_way(&q, group);
    return count_tiles(&q.x);
}

const CudaSchedule cuda_schedule_product = {.name = "product",
                                            .fits = is_product,
                                            .takes_sums = has_channel_tiles,
                                            .most_parts = most_parts,
                                            .print = print_product};
