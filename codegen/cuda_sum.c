/* cuda_sum.c: sums over an image (partial sums of a chunk), and long sums that are computed once, shared by a block.
 *
 * A block of 256 threads has L lanes and 256 / L slices. A lane is an element of the result, neighbours in memory side
 * by side; the slices take every (256 / L)th term each, image after image. Then the slices are added up, half to half. So
 * the order of additions depends on shapes only, never on the grid. */
#include "codegen/cuda.h"

enum { MOST_LANES = 32, LEAST_TERMS = 64, MOST_UNROLLED = 8 };

typedef struct Sum {
    CgPrinter *p;
    const CgStep *step;
    CgScalar *body;  /* a term */
    const int *axes; /* of the sum */
    int axis_count;
    int64_t elements, terms; /* of a chunk (or altogether); of one element in one image */
    int lanes;
    const char *type; /* of the sums */
} Sum;

/* False when the terms are not constant in number. */
static bool read_sum(Sum *s) {
    CgScalar *value = s->step->value;
    bool is_sum = value->kind == SCALAR_reduce && value->reduce == REDUCE_sum;
    s->body = is_sum ? value->args[0] : value;
    s->axes = value->reduce_axes;
    s->axis_count = is_sum ? value->reduce_count : 0;
    s->type = is_sum && value->wide && !s->step->partial ? "double" : "T";
    s->terms = 1;
    for (int i = 0; i < s->axis_count; i++) {
        if (s->step->axes[s->axes[i]].extent < 0)
            return false;
        s->terms *= s->step->axes[s->axes[i]].extent;
    }
    s->lanes = 1;
    while (s->lanes < MOST_LANES && s->lanes < s->elements)
        s->lanes *= 2;
    return true;
}

static int slice_count(const Sum *s) {
    return CUDA_BLOCK_THREADS / s->lanes;
}

/* So that loads do not wait for each other, without code for a rest where there is none. */
static int choose_unroll(int64_t turns) {
    int unroll = MOST_UNROLLED;
    while (unroll > 4 && turns % unroll != 0)
        unroll--;
    return unroll;
}

static void open_terms(const Sum *s) {
    CgPrinter *p = s->p;
    int slices = slice_count(s);
    int64_t turns = s->terms / slices;
    if (s->terms % slices == 0) {
        cg_c_line(p, "_Pragma(\"unroll %d\")", choose_unroll(turns));
        cg_c_open(p, "for (int turn = 0; turn < %lld; turn++)", (long long)turns);
        cg_c_line(p, "const %s term = turn * %d + slice;", p->index_type, slices);
    } else {
        cg_c_line(p, "_Pragma(\"unroll 4\")");
        cg_c_open(p, "for (%s term = slice; term < %lld; term += %d)", p->index_type, (long long)s->terms, slices);
    }
}

/* The slice's terms of one image, into `part`. */
static void print_terms(const Sum *s) {
    CgPrinter *p = s->p;
    cg_c_line(p, "%s part = 0;", s->type);
    open_terms(s);
    cuda_print_axes(p, s->body, false, s->axes, s->axis_count, "term");
    cg_c_line(p, "part += %s;", cg_c_print_scalar(p, s->body));
    cg_c_close(p);
    cg_c_line(p, "total += part;");
}

/* With a single term an image the slices share the images instead. */
static void print_images(const Sum *s) {
    CgPrinter *p = s->p;
    bool single = s->terms == 1;
    cuda_print_chunk(p, single ? " + slice" : "", single ? slice_count(s) : 1);
    cuda_print_private_bases(p, s->step);
    p->axis_name[0] = "image";
    if (single)
        cg_c_line(p, "total += %s;", cg_c_print_scalar(p, s->body));
    else
        print_terms(s);
    cg_c_close(p);
}

static uint32_t loop_axes(const Sum *s) {
    uint32_t mask = s->step->partial ? 1 : 0;
    for (int i = 0; i < s->axis_count; i++)
        mask |= UINT32_C(1) << s->axes[i];
    return mask;
}

/* Halves are added until one slice is left. */
static void print_slices(const Sum *s) {
    CgPrinter *p = s->p;
    cg_c_line(p, "sums[threadIdx.x] = total;");
    cg_c_line(p, "__syncthreads();");
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int half = %d; half >= %d; half /= 2)", CUDA_BLOCK_THREADS / 2, s->lanes);
    cg_c_line(p, "if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];");
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
}

static void print_block(const Sum *s) {
    CgPrinter *p = s->p;
    cg_c_line(p, "%s total = 0;", s->type);
    cg_c_line(p, "const %s place = element < %lld ? element : 0;", p->index_type, (long long)s->elements);
    cuda_print_element(p, s->step, "place");
    cg_c_hoist(p, s->body, loop_axes(s));
    cg_c_open(p, "if (element < %lld)", (long long)s->elements);
    if (s->step->partial)
        print_images(s);
    else
        print_terms(s);
    cg_c_close(p);
    print_slices(s);
    cg_c_open(p, "if (slice == 0 && element < %lld)", (long long)s->elements);
    cg_c_store(p, s->step->out, cg_c_result_offset(p), "sums[lane]", false); /* its own: nobody need wait for that */
    cg_c_close(p);
}

bool cuda_print_sum(CgPrinter *p, const CgStep *step, int64_t elements, CgLaunch launch, int64_t *threads) {
    Sum s = {.p = p, .step = step, .elements = elements};
    if (!read_sum(&s) || (!step->partial && (launch != LAUNCH_once || s.terms < LEAST_TERMS)))
        return false;
    long long blocks = (long long)((elements + s.lanes - 1) / s.lanes);
    cg_c_line(p, "__shared__ %s sums[%d];", s.type, CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int lane = threadIdx.x %% %d, slice = threadIdx.x / %d;", s.lanes, s.lanes);
    if (step->partial)
        cg_c_open(p, "for (%s block = blockIdx.x; block < run->chunks * %lld; block += gridDim.x)", p->index_type,
                  blocks);
    else
        cg_c_open(p, "for (%s block = blockIdx.x; block < %lld; block += gridDim.x)", p->index_type, blocks);
    cg_c_line(p, "const %s chunk = block / %lld, element = block %% %lld * %d + lane;", p->index_type, blocks, blocks,
              s.lanes);
    print_block(&s);
    cg_c_close(p);
    *threads = blocks * CUDA_BLOCK_THREADS;
    return true;
}
