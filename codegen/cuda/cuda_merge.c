/* cuda_merge.c: steps of the same few elements, some of which add up the sums of all chunks: the end of a batch norm's
 * statistics, which everything behind waits for. A block has lanes, one for each element, and slices that share the chunks;
 * they are added half to half, in double. Then the first slice computes all steps. */
#include "codegen/cuda/cuda.h"

enum { MOST_ELEMENTS = 1024, MOST_LANES = 64, MOST_MERGES = 16 /* they share 48 KB */ };

static bool is_merge(const CgStep *step) {
    const CgScalar *value = step->value;
    return value->kind == SCALAR_reduce && value->reduce == REDUCE_sum && value->in_double &&
           value->reduce_count == 1 && step->axes[value->reduce_axes[0]].extent == IR_DIM_K;
}

static int count_merges(const CudaGroup *group) {
    int count = 0;
    for (int i = 0; i < group->step_count; i++)
        count += is_merge(group->steps[i]);
    return count;
}

bool cuda_has_merges(const CudaKernel *k) {
    int count = count_merges(k->group);
    return count > 0 && count <= MOST_MERGES && k->launch == LAUNCH_once && k->threads <= MOST_ELEMENTS;
}

typedef struct Merge {
    CudaKernel *k;
    CgPrinter *p;
    int lanes, count, most_parts; /* count: of merges */
    const char *names[CG_MAX_AXES];
} Merge;

static void use_step(const Merge *m, int index) {
    cuda_set_step(m->k, index);
    cuda_use_names(m->p, m->k->group->steps[0]->out->order, m->p->step->out->type.rank, m->names);
}

static int parts_of(const CgStep *step) {
    int parts = step->axes[step->value->reduce_axes[0]].parts;
    return parts > 1 ? parts : 1;
}

/* Those merges that have so many rows of each chunk share a loop. */
static void print_rows(const Merge *m, int parts) {
    CgPrinter *p = m->p;
    bool open = false;
    for (int i = 0, number = 0; i < m->k->group->step_count; i++) {
        const CgStep *step = m->k->group->steps[i];
        if (!is_merge(step))
            continue;
        if (parts_of(step) == parts) {
            int axis = step->value->reduce_axes[0];
            use_step(m, i);
            if (!open) {
                cg_c_line(p, "_Pragma(\"unroll 4\")");
                cg_c_open(p, "for (int row = slice; row < %s; row += %d)", cg_c_extent(p, axis),
                          CUDA_BLOCK_THREADS / m->lanes);
            }
            open = true;
            p->axis_name[axis] = "row";
            cg_c_line(p, "total%d += nd_widen(%s);", number, cg_c_print_scalar(p, step->value->args[0]));
        }
        number++;
    }
    if (open)
        cg_c_close(p);
}

/* The slices' sums. */
static void print_totals(const Merge *m) {
    CgPrinter *p = m->p;
    for (int i = 0; i < m->count; i++)
        cg_c_line(p, "double total%d = 0;", i);
    for (int parts = 1; parts <= m->most_parts; parts++)
        print_rows(m, parts);
    cuda_print_halves(p, 0, m->count, m->lanes);
}

static void print_steps(const Merge *m) {
    CgPrinter *p = m->p;
    cg_c_open(p, "if (slice == 0 && element < %lld)", (long long)m->k->threads);
    for (int i = 0, number = 0; i < m->k->group->step_count; i++) {
        use_step(m, i);
        const char *value;
        if (is_merge(p->step)) {
            value = cg_c_name(p, "merged");
            cg_c_line(p, "const T %s = nd_narrow(sums[%d + lane]);", value, number++ * CUDA_BLOCK_THREADS);
        } else {
            value = cg_c_print_scalar(p, p->step->value);
        }
        cg_c_store(p, p->step->out, cg_c_result_offset(p), value, false);
    }
    cg_c_close(p);
}

void cuda_print_merge(CudaKernel *k) {
    const CudaGroup *group = k->group;
    CgPrinter *p = k->p;
    Merge m = {.k = k, .p = p, .lanes = 1, .count = count_merges(group)};
    while (m.lanes < MOST_LANES && m.lanes < k->threads)
        m.lanes *= 2;
    long long blocks = (long long)((k->threads + m.lanes - 1) / m.lanes);
    CudaUse uses[CUDA_GROUP_STEPS];
    for (int i = 0; i < group->step_count; i++) {
        if (is_merge(group->steps[i]) && parts_of(group->steps[i]) > m.most_parts)
            m.most_parts = parts_of(group->steps[i]);
        uses[i] = (CudaUse){group->steps[i], group->steps[i]->value, group->steps[0]->out->order, true};
    }
    cg_c_line(p, "__shared__ double sums[%d];", m.count * CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int lane = threadIdx.x %% %d, slice = threadIdx.x / %d;", m.lanes, m.lanes);
    cg_c_open(p, "for (int block = blockIdx.x; block < %lld; block += gridDim.x)", blocks);
    cg_c_line(p, "const int element = block * %d + lane, place = element < %lld ? element : 0;", m.lanes,
              (long long)k->threads);
    cuda_name_axes(p, uses, group->step_count, group->steps[0]->out->type.rank, "place", m.names);
    print_totals(&m);
    print_steps(&m);
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
    k->threads = blocks * CUDA_BLOCK_THREADS;
}
