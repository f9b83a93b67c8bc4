/* space.c: search spaces. The cell of a space has a mixed operation from every input and every earlier node to each
 * node: %1 = mixed %x, %w {candidates=[@max_pool_3x3_16_1, ...], name="cells.0._ops.3"} weighted by the softmax of a
 * row of alphas_KIND, KIND being the cell's name (normal, reduce). Edges may have candidates of their own
 * ("edge normal(0, 2) = [...]"); the alphas then have as many columns as the longest list, and shorter ones take the
 * first of their row. */
#include "base/scan.h"
#include "frontend/lower.h"

#include <string.h>

typedef struct Space {
    const Ast *definition;
    int inputs, nodes, keep;
    const Ast *candidates, *output;
    const Ast *names; /* of the parameters of an edge, or NULL */
    int kind_count;
    const char **kinds;
} Space;

static const Ast *find_kind(const Ast *section, AstKind kind, const char *name) {
    for (int i = 0; i < section->count; i++)
        if (section->kids[i]->kind == kind && str_equal(section->kids[i]->name, name))
            return section->kids[i];
    return NULL;
}

static const Ast *find_setting(const Ast *section, const char *name) {
    return find_kind(section, AST_setting, name);
}

static int read_int(Lower *l, Frame *f, const Ast *definition, const char *name, int otherwise) {
    const Ast *cell = find_kind(definition, AST_section, "cell"), *setting = cell ? find_setting(cell, name) : NULL;
    Value value = setting ? lower_eval(l, f, setting->kids[0]) : value_int(otherwise);
    lower_override(l, "space", name, &value);
    if (value.kind == VALUE_int && value.i >= 0 && value.i <= 64)
        return (int)value.i;
    if (value.kind != VALUE_error)
        lower_error(l, f, setting ? setting->span : definition->name_span, "'%s' of a cell is an integer from 0 to 64",
                    name);
    return otherwise;
}

static Space read_space(Lower *l, Frame *f, const Ast *definition) {
    const Ast *cell = find_kind(definition, AST_section, "cell"), *output = cell ? find_setting(cell, "output") : NULL;
    const Ast *candidates = find_setting(definition, "candidates"), *kinds = find_setting(definition, "cells");
    Space space = {.definition = definition,
                   .candidates = candidates ? candidates->kids[0] : NULL,
                   .names = cell ? find_setting(cell, "names") : NULL};
    lower_spend(l, f, definition->span, definition->count);
    space.inputs = read_int(l, f, definition, "inputs", 2);
    space.nodes = read_int(l, f, definition, "nodes", 4);
    space.keep = read_int(l, f, definition, "keep", 2);
    space.output = output ? output->kids[0] : NULL;
    static const char *const usual[] = {"normal", "reduce"};
    const Ast *list = kinds && kinds->kids[0]->kind == AST_list ? kinds->kids[0] : NULL;
    space.kind_count = list ? list->count : 2;
    space.kinds = ARENA_ARRAY(l->arena, const char *, space.kind_count + 1);
    for (int i = 0; i < space.kind_count; i++)
        space.kinds[i] = !list ? usual[i] : list->kids[i]->kind == AST_name ? list->kids[i]->name : "";
    return space;
}

static int count_edges(const Space *space) {
    int edges = 0;
    for (int i = 0; i < space->nodes; i++)
        edges += space->inputs + i;
    return edges;
}

/* ---- candidates ---- */
/* "edge KIND(from, to) = [...]" */
static const Ast *edge_candidates(Lower *l, Frame *f, const Space *space, const char *kind, int from, int to) {
    const Ast *found = space->candidates;
    lower_spend(l, f, space->definition->span, space->definition->count);
    for (int i = 0; i < space->definition->count; i++) {
        const Ast *rule = space->definition->kids[i];
        if (rule->kind != AST_rule || !str_equal(rule->name, "edge"))
            continue;
        const Ast *call = rule->kids[0];
        if (call->kind != AST_call || call->count != 3 || !str_equal(call->kids[0]->name, kind))
            continue;
        Value a = lower_eval(l, f, call->kids[1]), b = lower_eval(l, f, call->kids[2]);
        if (a.kind == VALUE_int && b.kind == VALUE_int && a.i == from && b.i == to)
            found = rule->kids[1];
    }
    return found;
}

