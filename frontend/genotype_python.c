/* genotype_python.c: genotypes as Python and JSON write them.
 *
 *     Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ...], normal_concat=range(2, 6), reduce=..., ...)
 *         two edges a node; or a list of edges per node: [[('sep_conv_3x3', 0), ('skip_connect', 1)], ...]
 *     {"normal": [["sep_conv_3x3", 0], ...], "normal_concat": [2, 3, 4, 5], ...}         the same as JSON
 *     (((0, 6), (1, 4), ...), ((0, 1), ...))           NAS-Bench-301: state and number of the operation, two a node
 *     {"...:edge_normal_0": "sep_conv_3x3", "...:inputs_node_normal_3": "0_1", ...}      NAS-Bench-301's configurations
 */
#include "frontend/genotype_form.h"
#include "frontend/literal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 2, NAS_BENCH_301_NODES = 4 };

typedef struct Reader {
    Arena *arena;
    Diag *diag;
    GenotypeForm *form;
} Reader;

/* ---- edges and nodes ---- */

FormNode *genotype_add_node(Arena *arena, FormCell *cell, Span span) {
    if (cell->node_count == FORM_MAX_NODES)
        return NULL;
    ARENA_PUSH(arena, cell->nodes, cell->node_count, cell->node_capacity, (FormNode){.span = span});
    return &cell->nodes[cell->node_count - 1];
}

bool genotype_add_edge(Arena *arena, const FormCell *cell, FormNode *node, FormEdge edge, Diag *diag) {
    int state = cell->inputs + (int)(node - cell->nodes);
    if (edge.source < 0 || edge.source >= state) {
        diag_error(diag, edge.source_span, "node %d of cell '%s' takes states 0 to %d, not %d", state, cell->name,
                   state - 1, edge.source);
        return false;
    }
    if (node->count == FORM_MAX_EDGES) {
        diag_error(diag, edge.operation_span, "node %d of cell '%s' has more than %d edges", state, cell->name,
                   FORM_MAX_EDGES);
        return false;
    }
    ARENA_PUSH(arena, node->edges, node->count, node->capacity, edge);
    return true;
}

/* The operations of NAS-Bench-301, in its order. */
static const char *const numbered[] = {"max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3",
                                       "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"};
enum { NUMBERED_COUNT = sizeof numbered / sizeof numbered[0] };

static int as_state(int64_t integer) {
    return integer < INT_MIN || integer > INT_MAX ? INT_MAX : (int)integer;
}

/* ('sep_conv_3x3', 0), either way round; (0, 3): state 0 and operation 3. */
static bool read_edge(Reader *r, const Literal *pair, FormEdge *edge) {
    const Literal *first = pair->count == 2 ? pair->items[0] : NULL, *second = first ? pair->items[1] : NULL;
    const Literal *operation = first && first->kind == LITERAL_string ? first : second;
    const Literal *source = operation == first ? second : first;
    bool number = second && operation->kind == LITERAL_integer;
    if (pair->kind != LITERAL_list || !second || source->kind != LITERAL_integer ||
        (operation->kind != LITERAL_string && !number)) {
        diag_error(r->diag, pair->span, "expected an edge, an operation and a state, as in ('sep_conv_3x3', 0)");
        return false;
    }
    if (number && (operation->integer < 0 || operation->integer >= NUMBERED_COUNT)) {
        diag_error(r->diag, operation->span, "operations are numbered from 0 (%s) to %d (%s), as NAS-Bench-301 does",
                   numbered[0], NUMBERED_COUNT - 1, numbered[NUMBERED_COUNT - 1]);
        return false;
    }
    *edge = (FormEdge){number ? numbered[operation->integer] : operation->text, as_state(source->integer),
                       operation->span, source->span};
    return true;
}

static bool add_node(Reader *r, FormCell *cell, const Literal *const *pairs, int count, Span span) {
    FormNode *node = genotype_add_node(r->arena, cell, span);
    FormEdge edge;
    if (!node)
        diag_error(r->diag, span, "cell '%s' has more than %d nodes", cell->name, FORM_MAX_NODES);
    for (int i = 0; node && i < count; i++)
        if (!read_edge(r, pairs[i], &edge) || !genotype_add_edge(r->arena, cell, node, edge, r->diag))
            return false;
    return node != NULL;
}

