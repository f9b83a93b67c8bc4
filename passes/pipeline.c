/* pipeline.c: the passes in order: chosen, run, checked, printed, timed; and the step graphs that are made with them.
 * Every pass that changes something is followed by the verifier. A pass that needs primitive operations is not run on a
 * graph that still has others: the user who left expand out is told so. */
#include "base/clock.h"
#include "base/saturate.h"
#include "passes/expand.h"
#include "passes/plan_memory.h"
#include "passes/reproducer.h"
#include "passes/statistics.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The flags as the rows say them. */
enum { PRIMITIVE = PASS_PRIMITIVE, FOLDING = PASS_FOLDING, EXECUTION = PASS_EXECUTION, SCATTERS = PASS_SCATTERS };

const PassInfo pass_info[] = {
#define PASS(identifier, name, flags, summary) {name, pass_##identifier, flags, summary},
#include "passes/passes.def"
#undef PASS
};
const int pass_count = sizeof pass_info / sizeof pass_info[0];

const PassInfo *pass_find(const char *name) {
    for (int i = 0; i < pass_count; i++) {
        if (str_equal(pass_info[i].name, name))
            return &pass_info[i];
    }
    return NULL;
}

/* ---- printing ---- */

/* Whether a comma-separated list has the name. */
static bool list_has(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == 0))
            return true;
    }
    return false;
}

static bool names_contain(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++) {
        if (str_equal(names[i], name))
            return true;
    }
    return false;
}

/* A text that says everything about g: the settings, the functions it calls, and g. */
static const char *print_complete(IrGraph *g) {
    IrModule part = ir_module_part(g);
    Str text = str_create(g->module->arena);
    ir_print_module(&part, &text);
    return text.data;
}

static void print_titled(PassContext *ctx, const char *when, const PassInfo *pass, IrGraph *g, const char *text) {
    fprintf(ctx->out, "# ---- @%s %s %s ----\n%s", g->name, when, pass->name, text);
}

/* DIR/GRAPH.NN-PASS.ir; NN is the pass's place in the pipeline. */
static void dump(PassContext *ctx, const PassInfo *pass, IrGraph *g, const char *text) {
    const char *path =
        arena_printf(ctx->arena, "%s/%s.%02d-%s.ir", ctx->dump_to, g->name, (int)(pass - pass_info), pass->name);
    if (mkdir(ctx->dump_to, 0777) != 0 && errno != EEXIST) {
        diag_error(ctx->diag, (Span){0}, "cannot make the folder '%s': %s", ctx->dump_to, strerror(errno));
        return;
    }
    FILE *out = fopen(path, "w");
    bool fine = out && fputs(text, out) >= 0;
    if (out && fclose(out) != 0)
        fine = false;
    if (!fine)
        diag_error(ctx->diag, (Span){0}, "cannot write '%s': %s", path, strerror(errno));
}

static void show_result(PassContext *ctx, const PassInfo *pass, IrGraph *g, bool changed) {
    bool wanted = changed || ctx->print_after_all || list_has(ctx->print_after, pass->name);
    if (!wanted && !ctx->dump_to)
        return;
    const char *text = print_complete(g);
    if (wanted)
        print_titled(ctx, "after", pass, g, text);
    if (ctx->dump_to)
        dump(ctx, pass, g, text);
}

/* ---- one pass ---- */

static bool check_primitives(PassContext *ctx, const PassInfo *pass, IrGraph *g) {
    if (!(pass->flags & PASS_PRIMITIVE))
        return true;
    for (const IrNode *n = g->first; n; n = n->next) {
        if (!ir_is(n, OP_HIGH))
            continue;
        diag_error(ctx->diag, n->span,
                   "the pass '%s' needs primitive operations, but '@%s' still has '%s'; run the pass 'expand' before",
                   pass->name, g->name, ir_op_info[n->op].name);
        return false;
    }
    return true;
}