/* `sep_conv(3, 1)` has none, `op sep_conv_3x3 = sep_conv(3, 1)` has: a genotype says it again. */
static bool has_own_name(const Value *candidate) {
    const Stage *stage = candidate->kind == VALUE_stage ? candidate->stage : NULL;
    return stage && stage->kind == STAGE_op &&
           (stage->args.count == 0 || !str_equal(stage->name, stage->definition->name));
}

/* Operations of a candidate list. */
static Value eval_candidates(Lower *l, Frame *f, const Ast *list) {
    Value value = list ? lower_eval(l, f, list) : value_list(0, NULL);
    if (value.kind == VALUE_error)
        return value;
    Span span = list ? list->span : (Span){0};
    if (value.kind != VALUE_list || value.count == 0)
        return lower_error(l, f, span, "an edge needs a list of at least one candidate");
    for (int i = 0; i < value.count; i++) {
        const Value *item = &value.items[i];
        bool called = item->kind == VALUE_stage && item->stage->kind == STAGE_op;
        if (!has_own_name(item))
            return lower_error(l, f, list->kind == AST_list ? list->kids[i]->span : span,
                               "a candidate is an operation with a name of its own, not %s%s", value_kind_name(item),
                               called ? " with arguments: op NAME = OPERATION(...)" : "");
    }
    return value;
}

static int longest_list(Lower *l, Frame *f, const Space *space, const char *kind) {
    int longest = 0;
    for (int node = 0; node < space->nodes; node++)
        for (int from = 0; from < space->inputs + node; from++) {
            Value list = eval_candidates(l, f, edge_candidates(l, f, space, kind, from, space->inputs + node));
            if (list.kind == VALUE_list && list.count > longest)
                longest = list.count;
        }
    return longest;
}

/* "after max_pool_3x3 = bn1: batch_norm" */
static const Ast *find_after(const Space *space, const char *op) {
    for (int i = 0; i < space->definition->count; i++) {
        const Ast *rule = space->definition->kids[i];
        if (rule->kind == AST_rule && str_equal(rule->name, "after") && rule->kids[0]->kind == AST_name &&
            str_equal(rule->kids[0]->name, op))
            return rule;
    }
    return NULL;
}

static const char *candidate_graph(Lower *l, Frame *f, const Space *space, const Stage *op, const IrType *input,
                                   Span span) {
    Instance *instance = lower_instance(l, f, op, 1, input, span);
    const Ast *after = find_after(space, op->name);
    if (instance && after) {
        Value stage = lower_eval(l, f, after->kids[1]);
        instance = stage.kind == VALUE_stage ? lower_instance_after(l, f, instance, after, stage.stage) : NULL;
        if (stage.kind != VALUE_stage && stage.kind != VALUE_error)
            lower_error(l, f, after->kids[1]->span, "expected an operation, found %s", value_kind_name(&stage));
    }
    IrGraph *graph = instance ? lower_candidate_clauses(l, op->name, instance->graph) : NULL;
    return graph ? graph->name : NULL;
}

/* ---- cells ---- */
static bool has_ragged_edges(const Space *space) {
    return find_kind(space->definition, AST_rule, "edge") != NULL;
}

static IrNode *architecture_parameter(Lower *l, const char *name, int rank, const int64_t *shape) {
    IrAttr attrs[] = {ir_attr_string("name", name), ir_attr_string("kind", "alpha"), ir_attr_string("init", "normal"),
                      ir_attr_float("scale", 1e-3)};
    return ir_build0(&l->target->builder, OP_param, ir_type(DTYPE_f32, rank, shape), 4, attrs);
}

static void add_alphas(Lower *l, Frame *f, const Space *space, const char *kind) {
    int64_t shape[] = {count_edges(space), longest_list(l, f, space, kind)};
    Alphas *alphas = ARENA_NEW(l->arena, Alphas);
    if (shape[1])
        alphas->parameter = architecture_parameter(l, arena_printf(l->arena, "alphas_%s", kind), 2, shape);
    str_map_set(&l->alphas, kind, alphas);
}

