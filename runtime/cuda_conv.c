/* cuda_conv.c: cuDNN or our kernel: decided by a trial when a plan first runs a shape, and remembered (cudnn.h). */
#include "runtime/backend_cuda.h"

#include <stdlib.h>

/* Calls of one shape, one after the other: they share the workspace. */
bool cuda_start_conv(RtDevice *d, RtBound *b, const Launch *launch, void *stream) {
    const PlanConv *plan = &b->module->base.plan->work[launch->kernel].conv;
    bool ok = true;
    for (unsigned i = 0; ok && i < launch->grid.y; i++) {
        const PlanBuffer *buffers = launch->steps[i].buffers;
        ok = cudnn_conv_run(d->cudnn, launch->conv, stream, cuda_resolve(d, b, &buffers[plan->x]),
                            cuda_resolve(d, b, &buffers[plan->weight]), cuda_resolve(d, b, &buffers[0]));
    }
    return ok;
}

void cuda_destroy_convs(RtDevice *d, RtBound *b) {
    for (int i = 0; b->convs && i < b->module->base.plan->kernel_count; i++)
        cudnn_conv_destroy(d->cudnn, b->convs[i]);
}

/* Seconds of some runs after a first one; negative when it cannot be done. What is computed is of no matter yet. */
static double time_launch(RtDevice *d, RtBound *b, const Launch *launch) {
    enum { RUNS = 10 };
    double begin = 0;
    for (int i = 0; i <= RUNS; i++) {
        if (cuda_start_on(d, b, launch, d->stream) != CUDA_SUCCESS)
            return -1;
        if (i == 0 && d->api.StreamSynchronize(d->stream) != CUDA_SUCCESS)
            return -1;
        begin = i == 0 ? profile_clock() : begin;
    }
    return d->api.StreamSynchronize(d->stream) == CUDA_SUCCESS ? profile_clock() - begin : -1;
}

static bool is_faster(RtDevice *d, RtBound *b, const Launch *own, const Launch *library) {
    double seconds = time_launch(d, b, library);
    return seconds >= 0 && seconds < time_launch(d, b, own);
}

static size_t count_images(const Plan *plan, const int64_t hwc[3]) {
    return (size_t)(plan->batch * hwc[0] * hwc[1] * hwc[2]);
}

/* The result of the launch's first call. */
static bool compute(RtDevice *d, RtBound *b, const Launch *launch, float *y, size_t count) {
    const void *from = cuda_resolve(d, b, &launch->steps->buffers[0]);
    return cuda_start_on(d, b, launch, d->stream) == CUDA_SUCCESS &&
           d->api.StreamSynchronize(d->stream) == CUDA_SUCCESS &&
           d->api.Memcpy(y, from, count * sizeof *y, CUDA_TO_HOST) == CUDA_SUCCESS;
}

static bool are_near(const float *a, const float *b, size_t count) {
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)a[i] * a[i];
    }
    return error <= 1e-6 * size; /* norms: one in a thousand, for TF32 */
}

/* Of what is computed or given anew before it counts. */
static bool put_noise(RtDevice *d, void *to, size_t count) {
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; values && i < count; i++)
        values[i] = (float)((uint32_t)i * 2654435761u >> 16) / 32768 - 1;
    bool ok = values && d->api.Memcpy(to, values, count * sizeof *values, CUDA_TO_DEVICE) == CUDA_SUCCESS;
    free(values);
    return ok;
}

/* Input and, unless they are parameters themselves, weights. */
static bool make_operands(RtDevice *d, RtBound *b, const Launch *launch) {
    const PlanConv *conv = &b->module->base.plan->work[launch->kernel].conv;
    const PlanBuffer *x = &launch->steps->buffers[conv->x], *weight = &launch->steps->buffers[conv->weight];
    const int64_t *shape = conv->shape;
    int64_t weights = shape[CONV_INPUTS] * shape[CONV_OUTPUTS] * shape[CONV_KERNEL] * shape[CONV_KERNEL + 1];
    return put_noise(d, cuda_resolve(d, b, x), count_images(b->module->base.plan, &shape[CONV_INPUT])) &&
           (weight->place == PLACE_state || put_noise(d, cuda_resolve(d, b, weight), (size_t)weights));
}

