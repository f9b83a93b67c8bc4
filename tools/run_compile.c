/* run_compile.c: `ndarts-run compile`: puts into the cache what texts need, so that whoever runs them later need not wait. */
#include "tools/ndarts_run.h"

#include "base/clock.h"
#include "base/str.h"

/* The graphs that the program has: "search-alphas, search-weights, eval". */
static const char *list_graphs(const RtProgram *program, Arena *arena) {
    Str s = str_create(arena);
    for (GraphKind kind = 0; kind < GRAPH_KIND_COUNT; kind++)
        if (rt_has_graph(program, kind))
            str_addf(&s, "%s%s", s.length ? ", " : "", graph_kind_name(kind));
    return s.data;
}

static bool compile(const Options *o, const RtProgramOptions *options, Error *error) {
    double begin = clock_now();
    fprintf(diag_notes(), "compiling %s\n", options->path);
    RtProgram *program = rt_program_open(options, error);
    if (program)
        printf("%s: %s, batch %lld: %.1f s\n", options->path, list_graphs(program, o->arena),
               (long long)rt_program_batch(program), clock_now() - begin);
    fflush(stdout);
    rt_program_close(program);
    return program != NULL;
}

/* For each batch; without any, the text's own. */
static bool compile_batches(const Options *o, RtProgramOptions *options, Error *error) {
    bool ok = o->batches.count || compile(o, options, error);
    for (int i = 0; i < o->batches.count && ok; i++)
        ok = options_parse_int("--batch", o->batches.items[i], 1, 1 << 20, &options->batch, error) &&
             compile(o, options, error);
    return ok;
}

bool run_compile(const Options *o, Error *error) {
    GraphKind kinds[GRAPH_KIND_COUNT];
    RtProgramOptions options = options_program(o);
    options.kinds = kinds;
    options.memory_budget = o->memory_budget;
    if (!o->inputs.count)
        return error_set(error, ERROR_INPUT,
                         "compile needs a text, for example  ndarts-run compile specs/noisy_darts_a.nd");
    bool ok = options_graph_kinds(o, kinds, &options.kind_count, error) && options_recipe(o, &options.recipe, error);
    for (int i = 0; i < o->inputs.count && ok; i++) {
        options.path = o->inputs.items[i];
        ok = rt_is_module_file(options.path)
                 ? error_set(error, ERROR_INPUT, "%s is compiled already; compile takes texts", options.path)
                 : compile_batches(o, &options, error);
    }
    return ok;
}
