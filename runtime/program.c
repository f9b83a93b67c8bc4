/* program.c: opens programs (text -> IR -> passes -> source -> module) and runs their graphs. */
#include "runtime/program.h"

#include "base/hash.h"
#include "base/str.h"
#include "frontend/frontend.h"
#include "runtime/cache.h"
#include "runtime/device.h"
#include "runtime/fit.h"
#include "runtime/machine.h"
#include "runtime/tensors.h"
#include "runtime/tiles.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- compiling ---- */

const char *rt_library_path(Arena *arena) {
    const char *chosen = getenv("NDARTS_LIBRARY");
    struct stat status;
    if (chosen && *chosen)
        return arena_strdup(arena, chosen);
    const char *source = NDARTS_SOURCE_DIR "/genotypes";
    return stat(source, &status) == 0 && S_ISDIR(status.st_mode) ? source : NDARTS_LIBRARY_DIR "/genotypes";
}

static IrModule *parse_ir(Arena *arena, const char *path, int set_count, Diag *diag, Error *error) {
    if (set_count > 0) {
        error_set(error, ERROR_INPUT, "%s: --set is for texts in the language, not for IR", path);
        return NULL;
    }
    SourceFile *source = source_read(arena, path, error);
    return source ? ir_parse_module(arena, source, diag) : NULL;
}

IrModule *rt_text_load_options(Arena *arena, const RtProgramOptions *o, Error *error) {
    FrontendOptions options = {.sets = o->sets,
                               .set_count = o->set_count,
                               .prefer = o->prefer,
                               .recipe = o->recipe,
                               .library = rt_library_path(arena)};
    Diag *diag = diag_create(arena, diag_stream());
    if (o->recipe && str_ends_with(o->path, ".ir")) {
        error_set(error, ERROR_INPUT, "%s: a recipe is for texts in the language, not for IR", o->path);
        return NULL;
    }
    IrModule *ir = str_ends_with(o->path, ".ir") ? parse_ir(arena, o->path, o->set_count, diag, error)
                                                 : frontend_load(arena, o->path, &options, diag, error);
    int mistakes = diag_count_errors(diag);
    if (ir && mistakes == 0)
        return ir;
    error_set(error, ERROR_INPUT, "%s: %d mistake%s", o->path, mistakes, mistakes == 1 ? "" : "s");
    return NULL;
}

IrModule *rt_text_load(Arena *arena, const char *path, const char *const *sets, int set_count, Error *error) {
    RtProgramOptions options = {.path = path, .sets = sets, .set_count = set_count};
    return rt_text_load_options(arena, &options, error);
}

static int64_t choose_batch(const IrModule *ir, const RtProgramOptions *o) {
    if (o->batch > 0)
        return o->batch;
    return ir_module_get_int(ir, "search.batch", ir_module_get_int(ir, "train.batch", 16));
}

/* What build_graphs needs. */
typedef struct Request {
    IrModule *ir;
    const RtProgramOptions *options;
    Diag *diag;
} Request;

static bool build_graphs(void *data, RtBuild *build, IrGraph **graphs, Error *error) {
    const Request *r = data;
    const RtProgramOptions *o = r->options;
    for (int i = 0; i < o->kind_count; i++) {
        PassContext ctx = {
            .arena = r->ir->arena,
            .diag = r->diag,
            .module = r->ir,
            .kind = o->kinds[i],
            .batch = build->cg->batch,
            .chunks = build->cg->chunks,
            .element_size = o->precision == PRECISION_f64 ? 8 : 4,
            .half = o->precision == PRECISION_bf16,
            .keep_bytes = build->keep_bytes,
            .wide = build->wide,
            .fed_streams = o->fed_streams,
            .fed_stream_count = o->fed_stream_count,
            .grad_output_loss = o->grad_output_loss,
            .input_gradient = o->input_gradient,
            .out = diag_stream(),
        };
        graphs[i] = pipeline_build_graph(&ctx);
        if (!graphs[i])
            return error_set(error, ERROR_INPUT, "%s: no graph '%s' can be made of this text", o->path,
                             graph_kind_name(o->kinds[i]));
        build->left_out |= ctx.left_out;
    }
    return true;
}

/* So many that compilers side by side have enough to do, so few that small programs do not pay for it. Does not depend
 * on the machine: the number is part of the source and so of the program's identity. */
static int choose_unit_count(IrGraph *const *graphs, int count) {
    enum { STEPS_PER_UNIT = 60, MOST = 8 };
    int steps = 0;
    for (int i = 0; i < count; i++) {
        for (const IrNode *n = graphs[i]->first; n; n = n->next)
            steps += !n->inlined && !(ir_op_info[n->op].flags & OP_SOURCE);
    }
    int units = 1 + steps / STEPS_PER_UNIT;
    return units < MOST ? units : MOST;
}

