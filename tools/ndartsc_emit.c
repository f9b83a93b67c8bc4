/* ndartsc_emit.c: the forms of a text, one after the other: tree, IR, step graphs, stages, plan, source, module. */
#include "tools/ndartsc.h"

#include "base/hash.h"
#include "base/str.h"
#include "base/tensor_file.h"
#include "ir/stats.h"
#include "passes/memory_report.h"
#include "runtime/data/data.h"
#include "runtime/device/build.h"
#include "runtime/device/cache.h"
#include "runtime/device/cubin.h"
#include "runtime/device/cuda_module.h"
#include "runtime/device/device.h"
#include "runtime/device/fit.h"
#include "runtime/device/machine.h"
#include "runtime/device/nvjitlink.h"
#include "runtime/device/nvrtc.h"
#include "runtime/device/tiles.h"
#include "runtime/driver/runtime.h"
#include "runtime/driver/step_graph.h"
#include "runtime/exchange/standalone.h"
#include "runtime/loops/genotype.h"
#include "runtime/report/draw.h"

#include <string.h>

typedef struct Job {
    Emission *o;
    Diag *diag;
    Error error;
    IrModule *module;
    bool has_steps; /* the input has step graphs instead of @forward: these kinds */
    int step_count;
    GraphKind steps[GRAPH_KIND_COUNT];
    int graph_count;
    IrGraph *graphs[GRAPH_KIND_COUNT];
    CgOptions cg;
} Job;

enum { CUBIN_UNITS = 8 /* at most; compiled side by side */ };

/* The graph that is being worked on, for bug(). */
static const IrGraph *current_graph;

static void print_current_graph(FILE *out) {
    if (!current_graph)
        return;
    Str text = str_create(current_graph->module->arena);
    ir_print_graph(current_graph, &text);
    fputs(text.data, out);
}

static bool write_out(Job *job, const void *data, size_t size) {
    return options_write(job->o->line, data, size, &job->error);
}

static bool write_text(Job *job, const char *text) {
    return write_out(job, text, strlen(text));
}

/* ---- reading ---- */

/* Of a text that describes several things, --graph says which is meant. */
static const char *preferred_entry(const Emission *o) {
    for (int i = 0; i < o->kind_count; i++) {
        if (o->kinds[i] == GRAPH_search_alphas || o->kinds[i] == GRAPH_search_weights)
            return "search";
        if (o->kinds[i] == GRAPH_train)
            return "train";
    }
    return o->kind_count && o->kinds[0] == GRAPH_infer ? "main" : NULL;
}

/* A module without @forward, as --dump-to writes it: its step graphs are what there is. */
static bool use_steps(Job *job) {
    Emission *o = job->o;
    job->has_steps = true;
    for (int kind = 0; kind < GRAPH_KIND_COUNT; kind++)
        if (ir_graph_find(job->module, graph_kind_name((GraphKind)kind)))
            job->steps[job->step_count++] = (GraphKind)kind;
    if (job->step_count == 0)
        return error_set(
            &job->error, ERROR_INPUT,
            "%s has neither @forward nor the graph of a step (@infer, @train, ...); ndarts-opt runs passes "
            "on other graphs",
            o->input);
    for (int i = 0; i < o->kind_count; i++)
        if (!ir_graph_find(job->module, graph_kind_name(o->kinds[i])))
            return error_set(&job->error, ERROR_INPUT, "%s has neither @forward nor @%s", o->input,
                             graph_kind_name(o->kinds[i]));
    return o->emit != EMIT_stats ||
           error_set(&job->error, ERROR_INPUT, "%s has no @forward, which is what statistics are of", o->input);
}

static bool load(Job *job) {
    Emission *o = job->o;
    FrontendOptions frontend = {.sets = o->line->sets.items,
                                .set_count = o->line->sets.count,
                                .entry = o->line->network,
                                .prefer = preferred_entry(o),
                                .library = rt_library_path(o->arena),
                                .look_at = data_look_at};
    if (!str_ends_with(o->input, ".ir")) {
        job->module = frontend_load(o->arena, o->input, &frontend, job->diag, &job->error);
        return job->module != NULL;
    }
    if (o->line->sets.count || o->line->network)
        return error_set(&job->error, ERROR_INPUT, "--set and --network are for texts in the language, not for IR");
    job->module = ir_read_module(o->arena, o->input, job->diag, &job->error);
    return job->module && (ir_graph_find(job->module, "forward") || use_steps(job));
}

