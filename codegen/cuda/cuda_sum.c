/* cuda_sum.c: sums over an image (partial sums of a chunk), and long sums that are computed once, shared by a block;
 * and sums of what another kernel has just computed.
 *
 * A block of 256 threads has L lanes and 256 / L slices. A lane is an element of the result, or a vector of them
 * (cuda_vector.c), neighbours in memory side by side; the slices take every (256 / L)th term each, image after image. Then the slices are added up, half to half.
 * Several sums over the same elements share the loop, and what they read. So the order of additions depends on shapes
 * only, never on the grid. */
#include "codegen/cuda/cuda.h"

enum { MOST_LANES = 32, LEAST_TERMS = 64, LEAST_TURNS = 4, MOST_UNROLLED = 8 };

typedef struct Sum {
    CudaKernel *k;
    CgPrinter *p;
    const CgStep *step; /* the first */
    int count;
    int64_t elements, terms;         /* of a chunk (or altogether); of one element in one image */
    int lanes, parts;                /* parts: blocks that share a chunk */
    int width;                       /* elements of a lane */
    const char *type;                /* of the sums */
    const char *places[IR_MAX_RANK]; /* names of the result's axes */
} Sum;

/* ---- what a sum adds up ---- */

static bool is_sum(const CgStep *step) {
    return step->value->kind == SCALAR_reduce && step->value->reduce == REDUCE_sum;
}

static CgScalar *sum_body(const CgStep *step) {
    return is_sum(step) ? step->value->args[0] : step->value;
}

static int axis_count(const CgStep *step) {
    return is_sum(step) ? step->value->reduce_count : 0;
}

/* Terms of one image; -1 when their number is not constant. */
static int64_t count_terms(const CgStep *step) {
    int64_t terms = 1;
    for (int i = 0; i < axis_count(step); i++) {
        int64_t extent = step->axes[step->value->reduce_axes[i]].extent;
        if (extent < 0)
            return -1;
        terms *= extent;
    }
    return terms;
}

/* Over the images of a chunk, a constant number of terms in each. */
static bool adds_images(const CgStep *step) {
    return step->partial && count_terms(step) > 0;
}

/* ---- the loop ---- */

static int slice_count(const Sum *s) {
    return CUDA_BLOCK_THREADS / s->lanes;
}

/* So that loads do not wait for each other, without code for a rest where there is none; several sums have loads enough. */
static int choose_unroll(const Sum *s, int64_t turns) {
    int most = MOST_UNROLLED / s->count, unroll = most > 1 ? most : 1;
    while (unroll > most / 2 && unroll > 1 && turns % unroll != 0)
        unroll--;
    return unroll;
}

static void open_terms(const Sum *s) {
    CgPrinter *p = s->p;
    int slices = slice_count(s) * s->parts;
    int64_t turns = s->terms / slices;
    const char *slice = s->parts > 1 ? arena_printf(p->arena, "part * %d + slice", slice_count(s)) : "slice";
    if (s->terms % slices == 0) {
        cg_c_line(p, "_Pragma(\"unroll %d\")", choose_unroll(s, turns));
        cg_c_open(p, "for (int turn = 0; turn < %lld; turn++)", (long long)turns);
        cg_c_line(p, "const %s term = turn * %d + %s;", p->index_type, slices, slice);
    } else {
        cg_c_line(p, "_Pragma(\"unroll %d\")", s->count > 1 ? 1 : 4);
        cg_c_open(p, "for (%s term = %s; term < %lld; term += %d)", p->index_type, slice, (long long)s->terms, slices);
    }
}

static void set_step(const Sum *s, int index) {
    static const int own[IR_MAX_RANK] = {0, 1, 2, 3, 4, 5};
    cuda_set_step(s->k, index);
    cuda_use_names(s->p, own, s->step->out->type.rank, s->places);
    if (s->width > 1)
        s->p->vector_axis = cuda_last_axis(s->p->step);
}

