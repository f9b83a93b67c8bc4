/* objective.c: what the network that a search finds may cost. Of each objective of the settings (search.objective.latency, .memory,
 * .macs), with c_i what candidate i of an edge costs and w_i its weight in the sum of the edge,
 *
 *     expected = fixed + sum over the edges of share * sum over i of w_i * c_i
 *
 * share: of the edges of a node those that a genotype keeps. It is added to the output "penalty" of @forward, which attach-loss
 * adds to the loss of the alphas:
 *
 *     hinge:  weight * max(expected / target - 1, 0)          ratio:  weight * expected / target
 *
 * and is an output of evaluation, expected/latency in ms, expected/memory in MB, expected/macs in millions. Milliseconds come with the
 * graph: mixed operations have the nanoseconds of their candidates, the setting search.objective.latency.fixed those of the rest. */
#include "ir/stats.h"
#include "passes/rewrite.h"

typedef struct Objective {
    const char *name;
    const ObjectiveSettings *settings;
    double unit;                                        /* of the costs, in those of the target */
    double (*cost)(const IrNode *mixed, int candidate); /* nanoseconds, multiply-adds, numbers: whole, and so exact */
    double (*fixed)(PassContext *ctx, const IrGraph *g);
} Objective;

/* Mixed operations whose candidates have the same weights, and what these cost in all of them. */
typedef struct Edges {
    IrNode *weights;
    int count;
    double *costs;
} Edges;

/* ---- what a candidate costs ---- */

static const IrGraph *candidate_of(const IrNode *mixed, int i) {
    return ir_graph_find(mixed->graph->module, ir_attr(mixed, "candidates")->symbols[i]);
}

static double latency_of(const IrNode *mixed, int i) {
    return (double)ir_attr(mixed, "nanoseconds")->ints[i];
}

static double fixed_latency(PassContext *ctx, const IrGraph *g) {
    (void)g;
    return (double)ctx->settings.latency.fixed;
}

static double macs_of_stats(const IrStats *s) {
    return (double)(s->conv_macs + s->linear_macs);
}

static double macs_of(const IrNode *mixed, int i) {
    IrStats stats = ir_count_stats(candidate_of(mixed, i));
    return macs_of_stats(&stats);
}

static double memory_of(const IrNode *mixed, int i) {
    return (double)(ir_count_stats(candidate_of(mixed, i)).parameters + ir_type_count(&mixed->type, 1, 1));
}

/* All of @forward, without the candidates of the edges. */
static double without_candidates(double all, const IrGraph *g, double (*cost)(const IrNode *mixed, int candidate)) {
    for (const IrNode *n = g->first; n; n = n->next)
        for (int i = 0; n->op == OP_mixed && i < ir_attr(n, "candidates")->count; i++)
            all -= cost(n, i);
    return all;
}

static double fixed_macs(PassContext *ctx, const IrGraph *g) {
    (void)ctx;
    IrStats stats = ir_count_stats(g);
    return without_candidates(macs_of_stats(&stats), g, macs_of);
}

static double parameters_of(const IrNode *mixed, int i) {
    return (double)ir_count_stats(candidate_of(mixed, i)).parameters;
}

/* Its result can lie where its operand did. */
static bool is_in_place(const IrNode *n) {
    return ir_is(n, OP_ELEMENTWISE) || n->op == OP_batch_norm;
}

/* Values that something other than a view of them, or what takes their place, looks at. */
static void mark_kept(const IrGraph *g) {
    for (IrNode *n = g->first; n; n = n->next)
        n->scratch = NULL;
    for (IrNode *n = g->first; n; n = n->next)
        for (int i = 0; i < n->input_count && !is_in_place(n); i++)
            n->inputs[i]->scratch = n;
    for (int i = 0; i < g->output_count; i++)
        g->outputs[i].value->scratch = g->outputs[i].value;
}

/* Of an image: what an operation gives outside of edges, a call as a whole, and a row of elementwise ones in one place. */
static bool is_counted(const IrNode *n) {
    bool of_image = n->type.rank > 0 && n->type.dim[0] == IR_DIM_N;
    return of_image && n->scratch && n->op != OP_mixed && !ir_is(n, OP_SOURCE | OP_VIEW);
}

static double fixed_memory(PassContext *ctx, const IrGraph *g) {
    (void)ctx;
    double values = 0;
    mark_kept(g);
    for (const IrNode *n = g->first; n; n = n->next)
        if (is_counted(n))
            values += (double)ir_type_count(&n->type, 1, 1);
    return values + without_candidates((double)ir_count_stats(g).parameters, g, parameters_of);
}

/* ---- the sum ---- */

/* Whether two nodes read the same row of the same weights. */
static bool are_same_weights(const IrNode *a, const IrNode *b) {
    return a == b || (a->op == OP_index && b->op == OP_index && a->inputs[0] == b->inputs[0] &&
                      ir_attr_get_int(a, "axis", 0) == ir_attr_get_int(b, "axis", 0) &&
                      ir_attr_get_int(a, "at", 0) == ir_attr_get_int(b, "at", 0));
}