/* ---- step graphs ---- */

/* What a text is for. */
static void choose_kinds(Job *job) {
    static const GraphKind network[] = {GRAPH_infer}, train[] = {GRAPH_train, GRAPH_eval},
                           search[] = {GRAPH_search_alphas, GRAPH_search_weights, GRAPH_eval};
    const Settings settings = settings_read(job->module);
    bool is_search = settings_are_of(&settings, "search"), is_train = settings_are_of(&settings, "train");
    const GraphKind *kinds = job->has_steps ? job->steps : is_search ? search : is_train ? train : network;
    int count = job->has_steps ? job->step_count : is_search ? 3 : is_train ? 2 : 1;
    if (job->o->kind_count)
        return;
    job->o->kind_count = count;
    memcpy(job->o->kinds, kinds, sizeof(GraphKind) * (size_t)count);
}

static int64_t choose_batch(const Job *job) {
    const Settings settings = settings_read(job->module);
    return job->o->batch ? job->o->batch : settings_batch(&settings);
}

/* Goes on with a graph where its dump left off. The plan of memory is made anew: batch and precision may differ. */
static IrGraph *finish_step(PassContext *ctx) {
    const char *name = graph_kind_name(ctx->kind), *progress = arena_printf(ctx->arena, "pipeline.%s", name);
    bool planned = str_equal(ir_module_get_string(ctx->module, progress, ""), "plan-memory");
    IrGraph *graph = ir_graph_find(ctx->module, name);
    if (!pipeline_run(ctx, graph))
        return NULL;
    if (planned && !ctx->only)
        pass_run(ctx, pass_find("plan-memory"), graph);
    return graph;
}

static PassContext make_context(Job *job, GraphKind kind, const RtBuild *build) {
    PassContext ctx = job->o->passes;
    ctx.arena = job->o->arena;
    ctx.diag = job->diag;
    ctx.module = job->module;
    ctx.kind = kind;
    ctx.batch = build->cg->batch;
    ctx.chunks = build->cg->chunks;
    ctx.element_size = build->cg->precision == PRECISION_f64 ? 8 : 4;
    ctx.half = build->cg->precision == PRECISION_bf16;
    ctx.keep_bytes = build->keep_bytes;
    ctx.wide = build->wide;
    return ctx;
}

static bool build_with(void *data, RtBuild *build, IrGraph **graphs, Error *error) {
    Job *job = data;
    for (int i = 0; i < job->o->kind_count; i++) {
        PassContext ctx = make_context(job, job->o->kinds[i], build);
        current_graph = graphs[i] = job->has_steps ? finish_step(&ctx) : pipeline_build_graph(&ctx);
        if (!graphs[i])
            return error_set(error, ERROR_INPUT, "%s: no graph '%s' can be made of this text", job->o->input,
                             graph_kind_name(job->o->kinds[i]));
        build->left_out |= ctx.left_out;
    }
    return true;
}

/* The table, and the picture as text unless a file is wanted. */
static bool report_memory(Job *job) {
    Emission *o = job->o;
    RtBuild build = {.cg = &job->cg};
    PassContext contexts[GRAPH_KIND_COUNT];
    Str report = str_create(o->arena), picture = str_create(o->arena);
    for (int i = 0; i < job->graph_count; i++) {
        contexts[i] = make_context(job, o->kinds[i], &build);
        memory_report(&contexts[i], job->graphs[i], &report);
        if (!*o->line->memory_report)
            memory_picture_text(&contexts[i], job->graphs[i], &report);
    }
    fputs(report.data, stderr);
    if (!*o->line->memory_report)
        return true;
    memory_picture_svg(contexts, job->graphs, job->graph_count, &picture);
    return file_write_atomic(o->line->memory_report, picture.data, picture.length, &job->error);
}

