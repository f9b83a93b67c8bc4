/* compile.c: from a text to a module: text -> IR -> passes -> source -> the cache.
 *
 * Generating and compiling take several times the memory that a search does, so on a CPU they are done in a process of
 * their own: it leaves the module in the cache and its memory goes back to the system. */
#include "runtime/driver/compile.h"

#include "base/file_kind.h"
#include "base/hash.h"
#include "base/str.h"
#include "frontend/frontend.h"
#include "runtime/device/cache.h"
#include "runtime/device/fit.h"
#include "runtime/device/machine.h"
#include "runtime/device/tiles.h"
#include "runtime/driver/child.h"

#include <stdlib.h>
#include <sys/stat.h>

/* ---- texts ---- */

static IrModule *parse_ir(Arena *arena, const RtProgramOptions *o, Diag *diag, Error *error) {
    if (o->set_count > 0) {
        error_set(error, ERROR_INPUT, "%s: --set is for texts in the language, not for IR", o->path);
        return NULL;
    }
    const SourceFile *source = frontend_files_read(o->files, arena, o->path, IR_MOST_BYTES, false, error);
    return source && file_expect(o->path, source->text, source->size, FILE_ir, "a printed graph", error)
               ? ir_parse_module(arena, source, diag)
               : NULL;
}

IrModule *rt_text_load_options(Arena *arena, const RtProgramOptions *o, Error *error) {
    FrontendOptions options = {.sets = o->sets,
                               .set_count = o->set_count,
                               .prefer = o->prefer,
                               .recipe = o->recipe,
                               .files = o->files,
                               .library = rt_library_path(arena),
                               .look_at = o->look_at};
    Diag *diag = diag_create(arena, diag_stream());
    if (o->recipe && str_ends_with(o->path, ".ir")) {
        error_set(error, ERROR_INPUT, "%s: a recipe is for texts in the language, not for IR", o->path);
        return NULL;
    }
    IrModule *ir = str_ends_with(o->path, ".ir") ? parse_ir(arena, o, diag, error)
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
    const Settings settings = settings_read(ir);
    return o->batch > 0 ? o->batch : settings_batch(&settings);
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
            steps += !n->inlined && !ir_is(n, OP_SOURCE);
    }
    int units = 1 + steps / STEPS_PER_UNIT;
    return units < MOST ? units : MOST;
}

static void keep_settings(RtProgram *p, const IrModule *ir) {
    IrModule *copy = ir_module_create(p->arena, ir->name); /* ir is gone when the program runs */
    for (int i = 0; i < ir->setting_count; i++)
        ir_module_set(copy, ir->settings[i].key, ir->settings[i].value, (Span){0});
    Settings *settings = ARENA_NEW(p->arena, Settings);
    *settings = settings_read(copy);
    p->settings = settings;
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

static bool choose_options(CgTarget target, const IrModule *ir, const RtProgramOptions *o, CgOptions *cg,
                           RtTiles *tiles, Error *error) {
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
    const Settings settings = settings_read(ir);
    return o->batch > 0 ? "--batch " : arena_printf(ir->arena, "--set %s=", settings_batch_key(&settings));
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

/* ---- modules ---- */

typedef struct Compilation {
    RtProgram *program;
    Arena *arena; /* what compiling takes, which is many times what the program keeps */
    const RtProgramOptions *options;
    IrModule *ir;
    CgOptions cg;
    RtTiles tiles;
    const char *key;
} Compilation;

static RtModule *find_module(Compilation *c) {
    RtProgram *p = c->program;
    return p->backend->find(p->device, c->key, c->cg.vector_bytes, p->arena, &p->identity);
}

static RtModule *build_module(Compilation *c, Error *error) {
    RtProgram *p = c->program;
    CgOutput *output = generate(c->ir, c->options, &c->cg, error);
    return output ? p->backend->build(p->device, output, c->key, c->cg.vector_bytes, p->arena, &p->identity, error)
                  : NULL;
}

static bool fill_cache(void *data, Error *error) {
    Compilation *c = data;
    CgOutput *output = generate(c->ir, c->options, &c->cg, error);
    return output && c->program->backend->fill_cache(c->program->device, output, c->key, c->cg.vector_bytes, error);
}

static bool compile_text(Compilation *c, Error *error) {
    RtProgram *p = c->program;
    c->ir = rt_text_load_options(c->arena, c->options, error);
    if (!c->ir || !choose_options(p->backend->target, c->ir, c->options, &c->cg, &c->tiles, error))
        return false;
    keep_settings(p, c->ir);
    c->key = text_key(p, c->ir, c->options, &c->cg, &c->tiles, error);
    if (!c->key)
        return false;
    p->module = find_module(c);
    if (p->module)
        return true;
    /* A caller that collects messages would not see those of another process. */
    if (p->backend->fill_cache && diag_stream() == stderr) {
        if (!child_run(fill_cache, c, error)) {
            rt_cache_prune(0); /* what it had begun, if it was killed */
            return false;
        }
        p->module = find_module(c);
    }
    if (!p->module) /* or the cache lost it at once */
        p->module = build_module(c, error);
    return p->module != NULL;
}

static bool compile(RtProgram *p, const RtProgramOptions *o, Error *error) {
    Compilation c = {.program = p, .arena = arena_create(), .options = o};
    bool compiled = compile_text(&c, error);
    arena_destroy(c.arena);
    return compiled;
}

/* A GPU that cannot hold all values side by side gets a module that shares memory over time and recomputes. */
bool program_compile(RtProgram *p, const RtProgramOptions *o, Error *error) {
    Error ignored = {ERROR_NONE, ""};
    if (!compile(p, o, error))
        return false;
    if (!p->backend->check_memory || o->narrow || p->backend->check_memory(p->device, p->module->plan, &ignored))
        return true;
    RtProgramOptions narrow = *o;
    narrow.narrow = true;
    p->backend->unload(p->device, p->module);
    p->module = NULL;
    return compile(p, &narrow, error);
}
