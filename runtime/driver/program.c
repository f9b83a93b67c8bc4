/* program.c: opens programs, gives their modules memory, and runs their graphs. */
#include "runtime/driver/compile.h"

#include "base/file_kind.h"
#include "base/str.h"
#include "runtime/device/cache_prune.h"
#include "runtime/device/device.h"
#include "runtime/device/fit.h"
#include "runtime/device/machine.h"
#include "runtime/driver/tensors.h"

#include <malloc.h>
#include <string.h>

/* ---- memory ---- */

_Static_assert((int)RUN_SCALAR_COUNT <= (int)ND_SCALAR_COUNT, "a module has no room for so many run-time scalars");

/* Which numbers the module wants in its run-time block. */
static bool find_scalars(RtProgram *p, Error *error) {
    for (int i = 0; i < p->plan->scalar_count; i++) {
        ProgramScalar *scalar = &p->scalars[i];
        scalar->row = run_scalar_find(p->plan->scalars[i]);
        if (scalar->row < 0 && !schedule_parse(p->plan->scalars[i], &scalar->schedule))
            return error_set(error, ERROR_INPUT, "bad plan: this program knows no run-time number '%s'",
                             p->plan->scalars[i]);
    }
    return true;
}

static RtTensorInfo *describe_all(RtProgram *p, const PlanTensor *tensors, int count) {
    RtTensorInfo *infos = ARENA_ARRAY(p->arena, RtTensorInfo, count);
    for (int i = 0; i < count; i++)
        infos[i] = rt_tensor_describe(p->plan, &tensors[i]);
    return infos;
}

static bool allocate(RtProgram *p, void **memory, size_t bytes, Error *error) {
    *memory = p->backend->allocate(p->device, bytes);
    return *memory || error_set(error, ERROR_MACHINE, "out of memory: %zu bytes wanted", bytes);
}

static bool make_memory(RtProgram *p, Error *error) {
    p->state_bytes = (size_t)p->plan->state_bytes;
    p->prepared_bytes = (size_t)p->plan->prepared_bytes;
    for (int i = 0; i < p->plan->graph_count; i++) {
        size_t bytes = (size_t)p->plan->graphs[i].work_bytes;
        p->work_bytes = bytes > p->work_bytes ? bytes : p->work_bytes;
    }
    return allocate(p, &p->memory.state, p->state_bytes, error) &&
           allocate(p, &p->memory.prepared, p->prepared_bytes, error) &&
           allocate(p, &p->memory.work, p->work_bytes, error);
}

static bool bind_graphs(RtProgram *p, Error *error) {
    for (int i = 0; i < p->plan->graph_count; i++) {
        const PlanGraph *plan = &p->plan->graphs[i];
        ProgramGraph *g = &p->graphs[plan->kind];
        g->plan = plan;
        g->inputs = describe_all(p, plan->inputs, plan->input_count);
        g->outputs = describe_all(p, plan->outputs, plan->output_count);
        g->addresses = ARENA_ARRAY(p->arena, const void *, plan->input_count);
        g->bound = p->backend->bind(p->device, p->module, plan, &p->memory, p->share.ranks ? &p->share : NULL, error);
        if (!g->bound)
            return false;
    }
    return true;
}

/* ---- opening and closing ---- */

/* More threads than cores may need more than was counted. */
static bool check_budget(const RtProgram *p, const RtProgramOptions *o, Error *error) {
    RtMemory memory = rt_plan_memory(p->module->plan, rt_program_threads(p));
    return o->memory_budget == 0 || rt_memory_total(&memory) <= o->memory_budget ||
           error_set(error, ERROR_INPUT,
                     "the memory budget of %.2f MB is too small for %d threads, which need %.2f MB; this machine has "
                     "%d cores",
                     (double)o->memory_budget / 1e6, rt_program_threads(p), (double)rt_memory_total(&memory) / 1e6,
                     machine_core_count());
}

static RtProgram *create(const char *device, int threads, Error *error) {
    RtDeviceChoice choice;
    if (!rt_device_choose(device, &choice, error))
        return NULL;
    Arena *arena = arena_create();
    RtProgram *p = ARENA_NEW(arena, RtProgram);
    p->arena = arena;
    p->backend = choice.backend;
    p->state_version = 1;
    p->device = p->backend->open(choice.number, threads, error);
    if (p->device)
        return p;
    arena_destroy(arena);
    return NULL;
}

