/* derive.c: supernet + alphas -> genotype.
 * No pass, as it rewrites no graph: it reads numbers that only a run knows. `ndarts-run derive` and the search call
 * derive_cell. The rules are mechanisms that published derivations are made of: the heaviest edges of a node (DARTS), all
 * edges (NAS-Bench-201), a threshold and the heaviest operations of an edge (FairDARTS), edges with weights of their own
 * (PC-DARTS), a limit on an operation (P-DARTS, whose search gives up the lightest skip connection until two are left). */
#include "passes/derive.h"

#include "base/str.h"

#include <string.h>

typedef struct Choice {
    Arena *arena;
    const DeriveSpace *space;
    const DeriveWeights *weights;
    bool *given_up; /* candidates that a limit took away, like the weights */
} Choice;

/* The operations that are taken of one edge, lightest first. */
typedef struct ChosenEdge {
    int count;
    GenotypeEdge *operations;
    double score; /* of the heaviest */
} ChosenEdge;

static bool counts(const Choice *c, int edge, int operation) {
    const DeriveEdge *e = &c->space->edges[edge];
    bool heaviest_only = c->space->keep.per_node > 0 || e->count == 1;
    return !(heaviest_only && str_equal(e->operations[operation], "none")) &&
           !c->given_up[edge * c->weights->stride + operation];
}

/* Into the list of at most `most`, which is sorted; of equals the earlier ones stay, as the heavier. */
static void insert(ChosenEdge *chosen, int most, GenotypeEdge operation) {
    int at = 0;
    while (at < chosen->count && chosen->operations[at].weight < operation.weight)
        at++;
    if (chosen->count == most && at == 0)
        return;
    if (chosen->count == most) {
        at--;
        for (int i = 0; i < at; i++)
            chosen->operations[i] = chosen->operations[i + 1];
    } else {
        for (int i = chosen->count++; i > at; i--)
            chosen->operations[i] = chosen->operations[i - 1];
    }
    chosen->operations[at] = operation;
}

static ChosenEdge choose_operations(const Choice *c, int edge, int source) {
    const DeriveRules *keep = &c->space->keep;
    const DeriveEdge *e = &c->space->edges[edge];
    const double *weights = c->weights->of_candidates + (size_t)edge * (size_t)c->weights->stride;
    double factor = c->weights->of_edges ? c->weights->of_edges[edge] : 1;
    ChosenEdge chosen = {.operations = ARENA_ARRAY(c->arena, GenotypeEdge, keep->per_edge)};
    for (int i = 0; i < e->count; i++)
        if (counts(c, edge, i) && !(keep->has_threshold && weights[i] < keep->threshold))
            insert(&chosen, keep->per_edge, (GenotypeEdge){source, e->operations[i], factor * weights[i], edge, i});
    if (chosen.count)
        chosen.score = chosen.operations[chosen.count - 1].weight;
    return chosen;
}

/* Heaviest first; equal weights keep their order, which is that of the sources. */
static void sort_edges(ChosenEdge *edges, int count) {
    for (int i = 1; i < count; i++) {
        ChosenEdge edge = edges[i];
        int at = i;
        for (; at > 0 && edges[at - 1].score < edge.score; at--)
            edges[at] = edges[at - 1];
        edges[at] = edge;
    }
}

static GenotypeNode choose_node(const Choice *c, int node, int first_edge) {
    int sources = c->space->inputs + node, count = 0, per_node = c->space->keep.per_node;
    ChosenEdge *edges = ARENA_ARRAY(c->arena, ChosenEdge, sources);
    for (int source = 0; source < sources; source++) {
        edges[count] = choose_operations(c, first_edge + source, source);
        count += edges[count].count > 0;
    }
    if (per_node > 0)
        sort_edges(edges, count);
    count = per_node > 0 && per_node < count ? per_node : count;
    GenotypeNode chosen = {.edges = ARENA_ARRAY(c->arena, GenotypeEdge, count * c->space->keep.per_edge)};
    for (int e = 0; e < count; e++)
        for (int i = 0; i < edges[e].count; i++)
            chosen.edges[chosen.edge_count++] = edges[e].operations[i];
    return chosen;
}

/* Without what leads from nodes that have no edges. */
static void drop_empty_sources(GenotypeCell *cell) {
    for (int n = 0; n < cell->node_count; n++) {
        GenotypeNode *node = &cell->nodes[n];
        int kept = 0;
        for (int e = 0; e < node->edge_count; e++) {
            int source = node->edges[e].source - cell->inputs;
            if (source < 0 || cell->nodes[source].edge_count)
                node->edges[kept++] = node->edges[e];
        }
        node->edge_count = kept;
    }
}

static GenotypeCell choose_cell(const Choice *c) {
    GenotypeCell cell = {.inputs = c->space->inputs, .node_count = c->space->nodes};
    cell.nodes = ARENA_ARRAY(c->arena, GenotypeNode, c->space->nodes);
    for (int node = 0, edge = 0; node < c->space->nodes; edge += c->space->inputs + node++)
        cell.nodes[node] = choose_node(c, node, edge);
    drop_empty_sources(&cell);
    return cell;
}

void derive_heaviest(const double *weights, int count, int most, bool *kept) {
    for (int i = 0; i < count; i++) {
        int before = 0;
        for (int k = 0; k < count; k++)
            before += weights[k] > weights[i] || (weights[k] == weights[i] && k < i);
        kept[i] = before < most;
    }
}

static int count_matches(const GenotypeCell *cell, const char *name, bool (*matches)(const char *, const char *)) {
    int count = 0;
    for (int n = 0; n < cell->node_count; n++)
        for (int e = 0; e < cell->nodes[n].edge_count; e++)
            count += matches(cell->nodes[n].edges[e].operation, name);
    return count;
}

int genotype_count(const GenotypeCell *cell, const char *operation) {
    return count_matches(cell, operation, str_equal);
}

int genotype_count_skips(const GenotypeCell *cell) {
    return count_matches(cell, "skip_connect", str_starts_with);
}

/* Of the operation, the last of the lightest. */
static const GenotypeEdge *find_lightest(const GenotypeCell *cell, const char *operation) {
    const GenotypeEdge *lightest = NULL;
    for (int n = 0; n < cell->node_count; n++)
        for (int e = 0; e < cell->nodes[n].edge_count; e++) {
            const GenotypeEdge *edge = &cell->nodes[n].edges[e];
            if (str_equal(edge->operation, operation) && (!lightest || edge->weight <= lightest->weight))
                lightest = edge;
        }
    return lightest;
}

/* Gives up one operation of which there are too many; false: there is none. */
static bool give_up_one(const Choice *c, const GenotypeCell *cell) {
    for (int i = 0; i < c->space->keep.limit_count; i++) {
        const DeriveLimit *limit = &c->space->keep.limits[i];
        if (genotype_count(cell, limit->operation) <= limit->most)
            continue;
        const GenotypeEdge *edge = find_lightest(cell, limit->operation);
        c->given_up[edge->place * c->weights->stride + edge->candidate] = true;
        return true;
    }
    return false;
}

GenotypeCell derive_cell(Arena *arena, const DeriveSpace *space, const DeriveWeights *weights) {
    size_t count = (size_t)space->edge_count * (size_t)weights->stride;
    Choice choice = {.arena = arena, .space = space, .weights = weights, .given_up = ARENA_ARRAY(arena, bool, count)};
    memset(choice.given_up, 0, count);
    GenotypeCell cell = choose_cell(&choice);
    while (give_up_one(&choice, &cell))
        cell = choose_cell(&choice);
    return cell;
}