static bool build_graphs(Job *job) {
    Emission *o = job->o;
    choose_kinds(job);
    job->cg =
        (CgOptions){.target = o->target,
                    .precision = o->line->precision,
                    .vector_bytes = o->line->vector_bytes < 0 ? machine_vector_bytes() : (int)o->line->vector_bytes,
                    .plain = o->line->plain,
                    .unit_count = o->emit == EMIT_so ? 4 : 1,
                    .batch = choose_batch(job)};
    job->cg.chunks = cg_chunk_count(job->cg.target, job->cg.batch);
    if (job->cg.target == TARGET_cuda && !o->arch)
        o->arch = rt_device_arch(o->arena);
    if (!cg_precision_check(o->line->precision, job->cg.target, o->arch, &job->error))
        return false;
    RtTiles tiles;
    if (!rt_tiles_read(o->arena, o->line->tune, &tiles, &job->error))
        return false;
    job->cg.tiles = rt_tiles_table(o->arena, &tiles);
    if (o->line->memory_budget && (o->passes.only || o->passes.disabled_count))
        return error_set(&job->error, ERROR_INPUT, "--mem-budget needs all passes");
    RtFit fit = {.module = job->module,
                 .kind_count = o->kind_count,
                 .cg = job->cg,
                 .threads = machine_core_count(),
                 .budget = o->line->memory_budget,
                 .wide = job->cg.target == TARGET_cuda,
                 .fixed = job->has_steps,
                 .batch_option = "--batch ",
                 .build = build_with,
                 .data = job};
    if (!rt_fit_graphs(&fit, job->graphs, &job->error))
        return false;
    job->graph_count = o->kind_count;
    return !o->line->memory_report || report_memory(job);
}

static bool wants_passes(const Emission *o) {
    const PassContext *p = &o->passes;
    return o->kind_count || p->only || p->disabled_count || p->print_before || p->print_after || p->print_after_all ||
           p->print_after_change || p->dump_to || p->timing || o->line->memory_report || o->line->memory_budget;
}

/* ---- what comes out ---- */

static bool emit_ast(Job *job) {
    Emission *o = job->o;
    FrontendOptions frontend = {.library = rt_library_path(o->arena)};
    const char *text = frontend_print_ast(o->arena, o->input, &frontend, job->diag, &job->error);
    return text && write_text(job, text);
}

static bool emit_ir(Job *job) {
    if (wants_passes(job->o) && !build_graphs(job))
        return false;
    Str text = str_create(job->o->arena);
    ir_print_module(job->module, &text);
    return write_text(job, text.data);
}

static const char *graphs_dot(Job *job) {
    Str text = str_create(job->o->arena);
    for (int i = 0; i < job->graph_count; i++)
        ir_print_dot(job->graphs[i], &text);
    for (int i = 0; !job->graph_count && i < job->step_count; i++)
        ir_print_dot(ir_graph_find(job->module, graph_kind_name(job->steps[i])), &text);
    if (!job->graph_count && !job->has_steps)
        ir_print_dot(ir_graph_find(job->module, "forward"), &text);
    return text.data;
}

/* The cells of a text that a genotype makes, unless its step graphs are asked for. */
static const char *cells_dot(const Job *job) {
    Arena *arena = job->o->arena;
    if (str_ends_with(job->o->input, ".ir") || wants_passes(job->o))
        return NULL;
    const GenotypeCell *normal = genotype_read_cell(arena, job->module, false);
    const GenotypeCell *reduce = genotype_read_cell(arena, job->module, true);
    return normal || reduce ? genotype_dot_both(arena, job->module->name, normal, reduce) : NULL;
}

/* Graphviz makes a document of each graph; in one file there can be one. */
static bool emit_svg(Job *job, const char *dot) {
    if (job->graph_count > 1 || job->step_count > 1)
        return error_set(&job->error, ERROR_INPUT, "a picture is of one graph; --graph=NAME says which");
    const char *svg = draw_svg(job->o->arena, "dot -Tsvg", dot);
    return svg ? write_text(job, svg)
               : error_set(&job->error, ERROR_MACHINE,
                           "Graphviz's dot is not installed, or failed; --emit=dot needs none");
}

