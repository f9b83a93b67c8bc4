/* cudnn_conv.c: cuDNN or our kernel: decided by a trial when a plan first runs a shape, and remembered (cudnn.h).
 *
 * Weights are HWIO here and OHWI there, and single precision even where images are bf16: the module has a kernel that
 * copies them. The gradient of weights is one sum over the batch there, and one for each chunk of images here: the
 * first chunk gets all of it, the others zeros. */
#include "runtime/device/backend_cuda.h"

#include "base/clock.h"
#include "base/str.h"
#include "runtime/device/cuda_memory.h"

#include <stdlib.h>
#include <string.h>

struct CudaConv {
    CudnnConv *library;
    void *weight; /* on the device: as the library has them */
    void *input;  /* bf16: the network's inputs, converted; NULL: they are no operand */
    size_t bytes; /* of the device's memory, all together */
};

/* ---- shapes ---- */

static const PlanConv *conv_of(const RtBound *b, const Launch *launch) {
    return &b->module->base.plan->kernels[launch->kernel].conv;
}

static int64_t count_weights(const PlanConv *conv) {
    const int64_t *shape = conv->shape;
    return shape[CONV_INPUTS] * shape[CONV_OUTPUTS] * shape[CONV_KERNEL] * shape[CONV_KERNEL + 1];
}

static int64_t count_image(const PlanConv *conv, int buffer) {
    const int64_t *hwc = &conv->shape[buffer == conv->input ? CONV_INPUT : CONV_OUTPUT];
    return hwc[0] * hwc[1] * hwc[2];
}

/* Elements of a call's buffer, at the largest batch. */
static size_t count_elements(const Plan *plan, const PlanConv *conv, int buffer) {
    if (buffer != conv->weight)
        return (size_t)(plan->batch * count_image(conv, buffer));
    return (size_t)(count_weights(conv) * (buffer == 0 ? plan->chunks : 1));
}

/* Is it bf16? */
static bool is_half(const RtBound *b, const Launch *launch, int buffer) {
    return b->module->base.plan->precision == PRECISION_bf16 && buffer != conv_of(b, launch)->weight &&
           launch->steps->buffers[buffer].place != PLACE_input;
}

/* ---- running ---- */

/* to[o][m][i] = from[start + strides * (o, m, i)] for the first `count`, zeros up to `most` (codegen/cuda/cuda_conv.c). */
typedef struct Copy {
    int64_t count, most, middle, inner, start, strides[3];
} Copy;

static unsigned count_blocks(int64_t elements) {
    enum { MOST = 1024 };
    int64_t blocks = (elements + ND_BLOCK_THREADS - 1) / ND_BLOCK_THREADS;
    return (unsigned)(blocks < 1 ? 1 : blocks < MOST ? blocks : MOST);
}

static bool start(const RtDevice *d, void *kernel, int64_t elements, void **arguments, void *stream) {
    CudaDim grid = {count_blocks(elements), 1, 1}, block = {ND_BLOCK_THREADS, 1, 1};
    return d->api.LaunchKernel(kernel, grid, block, arguments, 0, stream) == CUDA_SUCCESS;
}

static bool copy(const RtDevice *d, const RtBound *b, Copy c, const void *from, void *to, void *stream) {
    void *arguments[] = {&from,    &to,      &c.count,      &c.most,       &c.middle,
                         &c.inner, &c.start, &c.strides[0], &c.strides[1], &c.strides[2]};
    return start(d, b->conv_copy, c.most, arguments, stream);
}

/* Those that are not there: the library adds up all. */
static bool clear_images(const RtDevice *d, const RtBound *b, const PlanConv *conv, int buffer, void *images,
                         void *stream) {
    int64_t most = b->module->base.plan->batch, each = count_image(conv, buffer);
    void *run = b->run, *arguments[] = {&images, &run, &most, &each};
    return start(d, b->conv_clear, each, arguments, stream); /* most runs are full, and there is nothing to do */
}

/* To OHWI. What a gradient with respect to the input reads has input and output exchanged, and its window reversed. */
static Copy copy_in(const PlanConv *conv) {
    const int64_t *shape = conv->shape, inputs = shape[CONV_INPUTS], outputs = shape[CONV_OUTPUTS];
    int64_t taps = shape[CONV_KERNEL] * shape[CONV_KERNEL + 1], both = inputs * outputs, count = taps * both;
    if (plan_conv_kind(conv) == CONV_grad_input)
        return (Copy){count, count, taps, inputs, (taps - 1) * both, {inputs, -both, 1}};
    return (Copy){count, count, taps, inputs, 0, {1, both, outputs}};
}