static bool finish(RtProgram *p, uint64_t seed, Error *error) {
    malloc_trim(0); /* compiling and reading the plan took more than running will */
    p->plan = p->module->plan;
    p->batch = p->batch ? p->batch : p->plan->batch;
    bool local = p->settings && settings_batch_norm_is_local(p->settings);
    const char *ranks = arena_printf(p->arena, "batch norm of each of %d ranks, ", ranks_size(p->share.ranks));
    p->identity = arena_printf(p->arena, "ndarts %s, precision %s, vectors of %d bytes, batch %lld, %s%s",
                               NDARTS_VERSION, cg_precision_name(p->plan->precision), p->plan->vector_bytes,
                               (long long)p->batch, local ? ranks : "", p->identity);
    return find_scalars(p, error) &&
           (!p->backend->check_memory || p->backend->check_memory(p->device, p->plan, error)) &&
           make_memory(p, error) && bind_graphs(p, error) && program_make_state(p, seed, error);
}

/* By the suffix; NULL: it is no module. */
static const CgTarget *target_of_file(const char *path) {
    const char *dot = strrchr(path, '.');
    for (int i = 0; dot && i < TARGET_COUNT; i++)
        if (str_equal(dot + 1, cg_targets[i]->module_suffix))
            return cg_targets[i];
    return NULL;
}

bool rt_is_module_file(const char *path) {
    return target_of_file(path) != NULL;
}

/* The cores of a host are for all of the processes that a launcher started there. */
static int choose_threads(const RtProgramOptions *o) {
    return o->threads > 0 || ranks_on_host() == 1 ? o->threads : ranks_share_of_cores(machine_core_count());
}

RtProgram *rt_program_open(const RtProgramOptions *options, Error *error) {
    bool is_module = !options->text && rt_is_module_file(options->path);
    if (is_module && options->set_count > 0) {
        error_set(error, ERROR_INPUT, "%s: --set is for texts in the language, not for a module", options->path);
        return NULL;
    }
    if (is_module && options->ranks) {
        error_set(error, ERROR_INPUT, "%s is a module of one process; several ranks need its text", options->path);
        return NULL;
    }
    if (is_module)
        return rt_program_load(options->device, options->path, options->threads, options->seed, error);
    RtProgram *p = create(options->device, choose_threads(options), error);
    if (p)
        p->share.ranks = options->ranks;
    if (p && program_compile(p, options, error) && check_budget(p, options, error) && finish(p, options->seed, error))
        return p;
    rt_program_close(p);
    return NULL;
}

/* What a driver takes for a GPU's module is its own matter: an emulator's is a shared object. */
static bool check_module_file(const char *path, bool for_gpu, Error *error) {
    FileKind found = file_kind_at(path), expected = for_gpu && found == FILE_cubin ? FILE_cubin : FILE_module;
    return file_expect_kind(path, found, expected, "a module that ndartsc made", error);
}

RtProgram *rt_program_load(const char *device, const char *path, int threads, uint64_t seed, Error *error) {
    bool for_gpu = target_of_file(path) == rt_backend_cuda.target;
    if (device && for_gpu != str_starts_with(device, "cuda") && !str_equal(device, "auto")) {
        error_set(error, ERROR_INPUT, "%s is a module for the %s; --device=%s cannot run it", path,
                  for_gpu ? "GPU" : "CPU", device);
        return NULL;
    }
    if (!check_module_file(path, for_gpu, error))
        return NULL;
    if (!device || str_equal(device, "auto"))
        device = for_gpu ? "cuda" : "cpu";
    RtProgram *p = create(device, threads, error);
    if (p && (p->module = p->backend->load(p->device, path, p->arena, &p->identity, error)) && finish(p, seed, error))
        return p;
    rt_program_close(p);
    return NULL;
}