static bool is_pair(const Literal *literal) {
    return literal->kind == LITERAL_list && literal->count == 2 && literal->items[0]->kind != LITERAL_list;
}

static bool read_nodes(Reader *r, FormCell *cell, const Literal *list) {
    bool nested = list->count && list->items[0]->kind == LITERAL_list && !is_pair(list->items[0]);
    if (list->kind != LITERAL_list || !list->count) {
        diag_error(r->diag, list->span, "expected the edges of cell '%s', as in [('sep_conv_3x3', 0), ...]",
                   cell->name);
        return false;
    }
    if (!nested && list->count % 2) {
        diag_error(r->diag, list->span,
                   "cell '%s' has %d edges; a flat list has two per node, a nested one a list of edges per node",
                   cell->name, list->count);
        return false;
    }
    for (int i = 0; i < list->count; i += nested ? 1 : 2) {
        Literal *const *items = nested ? list->items[i]->items : &list->items[i];
        int count = nested ? list->items[i]->count : 2;
        if (nested && (list->items[i]->kind != LITERAL_list || !count)) {
            diag_error(r->diag, list->items[i]->span, "expected the edges of node %d of cell '%s'",
                       INPUTS + cell->node_count, cell->name);
            return false;
        }
        if (!add_node(r, cell, (const Literal *const *)items, count, list->items[i]->span))
            return false;
    }
    return true;
}

/* ---- outputs ---- */

static void add_output(Reader *r, FormCell *cell, int state) {
    ARENA_PUSH(r->arena, cell->outputs, cell->output_count, cell->output_capacity, state);
}

/* NULL: all nodes. */
static bool read_outputs(Reader *r, FormCell *cell, const Literal *list) {
    int last = INPUTS + cell->node_count - 1;
    cell->concat = true;
    for (int i = INPUTS; !list && i <= last; i++)
        add_output(r, cell, i);
    if (list && (list->kind != LITERAL_list || !list->count)) {
        diag_error(r->diag, list->span, "expected the states that cell '%s' concatenates, as in range(2, 6) or [4, 5]",
                   cell->name);
        return false;
    }
    for (int i = 0; list && i < list->count; i++) {
        const Literal *state = list->items[i];
        if (state->kind != LITERAL_integer || state->integer < INPUTS || state->integer > last) {
            diag_error(r->diag, state->span, "cell '%s' has the nodes %d to %d; %s is none of them", cell->name, INPUTS,
                       last,
                       state->kind == LITERAL_integer ? arena_printf(r->arena, "%lld", (long long)state->integer)
                                                      : literal_kind_name(state));
            return false;
        }
        add_output(r, cell, (int)state->integer);
    }
    return true;
}

static bool add_cell(Reader *r, const char *name, const Literal *edges, const Literal *outputs) {
    FormCell *cell = &r->form->cells[r->form->cell_count++];
    *cell = (FormCell){.name = name, .span = edges->span, .inputs = INPUTS};
    return read_nodes(r, cell, edges) && read_outputs(r, cell, outputs);
}

/* ---- Genotype(...), {"normal": ...} ---- */

enum { NORMAL, NORMAL_CONCAT, REDUCE, REDUCE_CONCAT, FIELD_COUNT };

static int find_field(const char *name) {
    static const char *const names[] = {"normal", "normal_concat", "reduce", "reduce_concat"};
    for (int i = 0; i < FIELD_COUNT; i++)
        if (str_equal(names[i], name))
            return i;
    if (str_equal(name, "reduction"))
        return REDUCE;
    return str_equal(name, "reduction_concat") ? REDUCE_CONCAT : -1;
}

static bool is_none(const Literal *literal) {
    return literal->kind == LITERAL_name && (str_equal(literal->text, "None") || str_equal(literal->text, "null"));
}

