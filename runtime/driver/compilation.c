/* compilation.c: reads a text, chooses what is made of it, runs the passes, generates source. */
#include "runtime/driver/compilation.h"

#include "base/file_kind.h"
#include "base/installed.h"
#include "base/parallel.h"
#include "base/str.h"
#include "frontend/frontend.h"
#include "ir/settings.h"
#include "runtime/device/machine.h"
#include "runtime/driver/cost_attach.h"

#include <string.h>

/* ---- text -> module ---- */

static bool is_ir(const RtProgramOptions *o) {
    return o->text ? file_kind(o->text, strlen(o->text)) == FILE_ir : str_ends_with(o->path, ".ir");
}

static const SourceFile *given_source(Arena *arena, const RtProgramOptions *o) {
    SourceFile *source = ARENA_NEW(arena, SourceFile);
    *source = (SourceFile){o->path, o->text, strlen(o->text)};
    return source;
}

static IrModule *parse_ir(const Compilation *c, Error *error) {
    const RtProgramOptions *o = c->options;
    if (o->set_count > 0 || o->entry) {
        error_set(error, ERROR_INPUT, "%s: --set and --network are for texts in the language, not for IR", o->path);
        return NULL;
    }
    if (o->recipe) {
        error_set(error, ERROR_INPUT, "%s: a recipe is for texts in the language, not for IR", o->path);
        return NULL;
    }
    const SourceFile *source = o->text ? given_source(c->arena, o)
                                       : frontend_files_read(o->files, c->arena, o->path, IR_MOST_BYTES, false, error);
    return source && file_expect(o->path, source->text, source->size, FILE_ir, "a printed graph", error)
               ? ir_parse_module(c->arena, source, c->diag)
               : NULL;
}

static IrModule *parse_text(const Compilation *c, Error *error) {
    const RtProgramOptions *o = c->options;
    FrontendOptions frontend = {.sets = o->sets,
                                .set_count = o->set_count,
                                .entry = o->entry,
                                .prefer = o->prefer,
                                .recipe = o->recipe,
                                .text = o->text,
                                .files = o->files,
                                .library = installed_library(c->arena),
                                .look_at = o->look_at};
    return frontend_load(c->arena, o->path, &frontend, c->diag, error);
}

bool compilation_load(Compilation *c, Error *error) {
    c->diag = diag_create(c->arena, diag_stream());
    c->module = is_ir(c->options) ? parse_ir(c, error) : parse_text(c, error);
    c->at = c->module ? ir_graph_find(c->module, "forward") : NULL;
    return c->module && !error->kind && !diag_count_errors(c->diag) &&
           (!c->options->costs || cost_attach(c->module, c->options->costs, c->options->costs_text, error));
}

bool compilation_use_steps(Compilation *c, Error *error) {
    const RtProgramOptions *o = c->options;
    c->has_steps = true;
    for (int kind = 0; kind < GRAPH_KIND_COUNT; kind++)
        if (ir_graph_find(c->module, graph_kind_name((GraphKind)kind)))
            c->kinds[c->kind_count++] = (GraphKind)kind;
    if (c->kind_count == 0)
        return error_set(
            error, ERROR_INPUT,
            "%s has neither @forward nor the graph of a step (@infer, @train, ...); ndarts-opt runs passes "
            "on other graphs",
            o->path);
    for (int i = 0; i < o->kind_count; i++)
        if (!ir_graph_find(c->module, graph_kind_name(o->kinds[i])))
            return error_set(error, ERROR_INPUT, "%s has neither @forward nor @%s", o->path,
                             graph_kind_name(o->kinds[i]));
    return true;
}

/* ---- what is made, and how ---- */

static void choose_kinds(Compilation *c) {
    static const GraphKind network[] = {GRAPH_infer}, train[] = {GRAPH_train, GRAPH_eval};
    const RtProgramOptions *o = c->options;
    const Settings settings = settings_read(c->module);
    const GraphKind search[] = {settings_alphas_graph(&settings), GRAPH_search_weights, GRAPH_eval};
    bool is_search = settings_are_of(&settings, "search"), is_train = settings_are_of(&settings, "train");
    const GraphKind *kinds = o->kind_count ? o->kinds : is_search ? search : is_train ? train : network;
    if (!o->kind_count && c->has_steps)
        return;
    c->kind_count = o->kind_count ? o->kind_count : is_search ? 3 : is_train ? 2 : 1;
    memcpy(c->kinds, kinds, sizeof(GraphKind) * (size_t)c->kind_count);
}

