/* cuda_merge.c: steps of the same few elements, some of which add up the sums of all chunks: the end of a batch norm's
 * statistics, which everything behind waits for. A block has lanes, one for each element, and slices that share the chunks,
 * neighbours in one slice; slices are added up pair by pair, in double: the order of additions is that of print_scalar.c. Then the
 * first slice computes all steps.
 *
 * Where all that is added up comes from one kernel, and there are few elements, they are its tail, which the last of its
 * blocks computes: so nobody waits for another launch. Each block counts itself when all that it has stored can be seen
 * (the barrier, then the fence of one thread, which stands for all); who finds all others counted reads what they have stored
 * behind a fence of its own. The counter goes back to zero then, by itself. Which block it is makes no difference: the order
 * of additions is the same. */
#include "codegen/cuda/cuda.h"

enum {
    MOST_ELEMENTS = 1024,
    MOST_LANES = 64,
    MOST_MERGES = 16,
    MOST_UNROLLED = 8,                  /* rows of a chunk */
    MOST_TAIL_ELEMENTS = 2 * MOST_LANES /* more take a block longer than another launch */
};

bool cuda_is_merge(const CgStep *step) {
    return cg_is_merge(step, step->value);
}

static int count_merges(const CudaGroup *group, int first) {
    int count = 0;
    for (int i = first; i < group->step_count; i++)
        count += cuda_is_merge(group->steps[i]);
    return count;
}

bool cuda_has_merges(const CudaKernel *k) {
    int count = count_merges(k->group, 0);
    return count > 0 && count <= MOST_MERGES && k->launch == LAUNCH_once && k->threads <= MOST_ELEMENTS;
}

/* ---- what may be a tail ---- */

CudaGroup cuda_body(const CudaGroup *group) {
    CudaGroup body = *group;
    body.step_count = group->tail ? group->tail : group->step_count;
    body.tail = 0;
    return body;
}

/* Of what the kernel makes the step reads only sums that it merges, and elements of the tail at its own place. */
static bool reads_tail(Arena *scratch, const CudaGroup *group, const CgStep *step) {
    static const int own[IR_MAX_RANK] = {0, 1, 2, 3, 4, 5};
    int count, body = cuda_body(group).step_count;
    const CgScalar **loads = cuda_find_loads(scratch, step, &count);
    for (int i = 0; i < group->step_count; i++) {
        const CgStep *member = group->steps[i];
        bool reads = false;
        for (int j = 0; j < count; j++)
            reads = reads || loads[j]->buffer == member->out || loads[j]->buffer->whole == member->out;
        if (!reads)
            continue;
        bool right = i >= body ? cuda_reads_only_at(scratch, step, member->out, own)
                               : cuda_is_merge(step) && member->partial && ir_is(member->node, OP_SUM);
        if (!right)
            return false;
    }
    return true;
}

/* Memory of what the body makes, and of what others of the tail read elsewhere, stays as it is. */
static bool may_store(const CgProgram *program, Arena *scratch, const CudaGroup *group, const CgStep *step) {
    static const int own[IR_MAX_RANK] = {0, 1, 2, 3, 4, 5};
    const CgBuffer *out = step->out;
    int body = cuda_body(group).step_count;
    for (int i = 0; i < group->step_count; i++) {
        const CgStep *member = group->steps[i];
        for (int j = 0; j < member->buffer_count; j++) {
            const CgBuffer *buffer = member->buffers[j];
            if (!cg_buffers_overlap(program->options, buffer, out))
                continue;
            if (i < body || buffer->whole || buffer->offset != out->offset || buffer->type.dtype != out->type.dtype ||
                !cuda_same_extents(&buffer->type, &out->type) || !cuda_reads_only_at(scratch, member, buffer, own))
                return false;
        }
    }
    return true;
}

bool cuda_fits_tail(const CgProgram *program, Arena *scratch, const CudaGroup *group, const CgStep *step) {
    if (program->options->plain || cuda_step_launch(step) != LAUNCH_once ||
        cuda_count_elements(step) > MOST_TAIL_ELEMENTS || cuda_step_launch(group->steps[0]) == LAUNCH_once)
        return false;
    bool first = !group->tail, merge = cuda_is_merge(step);
    if (first ? !merge : !cuda_same_extents(&group->steps[group->tail]->out->type, &step->out->type))
        return false;
    if (merge && !first && count_merges(group, group->tail) == MOST_MERGES)
        return false;
    return reads_tail(scratch, group, step) && may_store(program, scratch, group, step);
}

/* ---- printing ---- */

/* Steps of the group from one on. */
typedef struct Merge {
    CudaKernel *k;
    CgPrinter *p;
    int first, elements;
    int lanes, count; /* count: of merges */
    const char *names[CG_MAX_AXES];
} Merge;

static const CgStep *first_step(const Merge *m) {
    return m->k->group->steps[m->first];
}

static void use_step(const Merge *m, int index) {
    cuda_set_step(m->k, index);
    cuda_use_names(m->p, first_step(m)->out->order, m->p->step->out->type.rank, m->names);
}

static int parts_of(const CgStep *step) {
    int parts = step->axes[step->value->reduce_axes[0]].parts;
    return parts > 1 ? parts : 1;
}

/* Of one merge: the sum of a chunk, which may have several rows, joins those that wait for it. */
static void print_chunk(const Merge *m, int index, int number) {
    CgPrinter *p = m->p;
    use_step(m, index);
    int axis = p->step->value->reduce_axes[0], parts = parts_of(p->step);
    cg_c_open(p, "%s", "");
    cg_c_line(p, "double sum = 0;");
    cg_c_line(p, "_Pragma(\"unroll %d\")", parts < MOST_UNROLLED ? parts : MOST_UNROLLED);
    cg_c_open(p, "for (int row = chunk * %d; row < (chunk + 1) * %d; row++)", parts, parts);
    p->axis_name[axis] = "row";
    cg_c_line(p, "sum += nd_widen(%s);", cg_c_print_scalar(p, p->step->value->args[0]));
    cg_c_close(p);
    cg_c_line(p, "nd_merge(sums%d, turn, sum);", number);
    cg_c_close(p);
}