/* Names the axes of the sum by "term" for all, and adds a term of each to its name and number. */
static void add_terms(const Sum *s, const char *name) {
    CudaUse uses[CUDA_GROUP_STEPS];
    const char *terms[CG_MAX_AXES];
    for (int i = 0; i < s->count; i++) {
        const CgStep *step = s->k->group->steps[i];
        uses[i] = (CudaUse){step, sum_body(step), step->value->reduce_axes, false};
    }
    cuda_name_axes(s->p, uses, s->count, axis_count(s->step), "term", terms);
    for (int i = 0; i < s->count; i++) {
        set_step(s, i);
        if (s->step->partial)
            s->p->axis_name[0] = "image";
        cuda_use_names(s->p, uses[i].axes, axis_count(s->step), terms);
        cg_c_line(s->p, "%s%d += %s;", name, i, cg_c_print_vector(s->p, uses[i].value));
    }
}

static void declare(const Sum *s, const char *name) {
    for (int i = 0; i < s->count; i++)
        cg_c_line(s->p, "%s %s%d = %s;", s->type, name, i, s->width > 1 ? "{0}" : "0");
}

/* The slice's terms of one image. */
static void print_terms(const Sum *s) {
    declare(s, "part");
    open_terms(s);
    add_terms(s, "part");
    cg_c_close(s->p);
    for (int i = 0; i < s->count; i++)
        cg_c_line(s->p, "total%d += part%d;", i, i);
}

/* With a single term an image the slices share the images instead. */
static void print_images(const Sum *s) {
    CgPrinter *p = s->p;
    bool single = s->terms == 1;
    cuda_print_chunk(p, single ? " + slice" : "", single ? slice_count(s) : 1);
    cuda_print_private_bases(s->k);
    if (single)
        add_terms(s, "total");
    else
        print_terms(s);
    cg_c_close(p);
}

static uint32_t loop_axes(const CgStep *step) {
    uint32_t mask = step->partial ? 1 : 0;
    for (int i = 0; i < axis_count(step); i++)
        mask |= UINT32_C(1) << step->value->reduce_axes[i];
    return mask;
}

/* Where in `sums` those of one begin: "256 + ", or nothing. */
static const char *place_of_sum(const CgPrinter *p, int number) {
    return number ? arena_printf(p->arena, "%d + ", number * CUDA_BLOCK_THREADS) : "";
}

void cuda_print_halves(CgPrinter *p, int first, int end, int lanes) {
    for (int i = first; i < end; i++)
        cg_c_line(p, "sums[%sthreadIdx.x] = total%d;", place_of_sum(p, i - first), i);
    cg_c_line(p, "__syncthreads();");
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int half = %d; half >= %d; half /= 2)", CUDA_BLOCK_THREADS / 2, lanes);
    cg_c_open(p, "if (threadIdx.x < half)");
    for (int i = first; i < end; i++)
        cg_c_line(p, "sums[%sthreadIdx.x] += sums[%sthreadIdx.x + half];", place_of_sum(p, i - first),
                  place_of_sum(p, i - first));
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
}

/* Who stores reads its own sums: nobody need wait for that. */
static void print_results(const Sum *s) {
    CgPrinter *p = s->p;
    cuda_print_halves(p, 0, s->count, s->lanes);
    cg_c_open(p, "if (slice == 0 && element < %lld)", (long long)s->elements);
    for (int i = 0; i < s->count; i++) {
        set_step(s, i);
        cg_c_store(p, p->step->out, cg_c_result_offset(p), arena_printf(p->arena, "sums[%slane]", place_of_sum(p, i)),
                   true);
    }
    cg_c_close(p);
}

/* The result's axes, by "place", for all. */
static void name_places(Sum *s) {
    CudaUse uses[CUDA_GROUP_STEPS];
    for (int i = 0; i < s->count; i++) {
        const CgStep *step = s->k->group->steps[i];
        uses[i] = (CudaUse){step, step->value, step->out->order, true};
    }
    const char *names[CG_MAX_AXES];
    cuda_name_axes(s->p, uses, s->count, s->step->out->type.rank, "place", names);
    for (int i = 0; i < s->step->out->type.rank; i++)
        s->places[s->step->out->order[i]] = names[i];
}

