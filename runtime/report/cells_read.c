/* cells_read.c: the cells of a network that was trained, read back from its graph: the calls with edge=true of cell K
 * are named cells.K._ops.I; a node is the sum of its edges, a state that no other sum adds further. The first cell
 * stands for the normal ones, the first one that halves the image for the reductions. */
#include "runtime/loops/genotype.h"

#include "base/str.h"

#include <ctype.h>
#include <string.h>

enum { MAX_EDGES = 64, MAX_STATES = 64, MAX_CELLS = 200 };

typedef struct CellGraph {
    int edge_count, input_count, node_count;
    const IrNode *edges[MAX_EDGES];
    const IrNode *inputs[MAX_STATES], *nodes[MAX_STATES];
} CellGraph;

static bool is_edge_of(const IrNode *n, const char *prefix) {
    return n->op == OP_call && ir_attr_get_int(n, "edge", 0) &&
           str_starts_with(ir_attr_get_string(n, "name", ""), prefix);
}

/* A sum of MAX_EDGES edges has so many parts; what has more is none. Counts down, so that a sum of sums that share
 * parts takes no time without end. */
enum { MAX_PARTS = 2 * MAX_EDGES };

static bool are_inside(const IrNode *n, const char *prefix, int *parts) {
    if (--*parts < 0)
        return false;
    if (n->op == OP_add)
        return are_inside(n->inputs[0], prefix, parts) && are_inside(n->inputs[1], prefix, parts);
    return is_edge_of(n, prefix);
}

/* An edge of the cell or a sum of such. */
static bool is_inside(const IrNode *n, const char *prefix) {
    int parts = MAX_PARTS;
    return are_inside(n, prefix, &parts);
}

static bool is_added_further(const IrNode *n, const char *prefix) {
    for (const IrNode *user = n->next; user; user = user->next)
        if (user->op == OP_add && (user->inputs[0] == n || user->inputs[1] == n) && is_inside(user, prefix))
            return true;
    return false;
}

static void add_once(const IrNode **list, int *count, const IrNode *n) {
    for (int i = 0; i < *count; i++)
        if (list[i] == n)
            return;
    if (*count < MAX_STATES)
        list[(*count)++] = n;
}

/* cells.K.preprocessI: an input, whether an edge takes it or not. */
static bool is_preprocessed(const IrNode *n, const char *prefix) {
    size_t length = strlen(prefix) - strlen("_ops.");
    const char *name = n->op == OP_call ? ir_attr_get_string(n, "name", "") : "";
    return strncmp(name, prefix, length) == 0 && str_starts_with(name + length, "preprocess");
}

static bool is_edge_input(const CellGraph *cell, const IrNode *n) {
    for (int e = 0; e < cell->edge_count; e++)
        if (cell->edges[e]->inputs[0] == n)
            return true;
    return false;
}

static bool read_graph(const IrGraph *g, const char *prefix, CellGraph *cell) {
    memset(cell, 0, sizeof(*cell));
    for (const IrNode *n = g->first; n; n = n->next) {
        if (is_edge_of(n, prefix) && cell->edge_count < MAX_EDGES)
            cell->edges[cell->edge_count++] = n;
        if (is_inside(n, prefix) && !is_added_further(n, prefix))
            add_once(cell->nodes, &cell->node_count, n);
    }
    /* Inputs in the order of the graph: the output of the cell before the last is preprocessed first. */
    for (const IrNode *n = g->first; n; n = n->next)
        if (is_preprocessed(n, prefix) || (is_edge_input(cell, n) && !is_inside(n, prefix)))
            add_once(cell->inputs, &cell->input_count, n);
    return cell->edge_count > 0;
}

static bool halves(const CellGraph *cell) {
    for (int e = 0; e < cell->edge_count; e++)
        if (cell->edges[e]->type.dim[1] < cell->edges[e]->inputs[0]->type.dim[1])
            return true;
    return false;
}

/* Where "_" and digits begin at the end of the first `length` characters; 0 when they do not. */
static size_t strip_number(const char *name, size_t length) {
    size_t i = length;
    while (i > 0 && isdigit((unsigned char)name[i - 1]))
        i--;
    return i < length && i > 1 && name[i - 1] == '_' ? i - 1 : 0;
}

