/* cuda_elements.c: one thread an element of the results, or a vector of them, images side by side: fits every step but
 * partial sums. */
#include "codegen/cuda/cuda.h"

/* What a thread computes: so many elements of an image, a chunk or all, side by side along the last axis. */
static int choose_width(const CudaKernel *k) {
    const CgOptions *options = k->program->options;
    bool vectors = !options->plain && k->launch == LAUNCH_images && cuda_has_vector_form(options, k->group);
    return vectors ? cuda_width(options) : 1;
}

/* The variable that counts through the elements of an image or a chunk, at `outer`, or through all. */
static const char *open_elements(CudaKernel *k, const char *outer, int width) {
    CgPrinter *p = k->p;
    const char *times = k->launch == LAUNCH_chunks   ? "run->chunks * "
                        : k->launch == LAUNCH_images ? "run->batch * "
                                                     : "";
    cg_c_open(p,
              "for (%s thread = (%s)blockIdx.x * blockDim.x + threadIdx.x; thread < %s%lld; thread += (%s)gridDim.x * "
              "blockDim.x)",
              p->index_type, p->index_type, times, (long long)k->threads, p->index_type);
    if (!outer)
        return "thread";
    cg_c_line(p, "const int64_t %s = thread / %lld;", outer, (long long)k->threads);
    const char *first = width > 1 ? arena_printf(p->arena, " * %d", width) : "";
    cg_c_line(p, "const %s element = thread %% %lld%s;", p->index_type, (long long)k->threads, first);
    return "element";
}

static void print_steps(CudaKernel *k, const char *outer, const char *number, int width) {
    CgPrinter *p = k->p;
    const CudaGroup *group = k->group;
    const CgStep *first = group->steps[0];
    CudaUse uses[CUDA_GROUP_STEPS];
    const char *names[CG_MAX_AXES];
    int rank = first->out->type.rank;
    for (int i = 0; i < group->step_count; i++)
        uses[i] = (CudaUse){group->steps[i], group->steps[i]->value, first->out->order, true};
    cuda_name_axes(p, uses, group->step_count, rank, number, names);
    cuda_print_private_bases(k);
    for (int i = 0; i < group->step_count; i++) {
        cuda_set_step(k, i);
        cuda_use_names(p, first->out->order, rank, names);
        if (outer)
            p->axis_name[0] = outer;
        if (width > 1)
            p->vector_axis = cuda_last_axis(p->step);
        const char *value = cg_c_print_vector(p, p->step->value);
        cg_c_store(p, p->step->out, cg_c_result_offset(p), value, true);
    }
}

/* Sums of all chunks that are among the steps have a form of their own (cuda_merge.c). */
static void print_elements(CudaKernel *k) {
    if (cuda_has_merges(k)) {
        cuda_print_merge(k);
        return;
    }
    const char *outer = k->launch == LAUNCH_chunks ? "chunk" : k->launch == LAUNCH_images ? "image" : NULL;
    int width = choose_width(k);
    k->p->width = width;
    k->p->aligned = width > 1;
    k->threads /= width;
    print_steps(k, outer, open_elements(k, outer, width), width);
    cg_c_close(k->p);
}

static bool fits(const CgProgram *program, Arena *scratch, const CgStep *step) {
    (void)program, (void)scratch;
    if (step->partial)
        bug("partial sum %%%d of a number of terms that is not constant", step->node->id);
    return true;
}

const CudaSchedule cuda_schedule_elements = {
    .name = "elements", .always = true, .chains = true, .is_late = true, .fits = fits, .print = print_elements};
