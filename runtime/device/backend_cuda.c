/* backend_cuda.c: a GPU as a device: generated CUDA source, NVRTC, the CUDA runtime. A run copies its inputs and the
 * run-time block from pinned memory and launches the graph's stages as one CUDA graph, which is captured the first
 * time; in it a launch waits for those alone that the plan names. Kernels take any number of images up to the module's largest,
 * so there is one capture for all batches. With a profile every launch is timed by itself, without capture. What follows the
 * choices of a graph is launched one by one too: which launches, those say, which the host reads in between. */
#include "runtime/device/backend_cuda.h"

#include "base/align.h"
#include "base/clock.h"
#include "base/str.h"
#include "runtime/device/cuda_empty.h"
#include "runtime/device/cuda_memory.h"
#include "runtime/device/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the device ---- */

static bool open_device(RtDevice *d, Error *error) {
    int devices;
    if (!cuda_api_load(&d->api, error) || !cuda_api_count_devices(&d->api, &devices, error))
        return false;
    if (d->number == RT_OWN_NUMBER)
        d->number = ranks_place_on_host() % devices; /* of one, where each process is shown its own only */
    if (d->number >= devices)
        return error_set(error, ERROR_MACHINE, "there is no GPU number %d; this machine has %d, counted from 0",
                         d->number, devices);
    return cuda_check(&d->api, d->api.SetDevice(d->number), "opening the GPU", error) &&
           cuda_api_arch(&d->api, d->number, d->arena, &d->arch, error) && cuda_stream_open(&d->api, &d->stream, error);
}

static void cuda_close(RtDevice *d) {
    if (d->private_memory)
        d->api.Free(d->private_memory);
    cuda_stream_close(&d->api, &d->stream);
    cudnn_close(d->cudnn);
    nccl_close(d->nccl);
    arena_destroy(d->arena);
}

static RtDevice *cuda_open(int number, int threads, Error *error) {
    Arena *arena = arena_create();
    RtDevice *d = ARENA_NEW(arena, RtDevice);
    *d = (RtDevice){.arena = arena, .number = number, .threads = threads > 0 ? threads : machine_core_count()};
    if (open_device(d, error))
        return d;
    cuda_close(d);
    return NULL;
}

static int cuda_thread_count(const RtDevice *d) {
    return d->threads;
}

static const char *cuda_toolchain(RtDevice *d, int vector_bytes, Arena *arena, Error *error) {
    (void)vector_bytes;
    (void)error;
    return cuda_module_toolchain(d->arch, arena);
}

static RtModule *cuda_find(RtDevice *d, const char *text_key, int vector_bytes, Arena *arena, const char **identity) {
    (void)vector_bytes;
    return (RtModule *)cuda_module_find(&d->api, text_key, d->arch, arena, identity);
}

static RtModule *cuda_build(RtDevice *d, const CgOutput *output, const char *text_key, int vector_bytes, Arena *arena,
                            const char **identity, Error *error) {
    (void)vector_bytes;
    return (RtModule *)cuda_module_build(&d->api, output, text_key, d->arch, d->threads, arena, identity, error);
}

static bool cuda_remember(RtDevice *d, const CgOutput *output, const char *text_key, int vector_bytes, Error *error) {
    (void)vector_bytes;
    (void)error;
    cuda_module_remember(output, text_key, d->arch);
    return true;
}

static const char *cuda_identify(RtDevice *d, const char *text_key, int vector_bytes, Arena *arena) {
    (void)vector_bytes;
    return cuda_module_identify(text_key, d->arch, arena);
}

static RtModule *cuda_load(RtDevice *d, const char *path, Arena *arena, const char **identity, Error *error) {
    return (RtModule *)cuda_module_load(&d->api, path, d->arch, arena, identity, error);
}

static void cuda_unload(RtDevice *d, RtModule *module) {
    cuda_module_unload(&d->api, (CudaModule *)module);
}

/* ---- memory ---- */

