/* cuda_memory.c: what a module takes of a GPU's memory, whether it is there, and where in it things are. */
#include "runtime/device/cuda_memory.h"

#include "base/align.h"
#include "runtime/device/backend_cuda.h"

size_t cuda_memory_of_image(const PlanGraph *graph) {
    return ALIGN_UP((size_t)graph->private_bytes, VALUE_ALIGNMENT);
}

static size_t count_words(const PlanStage *stages, int count) {
    size_t words = 0;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < stages[i].step_count; j++)
            words += (size_t)(stages[i].steps[j].buffer_count + stages[i].steps[j].int_count);
    }
    return words;
}

size_t cuda_memory_of_table(const PlanGraph *graph) {
    return (count_words(graph->prepare, graph->prepare_count) + count_words(graph->stages, graph->stage_count)) *
           sizeof(int64_t);
}

/* Bytes that a module takes: fixed, and those that grow with the number of images (at the plan's batch). */
typedef struct Needs {
    size_t state, tables, work, private_values, inputs;
} Needs;

static Needs count_needs(const Plan *plan) {
    Needs n = {.state = (size_t)plan->state_bytes + (size_t)plan->prepared_bytes};
    for (int i = 0; i < plan->graph_count; i++) {
        const PlanGraph *g = &plan->graphs[i];
        size_t private_values = cuda_memory_of_image(g) * (size_t)plan->batch;
        n.tables += ALIGN_UP(cuda_memory_of_table(g) + 1, CUDA_ALIGNMENT);
        n.work = (size_t)g->work_bytes > n.work ? (size_t)g->work_bytes : n.work;
        n.private_values = private_values > n.private_values ? private_values : n.private_values;
        for (int j = 0; j < g->input_count; j++)
            n.inputs += ALIGN_UP((size_t)plan_tensor_bytes(plan, &g->inputs[j], plan->batch), CUDA_ALIGNMENT);
    }
    return n;
}

bool cuda_memory_check(const CudaApi *api, const Plan *plan, Arena *arena, Error *error) {
    size_t available = 0, total = 0;
    if (!cuda_check(api, api->MemGetInfo(&available, &total), "asking for the GPU's memory", error))
        return false;
    Needs n = count_needs(plan);
    size_t fixed = n.state + n.tables, images = n.work + n.private_values + n.inputs, needed = fixed + images;
    if (needed <= available)
        return true;
    int64_t fits =
        available > fixed ? (int64_t)((double)plan->batch * (double)(available - fixed) / (double)images) : 0;
    const char *advice = fits > 0
                             ? arena_printf(arena, "a batch of about %lld would fit (--set batch=%lld, --batch %lld)",
                                            (long long)fits, (long long)fits, (long long)fits)
                             : "not even a batch of 1 would fit";
    return error_set(error, ERROR_MACHINE,
                     "out of memory on the GPU: %.2f MB needed, %.2f of %.2f MB free; for a batch of %lld images: "
                     "parameters %.2f MB, tables of calls %.2f MB, values of all stages %.2f MB, values within a stage "
                     "%.2f MB, inputs %.2f MB; %s",
                     (double)needed / 1e6, (double)available / 1e6, (double)total / 1e6, (long long)plan->batch,
                     (double)n.state / 1e6, (double)n.tables / 1e6, (double)n.work / 1e6,
                     (double)n.private_values / 1e6, (double)n.inputs / 1e6, advice);
}

size_t cuda_memory_spare(const CudaApi *api) {
    enum { PARTS = 16 };
    size_t available = 0, total = 0;
    return api->MemGetInfo(&available, &total) == CUDA_SUCCESS ? available / PARTS : 0;
}

void *cuda_resolve(const RtDevice *d, const RtBound *b, const PlanBuffer *buffer) {
    switch (buffer->place) {
    case PLACE_state:
        return (char *)b->arenas.state + buffer->offset;
    case PLACE_prepared:
        return (char *)b->arenas.prepared + buffer->offset;
    case PLACE_work:
        return (char *)b->arenas.work + buffer->offset;
    case PLACE_private:
        return (char *)d->private_memory + buffer->offset;
    default:
        return b->inputs[buffer->offset].memory;
    }
}

int cuda_copy(RtDevice *d, void *to, const void *from, size_t bytes, int kind) {
    int status = d->api.MemcpyAsync(to, from, bytes, kind, d->stream);
    return status == CUDA_SUCCESS ? d->api.StreamSynchronize(d->stream) : status;
}
