/* derive_space.c: what of a search is derived: the settings of its space and its methods, and the weights that its alphas
 * stand for. */
#include "passes/derive.h"

#include "base/str.h"
#include "ir/settings.h"
#include "passes/evaluate_graph.h"

#include <math.h>
#include <string.h>

int derive_count_edges(int inputs, int nodes) {
    return nodes * inputs + nodes * (nodes - 1) / 2;
}

int derive_count_columns(const DeriveSpace *space) {
    int columns = 0;
    for (int e = 0; e < space->edge_count; e++)
        columns = space->edges[e].count > columns ? space->edges[e].count : columns;
    return columns;
}

/* ---- settings ---- */

enum { MOST = 64 }; /* edges of a node, operations of an edge */

/* A number of a text that nobody checked. */
static int within(int64_t value, int least, int most) {
    return value < least ? least : value > most ? most : (int)value;
}

/* The settings keep.most.OPERATION. */
static void read_limits(Arena *arena, const IrModule *module, DeriveRules *rules) {
    static const char prefix[] = "keep.most.";
    DeriveLimit *limits = ARENA_ARRAY(arena, DeriveLimit, module->setting_count + 1);
    for (int i = 0; i < module->setting_count; i++) {
        const IrSetting *setting = &module->settings[i];
        if (str_starts_with(setting->key, prefix) && setting->value.kind == ATTR_int)
            limits[rules->limit_count++] =
                (DeriveLimit){setting->key + strlen(prefix), within(setting->value.i, 0, 1 << 20)};
    }
    rules->limits = limits;
}

static DeriveRules read_rules(Arena *arena, const IrModule *module, const Settings *s) {
    DeriveRules rules = {.per_node = within(s->keep.per_node, 0, MOST),
                         .per_edge = within(s->keep.per_edge, 1, MOST),
                         .has_threshold = s->given[SETTING_keep_threshold],
                         .threshold = s->keep.threshold};
    read_limits(arena, module, &rules);
    return rules;
}

bool derive_space_from_module(Arena *arena, const IrModule *module, const char *alphas, DeriveSpace *space,
                              Error *error) {
    const char *kind = str_starts_with(alphas, "alphas_") ? alphas + strlen("alphas_") : alphas;
    const Settings settings = settings_read(module);
    int inputs = (int)settings.space.inputs, nodes = (int)settings.space.nodes;
    if (!settings.given[SETTING_space_inputs] || !settings.given[SETTING_space_nodes] || inputs < 1 || nodes < 1)
        return error_set(error, ERROR_INPUT, "'%s' searches no space; only a search has a genotype to derive",
                         module->name);
    int count = derive_count_edges(inputs, nodes);
    DeriveEdge *edges = ARENA_ARRAY(arena, DeriveEdge, count);
    for (int i = 0; i < count; i++) {
        const IrAttr *candidates = settings_candidates(module, kind, i);
        if (!candidates)
            return error_set(error, ERROR_INPUT, "'%s' has no candidates for edge %d of '%s'", module->name, i, alphas);
        edges[i] = (DeriveEdge){.count = candidates->count, .operations = candidates->symbols};
    }
    *space = (DeriveSpace){.inputs = inputs,
                           .nodes = nodes,
                           .keep = read_rules(arena, module, &settings),
                           .edge_count = count,
                           .edges = edges};
    return true;
}

/* ---- weights ---- */

const double *derive_edge_weights(Arena *arena, const DeriveSpace *space, const double *betas) {
    double *weights = ARENA_ARRAY(arena, double, space->edge_count + 1);
    int edge = 0;
    for (int node = 0; node < space->nodes; edge += space->inputs + node++)
        evaluate_softmax(betas + edge, space->inputs + node, weights + edge);
    return weights;
}

/* The function of keep.weights for alphas of this shape; NULL when there is none, with or without a message. */
static const IrGraph *find_function(Arena *arena, const char *text, int rank, const int64_t *shape, Error *error) {
    SourceFile *source = ARENA_NEW(arena, SourceFile);
    *source = (SourceFile){.path = "keep.weights", .text = text, .size = strlen(text)};
    const IrModule *module = ir_parse_module(arena, source, diag_create(arena, NULL));
    if (!module)
        error_set(error, ERROR_INPUT, "the setting keep.weights is no text of functions");
    const IrType wanted = ir_type(DTYPE_f32, rank, shape);
    for (int i = 0; module && i < module->graph_count; i++) {
        const IrGraph *graph = module->graphs[i];
        if (graph->arg_count == 1 && graph->output_count == 1 && ir_type_equal(&graph->args[0]->type, &wanted) &&
            ir_type_equal(&graph->outputs[0].value->type, &wanted))
            return graph;
    }
    return NULL;
}

/* Edge by edge, or all at once where all have equally many candidates. */
static bool weigh_by_function(Arena *arena, const char *text, const DeriveSpace *space, const double *alphas,
                              int stride, double *weights, Error *error) {
    const IrGraph *whole = find_function(arena, text, 2, (const int64_t[]){space->edge_count, stride}, error);
    for (int e = 0; !error->kind && e < (whole ? 1 : space->edge_count); e++) {
        int64_t count = whole ? (int64_t)space->edge_count * stride : space->edges[e].count, at = (int64_t)e * stride;
        const IrGraph *graph = whole ? whole : find_function(arena, text, 1, &count, error);
        const double *result = graph ? evaluate_graph(arena, graph, alphas + at, error) : NULL;
        if (!result)
            return error->kind ? false
                               : error_set(error, ERROR_INPUT,
                                           "the setting keep.weights has no function of the %lld alphas of an edge",
                                           (long long)count);
        memcpy(weights + at, result, sizeof(double) * (size_t)count);
    }
    return !error->kind;
}

/* What is no number is compared with nothing. */
static bool check_finite(const DeriveSpace *space, const double *weights, int stride, Error *error) {
    for (int e = 0; e < space->edge_count; e++)
        for (int c = 0; c < space->edges[e].count; c++)
            if (!isfinite(weights[e * stride + c]))
                return error_set(
                    error, ERROR_INPUT,
                    "the weight of '%s' on edge %d is no number: the alphas are none, or a schedule of the "
                    "method ends where its weights cannot be computed, as linear(5, 0) does in a divisor",
                    space->edges[e].operations[c], e);
    return true;
}

const double *derive_weigh(Arena *arena, const IrModule *module, const DeriveSpace *space, const double *alphas,
                           int stride, Error *error) {
    const char *function = settings_read(module).keep.weights;
    double *weights = ARENA_ARRAY(arena, double, (int64_t)space->edge_count *stride);
    memset(weights, 0, sizeof(double) * (size_t)space->edge_count * (size_t)stride);
    for (int e = 0; !function && e < space->edge_count; e++)
        evaluate_softmax(alphas + (size_t)e * (size_t)stride, space->edges[e].count,
                         weights + (size_t)e * (size_t)stride);
    bool known = !function || weigh_by_function(arena, function, space, alphas, stride, weights, error);
    return known && check_finite(space, weights, stride, error) ? weights : NULL;
}
