/* schedule_table.c: the schedules of the CUDA dialect, in the order in which they are tried. */
#include "codegen/cuda/cuda.h"

const CudaSchedule *const cuda_schedules[] = {&cuda_schedule_window,
                                              &cuda_schedule_window_grad,
                                              &cuda_schedule_product,
                                              &cuda_schedule_sum,
                                              &cuda_schedule_long_sum,
                                              &cuda_schedule_elements,
                                              NULL};

const CudaSchedule *cuda_find_schedule(const CgProgram *program, Arena *scratch, const CgStep *step) {
    int i = 0;
    while (
        !((cuda_schedules[i]->always || !program->options->plain) && cuda_schedules[i]->fits(program, scratch, step)))
        i++;
    return cuda_schedules[i];
}