static void note_failure(RtDevice *d, int status, const char *what) {
    cuda_check(&d->api, status, what, &d->failure);
}

/* All goes over the device's stream, since that does not wait for the legacy one, over which cudaMemset and cudaMemcpy
 * go, and both return before their end (of what is not pinned). */
static void *cuda_allocate(RtDevice *d, size_t bytes) {
    void *memory = NULL;
    if (d->api.Malloc(&memory, ALIGN_UP(bytes + 1, CUDA_ALIGNMENT)) != CUDA_SUCCESS)
        return NULL;
    note_failure(d, d->api.MemsetAsync(memory, 0, ALIGN_UP(bytes + 1, CUDA_ALIGNMENT), d->stream),
                 "clearing memory of the GPU");
    return memory;
}

static void cuda_release(RtDevice *d, void *memory, size_t bytes) {
    (void)bytes;
    if (memory)
        d->api.Free(memory);
}

static void cuda_upload(RtDevice *d, void *to, const void *from, size_t bytes) {
    note_failure(d, cuda_copy(d, to, from, bytes, CUDA_TO_DEVICE), "copying to the GPU");
}

static void cuda_download(RtDevice *d, void *to, const void *from, size_t bytes) {
    note_failure(d, cuda_copy(d, to, from, bytes, CUDA_TO_HOST), "copying from the GPU");
}

static bool cuda_check_memory(RtDevice *d, const Plan *plan, Error *error) {
    return cuda_memory_check(&d->api, plan, d->arena, error);
}

/* ---- binding ---- */

static bool grow_private(RtDevice *d, size_t bytes, Error *error) {
    if (bytes <= d->private_bytes)
        return true;
    if (d->private_memory)
        d->api.Free(d->private_memory);
    d->private_memory = cuda_allocate(d, bytes);
    d->private_bytes = d->private_memory ? bytes : 0;
    return d->private_memory ||
           error_set(error, ERROR_MACHINE, "out of memory on the GPU: %zu bytes for the values within a stage", bytes);
}

static bool make_input(RtDevice *d, RtBound *b, int index, Error *error) {
    const Plan *plan = b->module->base.plan;
    const PlanTensor *tensor = &b->graph->inputs[index];
    Input *input = &b->inputs[index];
    bool has_images = tensor->type.rank > 0 && tensor->type.dim[0] == IR_DIM_N;
    input->bytes = (size_t)plan_tensor_bytes(plan, tensor, plan->batch);
    input->image_bytes = has_images ? input->bytes / (size_t)plan->batch : 0;
    input->memory = cuda_allocate(d, input->bytes);
    b->bytes += input->bytes;
    if (!input->memory || d->api.HostAlloc(&input->pinned, input->bytes + 1, 0) != CUDA_SUCCESS)
        return error_set(error, ERROR_MACHINE, "out of memory: %zu bytes for the input '%s'", input->bytes,
                         tensor->name);
    return true;
}

static bool make_run_block(RtDevice *d, RtBound *b, Error *error) {
    b->run = cuda_allocate(d, RUN_COUNT * sizeof(NdRun));
    bool ok = b->run && d->api.HostAlloc((void **)&b->run_pinned, RUN_COUNT * sizeof(NdRun), 0) == CUDA_SUCCESS;
    return ok || error_set(error, ERROR_MACHINE, "out of memory on the GPU");
}

/* Filled before the first run, but taken now: cuDNN then takes of what is left. */
static bool allocate_table(RtDevice *d, RtBound *b, Error *error) {
    b->table_bytes = cuda_memory_of_table(b->graph);
    b->table = cuda_allocate(d, b->table_bytes);
    b->bytes += b->table_bytes;
    return b->table || error_set(error, ERROR_MACHINE, "out of memory on the GPU: %zu bytes for the table of calls",
                                 b->table_bytes);
}