/* To HWIO, the first chunk's. */
static Copy copy_out(const PlanConv *conv, int64_t chunks) {
    const int64_t *shape = conv->shape, inputs = shape[CONV_INPUTS], outputs = shape[CONV_OUTPUTS];
    int64_t taps = shape[CONV_KERNEL] * shape[CONV_KERNEL + 1], count = count_weights(conv);
    return (Copy){count, chunks * count, inputs, outputs, 0, {inputs, 1, taps * inputs}};
}

static Copy copy_all(int64_t count) {
    return (Copy){count, count, 1, count, 0, {0, 0, 1}};
}

static bool start_call(const RtDevice *d, const RtBound *b, const CudaConv *v, const PlanConv *conv,
                       void *const addresses[3], void *stream) {
    const Plan *plan = b->module->base.plan;
    void *input = addresses[conv->input], *output = addresses[conv->output], *weight = addresses[conv->weight];
    if (plan_conv_kind(conv) == CONV_grad_weight)
        return clear_images(d, b, conv, conv->input, input, stream) &&
               clear_images(d, b, conv, conv->output, output, stream) &&
               cudnn_conv_run(d->cudnn, v->library, stream, input, output, v->weight) &&
               copy(d, b, copy_out(conv, plan->chunks), v->weight, weight, stream);
    int64_t count = (int64_t)count_elements(plan, conv, conv->input);
    return (!v->input || copy(d, b, copy_all(count), input, v->input, stream)) &&
           copy(d, b, copy_in(conv), weight, v->weight, stream) &&
           cudnn_conv_run(d->cudnn, v->library, stream, v->input ? v->input : input, output, v->weight);
}

/* Calls of one shape, one after the other: they share their memory. */
static bool start_conv(RtDevice *d, RtBound *b, const Launch *launch, void *stream) {
    bool ok = true;
    for (unsigned i = 0; ok && i < launch->grid.y; i++) {
        void *addresses[3];
        for (int j = 0; j < 3; j++)
            addresses[j] = cuda_resolve(d, b, &launch->steps[i].buffers[j]);
        ok = start_call(d, b, launch->conv, conv_of(b, launch), addresses, stream);
    }
    return ok;
}

int cuda_start_on(RtDevice *d, RtBound *b, const Launch *launch, void *stream) {
    if (launch->conv)
        return start_conv(d, b, launch, stream) ? CUDA_SUCCESS : CUDA_LAUNCH_FAILURE;
    if (launch->kernel == PLAN_NO_KERNEL)
        return cuda_exchange_on(d, b, launch, stream);
    int64_t private_bytes = (int64_t)b->private_image_bytes;
    NdRun *run = b->run + (launch->steps->launch == LAUNCH_once ? RUN_all : RUN_own);
    void *rows = launch->rows, *arguments[] = {&rows, &run, &private_bytes};
    CudaDim block = {ND_BLOCK_THREADS, 1, 1};
    return d->api.LaunchKernel(b->module->kernels[launch->kernel], launch->grid, block, arguments, 0, stream);
}

/* ---- memory ---- */

static bool allocate(const RtDevice *d, size_t bytes, void **memory) {
    return bytes <= cuda_memory_spare(&d->api) && d->api.Malloc(memory, bytes) == CUDA_SUCCESS;
}

static void destroy(RtDevice *d, CudaConv *v) {
    if (!v)
        return;
    cudnn_conv_destroy(d->cudnn, v->library);
    if (v->weight)
        d->api.Free(v->weight);
    if (v->input)
        d->api.Free(v->input);
    free(v);
}

void cuda_destroy_convs(RtDevice *d, RtBound *b) {
    for (int i = 0; b->convs && i < b->module->base.plan->kernel_count; i++)
        destroy(d, b->convs[i]);
}

/* NULL when cuDNN cannot, or its memory is not there. */
static CudaConv *create(RtDevice *d, const RtBound *b, const Launch *launch) {
    const Plan *plan = b->module->base.plan;
    const PlanConv *conv = conv_of(b, launch);
    size_t size = plan->precision == PRECISION_bf16 ? 2 : 4, weights = (size_t)count_weights(conv) * size;
    bool converted = size == 2 && launch->steps->buffers[conv->input].place == PLACE_input;
    size_t inputs = converted ? count_elements(plan, conv, conv->input) * size : 0;
    CudaConv *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->library = cudnn_conv_create(d->cudnn, conv, plan->batch, plan->precision);
    v->bytes = v->library ? cudnn_conv_bytes(v->library) + weights + inputs : 0;
    if (v->library && allocate(d, weights, &v->weight) && (!converted || allocate(d, inputs, &v->input)))
        return v;
    destroy(d, v);
    return NULL;
}

/* ---- trials ---- */

/* Once before it is captured: what it loads when it first runs could not be loaded then. */
static bool runs(RtDevice *d, RtBound *b, const Launch *launch) {
    return cuda_start_on(d, b, launch, d->stream) == CUDA_SUCCESS &&
           d->api.StreamSynchronize(d->stream) == CUDA_SUCCESS;
}