void rt_program_close(RtProgram *p) {
    if (!p)
        return;
    for (int i = 0; i < GRAPH_KIND_COUNT; i++) {
        if (p->graphs[i].bound)
            p->backend->unbind(p->device, p->graphs[i].bound);
    }
    profile_destroy(p->profile);
    step_log_close(p->log);
    p->backend->release(p->device, p->memory.state, p->state_bytes);
    p->backend->release(p->device, p->memory.prepared, p->prepared_bytes);
    p->backend->release(p->device, p->memory.work, p->work_bytes);
    if (child_end(p->later))
        rt_cache_prune(0); /* of what it had begun */
    if (p->module)
        p->backend->unload(p->device, p->module);
    if (p->better)
        p->backend->unload(p->device, p->better);
    p->backend->close(p->device);
    arena_destroy(p->arena);
}

/* ---- asking ---- */

const Settings *rt_program_settings(const RtProgram *p) {
    return p->settings;
}

int64_t rt_program_batch(const RtProgram *p) {
    return p->batch;
}

CgPrecision rt_program_precision(const RtProgram *p) {
    return p->plan->precision;
}

int rt_program_threads(const RtProgram *p) {
    return p->backend->thread_count(p->device);
}

size_t rt_program_memory(const RtProgram *p) {
    size_t bytes = p->state_bytes + p->prepared_bytes + p->work_bytes + p->backend->own_bytes(p->device);
    for (int i = 0; i < GRAPH_KIND_COUNT; i++) {
        if (p->graphs[i].bound)
            bytes += p->backend->bound_bytes(p->graphs[i].bound);
    }
    return bytes;
}

const char *rt_program_identity(const RtProgram *p) {
    return p->identity;
}

bool rt_program_is_draft(const RtProgram *p) {
    return p->later != NULL;
}

bool rt_program_has_weights(const RtProgram *p) {
    return p->module->weights != NULL;
}

bool rt_has_graph(const RtProgram *p, GraphKind kind) {
    return p->graphs[kind].plan != NULL;
}

static int find_tensor(const RtTensorInfo *infos, int count, const char *name) {
    for (int i = 0; i < count; i++) {
        if (str_equal(infos[i].name, name))
            return i;
    }
    return -1;
}

static int find_input(const RtProgram *p, GraphKind kind, const char *name) {
    const ProgramGraph *g = &p->graphs[kind];
    return g->plan ? find_tensor(g->inputs, g->plan->input_count, name) : -1;
}

static int find_output(const RtProgram *p, GraphKind kind, const char *name) {
    const ProgramGraph *g = &p->graphs[kind];
    return g->plan ? find_tensor(g->outputs, g->plan->output_count, name) : -1;
}

const RtTensorInfo *rt_input_info(const RtProgram *p, GraphKind kind, const char *name) {
    int i = find_input(p, kind, name);
    return i < 0 ? NULL : &p->graphs[kind].inputs[i];
}

int rt_input_count(const RtProgram *p, GraphKind kind) {
    return p->graphs[kind].plan ? p->graphs[kind].plan->input_count : 0;
}

const RtTensorInfo *rt_input_info_at(const RtProgram *p, GraphKind kind, int index) {
    return &p->graphs[kind].inputs[index];
}

const RtTensorInfo *rt_output_info(const RtProgram *p, GraphKind kind, const char *name) {
    int i = find_output(p, kind, name);
    return i < 0 ? NULL : &p->graphs[kind].outputs[i];
}

int rt_output_count(const RtProgram *p, GraphKind kind) {
    return p->graphs[kind].plan ? p->graphs[kind].plan->output_count : 0;
}

const RtTensorInfo *rt_output_info_at(const RtProgram *p, GraphKind kind, int index) {
    return &p->graphs[kind].outputs[index];
}

/* ---- running ---- */

/* Chunks that this rank adds up. */
static int64_t count_chunks(const RtProgram *p) {
    return p->backend->target->by_image ? p->plan->chunks : p->plan->chunks / p->plan->ranks;
}

/* Of a run's images those that one rank computes. */
typedef struct OwnImages {
    int64_t first, count;
} OwnImages;

static OwnImages find_images(const RtProgram *p, const RtShare *share) {
    if (!share->ranks)
        return (OwnImages){0, share->images};
    int64_t chunks = count_chunks(p), first = rt_share_image(share, chunks, 0);
    return (OwnImages){first, rt_share_image(share, chunks, chunks) - first};
}