static bool make_choices(RtDevice *d, RtBound *b, Error *error) {
    size_t bytes = sizeof *b->choices * (size_t)b->graph->choice_count;
    return bytes == 0 || d->api.HostAlloc((void **)&b->choices, bytes, 0) == CUDA_SUCCESS ||
           error_set(error, ERROR_MACHINE, "out of memory: %zu bytes for the choices of a graph", bytes);
}

static void cuda_unbind(RtDevice *d, RtBound *b) {
    Part *parts[] = {&b->prepare, &b->choosing, &b->stages};
    for (int i = 0; i < 3; i++)
        if (parts[i]->captured)
            d->api.GraphExecDestroy(parts[i]->captured);
    if (b->choices)
        d->api.FreeHost(b->choices);
    for (int i = 0; i < b->graph->input_count; i++) {
        cuda_release(d, b->inputs[i].memory, b->inputs[i].bytes);
        if (b->inputs[i].pinned)
            d->api.FreeHost(b->inputs[i].pinned);
    }
    cuda_destroy_convs(d, b);
    cuda_release(d, b->run, RUN_COUNT * sizeof(NdRun));
    cuda_release(d, b->table, 0);
    if (b->run_pinned)
        d->api.FreeHost(b->run_pinned);
    arena_destroy(b->arena);
}

static RtBound *cuda_bind(RtDevice *d, const RtModule *module, const PlanGraph *graph, const RtArenas *arenas,
                          const RtShare *share, Error *error) {
    if (share && !d->nccl && !(d->nccl = nccl_open(share->ranks, error)))
        return NULL;
    Arena *arena = arena_create();
    RtBound *b = ARENA_NEW(arena, RtBound);
    *b = (RtBound){
        .module = (const CudaModule *)module, .graph = graph, .arenas = *arenas, .share = share, .arena = arena};
    b->prepare = (Part){.stages = graph->prepare, .count = graph->prepare_count};
    b->choosing = (Part){.stages = graph->stages, .count = graph->choosing_count};
    b->stages =
        (Part){.stages = graph->stages + graph->choosing_count, .count = graph->stage_count - graph->choosing_count};
    b->inputs = ARENA_ARRAY(arena, Input, graph->input_count);
    b->private_image_bytes = cuda_memory_of_image(graph);
    bool ok = grow_private(d, b->private_image_bytes * (size_t)module->plan->batch, error) &&
              make_run_block(d, b, error) && make_choices(d, b, error) && allocate_table(d, b, error);
    for (int i = 0; ok && i < graph->input_count; i++)
        ok = make_input(d, b, i, error);
    if (ok)
        return b;
    cuda_unbind(d, b);
    return NULL;
}

/* A launch is timed with what it takes by itself, which is taken off. */
static void cuda_profile(RtDevice *d, RtBound *b, ProfileGraph *profile) {
    CudaEmpty empty;
    Error ignored = {ERROR_NONE, ""};
    if (d->launch_seconds <= 0 && cuda_empty_open(&d->api, d->arch, &empty, &ignored)) {
        d->launch_seconds = cuda_empty_seconds(&d->api, &empty, d->stream);
        cuda_empty_close(&d->api, &empty);
    }
    b->profile = profile;
    profile_set_launch(profile, d->launch_seconds);
}

/* The private memory is shared by all graphs. */
static size_t cuda_own_bytes(const RtDevice *d) {
    return d->private_bytes;
}

static size_t cuda_bound_bytes(const RtBound *b) {
    return b->bytes;
}

/* ---- running ---- */

/* Enough blocks of one call for the largest batch. Kernels stride over what is left when there are fewer. */
static unsigned count_blocks(const Plan *plan, const PlanStep *step) {
    enum { MOST = 1 << 20 };
    int64_t outer = step->launch == LAUNCH_images ? plan->batch : step->launch == LAUNCH_chunks ? plan->chunks : 1;
    int64_t blocks = (step->threads * outer + ND_BLOCK_THREADS - 1) / ND_BLOCK_THREADS;
    return (unsigned)(blocks < 1 ? 1 : blocks < MOST ? blocks : MOST);
}

