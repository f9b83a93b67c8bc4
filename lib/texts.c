/* texts.c: what is made of a text besides a net: its forms, its statistics, a drawing; and a text out of architecture
 * parameters. */
#include "lib/call.h"

#include "base/installed.h"
#include "base/str.h"
#include "ir/stats.h"
#include "passes/pass.h"
#include "runtime/driver/compilation.h"
#include "runtime/driver/cost.h"
#include "runtime/loops/genotype.h"
#include "runtime/report/draw.h"

#include <stdlib.h>
#include <string.h>

/* ---- forms ---- */

typedef struct Form {
    const char *name, *graph, *after;
    GraphKind kind;
    FILE *printed; /* what was asked for by `after` */
    char *text;
    size_t size;
} Form;

static const char *const form_names[] = {"ast", "ir", "stages", "plan", "c", "cu", "dot"};

static bool check_form(Arena *arena, const Form *form, Error *error) {
    int count = sizeof form_names / sizeof *form_names;
    for (int i = 0; i < count; i++)
        if (str_equal(form_names[i], form->name))
            return !form->after || str_equal(form->name, "ir") ||
                   error_set(error, ERROR_INPUT, "what is printed after a pass is IR, not %s", form->name);
    return diag_unknown(arena, "form", form->name, form_names, count, error);
}

static bool check_graph(Arena *arena, Form *form, Error *error) {
    const char *known[GRAPH_KIND_COUNT];
    for (int i = 0; i < GRAPH_KIND_COUNT; i++)
        known[i] = graph_kind_name((GraphKind)i);
    return !form->graph || graph_kind_parse(form->graph, &form->kind) ||
           diag_unknown(arena, "graph", form->graph, known, GRAPH_KIND_COUNT, error);
}

static bool check_pass(Arena *arena, const Form *form, Error *error) {
    const char **known = ARENA_ARRAY(arena, const char *, pass_count);
    for (int i = 0; i < pass_count; i++)
        known[i] = pass_info[i].name;
    return !form->after || pass_find(form->after) || diag_unknown(arena, "pass", form->after, known, pass_count, error);
}

static bool print_ast(TextCall *call, const RtProgramOptions *o, Error *error) {
    FrontendOptions frontend = {.library = installed_library(call->arena), .text = o->text};
    Diag *diag = diag_create(call->arena, diag_stream());
    call->text = frontend_print_ast(call->arena, o->path, &frontend, diag, error);
    return call->text || diag_fail(diag, o->path, error);
}

static const char *print_built(const Compilation *c, const Form *form) {
    Str text = str_create(c->arena);
    if (form->after)
        return form->text;
    if (str_equal(form->name, "ir"))
        ir_print_module(c->module, &text);
    else if (str_equal(form->name, "dot"))
        for (int i = 0; i < c->kind_count; i++)
            ir_print_dot(ir_graph_find(c->module, graph_kind_name(c->kinds[i])), &text);
    else if (str_equal(form->name, "stages"))
        return cg_print_stages(c->arena, c->module, (IrGraph **)c->graphs, c->kind_count, &c->cg);
    else if (str_equal(form->name, "plan"))
        return plan_print(c->arena, compilation_generate(c)->plan);
    else
        return compilation_generate(c)->units[0];
    return text.data;
}

/* The network as it is described, when neither a graph of a step nor what is made of one is asked for. */
static bool print_forward(TextCall *call, Compilation *c, const Form *form) {
    Str text = str_create(call->arena);
    bool dot = str_equal(form->name, "dot");
    if ((!dot && !str_equal(form->name, "ir")) || form->graph || form->after || c->has_steps)
        return false;
    if (dot)
        ir_print_dot(ir_graph_find(c->module, "forward"), &text);
    else
        ir_print_module(c->module, &text);
    call->text = text.data;
    return true;
}

static bool build(Compilation *c, Form *form, Error *error) {
    const CgTarget *target = cg_target_find(str_equal(form->name, "cu") ? "cuda" : "c");
    c->passes.print_after = form->after;
    c->passes.out = form->printed;
    if (!compilation_choose(c, target, error))
        return false;
    c->cg.unit_count = 1;
    bool ok = compilation_build(c, error);
    return (!form->printed || fflush(form->printed) == 0) && ok;
}

static bool print_form(TextCall *call, const RtProgramOptions *o, Form *form, Error *error) {
    Compilation c = {.arena = call->arena, .options = o};
    if (!compilation_load(&c, error))
        return diag_fail(c.diag, o->path, error);
    if (!ir_graph_find(c.module, "forward") && !compilation_use_steps(&c, error))
        return false;
    if (print_forward(call, &c, form))
        return true;
    if (!build(&c, form, error))
        return false;
    call->text = arena_strdup(call->arena, print_built(&c, form));
    return *call->text || !form->after ||
           error_set(error, ERROR_INPUT, "the pass '%s' has no part in the graphs of this text", form->after);
}

