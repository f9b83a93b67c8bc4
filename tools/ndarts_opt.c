/* ndarts_opt.c: reads printed IR, runs the passes it is told on a graph, prints IR (or Graphviz). */
#include "tools/command_line.h"

#include "base/process.h"
#include "base/str.h"

#include <string.h>

typedef struct OptOptions {
    const Options *line;
    const char *input;
    const char *graph; /* a graph's name, or NULL: all that no other graph calls */
    bool kind_given;
    PassContext ctx;
} OptOptions;

/* ---- options ---- */

static bool take_kind(OptOptions *o, const char *value, Error *error) {
    o->kind_given = value && graph_kind_parse(value, &o->ctx.kind);
    return !value || o->kind_given || error_set(error, ERROR_INPUT, "unknown kind of graph '%s'", value);
}

static bool take_precision(OptOptions *o, CgPrecision precision, Error *error) {
    o->ctx.element_size = precision == PRECISION_f64 ? 8 : 4;
    o->ctx.half = precision == PRECISION_bf16;
    return precision != PRECISION_tf32 || error_set(error, ERROR_INPUT, "--precision is f32, f64 or bf16, not 'tf32'");
}

/* What is made for a wide device. */
static bool take_target(OptOptions *o, const char *name, Error *error) {
    const CgTarget *target = NULL;
    if (!name)
        return true;
    if (!options_target(o->line, &target, error))
        return false;
    o->ctx.wide = target->wide;
    return true;
}

static bool take_options(OptOptions *o, const Options *line, Error *error) {
    PassContext *ctx = &o->ctx;
    *o = (OptOptions){.line = line, .input = options_input(line), .graph = line->graph};
    *ctx = (PassContext){.arena = line->arena,
                         .diag = diag_create(line->arena, stderr),
                         .kind = GRAPH_infer,
                         .batch = line->batch ? line->batch : 16,
                         .chunks = (int)line->chunks,
                         .ranks = (int)line->rank_count,
                         .keep_bytes = line->keep_bytes,
                         .fed_streams = line->fed_streams.items,
                         .fed_stream_count = line->fed_streams.count,
                         .out = stderr};
    options_set_passes(line, ctx);
    return take_kind(o, line->kind, error) && take_precision(o, line->precision, error) &&
           take_target(o, line->target, error) &&
           (o->input || error_set(error, ERROR_INPUT, "no input; ndarts-opt FILE|-"));
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
        o->ctx.kind = kind;
        if (!o->kind_given)
            graph_kind_parse(graphs[i]->name, &o->ctx.kind);
        if (!pipeline_run(&o->ctx, graphs[i]))
            return false;
    }
    return true;
}

static bool write_result(const OptOptions *o, IrGraph **graphs, int count, Error *error) {
    Str text = str_create(o->ctx.arena);
    str_add(&text, "");
    for (int i = 0; o->line->dot && i < count; i++)
        ir_print_dot(graphs[i], &text);
    if (!o->line->dot)
        ir_print_module(o->ctx.module, &text);
    return options_write(o->line, text.data, text.length, error);
}

static int work(OptOptions *o, Error *error) {
    o->ctx.module = ir_read_module(o->ctx.arena, o->input, o->ctx.diag, error);
    if (!o->ctx.module)
        return error->kind ? error_report(error) : ERROR_INPUT;
    if (o->line->verify_only)
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

static int run(int argc, char **argv) {
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    Options line = options_default(arena, COMMAND_ndarts_opt);
    OptOptions o;
    int code = 0;
    if (!options_parse(&line, argc, argv, 1, &error))
        code = error_report(&error);
    else if (line.help)
        options_print_help(stdout, COMMAND_ndarts_opt);
    else if (line.version)
        printf("ndarts %s\n", NDARTS_VERSION);
    else if (line.list_passes)
        options_list_passes();
    else
        code = take_options(&o, &line, &error) ? work(&o, &error) : error_report(&error);
    arena_destroy(arena);
    return code;
}

int main(int argc, char **argv) {
    process_begin();
    return error_check_stdout(run(argc, argv));
}