/* Kernel arguments: a row of the table for each call (codegen/cuda/emit_cuda.c), the run-time block, the distance of two
 * images' private values. */
static int64_t *add_row(const RtDevice *d, const RtBound *b, const PlanStep *step, int64_t *row) {
    for (int i = 0; i < step->buffer_count; i++)
        *row++ = (int64_t)(uintptr_t)cuda_resolve(d, b, &step->buffers[i]) + cuda_rows_before(b, step, i);
    for (int i = 0; i < step->int_count; i++)
        *row++ = step->ints[i];
    return row;
}

static int64_t *make_launches(const RtDevice *d, RtBound *b, Part *part, int64_t *rows, int64_t *row) {
    int capacity = 0;
    for (int i = 0; i < part->count; i++) {
        const PlanStage *stage = &part->stages[i];
        for (int j = 0, count; j < stage->step_count; j += count) {
            const PlanStep *step = &stage->steps[j];
            count = plan_count_together(stage, j);
            Launch launch = {step->kernel,
                             {count_blocks(b->module->base.plan, step), (unsigned)count, 1},
                             (char *)b->table + (row - rows) * (ptrdiff_t)sizeof *rows,
                             step,
                             NULL};
            ARENA_PUSH(b->arena, part->launches, part->launch_count, capacity, launch);
            for (int k = 0; k < count; k++)
                row = add_row(d, b, &stage->steps[j + k], row);
        }
    }
    return row;
}

/* Before the first run: by then all graphs are bound and the private memory lies where it will stay. */
static bool make_table(RtDevice *d, RtBound *b, Error *error) {
    if (b->table_made)
        return true;
    int64_t *rows = malloc(b->table_bytes + 1);
    if (!rows)
        return error_set(error, ERROR_MACHINE, "out of memory: %zu bytes for the table of calls", b->table_bytes);
    int64_t *row = make_launches(d, b, &b->prepare, rows, rows);
    row = make_launches(d, b, &b->choosing, rows, row);
    b->stages.before = b->choosing.launch_count;
    make_launches(d, b, &b->stages, rows, row);
    cuda_upload(d, b->table, rows, b->table_bytes);
    free(rows);
    cuda_choose_convs(d, b);
    b->table_made = true;
    return d->failure.kind == ERROR_NONE || error_set(error, d->failure.kind, "%s", d->failure.message);
}

static int start(RtDevice *d, RtBound *b, const Launch *launch) {
    return cuda_start_on(d, b, launch, d->stream);
}

static int profile_launch(RtDevice *d, RtBound *b, const Launch *launch) {
    void *begin, *end;
    float milliseconds = 0;
    double now = clock_now();
    d->api.EventCreateWithFlags(&begin, 0);
    d->api.EventCreateWithFlags(&end, 0);
    d->api.EventRecord(begin, d->stream);
    int status = start(d, b, launch);
    d->api.EventRecord(end, d->stream);
    d->api.StreamSynchronize(d->stream);
    d->api.EventElapsedTime(&milliseconds, begin, end);
    d->api.EventDestroy(begin);
    d->api.EventDestroy(end);
    double seconds = milliseconds * 1e-3 - d->launch_seconds;
    if (launch->kernel != PLAN_NO_KERNEL)
        profile_add_calls(b->profile, 0, launch->kernel, launch->grid.y, now, now + (seconds > 0 ? seconds : 0));
    return status;
}

static bool is_double(const RtBound *b) {
    return b->module->base.plan->precision == PRECISION_f64;
}

static bool is_chosen(const RtBound *b, const PlanWhen *when) {
    if (!when->choice)
        return true;
    const void *at = &b->choices[when->choice - 1];
    return when->cases & plan_case(is_double(b) ? *(const double *)at : *(const float *)at);
}

static bool check_start(const RtDevice *d, const RtBound *b, const Launch *launch, int status, Error *error) {
    if (launch->kernel == PLAN_NO_KERNEL)
        return nccl_check(d->nccl, status, error);
    return cuda_check(&d->api, status, b->module->base.plan->kernels[launch->kernel].name, error);
}