static bool make_form(void *data, Error *error) {
    TextCall *call = data;
    Form *form = call->more;
    RtProgramOptions o;
    if (!call_options(call->path, call->options, &o, error) || !check_form(call->arena, form, error) ||
        !check_graph(call->arena, form, error) || !check_pass(call->arena, form, error))
        return false;
    if (str_equal(form->name, "ast"))
        return print_ast(call, &o, error);
    o.kinds = &form->kind;
    o.kind_count = form->graph ? 1 : 0;
    form->printed = form->after ? open_memstream(&form->text, &form->size) : NULL;
    bool ok = print_form(call, &o, form, error);
    if (form->printed)
        fclose(form->printed);
    free(form->text);
    return ok;
}

NdartsStatus ndarts_ir(const char *path, const NdartsOptions *options, const char *form, const char *graph,
                       const char *after, char **result, char **message) {
    Form wanted = {.name = form ? form : "ir", .graph = graph, .after = after};
    TextCall call = {.path = path, .options = options, .more = &wanted};
    return call_for_text(make_form, &call, result, message);
}

/* ---- what a network is ---- */

static IrModule *load_module(TextCall *call, Error *error) {
    RtProgramOptions o;
    return call_options(call->path, call->options, &o, error) ? rt_text_load_options(call->arena, &o, error) : NULL;
}

static bool make_stats(void *data, Error *error) {
    TextCall *call = data;
    const IrModule *module = load_module(call, error);
    if (!module)
        return false;
    if (!ir_graph_find(module, "forward"))
        return error_set(error, ERROR_INPUT, "there is no @forward, which is what statistics are of");
    Str text = str_create(call->arena);
    ir_print_stats(module, true, &text);
    call->text = text.data;
    return true;
}

NdartsStatus ndarts_stats(const char *path, const NdartsOptions *options, char **json, char **message) {
    TextCall call = {.path = path, .options = options};
    return call_for_text(make_stats, &call, json, message);
}

static bool make_costs(void *data, Error *error) {
    static const BenchOptions bench = {.warm_up = 3, .seconds = 0.1};
    TextCall *call = data;
    RtProgramOptions o;
    CostTable table;
    if (!call_options(call->path, call->options, &o, error))
        return false;
    o.batch = o.batch ? o.batch : 1;
    if (!cost_measure(call->arena, &o, &bench, NULL, &table, error))
        return false;
    call->text = cost_table_text(call->arena, &table);
    return true;
}

NdartsStatus ndarts_cost(const char *path, const NdartsOptions *options, char **json, char **message) {
    TextCall call = {.path = path, .options = options};
    return call_for_text(make_costs, &call, json, message);
}

static bool make_drawing(void *data, Error *error) {
    TextCall *call = data;
    const IrModule *module = load_module(call, error);
    const char *dot = module ? genotype_dot_network(call->arena, module) : NULL;
    if (!module)
        return false;
    if (!dot)
        return error_set(error, ERROR_INPUT, "the text has no network of a genotype's cells to draw");
    call->text = draw_svg(call->arena, "dot -Tsvg", dot);
    return call->text || error_set(error, ERROR_MACHINE, "Graphviz's dot is not installed, or failed");
}

NdartsStatus ndarts_draw(const char *path, const NdartsOptions *options, char **svg, char **message) {
    TextCall call = {.path = path, .options = options};
    return call_for_text(make_drawing, &call, svg, message);
}

/* ---- a genotype ---- */

static bool derive(void *data, Error *error) {
    TextCall *call = data;
    const NdartsDerive *d = call->more;
    TensorFile file = {0};
    Genotype genotype;
    if (!d)
        return error_set(error, ERROR_INPUT, "what is asked for is NULL");
    if (d->size != sizeof *d)
        return error_set(error, ERROR_INPUT, "the size is %zu; it should be sizeof(NdartsDerive), which is %zu",
                         d->size, sizeof *d);
    if (!d->path && !d->arrays)
        return error_set(error, ERROR_INPUT, "there are neither a path nor arrays");
    if (d->keep_ops < 0 || d->epoch < -1)
        return error_set(error, ERROR_INPUT, "keep_ops %d and epoch %lld; keep_ops should be at least 0, epoch -1",
                         d->keep_ops, (long long)d->epoch);
    GenotypeSource source = {.file = d->path ? d->path : "arrays",
                             .tensors = d->path ? NULL : &file,
                             .spec = d->spec        ? d->spec
                                     : d->spec_text ? "text"
                                                    : NULL,
                             .spec_text = d->spec_text,
                             .name = d->name,
                             .keep_ops = d->keep_ops,
                             .epoch = d->epoch};
    if ((!d->path && !call_tensors(call->arena, d->arrays, d->array_count, &file, error)) ||
        !genotype_derive(call->arena, &source, &genotype, error))
        return false;
    call->text = genotype.text;
    return true;
}

NdartsStatus ndarts_derive(const NdartsDerive *options, char **text, char **message) {
    TextCall call = {.more = (void *)options};
    return call_for_text(derive, &call, text, message);
}
