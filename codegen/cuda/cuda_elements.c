/* cuda_elements.c: one thread an element of the results, images side by side: fits every step but partial sums. */
#include "codegen/cuda/cuda.h"

/* Sums of all chunks that are among the steps have a form of their own (cuda_merge.c). */
static void print_elements(CudaKernel *k) {
    CgPrinter *p = k->p;
    const CudaGroup *group = k->group;
    if (cuda_has_merges(k)) {
        cuda_print_merge(k);
        return;
    }
    const CgStep *first = group->steps[0];
    const char *outer = k->launch == LAUNCH_chunks ? "chunk" : k->launch == LAUNCH_images ? "image" : NULL;
    const char *times = k->launch == LAUNCH_chunks   ? "run->chunks * "
                        : k->launch == LAUNCH_images ? "run->batch * "
                                                     : "";
    cg_c_open(p,
              "for (%s thread = (%s)blockIdx.x * blockDim.x + threadIdx.x; thread < %s%lld; thread += (%s)gridDim.x * "
              "blockDim.x)",
              p->index_type, p->index_type, times, (long long)k->threads, p->index_type);
    if (outer) {
        cg_c_line(p, "const int64_t %s = thread / %lld;", outer, (long long)k->threads);
        cg_c_line(p, "const %s element = thread %% %lld;", p->index_type, (long long)k->threads);
    }
    CudaUse uses[CUDA_GROUP_STEPS];
    const char *names[CG_MAX_AXES];
    int rank = first->out->type.rank;
    for (int i = 0; i < group->step_count; i++)
        uses[i] = (CudaUse){group->steps[i], group->steps[i]->value, first->out->order, true};
    cuda_name_axes(p, uses, group->step_count, rank, outer ? "element" : "thread", names);
    cuda_print_private_bases(k);
    for (int i = 0; i < group->step_count; i++) {
        cuda_set_step(k, i);
        cuda_use_names(p, first->out->order, rank, names);
        if (outer)
            p->axis_name[0] = outer;
        const char *value = cg_c_print_scalar(p, p->step->value);
        cg_c_store(p, p->step->out, cg_c_result_offset(p), value, false);
    }
    cg_c_close(p);
}

static bool fits(const CgProgram *program, Arena *scratch, const CgStep *step) {
    (void)program, (void)scratch;
    if (step->partial)
        bug("partial sum %%%d of a number of terms that is not constant", step->node->id);
    return true;
}

const CudaSchedule cuda_schedule_elements = {
    .name = "elements", .always = true, .chains = true, .is_late = true, .fits = fits, .print = print_elements};