static bool emit_drawing(Job *job) {
    if (wants_passes(job->o) && !build_graphs(job))
        return false;
    const char *dot = cells_dot(job);
    dot = dot ? dot : graphs_dot(job);
    return job->o->emit == EMIT_svg ? emit_svg(job, dot) : write_text(job, dot);
}

static bool emit_statistics(Job *job) {
    Str text = str_create(job->o->arena);
    emit_stats(job->module, job->o->line->json, &text);
    return write_text(job, text.data);
}

static bool emit_shared(Job *job, const CgOutput *output) {
    Emission *o = job->o;
    if (!o->line->output)
        return error_set(&job->error, ERROR_INPUT, "a module needs a file: -o NET.%s", emit_names[o->emit]);
    RtCompiler compiler;
    return rt_compiler_find(o->arena, &compiler, &job->error) &&
           rt_build_shared(&compiler, output, rt_compiler_options(o->arena, job->cg.vector_bytes), o->line->output,
                           &job->error);
}

static bool emit_ptx(Job *job, const CgOutput *output) {
    void *text;
    size_t size;
    return cg_nvrtc_compile(job->o->arena, output->units[0], job->o->arch, NVRTC_ptx, &text, &size, &job->error) &&
           write_text(job, text);
}

/* One C file for one image at a time, with weights. */
static bool emit_standalone(Job *job) {
    Emission *o = job->o;
    TensorFile weights;
    if (!o->line->output || o->emit != EMIT_c)
        return error_set(&job->error, ERROR_INPUT,
                         "--weights makes a stand-alone C file (--emit=c -o NET.c) or goes into a .cubin");
    o->kind_count = 1;
    o->kinds[0] = GRAPH_infer;
    o->batch = 1;
    if (!safetensors_read(o->arena, o->line->weights, &weights, &job->error) || !build_graphs(job) ||
        !rt_weights_check(o->arena, job->module, o->input, o->line->weights, &weights, &job->error))
        return false;
    job->cg.standalone = true;
    CgOutput *output = cg_generate(o->arena, job->module, job->graphs, job->graph_count, &job->cg);
    return rt_standalone_write(o->arena, o->line->output, output, &weights, &job->error);
}

/* A file that goes into a .cubin. */
typedef struct Weights {
    const SourceFile *file; /* NULL without --weights */
    TensorFile tensors;
} Weights;

static bool read_weights(Job *job, Weights *weights) {
    Emission *o = job->o;
    *weights = (Weights){.file = o->line->weights ? source_read(o->arena, o->line->weights, &job->error) : NULL};
    return !o->line->weights ||
           (weights->file && safetensors_read(o->arena, o->line->weights, &weights->tensors, &job->error));
}

/* What the text is held against. */
static void add_weights(const Weights *weights, Str *s) {
    str_addf(s, "weights %zu\n", weights->file ? weights->file->size : 0);
    for (size_t i = 0; i < weights->tensors.count; i++) {
        const Tensor *t = &weights->tensors.tensors[i];
        str_addf(s, "%s %d", t->name, t->type);
        for (int d = 0; d < t->rank; d++)
            str_addf(s, " %lld", (long long)t->shape[d]);
        str_add(s, "\n");
    }
}

/* All that decides the bytes of a .cubin. NULL when the passes are to be seen at work. */
static const char *cubin_key(Job *job, const Weights *weights) {
    Emission *o = job->o;
    const PassContext *p = &o->passes;
    if (p->print_before || p->print_after || p->print_after_all || p->print_after_change || p->dump_to || p->timing ||
        p->only || p->disabled_count || o->line->memory_report)
        return NULL;
    Str s = str_create(o->arena);
    rt_cache_add_own_hash(&s);
    str_addf(&s, "%s\nprecision %d plain %d batch %lld budget %lld\n", cuda_module_toolchain(o->arch, o->arena),
             o->line->precision, o->line->plain, (long long)choose_batch(job), (long long)o->line->memory_budget);
    add_weights(weights, &s);
    choose_kinds(job);
    for (int i = 0; i < o->kind_count; i++)
        str_addf(&s, "graph %s\n", graph_kind_name(o->kinds[i]));
    ir_print_module(job->module, &s);
    char *name = arena_alloc(o->arena, 65 + sizeof ".cubin");
    hash_sha256_hex(s.data, s.length, name);
    return strcat(name, ".cubin");
}