/* A CUDA graph of some runs, as a step will have them: outside of one the processor may take longer than the GPU. */
static void *capture_runs(RtDevice *d, RtBound *b, const Launch *launch) {
    enum { RUNS = 10 };
    void *captured = NULL;
    Error ignored = {ERROR_NONE, ""};
    if (!cuda_capture_begin(&d->api, d->stream, &ignored))
        return NULL;
    bool ok = true;
    for (int i = 0; ok && i < RUNS; i++)
        ok = cuda_start_on(d, b, launch, d->stream) == CUDA_SUCCESS;
    if (cuda_capture_end(&d->api, d->stream, ok, &captured, &ignored))
        return captured;
    cuda_stream_renew(&d->api, &d->stream, &ignored);
    return NULL;
}

/* Seconds of a run; negative when it fails. */
static double time_once(RtDevice *d, void *captured) {
    double begin = clock_now();
    bool ok =
        d->api.GraphLaunch(captured, d->stream) == CUDA_SUCCESS && d->api.StreamSynchronize(d->stream) == CUDA_SUCCESS;
    return ok ? clock_now() - begin : -1;
}

/* The best of three; negative when they cannot be made, or captured. What is computed is of no matter yet. */
static double time_launch(RtDevice *d, RtBound *b, const Launch *launch) {
    enum { TIMES = 3 };
    void *captured = runs(d, b, launch) ? capture_runs(d, b, launch) : NULL;
    double best = captured ? time_once(d, captured) : -1; /* brings the graph to the GPU */
    for (int i = 0; best >= 0 && i < TIMES; i++) {
        double seconds = time_once(d, captured);
        best = i == 0 || seconds < best ? seconds : best;
    }
    if (captured)
        d->api.GraphExecDestroy(captured);
    return best;
}

static bool is_faster(RtDevice *d, RtBound *b, const Launch *own, const Launch *library) {
    double seconds = time_launch(d, b, library);
    return seconds >= 0 && seconds < time_launch(d, b, own);
}

static uint16_t to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static float from_bf16(const void *from) {
    uint16_t half;
    memcpy(&half, from, sizeof half);
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Of what is computed or given anew before it counts. */
static bool put_noise(RtDevice *d, void *to, size_t count, bool half) {
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; values && i < count; i++) {
        float noise = (float)((uint32_t)i * 2654435761u >> 16) / 32768 - 1;
        if (half)
            ((uint16_t *)values)[i] = to_bf16(noise);
        else
            values[i] = noise;
    }
    size_t size = half ? sizeof(uint16_t) : sizeof(float);
    bool ok = values && cuda_copy(d, to, values, count * size, CUDA_TO_DEVICE) == CUDA_SUCCESS;
    free(values);
    return ok;
}

/* Of the launch's first call, unless they are parameters. */
static bool make_operands(RtDevice *d, RtBound *b, const Launch *launch) {
    const Plan *plan = b->module->base.plan;
    bool ok = true;
    for (int i = 1; ok && i < 3; i++) {
        const PlanBuffer *buffer = &launch->steps->buffers[i];
        ok = buffer->place == PLACE_state ||
             put_noise(d, cuda_resolve(d, b, buffer), count_elements(plan, conv_of(b, launch), i),
                       is_half(b, launch, i));
    }
    return ok;
}

/* Gradients of weights: the sum of all chunks, at the first. */
static void add_chunks(float *y, size_t count, int64_t chunks) {
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (int64_t k = 0; k < chunks; k++)
            sum += y[(size_t)k * count + i];
        y[i] = (float)sum;
    }
}

/* The result of the launch's first call; how many numbers, or 0 when it cannot be done. y has room for all of them. */
static size_t compute(RtDevice *d, RtBound *b, const Launch *launch, float *y) {
    const Plan *plan = b->module->base.plan;
    const PlanConv *conv = conv_of(b, launch);
    bool half = is_half(b, launch, 0);
    size_t count = count_elements(plan, conv, 0), bytes = count * (half ? sizeof(uint16_t) : sizeof(float));
    if (!runs(d, b, launch) ||
        cuda_copy(d, y, cuda_resolve(d, b, &launch->steps->buffers[0]), bytes, CUDA_TO_HOST) != CUDA_SUCCESS)
        return 0;
    for (size_t i = count; half && i-- > 0;)
        y[i] = from_bf16((const char *)y + i * sizeof(uint16_t));
    if (plan_conv_kind(conv) != CONV_grad_weight)
        return count;
    add_chunks(y, (size_t)count_weights(conv), plan->chunks);
    return (size_t)count_weights(conv);
}

