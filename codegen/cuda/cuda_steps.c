/* cuda_steps.c: what the schedules, and who chooses among them, ask of steps. */
#include "codegen/cuda/cuda.h"

PlanLaunch cuda_step_launch(const CgStep *step) {
    int64_t front = step->out->type.rank ? step->axes[0].extent : 1;
    return step->partial || front == IR_DIM_K ? LAUNCH_chunks : front == IR_DIM_N ? LAUNCH_images : LAUNCH_once;
}

static void add_loads(Arena *arena, CgScalar *s, const CgScalar ***loads, int *count, int *capacity) {
    if (s->mark)
        return;
    s->mark = 1;
    if (s->kind == SCALAR_load)
        ARENA_PUSH(arena, *loads, *count, *capacity, s);
    for (int i = 0; i < s->arg_count; i++)
        add_loads(arena, s->args[i], loads, count, capacity);
}

const CgScalar **cuda_find_loads(Arena *arena, const CgStep *step, int *count) {
    const CgScalar **loads = NULL;
    int capacity = 0;
    *count = 0;
    add_loads(arena, step->value, &loads, count, &capacity);
    cuda_clear_marks(step->value);
    return loads;
}

static bool is_element(const CgScalar *load, const int *axes) {
    for (int d = 0; d < load->index_count; d++) {
        CgIndex own = cg_index_axis(axes[d]);
        if (load->buffer->type.dim[d] != 1 && !cg_index_equal(&load->index[d], &own))
            return false;
    }
    return true;
}

bool cuda_reads_only_at(Arena *arena, const CgStep *step, const CgBuffer *buffer, const int *axes) {
    int count;
    const CgScalar **loads = cuda_find_loads(arena, step, &count);
    for (int i = 0; i < count; i++) {
        const CgBuffer *from = loads[i]->buffer;
        if (from->whole == buffer || (from == buffer && !is_element(loads[i], axes)))
            return false;
    }
    return true;
}

bool cuda_same_extents(const IrType *a, const IrType *b) {
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dim[d] != b->dim[d])
            return false;
    return true;
}

int64_t cuda_count_elements(const CgStep *step) {
    int64_t count = 1;
    for (int d = 0; d < step->out->type.rank; d++)
        count *= step->axes[d].extent > 0 ? step->axes[d].extent : 1;
    return count;
}

/* Are they below 2^30? */
bool cuda_fits_int(const CgOptions *options, const CgStep *step) {
    const int64_t most = INT64_C(1) << 30;
    for (int i = 0; i < step->buffer_count; i++)
        if (ir_type_count(&step->buffers[i]->type, 1, options->chunks) > most)
            return false;
    return cuda_count_elements(step) * (options->batch + options->chunks) < most;
}
