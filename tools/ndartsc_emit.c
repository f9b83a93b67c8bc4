/* ndartsc_emit.c: the forms of a text, one after the other: tree, IR, step graphs, stages, plan, source, module. */
#include "tools/ndartsc.h"

#include "base/file.h"
#include "base/installed.h"
#include "base/str.h"
#include "base/tensor_file.h"
#include "ir/stats.h"
#include "passes/memory_report.h"
#include "runtime/device/cache.h"
#include "runtime/device/cache_entry.h"
#include "runtime/device/compiler.h"
#include "runtime/device/cubin.h"
#include "runtime/device/cuda_module.h"
#include "runtime/device/device.h"
#include "runtime/device/machine.h"
#include "runtime/device/nvjitlink.h"
#include "runtime/device/nvrtc.h"
#include "runtime/driver/compilation.h"
#include "runtime/driver/step_graph.h"
#include "runtime/exchange/standalone.h"
#include "runtime/loops/genotype.h"
#include "runtime/report/draw.h"

#include <string.h>

typedef struct EmitJob {
    Emission *o;
    RtProgramOptions options;
    Compilation text;
    bool built;
    Error error;
} EmitJob;

enum { CUBIN_UNITS = 8 /* at most; compiled side by side */ };

/* What is being compiled, for bug(). */
static const Compilation *current;

static void print_current_graph(FILE *out) {
    if (!current || !current->at)
        return;
    Str text = str_create(current->at->module->arena);
    ir_print_graph(current->at, &text);
    fputs(text.data, out);
}

static bool write_out(EmitJob *job, const void *data, size_t size) {
    return options_write(job->o->line, data, size, &job->error);
}

static bool write_text(EmitJob *job, const char *text) {
    return write_out(job, text, strlen(text));
}

/* ---- reading ---- */

/* Of a text that describes several things, --graph says which is meant. */
static const char *preferred_entry(const Emission *o) {
    for (int i = 0; i < o->kind_count; i++) {
        if (o->kinds[i] == GRAPH_search_alphas || o->kinds[i] == GRAPH_search_second ||
            o->kinds[i] == GRAPH_search_weights)
            return "search";
        if (o->kinds[i] == GRAPH_train)
            return "train";
    }
    return o->kind_count && o->kinds[0] == GRAPH_infer ? "main" : NULL;
}

static bool load(EmitJob *job) {
    Compilation *c = &job->text;
    if (!compilation_load(c, &job->error))
        return false;
    if (!str_ends_with(job->o->input, ".ir") || ir_graph_find(c->module, "forward"))
        return true;
    return compilation_use_steps(c, &job->error) &&
           (job->o->emit != EMIT_stats ||
            error_set(&job->error, ERROR_INPUT, "%s has no @forward, which is what statistics are of", job->o->input));
}

/* ---- step graphs ---- */

/* The table, and the picture as text unless a file is wanted. */
static bool report_memory(EmitJob *job) {
    const Options *line = job->o->line;
    Compilation *c = &job->text;
    PassContext contexts[GRAPH_KIND_COUNT];
    Str report = str_create(c->arena), picture = str_create(c->arena);
    for (int i = 0; i < c->kind_count; i++) {
        contexts[i] = compilation_passes(c, c->kinds[i], &c->build);
        memory_report(&contexts[i], c->graphs[i], &report);
        if (!*line->memory_report)
            memory_picture_text(&contexts[i], c->graphs[i], &report);
    }
    fputs(report.data, stderr);
    if (!*line->memory_report)
        return true;
    memory_picture_svg(contexts, c->graphs, c->kind_count, &picture);
    return file_write_atomic(line->memory_report, picture.data, picture.length, &job->error);
}

static bool build_graphs(EmitJob *job) {
    Emission *o = job->o;
    Compilation *c = &job->text;
    if ((o->target->precisions >> PRECISION_tf32 & 1) && !c->arch)
        c->arch = rt_device_arch(o->arena);
    if (!compilation_choose(c, o->target, &job->error))
        return false;
    c->cg.unit_count = o->emit == EMIT_so ? 4 : 1;
    if (o->line->memory_budget && (o->passes.only || o->passes.disabled_count))
        return error_set(&job->error, ERROR_INPUT, "--mem-budget needs all passes");
    job->built = compilation_build(c, &job->error);
    return job->built && (!o->line->memory_report || report_memory(job));
}

