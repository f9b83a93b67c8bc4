/* cuda_parts.c: more rows of partial sums than there are chunks. A chunk is at least an image, and an image at a time on a
 * block leaves most of a GPU idle. So several blocks share a chunk, and each has a row of its own in the sums, which then lie
 * in a larger piece of memory behind all other values; who merges them adds up all rows. */
#include "codegen/cuda/cuda.h"

#include "base/align.h"

enum { WANTED_ROWS = 256, MEMORY_SHARE = 16 /* the new memory is at most so small a part of what there was */ };

static bool is_partial(const CgBuffer *buffer) {
    return buffer->type.rank > 0 && buffer->type.dim[0] == IR_DIM_K;
}

/* The axis of the reading step that walks over the rows; -1: it looks at single rows. */
static int row_axis(const CgStep *step, const CgScalar *load) {
    for (int a = 0; a < step->axis_count; a++) {
        CgIndex own = cg_index_axis(a);
        if (cg_index_equal(&load->index[0], &own))
            return step->axes[a].reduced && step->axes[a].extent == IR_DIM_K ? a : -1;
    }
    return -1;
}

static void note_reader(Arena *arena, const CgStep *step) {
    int count;
    const CgScalar **loads = cuda_find_loads(arena, step, &count);
    for (int i = 0; i < count; i++)
        if (is_partial(loads[i]->buffer) && (loads[i]->buffer->whole || row_axis(step, loads[i]) < 0))
            (loads[i]->buffer->whole ? (CgBuffer *)loads[i]->buffer->whole : loads[i]->buffer)->parts = 1;
}

CudaParts cuda_parts_begin(CgProgram *program) {
    Arena *arena = arena_create();
    for (int i = 0; i < program->stage_count; i++) {
        for (int j = 0; j < program->stages[i]->step_count; j++)
            note_reader(arena, program->stages[i]->steps[j]);
        arena_reset(arena);
    }
    for (int i = 0; i < program->graph->output_count; i++)
        if (program->buffer_of[program->graph->outputs[i].value->id])
            program->buffer_of[program->graph->outputs[i].value->id]->parts = 1;
    arena_destroy(arena);
    return (CudaParts){program->work_bytes, program->work_bytes / MEMORY_SHARE};
}

void cuda_parts_read(Arena *arena, CgStep *step) {
    int count;
    const CgScalar **loads = cuda_find_loads(arena, step, &count);
    for (int i = 0; i < count; i++)
        if (is_partial(loads[i]->buffer) && loads[i]->buffer->parts > 1)
            step->axes[row_axis(step, loads[i])].parts = loads[i]->buffer->parts;
}

int cuda_parts_choose(CudaKernel *k, int first, int64_t most) {
    const CgOptions *options = k->program->options;
    const CudaGroup *group = k->group;
    int64_t parts = (WANTED_ROWS + options->chunks - 1) / options->chunks, bytes = 0;
    parts = parts < most ? parts : most;
    for (int i = first; i < group->step_count && parts > 1; i++) {
        const CgBuffer *out = group->steps[i]->out;
        bytes += ALIGN_UP(cg_type_bytes(options, &out->type) * parts, VALUE_ALIGNMENT);
        /* Gradients of weights would be large, and a library may compute them (cuda_conv.c). */
        if (out->place != PLACE_work || out->parts || out->whole || group->steps[i]->node->op != OP_reduce_partial)
            parts = 1;
    }
    if (parts <= 1 || k->program->work_bytes + bytes > k->parts->work_bytes + k->parts->most_bytes)
        return 1;
    for (int i = first; i < group->step_count; i++) {
        CgBuffer *out = group->steps[i]->out;
        out->offset = k->program->work_bytes;
        out->parts = (int)parts;
        k->program->work_bytes += ALIGN_UP(cg_type_bytes(options, &out->type) * parts, VALUE_ALIGNMENT);
    }
    return (int)parts;
}