static bool read_fields(Reader *r, const Literal *literal) {
    const Literal *fields[FIELD_COUNT] = {NULL};
    for (int i = 0; i < literal->count; i++) {
        const Literal *item = literal->items[i];
        int field = item->key ? find_field(item->key) : i;
        if (is_none(item))
            continue;
        if (field >= 0 && field < FIELD_COUNT)
            fields[field] = item;
        else
            diag_warning(r->diag, item->key ? item->key_span : item->span,
                         "not used: of a genotype normal, normal_concat, reduce and reduce_concat are");
    }
    if (!fields[NORMAL]) {
        diag_error(r->diag, literal->span, "a genotype without the edges of its normal cell: normal=[...]");
        return false;
    }
    return add_cell(r, "normal", fields[NORMAL], fields[NORMAL_CONCAT]) &&
           (!fields[REDUCE] || add_cell(r, "reduce", fields[REDUCE], fields[REDUCE_CONCAT]));
}

/* ---- NAS-Bench-301 ---- */

static bool read_compact(Reader *r, const Literal *cells) {
    if (cells->kind != LITERAL_list || cells->count != 2) {
        diag_error(r->diag, cells->span, "expected two cells of pairs of a state and an operation: ((...), (...))");
        return false;
    }
    return add_cell(r, "normal", cells->items[0], NULL) && add_cell(r, "reduce", cells->items[1], NULL);
}

static const Literal *find_key(const Literal *dict, const char *ending) {
    for (int i = 0; i < dict->count; i++)
        if (dict->items[i]->kind == LITERAL_string && str_ends_with(dict->items[i]->key, ending))
            return dict->items[i];
    return NULL;
}

/* Edges are numbered by node, then by state; a node says its two states, "0_2", the first has no others. */
static bool read_configured_node(Reader *r, const Literal *dict, FormCell *cell, int first_edge) {
    int state = INPUTS + cell->node_count;
    const Literal *inputs = find_key(dict, arena_printf(r->arena, "inputs_node_%s_%d", cell->name, state));
    FormNode *node = genotype_add_node(r->arena, cell, dict->span);
    int sources[2] = {0, 1};
    if (inputs ? sscanf(inputs->text, "%2d_%2d", &sources[0], &sources[1]) != 2 : state != INPUTS) {
        diag_error(r->diag, inputs ? inputs->span : dict->span,
                   "expected 'inputs_node_%s_%d' with two states, as in '0_1'", cell->name, state);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        const char *key = arena_printf(r->arena, "edge_%s_%d", cell->name, first_edge + sources[i]);
        const Literal *operation = find_key(dict, key);
        if (!operation) {
            diag_error(r->diag, inputs ? inputs->span : dict->span, "no '%s' for state %d of node %d", key, sources[i],
                       state);
            return false;
        }
        FormEdge edge = {operation->text, sources[i], operation->span, inputs ? inputs->span : operation->span};
        if (!genotype_add_edge(r->arena, cell, node, edge, r->diag))
            return false;
    }
    return true;
}

static bool read_configured(Reader *r, const Literal *dict) {
    static const char *const names[] = {"normal", "reduce"};
    for (int c = 0; c < 2; c++) {
        FormCell *cell = &r->form->cells[r->form->cell_count++];
        *cell = (FormCell){.name = names[c], .span = dict->span, .inputs = INPUTS};
        for (int i = 0, first = 0; i < NAS_BENCH_301_NODES; first += INPUTS + i, i++)
            if (!read_configured_node(r, dict, cell, first))
                return false;
        if (!read_outputs(r, cell, NULL))
            return false;
    }
    return true;
}

GenotypeForm *genotype_read_python(Arena *arena, const SourceFile *source, size_t at, Diag *diag) {
    const Literal *literal = literal_read(arena, source, at, diag);
    if (!literal)
        return NULL;
    Reader r = {arena, diag, ARENA_NEW(arena, GenotypeForm)};
    r.form->span = literal->span;
    bool configured = literal->kind == LITERAL_dict && find_key(literal, "edge_normal_0");
    bool good = configured                      ? read_configured(&r, literal)
                : literal->kind == LITERAL_list ? read_compact(&r, literal)
                                                : read_fields(&r, literal);
    return good ? r.form : NULL;
}