static bool watches_passes(const Emission *o) {
    return passes_are_watched(&o->passes) || o->line->memory_report;
}

static bool wants_passes(const Emission *o) {
    return o->kind_count || o->line->memory_budget || watches_passes(o);
}

/* ---- what comes out ---- */

static bool emit_ast(EmitJob *job) {
    Emission *o = job->o;
    FrontendOptions frontend = {.library = installed_library(o->arena)};
    const char *text = frontend_print_ast(o->arena, o->input, &frontend, diag_create(o->arena, stderr), &job->error);
    return text && write_text(job, text);
}

static bool emit_ir(EmitJob *job) {
    if (wants_passes(job->o) && !build_graphs(job))
        return false;
    Str text = str_create(job->o->arena);
    ir_print_module(job->text.module, &text);
    return write_text(job, text.data);
}

/* The step graphs that were built, or are there; else the graph as the text describes it. */
static const char *graphs_dot(EmitJob *job) {
    const Compilation *c = &job->text;
    Str text = str_create(c->arena);
    for (int i = 0; (job->built || c->has_steps) && i < c->kind_count; i++)
        ir_print_dot(ir_graph_find(c->module, graph_kind_name(c->kinds[i])), &text);
    if (!job->built && !c->has_steps)
        ir_print_dot(ir_graph_find(c->module, "forward"), &text);
    return text.data;
}

/* The cells of a text that a genotype makes, unless its step graphs are asked for. */
static const char *cells_dot(const EmitJob *job) {
    if (str_ends_with(job->o->input, ".ir") || wants_passes(job->o))
        return NULL;
    return genotype_dot_network(job->o->arena, job->text.module);
}

/* Graphviz makes a document of each graph; in one file there can be one. */
static bool emit_svg(EmitJob *job, const char *dot) {
    if ((job->built || job->text.has_steps) && job->text.kind_count > 1)
        return error_set(&job->error, ERROR_INPUT, "a picture is of one graph; --graph=NAME says which");
    const char *svg = draw_svg(job->o->arena, "dot -Tsvg", dot);
    return svg ? write_text(job, svg)
               : error_set(&job->error, ERROR_MACHINE,
                           "Graphviz's dot is not installed, or failed; --emit=dot needs none");
}

static bool emit_drawing(EmitJob *job) {
    if (wants_passes(job->o) && !build_graphs(job))
        return false;
    const char *dot = cells_dot(job);
    dot = dot ? dot : graphs_dot(job);
    return job->o->emit == EMIT_svg ? emit_svg(job, dot) : write_text(job, dot);
}

static bool emit_statistics(EmitJob *job) {
    Str text = str_create(job->o->arena);
    ir_print_stats(job->text.module, job->o->line->json, &text);
    return write_text(job, text.data);
}

static bool emit_shared(EmitJob *job, const CgOutput *output) {
    Emission *o = job->o;
    if (!o->line->output)
        return error_set(&job->error, ERROR_INPUT, "a module needs a file: -o NET.%s", emit_names[o->emit]);
    RtCompiler compiler;
    return rt_compiler_find(o->arena, &compiler, &job->error) &&
           rt_build_shared(&compiler, output, rt_compiler_options(o->arena, job->text.cg.vector_bytes), o->line->output,
                           &job->error);
}

static bool emit_ptx(EmitJob *job, const CgOutput *output) {
    void *text;
    size_t size;
    return cg_nvrtc_compile(job->o->arena, output->units[0], job->text.arch, NVRTC_ptx, &text, &size, &job->error) &&
           write_text(job, text);
}

