/* ndarts_opt.c: reads printed IR, runs the passes it is told on a graph, prints IR (or Graphviz). */
#include "base/memory.h"
#include "base/str.h"
#include "base/tensor_file.h"
#include "passes/pass.h"
#include "runtime/loops/args.h"

#include <stdlib.h>
#include <string.h>

typedef struct OptOptions {
    const char *input, *output;
    const char *graph; /* a graph's name, or NULL: all that no other graph calls */
    bool kind_given;
    bool verify_only, dot;
    PassContext ctx;
} OptOptions;

static const char usage[] =
    "usage: ndarts-opt FILE|- [options]\n"
    "\n"
    "Reads textual IR, runs passes, prints textual IR.\n"
    "\n"
    "  --passes=A,B             run these passes in this order; without it the whole pipeline runs; --passes= runs "
    "none\n"
    "  --disable-pass=A,B       leave these passes out\n"
    "  --graph=NAME             the graph to work on (default: every step graph that no other calls), or the kind of "
    "step\n"
    "  --kind=KIND              infer, eval, search-alphas, search-weights, train or gradients (default: the graph's\n"
    "                           name where that is a kind, else infer)\n"
    "  --batch N                largest number of images (default 16)\n"
    "  --chunks N               chunks of the batch, K (default: min(batch, 16))\n"
    "  --precision f32|f64|bf16 for plan-memory: bytes per element\n"
    "  --keep-bytes BYTES       for recompute: what kept values of edges may take\n"
    "  --fed-streams=A,B        draws that the caller feeds: they become inputs\n"
    "  --print-ir-before=A,B, --print-ir-after=A,B, --print-ir-after-all, --print-ir-after-change\n"
    "  --dump-to=DIR            one file per pass, each a valid input again\n"
    "  --timing                 time of each pass, on stderr\n"
    "  --verify-only            only read and check; print nothing\n"
    "  --dot                    print Graphviz instead of IR\n"
    "  --list-passes            what passes there are\n"
    "  -o FILE                  write there instead of stdout\n"
    "  --help, --version\n";

/* The graph of the last pass, for bug(). */
static const IrGraph *current_graph;

static void print_current_graph(FILE *out) {
    if (!current_graph)
        return;
    Str text = str_create(current_graph->module->arena);
    ir_print_graph(current_graph, &text);
    fputs(text.data, out);
}

/* ---- options ---- */

static const char *const *split_list(Arena *arena, const char *list, int *count) {
    const char **names = ARENA_ARRAY(arena, const char *, strlen(list) + 1);
    while (*list) {
        size_t length = strcspn(list, ",");
        if (length)
            names[(*count)++] = arena_strndup(arena, list, length);
        list += length + (list[length] == ',');
    }
    return names;
}

static bool take_kind(OptOptions *o, const char *value, Error *error) {
    o->kind_given = graph_kind_parse(value, &o->ctx.kind);
    return o->kind_given || error_set(error, ERROR_INPUT, "unknown kind of graph '%s'", value);
}

static bool take_precision(OptOptions *o, const char *value, Error *error) {
    o->ctx.element_size = str_equal(value, "f64") ? 8 : 4;
    o->ctx.half = str_equal(value, "bf16");
    return str_equal(value, "f32") || str_equal(value, "f64") || o->ctx.half ||
           error_set(error, ERROR_INPUT, "--precision is f32 or f64, not '%s'", value);
}

static bool take_chunks(OptOptions *o, const char *value, Error *error) {
    int64_t chunks = 0;
    bool known = args_parse_int("--chunks", value, 1, 4096, &chunks, error);
    o->ctx.chunks = (int)chunks;
    return known;
}

/* Options without a value. */
static bool take_flag(OptOptions *o, const char *name) {
    struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--print-ir-after-all", &o->ctx.print_after_all},
                 {"--print-ir-after-change", &o->ctx.print_after_change},
                 {"--timing", &o->ctx.timing},
                 {"--verify-only", &o->verify_only},
                 {"--dot", &o->dot}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (str_equal(flags[i].name, name)) {
            *flags[i].flag = true;
            return true;
        }
    }
    return false;
}

static const char *const value_options[] = {
    "--passes",     "--disable-pass", "--graph",           "--kind",           "--batch",   "--chunks", "--precision",
    "--keep-bytes", "--fed-streams",  "--print-ir-before", "--print-ir-after", "--dump-to", "-o"};

