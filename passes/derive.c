/* derive.c: supernet + alphas -> genotype.
 * No pass, as it rewrites no graph: it reads numbers that only a run knows. `ndarts-run derive` and the search call
 * derive_cell. */
#include "passes/derive.h"

#include "ir/settings.h"

#include <math.h>
#include <string.h>

int derive_count_edges(int inputs, int nodes) {
    return nodes * inputs + nodes * (nodes - 1) / 2;
}

DeriveSpace derive_space_uniform(Arena *arena, int inputs, int nodes, int keep, int count,
                                 const char *const *operations) {
    int edge_count = derive_count_edges(inputs, nodes);
    DeriveEdge *edges = ARENA_ARRAY(arena, DeriveEdge, edge_count);
    for (int i = 0; i < edge_count; i++)
        edges[i] = (DeriveEdge){.count = count, .operations = operations};
    return (DeriveSpace){.inputs = inputs, .nodes = nodes, .keep = keep, .edge_count = edge_count, .edges = edges};
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
    *space = (DeriveSpace){
        .inputs = inputs, .nodes = nodes, .keep = (int)settings.space.keep, .edge_count = count, .edges = edges};
    return true;
}

/* ---- choosing ---- */

void derive_softmax(const double *values, int count, double *weights) {
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++)
        largest = fmax(largest, values[i]);
    for (int i = 0; i < count; i++)
        sum += weights[i] = exp(values[i] - largest);
    for (int i = 0; i < count; i++)
        weights[i] /= sum;
}

double *derive_edge_weights(Arena *arena, const DeriveSpace *space, const double *betas) {
    double *weights = ARENA_ARRAY(arena, double, space->edge_count + 1);
    int edge = 0;
    for (int node = 0; node < space->nodes; edge += space->inputs + node++)
        derive_softmax(betas + edge, space->inputs + node, weights + edge);
    return weights;
}

/* The heaviest operation of an edge; weight -1 when it has only `none`. */
static GenotypeEdge choose_operation(Arena *arena, const DeriveEdge *edge, const double *alphas, int source) {
    double *weights = ARENA_ARRAY(arena, double, edge->count + 1);
    derive_softmax(alphas, edge->count, weights);
    GenotypeEdge best = {.source = source, .weight = -1};
    for (int i = 0; i < edge->count; i++) {
        double weight = weights[i];
        if (strcmp(edge->operations[i], "none") != 0 && weight > best.weight) {
            best.weight = weight;
            best.operation = edge->operations[i];
        }
    }
    return best;
}

/* Heaviest first; equal weights keep their order, which is that of the sources. */
static void sort_edges(GenotypeEdge *edges, int count) {
    for (int i = 1; i < count; i++) {
        GenotypeEdge edge = edges[i];
        int at = i;
        for (; at > 0 && edges[at - 1].weight < edge.weight; at--)
            edges[at] = edges[at - 1];
        edges[at] = edge;
    }
}

GenotypeCell derive_cell(Arena *arena, const DeriveSpace *space, const double *alphas, int stride) {
    GenotypeCell cell = {.inputs = space->inputs, .node_count = space->nodes};
    cell.nodes = ARENA_ARRAY(arena, GenotypeNode, space->nodes);
    int edge = 0;
    for (int node = 0; node < space->nodes; node++) {
        int sources = space->inputs + node, count = 0;
        GenotypeEdge *edges = ARENA_ARRAY(arena, GenotypeEdge, sources);
        for (int source = 0; source < sources; source++, edge++) {
            edges[count] = choose_operation(arena, &space->edges[edge], alphas + (size_t)edge * (size_t)stride, source);
            edges[count].weight *= space->edge_weights ? space->edge_weights[edge] : 1;
            count += edges[count].operation != NULL;
        }
        sort_edges(edges, count);
        cell.nodes[node].edges = edges;
        cell.nodes[node].edge_count = space->keep > 0 && space->keep < count ? space->keep : count;
    }
    return cell;
}

/* ---- text ---- */

static void print_cell(Str *out, const GenotypeCell *cell) {
    str_addf(out, "    %s {\n", cell->name);
    for (int i = 0; i < cell->node_count; i++) {
        str_addf(out, "        s%d = ", cell->inputs + i);
        for (int j = 0; j < cell->nodes[i].edge_count; j++) {
            const GenotypeEdge *edge = &cell->nodes[i].edges[j];
            str_addf(out, "%s%s(s%d)", j ? " + " : "", edge->operation, edge->source);
        }
        str_add(out, "\n");
    }
    if (cell->output) {
        str_addf(out, "        return %s\n    }\n", cell->output);
        return;
    }
    str_add(out, "        return concat(");
    for (int i = 0; i < cell->node_count; i++)
        str_addf(out, "%ss%d", i ? ", " : "", cell->inputs + i);
    str_add(out, ")\n    }\n");
}

const char *genotype_print(Arena *arena, const GenotypeText *text, int count, const GenotypeCell *cells) {
    Str out = str_create(arena);
    if (text->import)
        str_addf(&out, "import \"%s\"\n\n", text->import);
    if (text->definitions)
        str_addf(&out, "%s\n", text->definitions);
    str_addf(&out, "genotype %s {\n", text->name);
    for (int i = 0; i < count; i++)
        print_cell(&out, &cells[i]);
    str_add(&out, "}\n");
    if (text->network)
        str_addf(&out, "\nnetwork main = %s\n", text->network);
    return out.data;
}

const char *genotype_network(Arena *arena, const char *network, const char *name, int channels, int layers, int classes,
                             double auxiliary) {
    Str out = str_create(arena);
    str_addf(&out, "%s(%s, C=%d, layers=%d, classes=%d", network, name, channels, layers, classes);
    if (auxiliary > 0) {
        str_add(&out, ", auxiliary=");
        str_add_double(&out, auxiliary);
    }
    str_add(&out, ")");
    return out.data;
}
