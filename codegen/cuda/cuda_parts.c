/* cuda_parts.c: more rows of partial sums than there are chunks. A chunk is at least an image, and an image at a time on a
 * block leaves most of a GPU idle. So several blocks share a chunk, and each has a row of its own in the sums, which then lie
 * in a larger piece of memory behind all other values; who merges them adds up all rows. The
 * memory is given before kernels are printed; printing changes none. */
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
    CudaParts parts = {program, arena_create(), program->work_bytes + program->work_bytes / MEMORY_SHARE};
    for (int i = 0; i < program->stage_count; i++) {
        for (int j = 0; j < program->stages[i]->step_count; j++)
            note_reader(parts.scratch, program->stages[i]->steps[j]);
        arena_reset(parts.scratch);
    }
    for (int i = 0; i < program->graph->output_count; i++)
        if (program->buffer_of[program->graph->outputs[i].value->id])
            program->buffer_of[program->graph->outputs[i].value->id]->parts = 1;
    return parts;
}

void cuda_parts_end(CudaParts *parts) {
    arena_destroy(parts->scratch);
}

/* Of how many rows are the sums that the step merges? */
static void read_parts(Arena *arena, CgStep *step) {
    int count;
    const CgScalar **loads = cuda_find_loads(arena, step, &count);
    for (int i = 0; i < count; i++)
        if (is_partial(loads[i]->buffer) && loads[i]->buffer->parts > 1)
            step->axes[row_axis(step, loads[i])].parts = loads[i]->buffer->parts;
}

/* Gradients of weights would be large, and a library may compute them (cuda_conv.c): but those of a depthwise convolution. */
static bool can_have_rows(const CgStep *step) {
    const CgBuffer *out = step->out;
    bool small = ir_is(step->node, OP_SUM) || (ir_is_weight_gradient(step->node) && ir_conv_is_depthwise(step->node));
    return out->place == PLACE_work && !out->parts && !out->whole && step->partial && small;
}

static int64_t row_bytes(const CgOptions *options, const CgStep *step, int64_t parts) {
    return ALIGN_UP(cg_type_bytes(options, &step->out->type) * parts, VALUE_ALIGNMENT);
}

static void choose_rows(CudaParts *parts, CudaGroup *group) {
    CgProgram *program = parts->program;
    const CgOptions *options = program->options;
    const CudaGroup body = cuda_body(group);
    int first = body.steps[0]->partial ? 0 : 1; /* of the sums */
    int64_t wanted = (WANTED_ROWS + options->chunks - 1) / options->chunks, bytes = 0;
    for (int i = 0; i < body.step_count; i++)
        read_parts(parts->scratch, body.steps[i]);
    bool possible = group->schedule->most_parts && first < body.step_count;
    for (int i = first; i < body.step_count; i++)
        possible = possible && body.steps[i]->partial && can_have_rows(body.steps[i]);
    int64_t most = possible ? group->schedule->most_parts(program, parts->scratch, &body) : 1;
    int64_t count = wanted < most ? wanted : most;
    arena_reset(parts->scratch);
    for (int i = first; i < body.step_count; i++)
        bytes += row_bytes(options, body.steps[i], count);
    group->parts = 1;
    if (count <= 1 || program->work_bytes + bytes > parts->most_bytes)
        return;
    group->parts = (int)count;
    for (int i = first; i < body.step_count; i++) {
        CgBuffer *out = body.steps[i]->out;
        out->offset = program->work_bytes;
        out->parts = (int)count;
        program->work_bytes += row_bytes(options, body.steps[i], count);
    }
}

/* The tail merges what the body has just been given rows for. */
void cuda_parts_choose(CudaParts *parts, CudaGroup *group) {
    choose_rows(parts, group);
    for (int i = group->tail; group->tail && i < group->step_count; i++)
        read_parts(parts->scratch, group->steps[i]);
    arena_reset(parts->scratch);
}