static bool has_images(const PlanTensor *tensor) {
    return tensor->type.rank > 0 && tensor->type.dim[0] == IR_DIM_N;
}

static bool take_inputs(const RtProgram *p, ProgramGraph *g, const RtRun *run, int64_t first, Error *error) {
    for (int i = 0; i < g->plan->input_count; i++) {
        g->addresses[i] = NULL;
        for (int j = 0; j < run->input_count && !g->addresses[i]; j++) {
            if (str_equal(run->inputs[j].name, g->inputs[i].name))
                g->addresses[i] = run->inputs[j].data;
        }
        if (!g->addresses[i])
            return error_set(error, ERROR_INPUT, "the graph %s needs the input '%s'", graph_kind_name(run->kind),
                             g->inputs[i].name);
        const PlanTensor *input = &g->plan->inputs[i];
        if (has_images(input))
            g->addresses[i] = (const char *)g->addresses[i] + plan_tensor_bytes(p->plan, input, first);
    }
    return true;
}

static double scalar_value(const RtProgram *p, const ProgramScalar *scalar, const RtRun *run) {
    if (scalar->row == RUN_batch)
        return (double)run->batch;
    if (scalar->row == RUN_first_chunk)
        return (double)(p->share.ranks->rank * count_chunks(p));
    const ScheduleTime at = {(double)run->epoch, (double)run->epochs, 1};
    return scalar->row >= 0 ? run->scalars[scalar->row] : schedule_value(&scalar->schedule, &at);
}

bool rt_run(RtProgram *p, const RtRun *run, Error *error) {
    ProgramGraph *g = &p->graphs[run->kind];
    if (!g->plan)
        return error_set(error, ERROR_INPUT, "the program has no graph '%s'", graph_kind_name(run->kind));
    if (run->batch < 1 || run->batch > p->batch)
        return error_set(error, ERROR_INPUT, "a batch of %lld images; the program is made for 1 to %lld",
                         (long long)run->batch, (long long)p->batch);
    p->share.images = run->batch;
    OwnImages own = find_images(p, &p->share);
    if (!take_inputs(p, g, run, own.first, error))
        return false;
    NdRun block = {.seed = run->seed,
                   .step = run->step,
                   .image_base = run->image_base,
                   .batch = own.count,
                   .chunks = count_chunks(p)};
    for (int i = 0; i < p->plan->scalar_count; i++)
        block.scalar[i] = scalar_value(p, &p->scalars[i], run);
    program_take_better(p);
    bool prepare = g->plan->prepare_count > 0 && g->prepared_version != p->state_version;
    if (!p->backend->launch(p->device, g->bound, g->addresses, &block, prepare, error))
        return false;
    block.batch = run->batch;       /* the log is of all ranks */
    block.chunks *= p->plan->ranks; /* likewise */
    if (p->log && !step_log_add(p->log, p->plan, run->kind, &block, error))
        return false;
    g->prepared_version = p->state_version;
    if (g->plan->changes_state)
        p->state_version++;
    g->last_batch = run->batch;
    g->last_images = own.count;
    return true;
}

bool rt_log_begin(RtProgram *p, const char *path, Error *error) {
    p->log = step_log_open(path, error);
    return p->log != NULL;
}

void rt_profile_begin(RtProgram *p) {
    bool cpu = p->backend->target->by_image;
    p->profile = profile_create(p->plan, cpu ? rt_program_threads(p) : 1);
    for (int i = 0; i < GRAPH_KIND_COUNT; i++) {
        ProgramGraph *g = &p->graphs[i];
        if (g->bound)
            p->backend->profile(p->device, g->bound, profile_add_graph(p->profile, g->plan));
    }
}

bool rt_profile_end(RtProgram *p, FILE *out, const char *trace_path, Error *error) {
    profile_print(p->profile, out);
    return !trace_path || profile_write_trace(p->profile, trace_path, error);
}