static bool takes_value(const char *name) {
    for (size_t i = 0; i < sizeof value_options / sizeof value_options[0]; i++)
        if (str_equal(value_options[i], name))
            return true;
    return false;
}

static bool take_value(OptOptions *o, const char *name, const char *value, Error *error) {
    PassContext *ctx = &o->ctx;
    if (str_equal(name, "--passes"))
        ctx->only = split_list(ctx->arena, value, &ctx->only_count);
    else if (str_equal(name, "--disable-pass"))
        ctx->disabled = split_list(ctx->arena, value, &ctx->disabled_count);
    else if (str_equal(name, "--fed-streams"))
        ctx->fed_streams = split_list(ctx->arena, value, &ctx->fed_stream_count);
    else if (str_equal(name, "--graph"))
        o->graph = value;
    else if (str_equal(name, "--kind"))
        return take_kind(o, value, error);
    else if (str_equal(name, "--batch"))
        return args_parse_int(name, value, 1, INT64_MAX, &ctx->batch, error);
    else if (str_equal(name, "--chunks"))
        return take_chunks(o, value, error);
    else if (str_equal(name, "--precision"))
        return take_precision(o, value, error);
    else if (str_equal(name, "--keep-bytes"))
        return args_parse_int(name, value, 1, INT64_MAX, &ctx->keep_bytes, error);
    else if (str_equal(name, "--print-ir-before"))
        ctx->print_before = value;
    else if (str_equal(name, "--print-ir-after"))
        ctx->print_after = value;
    else if (str_equal(name, "--dump-to"))
        ctx->dump_to = value;
    else
        o->output = value;
    return true;
}