int64_t compilation_batch(const Compilation *c) {
    const Settings settings = settings_read(c->module);
    return c->options->batch > 0 ? c->options->batch : settings_batch(&settings);
}

int compilation_vector_bytes(const RtProgramOptions *options) {
    return options->vector_bytes == RT_VECTOR_HOST ? machine_vector_bytes() : options->vector_bytes;
}

bool compilation_budget_keeps_bits(const RtProgramOptions *options, const CgTarget *target) {
    return target->by_image && options->precision != PRECISION_bf16;
}

/* That each rank has as many whole chunks as the others. */
static bool check_ranks(const RtProgramOptions *o, const CgTarget *target, bool local, int64_t batch, int chunks,
                        Error *error) {
    int ranks = ranks_size(o->ranks);
    if (!target->by_image && local)
        return error_set(error, ERROR_INPUT,
                         "%d ranks: batch_norm local is for processors; on GPUs statistics are of the whole batch",
                         ranks);
    if (o->memory_budget > 0 && !compilation_budget_keeps_bits(o, target))
        return error_set(error, ERROR_INPUT, "%d ranks: --mem-budget is for processors, and not for bf16", ranks);
    if (batch < ranks)
        return error_set(error, ERROR_INPUT, "a batch of %lld images is smaller than the number of ranks, %d",
                         (long long)batch, ranks);
    return chunks % ranks == 0 ||
           error_set(
               error, ERROR_INPUT,
               "%d ranks: a batch of %lld images is added up in %d chunks, of which every rank must have as many; "
               "the number of ranks must divide %d",
               ranks, (long long)batch, chunks, chunks);
}

bool compilation_choose(Compilation *c, const CgTarget *target, Error *error) {
    const RtProgramOptions *o = c->options;
    int64_t batch = compilation_batch(c);
    if (batch < 1 || batch > 1 << 20)
        return error_set(error, ERROR_INPUT, "the batch is %lld; it should be 1 to 1048576", (long long)batch);
    int ranks = ranks_size(o->ranks), chunks = cg_chunk_count(target, batch);
    choose_kinds(c);
    const Settings settings = settings_read(c->module);
    if (ranks > 1 && !check_ranks(o, target, settings_batch_norm_is_local(&settings), batch, chunks, error))
        return false;
    int share = target->by_image ? ranks : 1; /* what is compiled for all of a batch has room for all of it */
    c->cg = (CgOptions){.target = target,
                        .precision = o->precision,
                        .vector_bytes = compilation_vector_bytes(o),
                        .plain = o->plain,
                        .batch = (batch + share - 1) / share,
                        .chunks = chunks / share,
                        .ranks = ranks};
    c->tiles = (RtTiles){0};
    if (!cg_precision_check(o->precision, target, c->arch, error))
        return false;
    if (target->vectors && !rt_tiles_read(c->arena, o->tune, &c->tiles, error))
        return false;
    c->cg.tiles = target->vectors ? rt_tiles_table(c->arena, &c->tiles) : NULL;
    return true;
}

void compilation_add_choices(const Compilation *c, Str *s) {
    const RtProgramOptions *o = c->options;
    const CgOptions *cg = &c->cg;
    str_addf(s, "precision %d vectors %d plain %d batch %lld chunks %d narrow %d grad_output %d input_gradient %d\n",
             cg->precision, cg->vector_bytes, cg->plain, (long long)cg->batch, cg->chunks, o->narrow,
             o->grad_output_loss, o->input_gradient);
    if (cg->ranks > 1)
        str_addf(s, "ranks %d\n", cg->ranks);
    if (o->memory_budget > 0)
        str_addf(s, "budget %lld cores %d\n", (long long)o->memory_budget, machine_core_count());
    for (int i = 0; i < c->kind_count; i++)
        str_addf(s, "graph %s\n", graph_kind_name(c->kinds[i]));
    for (int i = 0; i < o->fed_stream_count; i++)
        str_addf(s, "fed %s\n", o->fed_streams[i]);
    str_add(s, rt_tiles_text(s->arena, &c->tiles));
}

/* ---- module -> step graphs ---- */

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