static void keep_settings(RtProgram *p, const IrModule *ir) {
    p->ir = ir_module_create(p->arena, ir->name);
    for (int i = 0; i < ir->setting_count; i++)
        ir_module_set(p->ir, ir->settings[i].key, ir->settings[i].value, (Span){0});
}

/* ---- what a text's module depends on ---- */

static void add_options(Str *s, const RtProgramOptions *o, const CgOptions *cg, const RtTiles *tiles) {
    str_addf(s, "precision %d vectors %d plain %d batch %lld chunks %d narrow %d grad_output %d input_gradient %d\n",
             cg->precision, cg->vector_bytes, cg->plain, (long long)cg->batch, cg->chunks, o->narrow,
             o->grad_output_loss, o->input_gradient);
    if (o->memory_budget > 0)
        str_addf(s, "budget %lld cores %d\n", (long long)o->memory_budget, machine_core_count());
    for (int i = 0; i < o->kind_count; i++)
        str_addf(s, "graph %s\n", graph_kind_name(o->kinds[i]));
    for (int i = 0; i < o->fed_stream_count; i++)
        str_addf(s, "fed %s\n", o->fed_streams[i]);
    str_add(s, rt_tiles_text(s->arena, tiles));
}

/* NULL with an error when there is no compiler. */
static const char *text_key(RtProgram *p, const IrModule *ir, const RtProgramOptions *o, const CgOptions *cg,
                            const RtTiles *tiles, Error *error) {
    Str s = str_create(ir->arena);
    const char *toolchain = p->backend->toolchain(p->device, cg->vector_bytes, ir->arena, error);
    if (!toolchain)
        return NULL;
    str_addf(&s, "%s\n", toolchain);
    rt_cache_add_own_hash(&s);
    add_options(&s, o, cg, tiles);
    ir_print_module(ir, &s);
    char *key = arena_alloc(ir->arena, 65);
    hash_sha256_hex(s.data, s.length, key);
    return key;
}

/* Modules of so few images, that only infer, are made to share an image among threads. */
enum { MOST_BANDED = 4 };

static bool choose_options(CgTarget target, const IrModule *ir, const RtProgramOptions *o, CgOptions *cg, RtTiles *tiles,
                           Error *error) {
    int64_t batch = choose_batch(ir, o);
    if (batch < 1 || batch > 1 << 20)
        return error_set(error, ERROR_INPUT, "the batch is %lld; it should be 1 to 1048576", (long long)batch);
    *cg = (CgOptions){.target = target,
                      .precision = o->precision,
                      .plain = o->plain,
                      .batch = batch,
                      .chunks = cg_chunk_count(target, batch)};
    *tiles = (RtTiles){0};
    if (!cg_precision_check(o->precision, target, NULL, error))
        return false;
    if (target != TARGET_c)
        return true;
    if (!rt_tiles_read(ir->arena, o->tune, tiles, error))
        return false;
    cg->tiles = rt_tiles_table(ir->arena, tiles);
    cg->bands = batch <= MOST_BANDED && o->kind_count == 1 && o->kinds[0] == GRAPH_infer;
    cg->vector_bytes = o->vector_bytes == RT_VECTOR_HOST ? machine_vector_bytes() : o->vector_bytes;
    return true;
}

/* How the user says how large the batch is. */
static const char *batch_option(const IrModule *ir, const RtProgramOptions *o) {
    const char *key = ir_module_get(ir, "search.batch") ? "search" : "train";
    return o->batch > 0 ? "--batch " : arena_printf(ir->arena, "--set %s.batch=", key);
}

static CgOutput *generate(IrModule *ir, const RtProgramOptions *o, CgOptions *cg, Error *error) {
    IrGraph **graphs = ARENA_ARRAY(ir->arena, IrGraph *, o->kind_count);
    Request request = {ir, o, diag_create(ir->arena, diag_stream())};
    RtFit fit = {.module = ir,
                 .kind_count = o->kind_count,
                 .cg = *cg,
                 .threads = machine_core_count(), /* whatever --threads is: the bits must not depend on it */
                 .budget = o->memory_budget,
                 .wide = cg->target == TARGET_cuda && !o->narrow,
                 .batch_option = batch_option(ir, o),
                 .build = build_graphs,
                 .data = &request};
    if (!rt_fit_graphs(&fit, graphs, error))
        return NULL;
    cg->unit_count = choose_unit_count(graphs, o->kind_count);
    cg->rooms = cg->target == TARGET_cuda;
    return cg_generate(ir->arena, ir, graphs, o->kind_count, cg);
}