/* Of the edges of the node that edge number `edge` of a cell leads to, the part that a genotype keeps. */
static double share_of(const PassContext *ctx, const IrNode *weights) {
    const SpaceSettings *space = &ctx->settings.space;
    int64_t edge = weights->op == OP_index ? ir_attr_get_int(weights, "at", 0) : 0;
    int64_t of_node = space->inputs;
    for (int64_t node = 0; node < space->nodes && edge >= of_node; node++)
        edge -= of_node++;
    return space->keep > 0 && space->keep < of_node ? (double)space->keep / (double)of_node : 1;
}

static Edges *find_edges(PassContext *ctx, Edges *edges, int *count, const IrNode *mixed) {
    for (int i = 0; i < *count; i++)
        if (are_same_weights(edges[i].weights, mixed->inputs[1]))
            return &edges[i];
    int candidates = ir_attr(mixed, "candidates")->count;
    edges[*count] = (Edges){mixed->inputs[1], candidates, ARENA_ARRAY(ctx->arena, double, candidates)};
    return &edges[(*count)++];
}

static IrNode *build_expected(PassContext *ctx, IrBuilder *b, const Objective *o, int most) {
    Edges *edges = ARENA_ARRAY(ctx->arena, Edges, most);
    int count = 0;
    for (const IrNode *n = b->graph->first; n; n = n->next) {
        if (n->op != OP_mixed)
            continue;
        Edges *same = find_edges(ctx, edges, &count, n);
        for (int i = 0; i < same->count; i++)
            same->costs[i] += share_of(ctx, n->inputs[1]) * o->cost(n, i);
    }
    IrNode *sum = ir_constant(b, o->unit * o->fixed(ctx, b->graph));
    for (int e = 0; e < count; e++)
        for (int i = 0; i < edges[e].count; i++) {
            const IrAttr which[] = {ir_attr_int("axis", 0), ir_attr_int("at", i)};
            if (edges[e].costs[i] == 0)
                continue;
            IrNode *weight = ir_build1(b, OP_index, edges[e].weights, 2, which);
            sum = rewrite_binary(b, OP_add, sum,
                                 rewrite_binary(b, OP_mul, weight, ir_constant(b, o->unit * edges[e].costs[i])));
        }
    return sum;
}

static IrNode *build_penalty(IrBuilder *b, const ObjectiveSettings *s, IrNode *expected) {
    IrNode *ratio = rewrite_binary(b, OP_mul, expected, ir_constant(b, 1 / s->target));
    if (str_equal(s->form, "hinge")) {
        IrNode *above = rewrite_binary(b, OP_sub, ratio, ir_constant(b, 1));
        ratio = rewrite_binary(b, OP_max, above, ir_constant(b, 0));
    }
    return rewrite_binary(b, OP_mul, ratio, ir_constant(b, s->weight));
}

static void add_penalty(IrBuilder *b, IrNode *more) {
    for (int i = 0; i < b->graph->output_count; i++)
        if (str_equal(b->graph->outputs[i].name, "penalty")) {
            b->graph->outputs[i].value = rewrite_binary(b, OP_add, b->graph->outputs[i].value, more);
            return;
        }
    ir_graph_add_output(b->graph, "penalty", more);
}

static bool check(PassContext *ctx, const IrGraph *g, const Objective *o, int mixed) {
    if (!mixed)
        diag_error(ctx->diag, g->span, "the objective %s is of candidates, and '@%s' mixes none", o->name, g->name);
    for (const IrNode *n = g->first; n; n = n->next)
        if (n->op == OP_mixed && o->cost == latency_of && !ir_attr(n, "nanoseconds")) {
            diag_error(ctx->diag, n->span,
                       "the objective latency needs what the candidates cost: --cost FILE, which "
                       "ndarts-run cost TEXT --json prints");
            return false;
        }
    return mixed > 0;
}

bool pass_objective(PassContext *ctx, IrGraph *g) {
    const Settings *s = &ctx->settings;
    const Objective objectives[] = {{"latency", &s->latency, 1e-6, latency_of, fixed_latency},
                                    {"memory", &s->memory, 4e-6, memory_of, fixed_memory},
                                    {"macs", &s->macs, 1e-6, macs_of, fixed_macs}};
    bool is_watched = ctx->kind == GRAPH_eval, changed = false;
    int most = 0;
    if (!is_watched && ctx->kind != GRAPH_search_alphas && ctx->kind != GRAPH_search_second &&
        ctx->kind != GRAPH_gradients)
        return false;
    for (const IrNode *n = g->first; n; n = n->next)
        most += n->op == OP_mixed;
    for (size_t i = 0; i < sizeof objectives / sizeof objectives[0]; i++) {
        const Objective *o = &objectives[i];
        if (o->settings->target <= 0 || !check(ctx, g, o, most))
            continue;
        IrBuilder b = {.graph = g, .span = g->span, .diag = ctx->diag};
        IrNode *expected = build_expected(ctx, &b, o, most);
        if (is_watched)
            ir_graph_add_output(g, arena_printf(ctx->arena, "expected/%s", o->name), expected);
        else
            add_penalty(&b, build_penalty(&b, o->settings, expected));
        changed = true;
    }
    return changed;
}