static bool launch_part(RtDevice *d, RtBound *b, const Part *part, Error *error) {
    bool profile = b->profile && d->api.EventElapsedTime;
    for (int i = 0; i < part->launch_count; i++) {
        const Launch *launch = &part->launches[i];
        if (!is_chosen(b, &launch->steps->when))
            continue;
        int status = (profile ? profile_launch : start)(d, b, launch);
        if (!check_start(d, b, launch, status, error))
            return false;
    }
    return true;
}

enum { NOBODY = -1 };

/* What launch i waits for: those of this part that the plan names, and cuDNN's calls of one shape, which share its memory,
 * for each other. ends: the nodes of the launches before it. */
static void find_nodes(const Part *part, int i, const CudaNodes *ends, Arena *arena, CudaNodes *found) {
    const Launch *launch = &part->launches[i];
    for (int k = 0; k < launch->steps->wait_count; k++) {
        int before = launch->steps->waits[k] - part->before;
        if (before >= 0)
            cuda_nodes_add(found, &ends[before], arena);
    }
    int last = i - 1;
    while (launch->conv && last >= 0 && part->launches[last].conv != launch->conv)
        last--;
    if (launch->conv && last >= 0)
        cuda_nodes_add(found, &ends[last], arena);
}

/* *failed: the kernel that could not be launched. */
static bool put_launches(RtDevice *d, RtBound *b, const Part *part, int *failed, Error *error) {
    Arena *arena = arena_create();
    CudaNodes *ends = ARENA_ARRAY(arena, CudaNodes, part->launch_count);
    bool ok = true;
    for (int i = 0; ok && i < part->launch_count; i++) {
        const Launch *launch = &part->launches[i];
        CudaNodes waits = {0};
        find_nodes(part, i, ends, arena, &waits);
        ok = cuda_capture_after(&d->api, d->stream, &waits, error) &&
             check_start(d, b, launch, cuda_start_on(d, b, launch, d->stream), error) &&
             cuda_capture_last(&d->api, d->stream, arena, &ends[i], error);
        *failed = ok ? NOBODY : launch->kernel;
    }
    arena_destroy(arena);
    return ok;
}

static bool capture(RtDevice *d, RtBound *b, Part *part, int *failed, Error *error) {
    *failed = NOBODY;
    if (!cuda_capture_begin(&d->api, d->stream, error))
        return false;
    bool put = put_launches(d, b, part, failed, error);
    return cuda_capture_end(&d->api, d->stream, put, &part->captured, error);
}

/* Of the kernel that failed; of all when that is one of ours, or nobody knows which it was: what a library does may show
 * later. False: cuDNN has none of them. */
static bool drop_convs(RtDevice *d, RtBound *b, const Part *part, int failed) {
    bool known = failed != NOBODY && b->convs && b->convs[failed], any = false;
    for (int i = 0; i < part->launch_count; i++) {
        if (part->launches[i].conv && (!known || part->launches[i].kernel == failed)) {
            cuda_drop_conv(d, b, part->launches[i].kernel);
            any = true;
        }
    }
    return any;
}

/* Our kernels can be captured; a library, nobody knows. */
static bool capture_part(RtDevice *d, RtBound *b, Part *part, Error *error) {
    int failed;
    while (!capture(d, b, part, &failed, error)) {
        Error renewing = {ERROR_NONE, ""};
        if (!cuda_stream_renew(&d->api, &d->stream, &renewing) || !drop_convs(d, b, part, failed))
            return false;
        *error = renewing;
    }
    return true;
}

static bool run_part(RtDevice *d, RtBound *b, Part *part, Error *error) {
    if (part->count == 0)
        return true;
    bool by_choice = part == &b->stages && b->graph->choice_count;
    if (b->profile || by_choice || !cuda_api_has_graphs(&d->api))
        return launch_part(d, b, part, error);
    return (part->captured || capture_part(d, b, part, error)) &&
           cuda_check(&d->api, d->api.GraphLaunch(part->captured, d->stream), "launching a step", error);
}