PassContext compilation_passes(const Compilation *c, GraphKind kind, const RtBuild *build) {
    const RtProgramOptions *o = c->options;
    PassContext ctx = c->passes;
    ctx.arena = c->arena;
    ctx.diag = c->diag;
    ctx.module = c->module;
    ctx.kind = kind;
    ctx.batch = build->cg->batch;
    ctx.chunks = build->cg->chunks;
    ctx.ranks = build->cg->target->by_image ? build->cg->ranks : 1;
    ctx.element_size = build->cg->precision == PRECISION_f64 ? 8 : 4;
    ctx.half = build->cg->precision == PRECISION_bf16;
    ctx.keep_bytes = build->keep_bytes;
    ctx.wide = build->wide ? build->cg->target->wide : NULL;
    ctx.fed_streams = o->fed_streams;
    ctx.fed_stream_count = o->fed_stream_count;
    ctx.grad_output_loss = o->grad_output_loss;
    ctx.input_gradient = o->input_gradient;
    ctx.out = c->passes.out ? c->passes.out : diag_stream();
    return ctx;
}

/* A step graph that is made in a thread. */
typedef struct Part {
    PassContext passes;
    IrGraph *graph; /* NULL: there is a mistake in the text */
} Part;

static void build_part(void *data, int index) {
    Part *part = (Part *)data + index;
    part->graph = pipeline_build_graph(&part->passes);
}

/* Each graph in a thread, from a copy of what it is made of; then the module has them as if it had made one after the
 * other. False: some cannot be made, and who makes them in turn is told why. */
static bool build_side_by_side(Compilation *c, RtBuild *build, IrGraph **graphs) {
    Part parts[GRAPH_KIND_COUNT];
    IrGraph *forward = ir_graph_find(c->module, "forward");
    bool ok = forward != NULL;
    for (int i = 0; i < c->kind_count && ok; i++) {
        parts[i] = (Part){compilation_passes(c, c->kinds[i], build), NULL};
        PassContext *ctx = &parts[i].passes;
        ctx->arena = arena_create_in(c->arena);
        ctx->diag = diag_create(ctx->arena, NULL);
        ctx->module = ir_module_split(ctx->arena, forward);
    }
    if (ok)
        parallel_run(c->kind_count, build_part, parts);
    for (int i = 0; i < c->kind_count; i++)
        ok = ok && parts[i].graph;
    for (int i = 0; i < c->kind_count && ok; i++) {
        IrGraph *old = ir_graph_find(c->module, graph_kind_name(c->kinds[i]));
        if (old)
            ir_graph_remove(old);
        ir_module_join(c->module, parts[i].passes.module);
        graphs[i] = parts[i].graph;
        build->left_out |= parts[i].passes.left_out;
    }
    return ok;
}

static bool build_graphs(void *data, RtBuild *build, IrGraph **graphs, Error *error) {
    Compilation *c = data;
    c->build = (RtBuild){.cg = &c->cg, .keep_bytes = build->keep_bytes, .wide = build->wide};
    /* Whoever watches the passes sees them one after the other. */
    if (c->kind_count > 1 && !c->has_steps && !passes_are_watched(&c->passes) && build_side_by_side(c, build, graphs))
        return true;
    for (int i = 0; i < c->kind_count; i++) {
        PassContext ctx = compilation_passes(c, c->kinds[i], build);
        c->at = graphs[i] = c->has_steps ? finish_step(&ctx) : pipeline_build_graph(&ctx);
        if (!graphs[i])
            return error_set(error, ERROR_INPUT, "%s: no graph '%s' can be made of this text", c->options->path,
                             graph_kind_name(c->kinds[i]));
        build->left_out |= ctx.left_out;
    }
    return true;
}

/* How the user says how large the batch is. */
static const char *batch_option(const Compilation *c) {
    const Settings settings = settings_read(c->module);
    return c->options->batch_option ? c->options->batch_option
           : c->options->batch > 0  ? "--batch "
                                    : arena_printf(c->arena, "--set %s=", settings_batch_key(&settings));
}

bool compilation_build(Compilation *c, Error *error) {
    const RtProgramOptions *o = c->options;
    RtFit fit = {.module = c->module,
                 .kind_count = c->kind_count,
                 .cg = c->cg,
                 .threads = machine_core_count(), /* whatever --threads is: the bits must not depend on it */
                 .budget = o->memory_budget,
                 .limit = o->memory_limit,
                 .wide = c->cg.target->wide && !o->narrow,
                 .fixed = c->has_steps,
                 .batch_option = batch_option(c),
                 .build = build_graphs,
                 .data = c};
    return rt_fit_graphs(&fit, c->graphs, error);
}

/* ---- step graphs -> source ---- */

CgOutput *compilation_generate(const Compilation *c) {
    return cg_generate(c->arena, c->module, (IrGraph **)c->graphs, c->kind_count, &c->cg);
}