/* Neighbouring slices are added up: whoever stores has the sum of all in sums[lane]. */
static void print_neighbours(const Merge *m, int number) {
    CgPrinter *p = m->p;
    cg_c_line(p, "sums[threadIdx.x] = nd_merged(sums%d, chunks);", number);
    cg_c_line(p, "__syncthreads();");
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int apart = %d; apart < %d; apart *= 2)", m->lanes, CUDA_BLOCK_THREADS);
    cg_c_open(p, "if (threadIdx.x %% (2 * apart) < %d)", m->lanes);
    cg_c_line(p, "sums[threadIdx.x] += sums[threadIdx.x + apart];");
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
    cg_c_line(p, "const T merged%d = nd_narrow(sums[lane]);", number);
    cg_c_line(p, "__syncthreads();");
}

/* What each slice adds up, then all slices of one merge after the other: who stores has them in mergedI. A slice has so
 * many chunks as a power of two says, the last ones perhaps fewer or none. */
static void print_totals(const Merge *m) {
    CgPrinter *p = m->p;
    int all = m->k->program->options->chunks, slices = CUDA_BLOCK_THREADS / m->lanes, most = 1;
    while (most * slices < all)
        most *= 2;
    for (int i = 0; i < m->count; i++)
        cg_c_line(p, "double sums%d[ND_MERGE_SUMS];", i);
    cg_c_line(p, "const int left = %d - slice * %d, chunks = left > %d ? %d : left < 0 ? 0 : left;", all, most, most,
              most);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int turn = 0; turn < %d; turn++)", most);
    cg_c_open(p, "if (turn < chunks)");
    cg_c_line(p, "const int chunk = slice * %d + turn;", most);
    for (int i = m->first, number = 0; i < m->k->group->step_count; i++)
        if (cuda_is_merge(m->k->group->steps[i]))
            print_chunk(m, i, number++);
    cg_c_close(p);
    cg_c_close(p);
    for (int i = 0; i < m->count; i++)
        print_neighbours(m, i);
}

static void print_steps(const Merge *m) {
    CgPrinter *p = m->p;
    cg_c_open(p, "if (slice == 0 && element < %d)", m->elements);
    for (int i = m->first, number = 0; i < m->k->group->step_count; i++) {
        use_step(m, i);
        const char *value = cuda_is_merge(p->step) ? arena_printf(p->arena, "merged%d", number++)
                                                   : cg_c_print_scalar(p, p->step->value);
        cg_c_store(p, p->step->out, cg_c_result_offset(p), value, false);
    }
    cg_c_close(p);
}

static Merge begin_merge(CudaKernel *k, int first) {
    const CudaGroup *group = k->group;
    Merge m = {.k = k, .p = k->p, .first = first, .lanes = 1, .count = count_merges(group, first)};
    m.elements = (int)cuda_count_elements(first_step(&m));
    while (m.lanes < MOST_LANES && m.lanes < m.elements)
        m.lanes *= 2;
    return m;
}

static int block_count(const Merge *m) {
    return (m->elements + m->lanes - 1) / m->lanes;
}

/* By blocks from `begin` on, `step` apart. */
static void print_blocks(Merge *m, const char *begin, const char *step) {
    const CudaGroup *group = m->k->group;
    CgPrinter *p = m->p;
    const CgStep *first = first_step(m);
    CudaUse uses[CUDA_GROUP_STEPS];
    int count = group->step_count - m->first;
    for (int i = 0; i < count; i++)
        uses[i] = (CudaUse){group->steps[m->first + i], group->steps[m->first + i]->value, first->out->order, true};
    cg_c_line(p, "__shared__ double sums[%d];", CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int lane = threadIdx.x %% %d, slice = threadIdx.x / %d;", m->lanes, m->lanes);
    cg_c_open(p, "for (int block = %s; block < %d; block += %s)", begin, block_count(m), step);
    cg_c_line(p, "const int element = block * %d + lane, place = element < %d ? element : 0;", m->lanes, m->elements);
    cuda_set_step(m->k, m->first);
    cuda_name_axes(p, uses, count, first->out->type.rank, "place", m->names);
    print_totals(m);
    print_steps(m);
    cg_c_close(p);
}

void cuda_print_merge(CudaKernel *k) {
    Merge m = begin_merge(k, 0);
    print_blocks(&m, "blockIdx.x", "gridDim.x");
    k->threads = (int64_t)block_count(&m) * CUDA_BLOCK_THREADS;
}

void cuda_print_tail(CudaKernel *k, int counter) {
    CgPrinter *p = k->p;
    Merge m = begin_merge(k, k->group->tail);
    p->width = 1;
    p->aligned = false;
    cg_c_line(p, "__shared__ bool last;");
    cg_c_line(p, "__syncthreads();");
    cg_c_open(p, "if (threadIdx.x == 0)");
    cg_c_line(p, "__threadfence();");
    cg_c_line(p, "last = atomicInc(&nd_counters[ints[%d]], gridDim.x - 1) == gridDim.x - 1;", counter);
    cg_c_line(p, "__threadfence();");
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
    cg_c_open(p, "if (last)");
    for (int i = k->body_buffers; i < p->buffer_count; i++) /* here: they would keep registers from the body */
        cg_c_line(p, "%s", cuda_declare_buffer(k, i));
    print_blocks(&m, "0", "1");
    cg_c_close(p);
}