/* One C file for one image at a time, with weights. */
static bool emit_standalone(EmitJob *job) {
    Emission *o = job->o;
    TensorFile weights;
    if (!o->line->output || o->emit != EMIT_c)
        return error_set(&job->error, ERROR_INPUT,
                         "--weights makes a stand-alone C file (--emit=c -o NET.c) or goes into a .cubin");
    static const GraphKind infer[] = {GRAPH_infer};
    job->options.kinds = infer;
    job->options.kind_count = 1;
    job->options.batch = 1;
    if (!safetensors_read(o->arena, o->line->weights, &weights, &job->error) || !build_graphs(job) ||
        !rt_weights_check(o->arena, job->text.module, o->input, o->line->weights, &weights, &job->error))
        return false;
    job->text.cg.standalone = true;
    CgOutput *output = compilation_generate(&job->text);
    return rt_standalone_write(o->arena, o->line->output, output, &weights, &job->error);
}

/* A file that goes into a .cubin. */
typedef struct EmbeddedWeights {
    const SourceFile *file; /* NULL without --weights */
    TensorFile tensors;
} EmbeddedWeights;

static bool read_weights(EmitJob *job, EmbeddedWeights *weights) {
    Emission *o = job->o;
    *weights =
        (EmbeddedWeights){.file = o->line->weights ? source_read(o->arena, o->line->weights, &job->error) : NULL};
    return !o->line->weights ||
           (weights->file && safetensors_read(o->arena, o->line->weights, &weights->tensors, &job->error));
}

/* What the text is held against. */
static void add_weights(const EmbeddedWeights *weights, Str *s) {
    str_addf(s, "weights %zu\n", weights->file ? weights->file->size : 0);
    for (size_t i = 0; i < weights->tensors.count; i++) {
        const Tensor *t = &weights->tensors.tensors[i];
        str_addf(s, "%s %d", t->name, t->type);
        for (int d = 0; d < t->rank; d++)
            str_addf(s, " %lld", (long long)t->shape[d]);
        str_add(s, "\n");
    }
}

static int cubin_units(void) {
    return nvjitlink_is_there() ? CUBIN_UNITS : 1;
}

/* All that decides the bytes of a .cubin. NULL when the passes are to be seen at work, or when it cannot be made. */
static const char *cubin_key(EmitJob *job, const EmbeddedWeights *weights) {
    Emission *o = job->o;
    Error again = {ERROR_NONE, ""}; /* met by who makes it */
    if (watches_passes(o) || !compilation_choose(&job->text, o->target, &again))
        return NULL;
    Str s = str_create(o->arena);
    rt_cache_add_own_hash(&s);
    str_addf(&s, "%s\nunits %d\n", cuda_module_toolchain(job->text.arch, o->arena), cubin_units());
    add_weights(weights, &s);
    compilation_add_choices(&job->text, &s);
    ir_print_module(job->text.module, &s);
    return arena_printf(o->arena, "%s.cubin", str_hash(&s));
}

/* The weights, if any, are filled in by who writes the file. */
static bool compile_cubin(EmitJob *job, const EmbeddedWeights *weights, void **bytes, size_t *size) {
    Emission *o = job->o;
    TensorFile tensors = weights->tensors;
    if (!build_graphs(job) || (weights->file && !rt_weights_check(o->arena, job->text.module, o->input,
                                                                  o->line->weights, &tensors, &job->error)))
        return false;
    job->text.cg.rooms = true;
    job->text.cg.weights_size = weights->file ? cubin_weights_room(weights->file->size) : 0;
    job->text.cg.unit_count = cubin_units();
    const CgOutput *output = compilation_generate(&job->text);
    return cuda_module_compile(output, job->text.arch, machine_core_count(), o->arena, bytes, size, &job->error);
}