/* Where edges have weights too, the parameters of all cells are made with the first cell, for their order: alphas_normal,
 * alphas_reduce, betas_normal, betas_reduce. */
static void add_betas(Lower *l, Frame *f, const Space *space) {
    int64_t edges = count_edges(space);
    for (int i = 0; i < space->kind_count; i++)
        add_alphas(l, f, space, space->kinds[i]);
    const char **names = ARENA_ARRAY(l->arena, const char *, space->kind_count);
    for (int i = 0; i < space->kind_count; i++) {
        Alphas *alphas = str_map_get(&l->alphas, space->kinds[i]);
        names[i] = arena_printf(l->arena, "betas_%s", space->kinds[i]);
        alphas->betas = architecture_parameter(l, names[i], 1, &edges);
    }
    ir_module_set(l->module, "space.betas", ir_attr_symbols("", space->kind_count, names),
                  space->definition->name_span);
}

/* The architecture parameters of a kind of cell and the weights of its candidates, once in the graph. NULL after a
 * mistake. */
static const Alphas *cell_alphas(Lower *l, Frame *f, const Space *space, const char *kind) {
    if (!str_map_get(&l->alphas, kind)) {
        if (lower_weighs_edges(l))
            add_betas(l, f, space);
        else
            add_alphas(l, f, space, kind);
    }
    Alphas *alphas = str_map_get(&l->alphas, kind);
    const char *name = arena_printf(l->arena, "alphas_%s", kind);
    if (alphas->parameter && !has_ragged_edges(space) && !alphas->weights)
        alphas->weights = lower_perturb(l, name, lower_weigh(l, name, alphas->parameter));
    return alphas->parameter && (has_ragged_edges(space) || alphas->weights) ? alphas : NULL;
}

static IrNode *edge_weights(Lower *l, const Alphas *alphas, const char *kind, int edge, int count) {
    IrBuilder *b = &l->target->builder;
    IrAttr at[] = {ir_attr_int("axis", 0), ir_attr_int("at", edge)};
    if (alphas->weights)
        return ir_build1(b, OP_index, alphas->weights, 2, at);
    IrNode *row = ir_build1(b, OP_index, alphas->parameter, 2, at);
    IrAttr part[] = {ir_attr_int("axis", 0), ir_attr_int("begin", 0), ir_attr_int("end", count)};
    if (row->type.dim[0] != count)
        row = ir_build1(b, OP_slice, row, 3, part);
    const char *name = arena_printf(l->arena, "alphas_%s.%d", kind, edge);
    return lower_perturb(l, name, lower_weigh(l, name, row));
}

typedef struct SuperCell {
    Space space;
    const char *kind;
    const Alphas *alphas;
    Value stride; /* of edges from inputs */
    int edge;
} SuperCell;

/* An edge at work. */
typedef struct SuperEdge {
    const SuperCell *cell;
    const Ast *candidates; /* as the text has them */
    Value list;            /* of operations */
    const char *name;      /* "cells.0._ops.3" */
    const char *params;    /* what its candidates' parameters are called below it; NULL: _ops.I */
    IrNode *x;             /* the state it comes from */
    bool computed;         /* its candidates */
    IrNode *weights;       /* of them, once they are computed */
} SuperEdge;

/* Where a space of the text has the candidates of an edge that cannot be made; index -1: all of them. */
static void note_candidates(Lower *l, const Ast *list, int index, const char *name) {
    const Ast *place = list->kind == AST_list && index >= 0 ? list->kids[index] : list;
    if (place->span.file == l->text)
        diag_note(l->diag, place->span, index >= 0 ? "'%s' is a candidate here" : "the candidates are here", name);
}