/* Counted before the passes count: their sums of what fits are far from overflowing. */
static bool check_size(PassContext *ctx, IrGraph *g) {
    if (ctx->fits)
        return true;
    const IrNode *largest = NULL;
    int64_t total = 0, most = 0;
    for (const IrNode *n = g->first; n; n = n->next) {
        int64_t count = ir_type_count(&n->type, ctx->batch, ctx->chunks ? ctx->chunks : 16);
        int64_t bytes = saturating_multiply(count, pass_element_size(ctx, n));
        total = saturating_add(total, bytes);
        if (!largest || bytes > most)
            largest = n, most = bytes;
    }
    ctx->fits = total <= IR_MAX_BYTES;
    if (ctx->fits)
        return true;
    diag_error(ctx->diag, largest->span,
               "the graph '%s' needs more than 2^48 bytes with a batch of %lld; its largest value, of '%s', is %s",
               g->name, (long long)ctx->batch, ir_op_info[largest->op].name,
               ir_type_string(ctx->arena, &largest->type));
    return false;
}

static void verify_all_since(PassContext *ctx, const PassInfo *pass, IrGraph *g, int old_graph_count) {
    const char *wrong = ir_verify_graph(g, ctx->arena);
    if (!wrong && ctx->module->graph_count != old_graph_count)
        wrong = ir_verify_module(ctx->module, ctx->arena);
    if (wrong)
        bug("after the pass '%s': %s", pass->name, wrong);
}

/* The setting that says how far the pipeline has come with a graph, so that it goes on from there when a printed module
 * is read back: set pipeline.search-weights = "update". */
static const char *progress_key(PassContext *ctx, const IrGraph *g) {
    return arena_printf(ctx->arena, "pipeline.%s", g->name);
}

static bool run_pass(PassContext *ctx, const PassInfo *pass, IrGraph *g) {
    if (!check_primitives(ctx, pass, g) || !check_size(ctx, g))
        return false;
    if (list_has(ctx->print_before, pass->name))
        print_titled(ctx, "before", pass, g, print_complete(g));
    const char *before = ctx->print_after_change ? print_complete(g) : NULL;
    int graph_count = ctx->module->graph_count, errors = diag_count_errors(ctx->diag);
    PassStatistics counts[2];
    if (ctx->statistics)
        statistics_count(g, &counts[0]);
    double start = clock_now();
    ctx->settings = settings_read(ctx->module);
    bool changed = pass->run(ctx, g);
    double took = 1e3 * (clock_now() - start);
    if (diag_count_errors(ctx->diag) > errors)
        return false;
    if (changed && pass->flags & PASS_SCATTERS)
        ir_graph_compact(g);
    if (changed) {
        verify_all_since(ctx, pass, g, graph_count);
        ctx->fits = false;
    }
    /* Compared before the note of how far the pipeline has come, which every pass changes. */
    bool differs = before && !str_equal(before, print_complete(g));
    if (!ctx->only)
        ir_module_set(ctx->module, progress_key(ctx, g), ir_attr_string("", pass->name), g->span);
    if (ctx->timing || ctx->statistics)
        statistics_count(g, &counts[1]);
    if (ctx->timing)
        fprintf(ctx->out, "%-14s %-18s %10.3f ms %8d nodes\n", g->name, pass->name, took, counts[1].nodes);
    if (ctx->statistics)
        statistics_print(ctx->out, g, pass, &counts[0], &counts[1]);
    show_result(ctx, pass, g, differs);
    return changed;
}

bool pass_run(PassContext *ctx, const PassInfo *pass, IrGraph *g) {
    bool alone = !reproducer_has_begun();
    if (alone)
        reproducer_begin(ctx, g, print_complete(g));
    reproducer_add(pass);
    bool changed = run_pass(ctx, pass, g);
    if (alone)
        reproducer_end();
    return changed;
}

/* ---- the pipeline ---- */

bool passes_are_watched(const PassContext *ctx) {
    return ctx->only || ctx->disabled_count || ctx->print_before || ctx->print_after || ctx->print_after_all ||
           ctx->print_after_change || ctx->dump_to || ctx->timing || ctx->statistics || ctx->remarks;
}

static void check_names(PassContext *ctx, const char *const *names, int count) {
    const char **known = ARENA_ARRAY(ctx->arena, const char *, pass_count);
    for (int i = 0; i < pass_count; i++)
        known[i] = pass_info[i].name;
    for (int i = 0; i < count; i++) {
        if (pass_find(names[i]))
            continue;
        const char *near = diag_suggest(names[i], known, (size_t)pass_count);
        if (near)
            diag_error(ctx->diag, (Span){0}, "unknown pass '%s'; did you mean '%s'?", names[i], near);
        else
            diag_error(ctx->diag, (Span){0}, "unknown pass '%s'", names[i]);
    }
}