static bool take_argument(OptOptions *o, int argc, char **argv, int *at, Error *error) {
    const char *argument = argv[*at], *equals = strchr(argument, '=');
    if (argument[0] != '-' || !argument[1]) {
        if (o->input)
            return error_set(error, ERROR_INPUT, "one file at a time, not '%s' and '%s'", o->input, argument);
        o->input = argument;
        return true;
    }
    if (take_flag(o, argument))
        return true;
    const char *name = equals ? arena_strndup(o->ctx.arena, argument, (size_t)(equals - argument)) : argument;
    if (!takes_value(name)) {
        const char *near = diag_suggest(name, value_options, sizeof value_options / sizeof value_options[0]);
        return error_set(error, ERROR_INPUT, "unknown option '%s'%s%s%s (--help lists them)", argument,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (!equals && *at + 1 == argc)
        return error_set(error, ERROR_INPUT, "%s needs a value", name);
    return take_value(o, name, equals ? equals + 1 : argv[++*at], error);
}

static bool parse_options(OptOptions *o, int argc, char **argv, Error *error) {
    for (int i = 1; i < argc; i++)
        if (!take_argument(o, argc, argv, &i, error))
            return false;
    return o->input || error_set(error, ERROR_INPUT, "no input; ndarts-opt FILE|-");
}

/* ---- which graphs ---- */

static bool calls(const IrGraph *caller, const char *name) {
    for (const IrNode *node = caller->first; node; node = node->next)
        for (int i = 0; i < node->attr_count; i++)
            for (int j = 0; node->attrs[i].kind == ATTR_symbols && j < node->attrs[i].count; j++)
                if (str_equal(node->attrs[i].symbols[j], name))
                    return true;
    return false;
}

static bool is_called(const IrModule *module, const IrGraph *graph) {
    for (int i = 0; i < module->graph_count; i++)
        if (calls(module->graphs[i], graph->name))
            return true;
    return false;
}

static bool report_unknown_graph(const OptOptions *o, Error *error) {
    const IrModule *module = o->ctx.module;
    const char **names = ARENA_ARRAY(o->ctx.arena, const char *, module->graph_count + 1);
    for (int i = 0; i < module->graph_count; i++)
        names[i] = module->graphs[i]->name;
    const char *near = diag_suggest(o->graph, names, (size_t)module->graph_count);
    return error_set(error, ERROR_INPUT, near ? "no graph @%s in '%s'; did you mean @%s?" : "no graph @%s in '%s'",
                     o->graph, o->input, near);
}

/* --graph may also name a kind: then the graphs are the default ones. */
static bool resolve_graph(OptOptions *o, Error *error) {
    if (!o->graph || ir_graph_find(o->ctx.module, o->graph))
        return true;
    if (!graph_kind_parse(o->graph, &o->ctx.kind))
        return report_unknown_graph(o, error);
    o->kind_given = true;
    o->graph = NULL;
    return true;
}

static bool is_function(const IrGraph *graph) {
    return graph->output_count == 1 && !graph->outputs[0].name[0];
}

/* What no other graph calls, functions only when there is nothing else: after expand they are left over. Passes may add
 * functions, so the choice is made before they run. */
static IrGraph **choose_graphs(OptOptions *o, int *count) {
    const IrModule *module = o->ctx.module;
    IrGraph **graphs = ARENA_ARRAY(o->ctx.arena, IrGraph *, module->graph_count + 1);
    for (int functions = 0; functions < 2 && !*count; functions++) {
        for (int i = 0; i < module->graph_count; i++) {
            IrGraph *graph = module->graphs[i];
            bool wanted = o->graph ? str_equal(graph->name, o->graph)
                                   : !is_called(module, graph) && (functions || !is_function(graph));
            if (wanted)
                graphs[(*count)++] = graph;
        }
    }
    return graphs;
}

/* ---- work ---- */

static bool run_graphs(OptOptions *o, IrGraph **graphs, int count) {
    GraphKind kind = o->ctx.kind;
    for (int i = 0; i < count; i++) {
        current_graph = graphs[i];
        o->ctx.kind = kind;
        if (!o->kind_given)
            graph_kind_parse(graphs[i]->name, &o->ctx.kind);
        if (!pipeline_run(&o->ctx, graphs[i]))
            return false;
    }
    current_graph = NULL;
    return true;
}

static bool write_result(const OptOptions *o, IrGraph **graphs, int count, Error *error) {
    Str text = str_create(o->ctx.arena);
    str_add(&text, "");
    for (int i = 0; o->dot && i < count; i++)
        ir_print_dot(graphs[i], &text);
    if (!o->dot)
        ir_print_module(o->ctx.module, &text);
    if (o->output)
        return file_write_atomic(o->output, text.data, text.length, error);
    fwrite(text.data, 1, text.length, stdout);
    return fflush(stdout) == 0 || error_set(error, ERROR_MACHINE, "cannot write to stdout");
}

static int work(OptOptions *o, Error *error) {
    o->ctx.module = ir_read_module(o->ctx.arena, o->input, o->ctx.diag, error);
    if (!o->ctx.module)
        return error->kind ? error_report(error) : ERROR_INPUT;
    if (o->verify_only)
        return 0;
    if (!resolve_graph(o, error))
        return error_report(error);
    int count = 0;
    IrGraph **graphs = choose_graphs(o, &count);
    bool print_only = o->ctx.only && !o->ctx.only_count;
    if (!print_only && !run_graphs(o, graphs, count))
        return ERROR_INPUT;
    return write_result(o, graphs, count, error) ? 0 : error_report(error);
}

static int list_passes(void) {
    for (int i = 0; i < pass_count; i++)
        printf("%-18s %s\n", pass_info[i].name, pass_info[i].summary);
    return 0;
}

static bool has_argument(int argc, char **argv, const char *name) {
    for (int i = 1; i < argc; i++)
        if (str_equal(argv[i], name))
            return true;
    return false;
}

static int run(int argc, char **argv) {
    if (has_argument(argc, argv, "--help") || has_argument(argc, argv, "-h"))
        return fputs(usage, stdout) < 0;
    if (has_argument(argc, argv, "--version"))
        return printf("ndarts %s\n", NDARTS_VERSION) < 0;
    if (has_argument(argc, argv, "--list-passes"))
        return list_passes();
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    OptOptions o = {.ctx = {.arena = arena, .kind = GRAPH_infer, .batch = 16, .element_size = 4, .out = stderr}};
    o.ctx.diag = diag_create(arena, stderr);
    bug_hook = print_current_graph;
    int code = parse_options(&o, argc, argv, &error) ? work(&o, &error) : error_report(&error);
    arena_destroy(arena);
    return code;
}

int main(int argc, char **argv) {
    memory_guard_json(false);
    return error_check_stdout(run(argc, argv));
}