/* The functions of an edge's candidates for what x is; NULL after a mistake. */
static const char **candidate_graphs(Lower *l, Frame *f, const SuperEdge *edge, const IrNode *x, Span span) {
    const char **symbols = ARENA_ARRAY(l->arena, const char *, edge->list.count);
    for (int i = 0; i < edge->list.count; i++)
        if (!(symbols[i] = candidate_graph(l, f, &edge->cell->space, edge->list.items[i].stage, &x->type, span))) {
            note_candidates(l, edge->candidates, i, edge->list.items[i].stage->name);
            return NULL;
        }
    return symbols;
}

/* Candidates of a part of the channels are made for that part. */
static Frame *candidates_frame(Lower *l, Frame *f, const SuperEdge *edge, const IrNode *x, Span span) {
    if (x == edge->x)
        return f;
    Frame *frame = lower_frame(l, f, NULL, span);
    lower_set_variable(l, frame, "C", value_int(x->type.dim[x->type.rank - 1]));
    return frame;
}

Value lower_candidates(Lower *l, Frame *f, IrNode *x, Span span) {
    SuperEdge *edge = l->edge;
    if (edge->computed)
        return lower_error(l, f, span, "the candidates of an edge are computed once");
    edge->computed = true;
    const SuperCell *cell = edge->cell;
    Frame *frame = candidates_frame(l, f, edge, x, span);
    const char **symbols = candidate_graphs(l, frame, edge, x, span);
    l->target->builder.span = span;
    IrNode *weights = symbols ? edge_weights(l, cell->alphas, cell->kind, cell->edge, edge->list.count) : NULL;
    if (!weights)
        return (Value){.kind = VALUE_error};
    edge->weights = weights;
    IrAttr attrs[4] = {ir_attr_symbols("candidates", edge->list.count, symbols), ir_attr_string("name", edge->name)};
    int attr_count = 2;
    if (edge->params)
        attrs[attr_count++] = ir_attr_string("params", edge->params);
    if (lower_runs_chosen(l))
        attrs[attr_count++] = ir_attr_bool("chosen", true);
    IrNode *mixed = ir_build2(&l->target->builder, OP_mixed, x, weights, attr_count, attrs);
    if (mixed)
        return value_tensor(mixed);
    lower_note_uses(l, f);
    note_candidates(l, edge->candidates, -1, "");
    return (Value){.kind = VALUE_error};
}

/* What the clauses of methods make of the edge. */
static IrNode *edge_value(Lower *l, Frame *f, SuperEdge *edge) {
    const char *prefix = l->target->prefix;
    l->target->prefix = edge->name;
    l->edge = edge;
    IrNode *mixed = lower_mixed_clause(l, f, edge->x);
    l->edge = NULL;
    mixed = mixed ? lower_edge_clauses(l, f, edge->x, mixed, edge->weights) : NULL;
    l->target->prefix = prefix;
    return mixed;
}

/* cells.0._ops.3, and where its candidates' parameters are called otherwise than _ops.I below it, how: edges.2<-1. False
 * after a mistake. */
static bool name_edge(Lower *l, Frame *f, const SuperCell *cell, int from, int to, const char **name,
                      const char **params) {
    const Ast *names = cell->space.names;
    *name = lower_join(l->arena, l->target->prefix, arena_printf(l->arena, "_ops.%d", cell->edge));
    *params = names ? lower_edge_params(l, f, names->kids[0]->name, cell->edge, from, to, names->span) : NULL;
    return *params || !names;
}

static IrNode *mixed_edge(Lower *l, Frame *f, SuperCell *cell, IrNode *x, int from, int to) {
    lower_set_variable(l, f, "stride", from < cell->space.inputs ? cell->stride : value_int(1));
    SuperEdge edge = {.cell = cell, .candidates = edge_candidates(l, f, &cell->space, cell->kind, from, to), .x = x};
    edge.list = eval_candidates(l, f, edge.candidates);
    if (edge.list.kind != VALUE_list)
        return NULL;
    if (!name_edge(l, f, cell, from, to, &edge.name, &edge.params))
        return NULL;
    IrNode *value = edge_value(l, f, &edge);
    cell->edge++;
    return value;
}

/* What the edges of a node are multiplied by, one for each of count edges from the cell's present one on; NULL: nothing,
 * or there was a mistake. */