const CgOutput *rt_text_generate(Arena *arena, const RtProgramOptions *o, CgOptions *cg, Error *error) {
    IrModule *ir = rt_text_load_options(arena, o, error);
    RtTiles tiles;
    return ir && choose_options(TARGET_c, ir, o, cg, &tiles, error) ? generate(ir, o, cg, error) : NULL;
}

/* arena: what compiling takes, which is many times what the program keeps. */
static bool compile_text(RtProgram *p, Arena *arena, const RtProgramOptions *o, Error *error) {
    IrModule *ir = rt_text_load_options(arena, o, error);
    CgOptions cg;
    RtTiles tiles;
    if (!ir || !choose_options(p->backend->target, ir, o, &cg, &tiles, error))
        return false;
    keep_settings(p, ir);
    const char *key = text_key(p, ir, o, &cg, &tiles, error);
    if (!key)
        return false;
    p->module = p->backend->find(p->device, key, cg.vector_bytes, p->arena, &p->identity);
    if (p->module)
        return true;
    CgOutput *output = generate(ir, o, &cg, error);
    p->module =
        output ? p->backend->build(p->device, output, key, cg.vector_bytes, p->arena, &p->identity, error) : NULL;
    return p->module != NULL;
}

static bool compile(RtProgram *p, const RtProgramOptions *o, Error *error) {
    Arena *arena = arena_create();
    bool compiled = compile_text(p, arena, o, error);
    arena_destroy(arena);
    return compiled;
}

/* More threads than cores may need more than was counted. */
static bool check_budget(const RtProgram *p, const RtProgramOptions *o, Error *error) {
    RtMemory memory = rt_plan_memory(p->module->plan, rt_program_threads(p));
    return o->memory_budget == 0 || rt_memory_total(&memory) <= o->memory_budget ||
           error_set(error, ERROR_INPUT,
                     "the memory budget of %.2f MB is too small for %d threads, which need %.2f MB; this machine has %d cores",
                     (double)o->memory_budget / 1e6, rt_program_threads(p), (double)rt_memory_total(&memory) / 1e6,
                     machine_core_count());
}

/* A GPU that cannot hold all values side by side gets a module that shares memory over time and recomputes. */
static bool compile_to_fit(RtProgram *p, const RtProgramOptions *o, Error *error) {
    Error ignored = {ERROR_NONE, ""};
    if (!compile(p, o, error))
        return false;
    if (!p->backend->check_memory || o->narrow ||
        p->backend->check_memory(p->device, p->module->plan, &ignored))
        return true;
    RtProgramOptions narrow = *o;
    narrow.narrow = true;
    p->backend->unload(p->device, p->module);
    p->module = NULL;
    return compile(p, &narrow, error);
}

/* ---- memory ---- */

/* Numbers of the run-time block that this runtime knows how to fill. */
static bool scalar_value(const RtRun *run, const char *name, double *value) {
    const struct {
        const char *name;
        double value;
    } known[] = {{"lr", run->lr},
                 {"alphas_lr", run->alphas_lr},
                 {"drop_keep", run->drop_keep},
                 {"noise_decay", run->noise_decay},
                 {"adam_bias1", run->adam_bias1},
                 {"adam_bias2", run->adam_bias2},
                 {"batch", (double)run->batch}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (str_equal(known[i].name, name)) {
            *value = known[i].value;
            return true;
        }
    }
    return false;
}

static bool check_scalars(const Plan *plan, Error *error) {
    const RtRun run = {.batch = 1};
    double value;
    for (int i = 0; i < plan->scalar_count; i++) {
        if (!scalar_value(&run, plan->scalars[i], &value))
            return error_set(error, ERROR_INPUT, "bad plan: this program knows no run-time number '%s'",
                             plan->scalars[i]);
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
        g->bound = p->backend->bind(p->device, p->module, plan, &p->memory, error);
        if (!g->bound)
            return false;
    }
    return true;
}

/* ---- opening and closing ---- */

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
    p->identity = arena_printf(p->arena, "ndarts %s, precision %s, vectors of %d bytes, batch %lld, %s", NDARTS_VERSION,
                               cg_precision_name(p->plan->precision), p->plan->vector_bytes,
                               (long long)p->plan->batch, p->identity);
    return check_scalars(p->plan, error) &&
           (!p->backend->check_memory || p->backend->check_memory(p->device, p->plan, error)) &&
           make_memory(p, error) && bind_graphs(p, error) && program_make_state(p, seed, error);
}

bool rt_is_module_file(const char *path) {
    return str_ends_with(path, ".so") || str_ends_with(path, ".cubin");
}