static bool emit_cubin(EmitJob *job) {
    Emission *o = job->o;
    EmbeddedWeights weights;
    if (!o->line->output)
        return error_set(&job->error, ERROR_INPUT, "a module needs a file: -o NET.cubin");
    if (!read_weights(job, &weights))
        return false;
    if (!job->text.arch)
        job->text.arch = rt_device_arch(o->arena);
    size_t size;
    const char *key = cubin_key(job, &weights);
    void *bytes = key ? rt_cache_read(o->arena, key, &size) : NULL;
    if (!bytes) {
        Error ignored = {ERROR_NONE, ""}; /* of the cache: the next run compiles again */
        if (!compile_cubin(job, &weights, &bytes, &size))
            return false;
        if (key)
            rt_cache_write(key, bytes, size, &ignored);
    }
    if (weights.file && !cubin_fill_weights(weights.file->text, weights.file->size, bytes, size))
        return error_set(&job->error, ERROR_MACHINE, "the compiled module has no room for its weights");
    return write_out(job, bytes, size);
}

/* The virtual ones, compute_80, do for ptx. */
static bool check_arch(EmitJob *job) {
    const Emission *o = job->o;
    bool is_virtual = o->emit == EMIT_ptx && o->arch && str_starts_with(o->arch, "compute_");
    const char *known = o->arch && !is_virtual ? cg_nvrtc_refuses(o->arena, o->arch) : NULL;
    return !known || error_set(&job->error, ERROR_INPUT, "--arch %s is not known; %s", o->arch, known);
}

static bool emit_generated(EmitJob *job) {
    Emission *o = job->o;
    if ((o->emit == EMIT_cubin || o->emit == EMIT_ptx) && !check_arch(job))
        return false;
    if (o->emit == EMIT_cubin)
        return emit_cubin(job);
    if (o->line->weights)
        return emit_standalone(job);
    const Compilation *c = &job->text;
    if (!build_graphs(job))
        return false;
    if (o->emit == EMIT_stages)
        return write_text(job, cg_print_stages(o->arena, c->module, c->graphs, c->kind_count, &c->cg));
    CgOutput *output = compilation_generate(&job->text);
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

static bool run(EmitJob *job) {
    if (job->o->emit == EMIT_ast)
        return emit_ast(job);
    if (!load(job))
        return false;
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

int emit_methods(const Options *line) {
    const char *library = installed_library(line->arena);
    const char *path = line->inputs.count ? options_input(line) : arena_printf(line->arena, "%s/methods.nd", library);
    FrontendOptions frontend = {.library = library};
    Error error = {ERROR_NONE, ""};
    const char *table = frontend_list_methods(line->arena, path, &frontend, diag_create(line->arena, stderr), &error);
    if (table && options_write(line, table, strlen(table), &error))
        return 0;
    /* Mistakes in the text are on stderr already. */
    return error.kind ? error_report(&error) : ERROR_INPUT;
}

int emit_formatted(const Options *line) {
    enum { MOST_BYTES = 16 << 20 };
    Error error = {ERROR_NONE, ""};
    const char *path = options_input(line);
    if (!path)
        error_set(&error, ERROR_INPUT, "no input; ndartsc --format FILE|-");
    const SourceFile *source = path ? source_read_text(line->arena, path, MOST_BYTES, false, &error) : NULL;
    const char *text = source ? frontend_format(line->arena, source, diag_create(line->arena, stderr)) : NULL;
    if (text && options_write(line, text, strlen(text), &error))
        return 0;
    /* Mistakes in the text are on stderr already. */
    return error.kind ? error_report(&error) : ERROR_INPUT;
}

int emit_run(Emission *o) {
    EmitJob job = {.o = o, .options = options_program(o->line)};
    job.options.entry = o->line->network;
    job.options.prefer = preferred_entry(o);
    job.options.kinds = o->kinds;
    job.options.kind_count = o->kind_count;
    job.options.batch = o->line->batch;
    job.options.batch_option = "--batch ";
    job.options.memory_budget = o->line->memory_budget;
    job.text = (Compilation){.arena = o->arena, .options = &job.options, .arch = o->arch, .passes = o->passes};
    bug_hook = print_current_graph;
    current = &job.text;
    bool done = run(&job);
    current = NULL;
    if (done)
        return 0;
    /* Mistakes in the text are on stderr already. */
    return job.error.kind ? error_report(&job.error) : ERROR_INPUT;
}