/* The first pass that has not run yet. */
static int find_start(PassContext *ctx, const IrGraph *g) {
    const PassInfo *last = pass_find(ir_module_get_string(ctx->module, progress_key(ctx, g), ""));
    return last && !ctx->only ? (int)(last - pass_info) + 1 : 0;
}

/* One pass after the other until one finds a mistake. */
static void run_passes(PassContext *ctx, IrGraph *g) {
    int count = ctx->only ? ctx->only_count : pass_count;
    ctx->fits = false;
    reproducer_begin(ctx, g, print_complete(g));
    for (int i = find_start(ctx, g); i < count && diag_count_errors(ctx->diag) == 0; i++) {
        const PassInfo *pass = ctx->only ? pass_find(ctx->only[i]) : &pass_info[i];
        if (!(pass->flags & ctx->without) && !names_contain(ctx->disabled, ctx->disabled_count, pass->name))
            pass_run(ctx, pass, g);
    }
    reproducer_end();
}

bool pipeline_run(PassContext *ctx, IrGraph *g) {
    check_names(ctx, ctx->only, ctx->only ? ctx->only_count : 0);
    check_names(ctx, ctx->disabled, ctx->disabled_count);
    const char *wrong = ir_verify_graph(g, ctx->arena);
    if (wrong)
        diag_error(ctx->diag, g->span, "%s", wrong);
    if (diag_count_errors(ctx->diag) > 0)
        return false;
    /* A graph that was printed after expand comes without a table of parameters. */
    for (const IrNode *n = g->first; n; n = n->next) {
        if (ir_param_read(n))
            expand_enter_parameter(ctx, n);
    }
    run_passes(ctx, g);
    return diag_count_errors(ctx->diag) == 0;
}

/* ---- step graphs ---- */

static bool has_alphas(const IrGraph *g) {
    for (const IrNode *n = g->first; n; n = n->next) {
        if (ir_param_read(n) && str_equal(ir_attr_get_string(n, "kind", ""), "alpha"))
            return true;
    }
    return false;
}

/* Says why the text has no graph of this kind. */
static bool check_kind(PassContext *ctx, const IrGraph *forward) {
    const char *text = ctx->settings.network.kind;
    bool search_step =
        ctx->kind == GRAPH_search_alphas || ctx->kind == GRAPH_search_second || ctx->kind == GRAPH_search_weights;
    const char *name = graph_kind_name(ctx->kind);
    if (search_step && text && !str_equal(text, "search"))
        diag_error(ctx->diag, forward->span, "the graph '%s' needs a text that defines a search; this one defines a %s",
                   name, str_equal(text, "train") ? "training" : text);
    else if (search_step && !has_alphas(forward))
        diag_error(ctx->diag, forward->span,
                   "the graph '%s' needs architecture parameters; the network of this search has none", name);
    else if (ctx->kind == GRAPH_train && text && str_equal(text, "search"))
        diag_error(ctx->diag, forward->span,
                   "the graph 'train' needs a training or a network; this text defines a search ('search-weights')");
    return diag_count_errors(ctx->diag) == 0;
}

IrGraph *pipeline_build_graph(PassContext *ctx) {
    IrGraph *forward = ir_graph_find(ctx->module, "forward");
    if (!forward) {
        diag_error(ctx->diag, (Span){0}, "the module '%s' has no graph '@forward'", ctx->module->name);
        return NULL;
    }
    ctx->settings = settings_read(ctx->module);
    if (!check_kind(ctx, forward))
        return NULL;
    IrGraph *old = ir_graph_find(ctx->module, graph_kind_name(ctx->kind));
    if (old)
        ir_graph_remove(old);
    IrGraph *g = ir_graph_clone(forward, graph_kind_name(ctx->kind));
    if (ir_module_get(ctx->module, progress_key(ctx, g)))
        ir_module_set(ctx->module, progress_key(ctx, g), ir_attr_string("", ""), g->span);
    return pipeline_run(ctx, g) ? g : NULL;
}