const char *genotype_operation_name(Arena *arena, const char *name) {
    size_t length = strlen(name) - (str_ends_with(name, "_after") ? strlen("_after") : 0), i = length;
    while (i > 0 && (isdigit((unsigned char)name[i - 1]) || name[i - 1] == 'x'))
        i--;
    bool shaped =
        i < length && i > 1 && name[i - 1] == '_' && memchr(name + i, 'x', length - i) && strip_number(name, i - 1);
    size_t end = shaped ? i - 1 : length;
    for (int parameters = 0; parameters < 2 && strip_number(name, end); parameters++)
        end = strip_number(name, end);
    return arena_strndup(arena, name, end);
}

static int state_of(const CellGraph *cell, const IrNode *n) {
    for (int i = 0; i < cell->input_count; i++)
        if (cell->inputs[i] == n)
            return i;
    for (int i = 0; i < cell->node_count; i++)
        if (cell->nodes[i] == n)
            return cell->input_count + i;
    return 0;
}

static bool adds_within(const IrNode *sum, const IrNode *edge, int *parts) {
    if (sum == edge || --*parts < 0)
        return sum == edge;
    return sum->op == OP_add && (adds_within(sum->inputs[0], edge, parts) || adds_within(sum->inputs[1], edge, parts));
}

static bool adds(const IrNode *sum, const IrNode *edge) {
    int parts = MAX_PARTS;
    return adds_within(sum, edge, &parts);
}

/* By something that is none of the cell's edges and sums. */
static bool is_used_outside(const IrNode *n, const char *prefix) {
    for (const IrNode *user = n->next; user; user = user->next)
        for (int i = 0; i < user->input_count; i++)
            if (user->inputs[i] == n && !is_inside(user, prefix))
                return true;
    return false;
}

/* A cell that returns one of several states. */
static const char *find_output(Arena *arena, const CellGraph *graph, const char *prefix) {
    int count = 0, last = 0;
    for (int i = 0; i < graph->node_count; i++) {
        if (is_used_outside(graph->nodes[i], prefix)) {
            count++;
            last = i;
        }
    }
    return count == 1 && graph->node_count > 1 ? arena_printf(arena, "s%d", graph->input_count + last) : NULL;
}

static const GenotypeCell *make_cell(Arena *arena, const CellGraph *graph, const char *name, const char *prefix) {
    GenotypeCell *cell = ARENA_NEW(arena, GenotypeCell);
    *cell = (GenotypeCell){.name = name,
                           .inputs = graph->input_count,
                           .node_count = graph->node_count,
                           .output = find_output(arena, graph, prefix),
                           .nodes = ARENA_ARRAY(arena, GenotypeNode, graph->node_count)};
    for (int i = 0; i < graph->node_count; i++) {
        GenotypeNode *node = &cell->nodes[i];
        *node = (GenotypeNode){.edges = ARENA_ARRAY(arena, GenotypeEdge, graph->edge_count)};
        for (int e = 0; e < graph->edge_count; e++)
            if (adds(graph->nodes[i], graph->edges[e]))
                node->edges[node->edge_count++] = (GenotypeEdge){
                    .source = state_of(graph, graph->edges[e]->inputs[0]),
                    .operation = genotype_operation_name(arena, ir_attr(graph->edges[e], "callee")->symbols[0])};
    }
    return cell;
}

const GenotypeCell *genotype_read_cell(Arena *arena, const IrModule *module, bool reduction) {
    const IrGraph *g = module ? ir_graph_find(module, "forward") : NULL;
    CellGraph graph;
    for (int k = 0; g && k < MAX_CELLS; k++) {
        const char *prefix = arena_printf(arena, "cells.%d._ops.", k);
        if (!read_graph(g, prefix, &graph))
            return NULL;
        if (halves(&graph) == reduction)
            return make_cell(arena, &graph, reduction ? "reduce" : "normal", prefix);
    }
    return NULL;
}