/* The weights, if any, are filled in by who writes the file. */
static bool compile_cubin(Job *job, const Weights *weights, void **bytes, size_t *size) {
    Emission *o = job->o;
    TensorFile tensors = weights->tensors;
    if (!build_graphs(job) ||
        (weights->file && !rt_weights_check(o->arena, job->module, o->input, o->line->weights, &tensors, &job->error)))
        return false;
    job->cg.rooms = true;
    job->cg.weights_size = weights->file ? cubin_weights_room(weights->file->size) : 0;
    job->cg.unit_count = nvjitlink_is_there() ? CUBIN_UNITS : 1;
    const CgOutput *output = cg_generate(o->arena, job->module, job->graphs, job->graph_count, &job->cg);
    return cuda_module_compile(output, o->arch, machine_core_count(), o->arena, bytes, size, &job->error);
}

static bool emit_cubin(Job *job) {
    Emission *o = job->o;
    Weights weights;
    if (!o->line->output)
        return error_set(&job->error, ERROR_INPUT, "a module needs a file: -o NET.cubin");
    if (!read_weights(job, &weights))
        return false;
    if (!o->arch)
        o->arch = rt_device_arch(o->arena);
    size_t size;
    const char *key = cubin_key(job, &weights);
    void *bytes = key ? rt_cache_read(o->arena, key, &size) : NULL;
    if (!bytes) {
        Error ignored = {ERROR_NONE, ""}; /* of the cache: the next run compiles again */
        if (!compile_cubin(job, &weights, &bytes, &size))
            return false;
        if (key)
            rt_cache_write(o->arena, key, bytes, size, &ignored);
    }
    if (weights.file && !cubin_fill_weights(weights.file->text, weights.file->size, bytes, size))
        return error_set(&job->error, ERROR_MACHINE, "the compiled module has no room for its weights");
    return write_out(job, bytes, size);
}

/* The virtual ones, compute_80, do for ptx. */
static bool check_arch(Job *job) {
    const Emission *o = job->o;
    bool is_virtual = o->emit == EMIT_ptx && o->arch && str_starts_with(o->arch, "compute_");
    const char *known = o->arch && !is_virtual ? cg_nvrtc_refuses(o->arena, o->arch) : NULL;
    return !known || error_set(&job->error, ERROR_INPUT, "--arch %s is not known; %s", o->arch, known);
}

static bool emit_generated(Job *job) {
    Emission *o = job->o;
    if ((o->emit == EMIT_cubin || o->emit == EMIT_ptx) && !check_arch(job))
        return false;
    if (o->emit == EMIT_cubin)
        return emit_cubin(job);
    if (o->line->weights)
        return emit_standalone(job);
    if (!build_graphs(job))
        return false;
    if (o->emit == EMIT_stages)
        return write_text(job, cg_print_stages(o->arena, job->module, job->graphs, job->graph_count, &job->cg));
    CgOutput *output = cg_generate(o->arena, job->module, job->graphs, job->graph_count, &job->cg);
    switch (o->emit) {
    case EMIT_plan:
        return write_text(job, plan_print(o->arena, output->plan));
    case EMIT_so:
        return emit_shared(job, output);
    case EMIT_ptx:
        return emit_ptx(job, output);
    default:
        return write_text(job, output->units[0]);
    }
}

static bool run(Job *job) {
    if (job->o->emit == EMIT_ast)
        return emit_ast(job);
    if (!load(job))
        return false;
    current_graph = ir_graph_find(job->module, "forward");
    switch (job->o->emit) {
    case EMIT_ir:
        return emit_ir(job);
    case EMIT_dot:
    case EMIT_svg:
        return emit_drawing(job);
    case EMIT_stats:
        return emit_statistics(job);
    default:
        return emit_generated(job);
    }
}

int emit_run(Emission *emission) {
    Job job = {.o = emission, .diag = diag_create(emission->arena, stderr)};
    bug_hook = print_current_graph;
    bool done = run(&job);
    current_graph = NULL;
    if (done)
        return 0;
    /* Mistakes in the text are on stderr already. */
    return job.error.kind ? error_report(&job.error) : ERROR_INPUT;
}