static bool send(RtDevice *d, void *to, void *pinned, const void *from, size_t bytes, Error *error) {
    memcpy(pinned, from, bytes);
    return cuda_check(&d->api, d->api.MemcpyAsync(to, pinned, bytes, CUDA_TO_DEVICE, d->stream), "copying to the GPU",
                      error);
}

static bool send_inputs(RtDevice *d, RtBound *b, const void *const *inputs, const NdRun *run, Error *error) {
    for (int i = 0; i < b->graph->input_count; i++) {
        const Input *input = &b->inputs[i];
        size_t bytes = input->image_bytes ? input->image_bytes * (size_t)run->batch : input->bytes;
        if (!send(d, input->memory, input->pinned, inputs[i], bytes, error))
            return false;
    }
    NdRun runs[RUN_COUNT] = {[RUN_own] = *run, [RUN_all] = *run};
    if (b->share) {
        runs[RUN_own].image_base += (uint64_t)rt_share_image(b->share, run->chunks, 0);
        runs[RUN_all].batch = b->share->images;
        runs[RUN_all].chunks = b->module->base.plan->chunks;
    }
    return send(d, b->run, b->run_pinned, runs, sizeof runs, error);
}

/* Waits until the choices are made, and brings them here. */
static bool fetch_choices(RtDevice *d, RtBound *b, Error *error) {
    bool ok = true;
    for (int i = 0; ok && i < b->graph->choice_count; i++)
        ok = cuda_check(&d->api,
                        d->api.MemcpyAsync(&b->choices[i], cuda_resolve(d, b, &b->graph->choices[i]),
                                           is_double(b) ? sizeof(double) : sizeof(float), CUDA_TO_HOST, d->stream),
                        "copying from the GPU", error);
    return ok && (!b->graph->choice_count ||
                  cuda_check(&d->api, d->api.StreamSynchronize(d->stream), "running a step on the GPU", error));
}

static bool run_all(RtDevice *d, RtBound *b, const void *const *inputs, const NdRun *run, bool prepare, Error *error) {
    if (d->failure.kind != ERROR_NONE)
        return error_set(error, d->failure.kind, "%s", d->failure.message);
    return cuda_check(&d->api, d->api.SetDevice(d->number), "choosing the GPU", error) && make_table(d, b, error) &&
           send_inputs(d, b, inputs, run, error) && (!prepare || run_part(d, b, &b->prepare, error)) &&
           run_part(d, b, &b->choosing, error) && fetch_choices(d, b, error) && run_part(d, b, &b->stages, error) &&
           cuda_check(&d->api, d->api.StreamSynchronize(d->stream), "running a step on the GPU", error);
}

static bool cuda_launch(RtDevice *d, RtBound *b, const void *const *inputs, const NdRun *run, bool prepare,
                        Error *error) {
    if (b->profile)
        profile_begin_run(b->profile);
    bool ok = run_all(d, b, inputs, run, prepare, error);
    if (b->profile)
        profile_end_run(b->profile);
    return ok;
}

const RtBackend rt_backend_cuda = {
    .name = "cuda",
    .target = &cg_target_cuda,
    .open = cuda_open,
    .close = cuda_close,
    .thread_count = cuda_thread_count,
    .toolchain = cuda_toolchain,
    .find = cuda_find,
    .build = cuda_build,
    .remember = cuda_remember,
    .identify = cuda_identify,
    .load = cuda_load,
    .unload = cuda_unload,
    .check_memory = cuda_check_memory,
    .allocate = cuda_allocate,
    .release = cuda_release,
    .upload = cuda_upload,
    .download = cuda_download,
    .bind = cuda_bind,
    .unbind = cuda_unbind,
    .profile = cuda_profile,
    .own_bytes = cuda_own_bytes,
    .bound_bytes = cuda_bound_bytes,
    .launch = cuda_launch,
};