void *rt_input_pack(const RtProgram *p, GraphKind kind, const char *name, const Tensor *tensor, int64_t first,
                    int64_t count, Arena *arena, Error *error) {
    int i = find_input(p, kind, name);
    if (i < 0)
        bug("graph %s has no input %s", graph_kind_name(kind), name);
    const ProgramGraph *g = &p->graphs[kind];
    const PlanTensor *to = &g->plan->inputs[i];
    bool by_image = ir_type_has_dim(&to->type, IR_DIM_N); /* draws for alphas have no axis of images */
    int64_t images = tensor->rank > 0 ? tensor->shape[0] : 1;
    if (!rt_tensor_fits(&g->inputs[i], tensor, images) || (by_image && first + count > images)) {
        error_set(error, ERROR_INPUT, "%s: expected shape %s, found %s", tensor->name ? tensor->name : name,
                  rt_shape_string(arena, g->inputs[i].rank, g->inputs[i].shape),
                  rt_shape_string(arena, tensor->rank, tensor->shape));
        return NULL;
    }
    void *storage = arena_alloc(arena, (size_t)plan_tensor_bytes(p->plan, to, count));
    rt_tensor_store(p->plan, to, count, tensor, by_image ? first * ir_type_count(&to->type, 1, 1) : 0, storage);
    return storage;
}

/* From each rank's images to those of all, in their order; a message has room for the most that a rank can have. */
static void *gather_images(const RtProgram *p, const ProgramGraph *g, const PlanTensor *from, void *own, Arena *arena) {
    size_t most = (size_t)plan_tensor_bytes(p->plan, from, p->plan->batch);
    int size = p->share.ranks->size;
    char *each = arena_alloc(arena, most * (size_t)size), *all = each;
    char *padded = memcpy(arena_alloc(arena, most), own, (size_t)plan_tensor_bytes(p->plan, from, g->last_images));
    ranks_gather(p->share.ranks, padded, each, most);
    for (int rank = 0; rank < size; rank++) {
        Ranks other = {.rank = rank, .size = size};
        RtShare share = {&other, g->last_batch};
        OwnImages images = find_images(p, &share);
        memmove(all + plan_tensor_bytes(p->plan, from, images.first), each + (size_t)rank * most,
                (size_t)plan_tensor_bytes(p->plan, from, images.count));
    }
    return all;
}

static void download_output(const RtProgram *p, const ProgramGraph *g, const PlanTensor *from, void *storage,
                            size_t bytes) {
    const char *place = from->place == PLACE_state      ? p->memory.state
                        : from->place == PLACE_prepared ? p->memory.prepared
                                                        : p->memory.work;
    if (from->place == PLACE_input)
        memcpy(storage, g->addresses[from->offset], bytes);
    else
        p->backend->download(p->device, storage, place + from->offset, bytes);
}

Tensor rt_output_get(const RtProgram *p, GraphKind kind, const char *name, Arena *arena) {
    int i = find_output(p, kind, name);
    if (i < 0)
        bug("graph %s has no output %s", graph_kind_name(kind), name);
    const ProgramGraph *g = &p->graphs[kind];
    const PlanTensor *from = &g->plan->outputs[i];
    int64_t n = g->last_batch;
    size_t own = (size_t)plan_tensor_bytes(p->plan, from, g->last_images),
           bytes = (size_t)plan_tensor_bytes(p->plan, from, n);
    void *storage = arena_alloc(arena, own);
    download_output(p, g, from, storage, own);
    if (p->share.ranks && has_images(from))
        storage = gather_images(p, g, from, storage, arena);
    Tensor t = {.name = g->outputs[i].name,
                .type = g->outputs[i].type,
                .rank = g->outputs[i].rank,
                .data = arena_alloc(arena, bytes)};
    for (int axis = 0; axis < t.rank; axis++)
        t.shape[axis] = g->outputs[i].shape[axis] == -1 ? n : g->outputs[i].shape[axis];
    rt_tensor_fetch(p->plan, from, n, storage, &t);
    return t;
}

double rt_output_scalar(const RtProgram *p, GraphKind kind, const char *name) {
    Arena *arena = arena_create();
    Tensor t = rt_output_get(p, kind, name, arena);
    double value = tensor_get(&t, 0);
    arena_destroy(arena);
    return value;
}
