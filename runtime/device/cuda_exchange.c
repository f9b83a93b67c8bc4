/* cuda_exchange.c: of several ranks, where their rows of sums of chunks lie, and how they get to all
 * (codegen/cuda/cuda_exchange.c). */
#include "runtime/device/backend_cuda.h"

/* The exchange that a buffer of sums takes part in; NULL: none. */
static const PlanStep *find_exchange(const PlanGraph *graph, const PlanBuffer *buffer) {
    for (int i = 0; i < graph->stage_count; i++) {
        const PlanStage *stage = &graph->stages[i];
        for (int j = 0; stage->domain == DOMAIN_exchange && j < stage->step_count; j++)
            if (stage->steps[j].buffers[0].place == buffer->place &&
                stage->steps[j].buffers[0].offset == buffer->offset)
                return &stage->steps[j];
    }
    return NULL;
}

int64_t cuda_rows_before(const RtBound *b, const PlanStep *step, int buffer) {
    if (!b->share || step->launch != LAUNCH_chunks)
        return 0;
    const PlanStep *exchange = find_exchange(b->graph, &step->buffers[buffer]);
    return exchange ? exchange->ints[0] / b->share->ranks->size * b->share->ranks->rank : 0;
}

int cuda_exchange_on(const RtDevice *d, const RtBound *b, const Launch *launch, void *stream) {
    const Ranks *ranks = b->share->ranks;
    int status = nccl_begin(d->nccl);
    for (unsigned i = 0; i < launch->grid.y && !status; i++) {
        const PlanStep *step = &launch->steps[i];
        size_t own = (size_t)(step->ints[0] / ranks->size);
        status = nccl_gather(d->nccl, cuda_resolve(d, b, &step->buffers[0]), own, stream);
    }
    int ended = nccl_end(d->nccl);
    return status ? status : ended;
}