static IrNode *node_weights(Lower *l, const SuperCell *cell, int node, int count) {
    if (!cell->alphas->betas)
        return NULL;
    IrAttr part[] = {ir_attr_int("axis", 0), ir_attr_int("begin", cell->edge), ir_attr_int("end", cell->edge + count)};
    IrNode *betas = ir_build1(&l->target->builder, OP_slice, cell->alphas->betas, 3, part);
    return lower_weigh_edges(l, arena_printf(l->arena, "betas_%s.%d", cell->kind, node), betas);
}

/* An edge times its weight in the node. */
static IrNode *weighted(Lower *l, IrNode *edge, IrNode *weights, int at) {
    IrAttr attrs[] = {ir_attr_int("axis", 0), ir_attr_int("at", at)};
    IrNode *weight = ir_build1(&l->target->builder, OP_index, weights, 2, attrs);
    return ir_build2(&l->target->builder, OP_mul, edge, weight, 0, NULL);
}

/* The sum of the mixed operations from all earlier states, added from left to right. */
static Value make_node(Lower *l, Frame *f, SuperCell *cell, const Value *states, int count) {
    IrNode *sum = NULL, *weights = node_weights(l, cell, count - cell->space.inputs, count);
    if (cell->alphas->betas && !weights)
        return (Value){.kind = VALUE_error};
    for (int from = 0; from < count; from++) {
        IrNode *edge = mixed_edge(l, f, cell, states[from].tensor, from, count);
        if (!edge)
            return (Value){.kind = VALUE_error};
        edge = weights ? weighted(l, edge, weights, from) : edge;
        sum = sum ? ir_build2(&l->target->builder, OP_add, sum, edge, 0, NULL) : edge;
        if (!sum)
            return (Value){.kind = VALUE_error};
    }
    return value_tensor(sum);
}

Value lower_apply_super(Lower *l, Frame *f, const Stage *stage, int count, const Value *inputs, const Bindings *named,
                        Span span) {
    Frame *frame = lower_frame(l, f, stage->definition, span);
    const Binding *stride = bindings_find(named, "stride");
    SuperCell cell = {.space = read_space(l, frame, stage->definition),
                      .kind = stage->label,
                      .stride = stride ? stride->value : value_int(1)};
    if (count != cell.space.inputs)
        return lower_error(l, f, span, "a cell of space '%s' takes %d inputs, not %d", stage->definition->name,
                           cell.space.inputs, count);
    l->target->builder.span = span;
    cell.alphas = cell_alphas(l, frame, &cell.space, cell.kind);
    if (!cell.alphas)
        return (Value){.kind = VALUE_error};
    int states = cell.space.inputs + cell.space.nodes;
    Value *state = ARENA_ARRAY(l->arena, Value, states);
    for (int i = 0; i < states; i++) {
        state[i] = i < count ? inputs[i] : make_node(l, frame, &cell, state, i);
        if (state[i].kind == VALUE_error)
            return state[i];
        lower_set_variable(l, frame, arena_printf(l->arena, "s%d", i), state[i]);
    }
    lower_set_variable(l, frame, "nodes", value_list(cell.space.nodes, state + count));
    if (l->depth > MAX_INSIDE)
        return lower_give_up_circle(l, frame, span, "cells", MAX_INSIDE);
    if (cell.space.output) {
        l->depth++;
        Value output = lower_eval(l, frame, cell.space.output);
        l->depth--;
        return output;
    }
    return lower_error(l, f, stage->definition->name_span, "the cell of space '%s' has no output",
                       stage->definition->name);
}

Value lower_space_field(Lower *l, Frame *f, const Ast *definition, const char *name, Span span) {
    Pending pending;
    if (!lower_enter(l, &pending, definition))
        return (Value){.kind = VALUE_error};
    Space space = read_space(l, f, definition);
    lower_leave(l);
    for (int i = 0; i < space.kind_count; i++)
        if (str_equal(space.kinds[i], name)) {
            Stage *stage = ARENA_NEW(l->arena, Stage);
            *stage = (Stage){
                .kind = STAGE_super, .span = span, .name = name, .definition = definition, .label = space.kinds[i]};
            return value_stage(stage);
        }
    return lower_error(l, f, span, "space '%s' has no cell '%s'%s", definition->name, name,
                       diag_choices(l->arena, name, space.kinds, (size_t)space.kind_count));
}