static void print_block(Sum *s) {
    CgPrinter *p = s->p;
    declare(s, "total");
    cg_c_line(p, "const %s place = element < %lld ? element : 0;", p->index_type, (long long)s->elements);
    name_places(s);
    for (int i = 0; i < s->count; i++) {
        set_step(s, i);
        cg_c_hoist(p, sum_body(p->step), loop_axes(p->step));
    }
    cg_c_open(p, "if (element < %lld)", (long long)s->elements);
    if (s->step->partial)
        print_images(s);
    else
        print_terms(s);
    cg_c_close(p);
    print_results(s);
}

static int choose_lanes(int64_t elements) {
    int lanes = 1;
    while (lanes < MOST_LANES && lanes < elements)
        lanes *= 2;
    return lanes;
}

static int choose_width(const CgOptions *options, const CudaGroup *group) {
    bool vectors = !options->plain && group->steps[0]->partial && cuda_has_vector_form(options, group);
    return vectors ? cuda_width(options) : 1;
}

static void print_sum(CudaKernel *k) {
    const CgStep *step = k->group->steps[0];
    CgPrinter *p = k->p;
    bool in_double = !step->partial && is_sum(step) && step->value->in_double;
    int width = p->width = choose_width(k->program->options, k->group);
    p->aligned = width > 1;
    Sum s = {.k = k,
             .p = p,
             .step = step,
             .count = k->group->step_count,
             .elements = k->threads,
             .terms = count_terms(step),
             .lanes = choose_lanes(k->threads / width),
             .parts = k->group->parts,
             .width = width,
             .type = in_double ? "double" : cg_c_type(p, true)};
    long long blocks = (long long)((s.elements / width + s.lanes - 1) / s.lanes);
    cg_c_line(p, "__shared__ %s sums[%d];", s.type, s.count * CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int lane = threadIdx.x %% %d, slice = threadIdx.x / %d;", s.lanes, s.lanes);
    cg_c_open(p, "for (%s block = blockIdx.x; block < %s%lld; block += gridDim.x)", p->index_type,
              step->partial ? "run->chunks * " : "", blocks * s.parts);
    const char *first = arena_printf(
        p->arena, width > 1 ? "(block %% %lld * %d + lane) * %d" : "block %% %lld * %d + lane", blocks, s.lanes, width);
    cg_c_line(p, "const %s row = block / %lld, element = %s;", p->index_type, blocks, first);
    if (step->partial)
        cg_c_line(p, "const %s chunk = row / %d, part = row %% %d;", p->index_type, s.parts, s.parts);
    p->row = "row";
    print_block(&s);
    cg_c_close(p);
    k->threads = blocks * s.parts * CUDA_BLOCK_THREADS;
}

/* ---- the schedules ---- */

static bool is_partial_sum(const CgProgram *program, Arena *scratch, const CgStep *step) {
    (void)program, (void)scratch;
    return adds_images(step);
}

static bool is_long_sum(const CgProgram *program, Arena *scratch, const CgStep *step) {
    (void)program, (void)scratch;
    return !step->partial && is_sum(step) && cuda_step_launch(step) == LAUNCH_once && count_terms(step) >= LEAST_TERMS;
}

/* Over the same elements, by the same terms. */
static bool same_sums(const CgStep *a, const CgStep *b) {
    const CgScalar *x = a->value, *y = b->value;
    int count = x->kind == SCALAR_reduce ? x->reduce_count : 0;
    if (!cuda_same_extents(&a->out->type, &b->out->type) || x->kind != y->kind ||
        (count && x->reduce_count != y->reduce_count))
        return false;
    for (int i = 0; i < count; i++)
        if (a->axes[x->reduce_axes[i]].extent != b->axes[y->reduce_axes[i]].extent)
            return false;
    return true;
}

static bool shares_loop(const CudaGroup *group, const CgStep *step) {
    return group->step_count < CUDA_GROUP_SUMS && same_sums(group->steps[0], step);
}

/* Each turn of a slice brings a term. */
static int64_t most_parts(const CgProgram *program, Arena *scratch, const CudaGroup *group) {
    (void)scratch;
    const CgStep *step = group->steps[0];
    int64_t lanes = choose_lanes(cuda_count_elements(step) / choose_width(program->options, group));
    return count_terms(step) / (CUDA_BLOCK_THREADS / lanes) / LEAST_TURNS;
}

const CudaSchedule cuda_schedule_sum = {.name = "sum",
                                        .always = true,
                                        .adds_up = true,
                                        .fits = is_partial_sum,
                                        .stands_beside = shares_loop,
                                        .most_parts = most_parts,
                                        .print = print_sum};
const CudaSchedule cuda_schedule_long_sum = {
    .name = "long sum", .always = true, .is_late = true, .fits = is_long_sum, .print = print_sum};

/* ---- behind another step of the same kernel ---- */

/* The axis of the result that has an extent: the channels. */
static int channel_axis(const CgStep *sum) {
    int channel = -1;
    for (int d = 1; d < sum->out->type.rank; d++) {
        if (sum->axes[d].extent == 1)
            continue;
        if (channel >= 0)
            return -1;
        channel = d;
    }
    return channel;
}

bool cuda_is_sum_of(Arena *arena, const CgStep *sum, const CgStep *step) {
    const IrType *type = &step->out->type;
    int channel = channel_axis(sum);
    if (type->rank != 4 || !adds_images(sum) || axis_count(sum) != 2 || channel < 0)
        return false;
    int axes[4] = {0, sum->value->reduce_axes[0], sum->value->reduce_axes[1], channel};
    for (int d = 1; d < 4; d++)
        if (sum->axes[axes[d]].extent != type->dim[d])
            return false;
    return cuda_reads_only_at(arena, sum, step->out, axes);
}

void cuda_begin_sums(CudaKernel *k, int first) {
    for (int i = first; i < k->group->step_count; i++)
        cg_c_line(k->p, "%s total%d = %s;", cg_c_type(k->p, true), i, k->p->width > 1 ? "{0}" : "0");
}

void cuda_add_vectors_to_sums(CudaKernel *k, int first, const char *const names[4], const char *at) {
    CgPrinter *p = k->p;
    for (int i = first; i < k->group->step_count; i++) {
        const CgStep *step = k->group->steps[i];
        int axes[4] = {0, step->value->reduce_axes[0], step->value->reduce_axes[1], channel_axis(step)};
        cuda_set_step(k, i);
        cuda_use_names(p, axes, 4, names);
        if (p->width > 1)
            p->vector_axis = axes[3];
        cg_c_line(p, "total%d%s += %s;", i, at, cg_c_print_vector(p, sum_body(step)));
    }
}

void cuda_add_to_sums(CudaKernel *k, int first, const char *const names[4]) {
    cuda_add_vectors_to_sums(k, first, names, "");
}

bool cuda_sum_has_vectors(const CgStep *sum, int width) {
    CudaVector v = {sum, channel_axis(sum), width};
    return v.axis >= 0 && cuda_stores_vectors(&v) && cuda_reads_vectors(&v, sum_body(sum));
}

void cuda_store_sum(CudaKernel *k, int index, const char *channel, const char *sum) {
    CgPrinter *p = k->p;
    cuda_set_step(k, index);
    p->axis_name[channel_axis(p->step)] = channel;
    cg_c_store(p, p->step->out, cg_c_result_offset(p), sum, true);
}

void cuda_end_sums(CudaKernel *k, int first, int lanes, const char *channel, const char *test) {
    CgPrinter *p = k->p;
    cuda_print_halves(p, first, k->group->step_count, lanes);
    cg_c_open(p, "if (threadIdx.x < %d && %s)", lanes, test);
    for (int i = first; i < k->group->step_count; i++)
        cuda_store_sum(k, i, channel, arena_printf(p->arena, "sums[%sthreadIdx.x]", place_of_sum(p, i - first)));
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
}

int64_t cuda_sums_elements(const CudaGroup *group, int first) {
    return (int64_t)(group->step_count - first) * CUDA_BLOCK_THREADS;
}