/* Whatever the library does, a wrong result is not taken. */
static bool agree(RtDevice *d, RtBound *b, const Launch *own, const Launch *library) {
    const Plan *plan = b->module->base.plan;
    size_t count = count_images(plan, &plan->work[own->kernel].conv.shape[CONV_OUTPUT]);
    float *y = malloc(count * sizeof *y), *z = malloc(count * sizeof *z);
    bool ok = y && z && make_operands(d, b, own) && compute(d, b, own, y, count) && compute(d, b, library, z, count) &&
              are_near(y, z, count);
    free(y);
    free(z);
    return ok;
}

/* Once before it is captured: what it loads when it first runs could not be loaded then. */
static bool runs(RtDevice *d, RtBound *b, const Launch *launch) {
    return cuda_start_on(d, b, launch, d->stream) == CUDA_SUCCESS &&
           d->api.StreamSynchronize(d->stream) == CUDA_SUCCESS;
}

/* The convolution that computes the kernel's calls, or NULL for the kernel itself. */
static CudnnConv *choose_conv(RtDevice *d, RtBound *b, const Launch *launch) {
    const Plan *plan = b->module->base.plan;
    const PlanConv *shape = &plan->work[launch->kernel].conv;
    int choice = cudnn_recall(d->cudnn, shape, plan->batch, plan->precision);
    CudnnConv *conv = choice == 0 ? NULL : cudnn_conv_create(d->cudnn, shape, plan->batch, plan->precision);
    Launch library = *launch;
    library.conv = conv;
    if (conv && choice < 0) {
        choice = agree(d, b, launch, &library) && is_faster(d, b, launch, &library);
        cudnn_remember(d->cudnn, shape, plan->batch, plan->precision, choice);
    }
    if (choice == 1 && conv && runs(d, b, &library))
        return conv;
    cudnn_conv_destroy(d->cudnn, conv);
    return NULL;
}

static bool is_conv(const RtBound *b, const Launch *launch) {
    const PlanConv *conv = &b->module->base.plan->work[launch->kernel].conv;
    return conv->weight && launch->steps->buffer_count == 3 && launch->steps->buffers[conv->x].place != PLACE_state;
}

static bool has_convs(const RtBound *b) {
    for (int i = 0; i < b->stages.launch_count; i++)
        if (is_conv(b, &b->stages.launches[i]))
            return true;
    return false;
}

void cuda_choose_convs(RtDevice *d, RtBound *b) {
    const Plan *plan = b->module->base.plan;
    if (!has_convs(b))
        return;
    if (!d->cudnn_tried)
        d->cudnn = cudnn_open(
            &d->api, arena_printf(d->arena, "%s, %s", cuda_api_device_name(&d->api, d->number, d->arena), d->arch));
    d->cudnn_tried = true;
    if (!d->cudnn)
        return;
    NdRun all = {.batch = plan->batch, .chunks = plan->chunks}; /* for trials */
    if (d->api.Memcpy(b->run, &all, sizeof all, CUDA_TO_DEVICE) != CUDA_SUCCESS)
        return;
    b->convs = ARENA_ARRAY(b->arena, CudnnConv *, plan->kernel_count);
    bool *known = ARENA_ARRAY(b->arena, bool, plan->kernel_count);
    for (int i = 0; i < b->stages.launch_count; i++) {
        Launch *launch = &b->stages.launches[i];
        int kernel = launch->kernel;
        if (!is_conv(b, launch))
            continue;
        if (!known[kernel])
            b->convs[kernel] = choose_conv(d, b, launch);
        known[kernel] = true;
        launch->conv = b->convs[kernel];
    }
}