/* ---- settings ---- */
static const char **operation_names(Lower *l, const Value *list) {
    const char **names = ARENA_ARRAY(l->arena, const char *, list->count + 1);
    for (int i = 0; i < list->count; i++)
        names[i] = list->items[i].stage->name;
    return names;
}

/* space.candidates.KIND.EDGE for the edges whose candidates are not the space's. */
static void set_edge_candidates(Lower *l, Frame *f, const Space *space, const char *kind) {
    int edge = 0;
    for (int node = 0; node < space->nodes; node++)
        for (int from = 0; from < space->inputs + node; from++, edge++) {
            const Ast *own = edge_candidates(l, f, space, kind, from, space->inputs + node);
            Value list = own == space->candidates ? value_bool(false) : eval_candidates(l, f, own);
            if (list.kind == VALUE_list)
                ir_module_set(l->module, arena_printf(l->arena, "space.candidates.%s.%d", kind, edge),
                              ir_attr_symbols("", list.count, operation_names(l, &list)), own->span);
        }
}

/* The cell's value as a genotype's cell returns it: nodes written out as a list of states. */
static const char *output_text(Lower *l, const Space *space) {
    static const char word[] = "nodes";
    Str printed = str_create(l->arena), out = str_create(l->arena);
    ast_print(space->output, &printed);
    for (const char *c = printed.data; *c; c++) {
        bool whole = strncmp(c, word, sizeof word - 1) == 0 && !scan_is_word(c[sizeof word - 1]) &&
                     (c == printed.data || !scan_is_word(c[-1]));
        if (!whole) {
            str_add_bytes(&out, c, 1);
            continue;
        }
        for (int i = 0; i < space->nodes; i++)
            str_addf(&out, "%ss%d", i ? ", " : "[", space->inputs + i);
        str_add(&out, "]");
        c += sizeof word - 2;
    }
    return out.data;
}

static bool is_concat_of_nodes(const Ast *output) {
    return output->kind == AST_call && output->count == 2 && output->kids[0]->kind == AST_name &&
           str_equal(output->kids[0]->name, "concat") && output->kids[1]->kind == AST_name &&
           str_equal(output->kids[1]->name, "nodes");
}

void lower_space_settings(Lower *l, Frame *f, const Ast *definition) {
    Space space = read_space(l, f, definition);
    Span span = definition->name_span;
    ir_module_set(l->module, "space.name", ir_attr_string("", definition->name), span);
    const Ast *network = find_setting(definition, "network");
    if (network && network->kids[0]->kind == AST_name)
        ir_module_set(l->module, "space.network", ir_attr_string("", network->kids[0]->name), network->span);
    if (space.output && !is_concat_of_nodes(space.output))
        ir_module_set(l->module, "space.output", ir_attr_string("", output_text(l, &space)), space.output->span);
    ir_module_set(l->module, "space.inputs", ir_attr_int("", space.inputs), span);
    ir_module_set(l->module, "space.nodes", ir_attr_int("", space.nodes), span);
    ir_module_set(l->module, "space.keep", ir_attr_int("", space.keep), span);
    Value list = space.candidates ? eval_candidates(l, f, space.candidates) : value_bool(false);
    if (list.kind == VALUE_list)
        ir_module_set(l->module, "space.candidates", ir_attr_symbols("", list.count, operation_names(l, &list)),
                      space.candidates->span);
    const char **alphas = ARENA_ARRAY(l->arena, const char *, space.kind_count);
    for (int i = 0; i < space.kind_count; i++) {
        alphas[i] = arena_printf(l->arena, "alphas_%s", space.kinds[i]);
        set_edge_candidates(l, f, &space, space.kinds[i]);
    }
    ir_module_set(l->module, "space.alphas", ir_attr_symbols("", space.kind_count, alphas), span);
}