RtProgram *rt_program_open(const RtProgramOptions *options, Error *error) {
    if (rt_is_module_file(options->path) && options->set_count > 0) {
        error_set(error, ERROR_INPUT, "%s: --set is for texts in the language, not for a module", options->path);
        return NULL;
    }
    if (rt_is_module_file(options->path))
        return rt_program_load_on(options->device, options->path, options->threads, options->seed, error);
    RtProgram *p = create(options->device, options->threads, error);
    if (p && compile_to_fit(p, options, error) && check_budget(p, options, error) && finish(p, options->seed, error))
        return p;
    rt_program_close(p);
    return NULL;
}

RtProgram *rt_program_load(const char *path, int threads, uint64_t seed, Error *error) {
    return rt_program_load_on(NULL, path, threads, seed, error);
}

RtProgram *rt_program_load_on(const char *device, const char *path, int threads, uint64_t seed, Error *error) {
    bool for_gpu = str_ends_with(path, ".cubin");
    if (device && for_gpu != str_starts_with(device, "cuda") && !str_equal(device, "auto")) {
        error_set(error, ERROR_INPUT, "%s is a module for the %s; --device=%s cannot run it", path,
                  for_gpu ? "GPU" : "CPU", device);
        return NULL;
    }
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
    p->backend->release(p->device, p->memory.state, p->state_bytes);
    p->backend->release(p->device, p->memory.prepared, p->prepared_bytes);
    p->backend->release(p->device, p->memory.work, p->work_bytes);
    if (p->module)
        p->backend->unload(p->device, p->module);
    p->backend->close(p->device);
    arena_destroy(p->arena);
}

/* ---- asking ---- */

const IrModule *rt_program_module(const RtProgram *p) {
    return p->ir;
}

int64_t rt_program_batch(const RtProgram *p) {
    return p->plan->batch;
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

static bool take_inputs(ProgramGraph *g, const RtRun *run, Error *error) {
    for (int i = 0; i < g->plan->input_count; i++) {
        g->addresses[i] = NULL;
        for (int j = 0; j < run->input_count && !g->addresses[i]; j++) {
            if (str_equal(run->inputs[j].name, g->inputs[i].name))
                g->addresses[i] = run->inputs[j].data;
        }
        if (!g->addresses[i])
            return error_set(error, ERROR_INPUT, "the graph %s needs the input '%s'", graph_kind_name(run->kind),
                             g->inputs[i].name);
    }
    return true;
}

bool rt_run(RtProgram *p, const RtRun *run, Error *error) {
    ProgramGraph *g = &p->graphs[run->kind];
    if (!g->plan)
        return error_set(error, ERROR_INPUT, "the program has no graph '%s'", graph_kind_name(run->kind));
    if (run->batch < 1 || run->batch > p->plan->batch)
        return error_set(error, ERROR_INPUT, "a batch of %lld images; the program is made for 1 to %lld",
                         (long long)run->batch, (long long)p->plan->batch);
    if (!take_inputs(g, run, error))
        return false;
    NdRun block = {.seed = run->seed,
                   .step = run->step,
                   .image_base = run->image_base,
                   .batch = run->batch,
                   .chunks = p->plan->chunks};
    for (int i = 0; i < p->plan->scalar_count; i++)
        scalar_value(run, p->plan->scalars[i], &block.scalar[i]);
    bool prepare = g->plan->prepare_count > 0 && g->prepared_version != p->state_version;
    if (!p->backend->launch(p->device, g->bound, g->addresses, &block, prepare, error))
        return false;
    g->prepared_version = p->state_version;
    if (g->plan->changes_state)
        p->state_version++;
    g->last_batch = run->batch;
    return true;
}

void rt_profile_begin(RtProgram *p) {
    bool cpu = p->backend->target == TARGET_c;
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
    int64_t images = tensor->rank > 0 ? tensor->shape[0] : 1;
    if (!rt_tensor_fits(&g->inputs[i], tensor, images) || first + count > images) {
        error_set(error, ERROR_INPUT, "%s: expected shape %s, found %s", tensor->name ? tensor->name : name,
                  rt_shape_string(arena, g->inputs[i].rank, g->inputs[i].shape),
                  rt_shape_string(arena, tensor->rank, tensor->shape));
        return NULL;
    }
    const PlanTensor *to = &g->plan->inputs[i];
    void *storage = arena_alloc(arena, (size_t)plan_tensor_bytes(p->plan, to, count));
    rt_tensor_store(p->plan, to, count, tensor, first * ir_type_count(&to->type, 1, 1), storage);
    return storage;
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
    size_t bytes = (size_t)plan_tensor_bytes(p->plan, from, n);
    void *storage = arena_alloc(arena, bytes);
    download_output(p, g, from, storage, bytes);
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