static bool are_near(const float *a, const float *b, size_t count) {
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)a[i] * a[i];
    }
    return error <= 1e-6 * size; /* norms: one in a thousand, for TF32 */
}

/* Whatever the library does, a wrong result is not taken. */
static bool agree(RtDevice *d, RtBound *b, const Launch *own, const Launch *library) {
    size_t room = count_elements(b->module->base.plan, conv_of(b, own), 0);
    float *y = malloc(room * sizeof *y), *z = malloc(room * sizeof *z);
    size_t count = y && z && make_operands(d, b, own) ? compute(d, b, own, y) : 0;
    bool ok = count > 0 && compute(d, b, library, z) == count && are_near(y, z, count);
    free(y);
    free(z);
    return ok;
}

/* The convolution that computes the kernel's calls, or NULL for the kernel itself. */
static CudaConv *choose_conv(RtDevice *d, RtBound *b, const Launch *launch) {
    const Plan *plan = b->module->base.plan;
    const PlanConv *shape = conv_of(b, launch);
    int choice = cudnn_recall(d->cudnn, shape, plan->batch, plan->precision);
    CudaConv *conv = choice == 0 ? NULL : create(d, b, launch);
    Launch library = *launch;
    library.conv = conv;
    if (conv && choice < 0) {
        choice = agree(d, b, launch, &library) && is_faster(d, b, launch, &library);
        cudnn_remember(d->cudnn, shape, plan->batch, plan->precision, choice);
    }
    if (choice == 1 && conv && runs(d, b, &library))
        return conv;
    destroy(d, conv);
    return NULL;
}

/* ---- choosing ---- */

static void *find_kernel(const RtBound *b, const char *name) {
    const Plan *plan = b->module->base.plan;
    for (int i = 0; i < plan->kernel_count; i++)
        if (str_equal(plan->kernels[i].name, name))
            return b->module->kernels[i];
    return NULL;
}

static bool is_conv(const RtBound *b, const Launch *launch) {
    const PlanConv *conv = conv_of(b, launch);
    PlanConvKind kind = plan_conv_kind(conv);
    bool right = kind != CONV_none && launch->steps->buffer_count == 3 && b->conv_copy &&
                 (kind != CONV_grad_weight || b->conv_clear);
    for (int i = 0; right && i < 3; i++) {
        IrPlace place = launch->steps->buffers[i].place;
        right = place != PLACE_private && (place != PLACE_state || i == conv->weight);
    }
    return right;
}

static bool has_convs(const RtBound *b) {
    for (int i = 0; i < b->stages.launch_count; i++)
        if (is_conv(b, &b->stages.launches[i]))
            return true;
    return false;
}

void cuda_drop_conv(RtDevice *d, RtBound *b, int kernel) {
    const Plan *plan = b->module->base.plan;
    for (int i = 0; i < b->stages.launch_count; i++)
        if (b->stages.launches[i].kernel == kernel)
            b->stages.launches[i].conv = NULL;
    cudnn_remember(d->cudnn, &plan->kernels[kernel].conv, plan->batch, plan->precision, false);
    b->bytes -= b->convs[kernel]->bytes;
    destroy(d, b->convs[kernel]);
    b->convs[kernel] = NULL;
}

void cuda_choose_convs(RtDevice *d, RtBound *b) {
    const Plan *plan = b->module->base.plan;
    b->conv_copy = find_kernel(b, PLAN_CONV_COPY);
    b->conv_clear = find_kernel(b, PLAN_CONV_CLEAR);
    if (b->share || !has_convs(b)) /* it would compute the whole batch */
        return;
    if (!d->cudnn_tried && cuda_api_has_graphs(&d->api))
        d->cudnn = cudnn_open(
            &d->api, arena_printf(d->arena, "%s, %s", cuda_api_device_name(&d->api, d->number, d->arena), d->arch));
    d->cudnn_tried = true;
    if (!d->cudnn)
        return;
    NdRun all = {.batch = plan->batch, .chunks = plan->chunks}; /* for trials */
    if (cuda_copy(d, b->run, &all, sizeof all, CUDA_TO_DEVICE) != CUDA_SUCCESS)
        return;
    b->convs = ARENA_ARRAY(b->arena, CudaConv *, plan->kernel_count);
    bool *known = ARENA_ARRAY(b->arena, bool, plan->kernel_count);
    for (int i = 0; i < b->stages.launch_count; i++) {
        Launch *launch = &b->stages.launches[i];
        int kernel = launch->kernel;
        if (!is_conv(b, launch))
            continue;
        if (!known[kernel]) {
            b->convs[kernel] = choose_conv(d, b, launch);
            b->bytes += b->convs[kernel] ? b->convs[kernel]->bytes : 0;
        }
        known[kernel] = true;
        launch->conv = b->convs[kernel];
    }
}
