/* cuda_sum.c: sums over an image (partial sums of a chunk), and long sums that are computed once, shared by a block.
 *
 * A block of 256 threads has L lanes and 256 / L slices. A lane is an element of the result, neighbours in memory side
 * by side; the slices take every (256 / L)th term each, image after image. Then the slices are added up in order. So
 * the order of additions depends on shapes only, never on the grid. */
#include "codegen/cuda.h"

enum { MOST_LANES = 32, LEAST_TERMS = 64 };

typedef struct Sum {
    CgPrinter *p;
    const CgStep *step;
    const CgScalar *body; /* a term */
    const int *axes;      /* of the sum */
    int axis_count;
    int64_t elements, terms; /* of a chunk (or altogether); of one element in one image */
    int lanes;
    const char *type; /* of the sums */
} Sum;

/* False when the terms are not constant in number. */
static bool read_sum(Sum *s) {
    const CgScalar *value = s->step->value;
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

/* The slice's terms of one image, into `part`. */
static void print_terms(const Sum *s) {
    CgPrinter *p = s->p;
    cg_c_line(p, "%s part = 0;", s->type);
    cg_c_line(p, "_Pragma(\"unroll 8\")"); /* so that loads do not wait for each other */
    cg_c_open(p, "for (%s term = slice; term < %lld; term += %d)", p->index_type, (long long)s->terms,
              CUDA_BLOCK_THREADS / s->lanes);
    cg_c_line(p, "%s rest = term;", p->index_type);
    cuda_print_indices(p, s->axes, s->axis_count);
    cg_c_line(p, "part += %s;", cg_c_print_scalar(p, s->body));
    cg_c_close(p);
    cg_c_line(p, "total += part;");
}

/* With a single term an image the slices share the images instead. */
static void print_images(const Sum *s) {
    CgPrinter *p = s->p;
    bool single = s->terms == 1;
    cg_c_line(p, "const int64_t end = (chunk + 1) * run->batch / run->chunks;");
    cg_c_open(p, "for (int64_t image = chunk * run->batch / run->chunks%s; image < end; image += %d)",
              single ? " + slice" : "", single ? CUDA_BLOCK_THREADS / s->lanes : 1);
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

static void print_block(const Sum *s) {
    CgPrinter *p = s->p;
    cg_c_line(p, "%s total = 0;", s->type);
    cg_c_line(p, "%s rest = element < %lld ? element : 0;", p->index_type, (long long)s->elements);
    cuda_print_element(p, s->step);
    cg_c_hoist(p, s->body, loop_axes(s));
    cg_c_open(p, "if (element < %lld)", (long long)s->elements);
    if (s->step->partial)
        print_images(s);
    else
        print_terms(s);
    cg_c_close(p);
    cg_c_line(p, "sums[threadIdx.x] = total;");
    cg_c_line(p, "__syncthreads();");
    cg_c_open(p, "if (slice == 0 && element < %lld)", (long long)s->elements);
    cg_c_line(p, "for (int i = 1; i < %d; i++) total += sums[i * %d + lane];", CUDA_BLOCK_THREADS / s->lanes, s->lanes);
    cg_c_store(p, s->step->out, cg_c_result_offset(p), "total", false);
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
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
