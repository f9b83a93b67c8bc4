/* method.c: search methods. A search names the methods it uses; what their clauses say becomes part of its supernet:
 *
 *     weights     how the rows of alphas weigh the candidates, in place of the softmax
 *     perturb     what the weights have in their place where the network's weights move (perturb.c)
 *     ascend      and how that goes on
 *     candidate   what is done to the result of a candidate, or to its argument, in training: a function that
 *                 `in_training` calls
 *     mixed       how an edge computes the weighted sum of its candidates from its state, in place of all of the state
 *     edge        what an edge gives, in place of that sum
 *     run         chosen: the candidate of the largest weight alone is computed (mixed with chosen=true)
 *     node        how betas, which are architecture parameters too, weigh the edges of a node
 *     penalty     what is added to the loss of the alphas: the output "penalty" of @forward
 *     frozen_epochs  a setting that holds unless the search has it
 *     keep        what of the alphas a genotype keeps: settings, as is how they are weighed (keep.weights)
 *
 * A clause sees the parameters of its method and what stands on its left; in `mixed` and `edge` C and stride are those
 * of the edge. Draws in it are shaped like what it is about. Clauses of one kind apply in the order of the text. */
#include "frontend/lower.h"

/* ---- method fair_darts, noisy_darts(std = 0.1) ---- */

static void report_unknown(Lower *l, const Ast *name) {
    if (name->kind != AST_name) {
        diag_error(l->diag, name->span, "'method' names methods, as in  method fair_darts");
        return;
    }
    const char **names = ARENA_ARRAY(l->arena, const char *, l->globals->count + 1);
    int count = 0;
    for (size_t i = 0; i < l->globals->count; i++)
        if (((const Ast *)l->globals->entries[i].value)->kind == AST_method)
            names[count++] = l->globals->entries[i].key;
    const char *hint = sema_library_hint(l->arena, l->program, name->name);
    diag_error(l->diag, name->span, "unknown method '%s'%s", name->name,
               *hint ? hint : diag_choices(l->arena, name->name, names, (size_t)count));
}

Frame *lower_clause_frame(Lower *l, Frame *f, const Clause *clause) {
    Frame *frame = lower_frame(l, f, clause->method, clause->use);
    for (int i = 0; i < clause->args.count; i++)
        lower_set_variable(l, frame, clause->args.items[i].name, clause->args.items[i].value);
    return frame;
}

const char *lower_operation_name(Lower *l, const Frame *frame, const Ast *name, Span use) {
    const Value *given = str_map_get(&frame->variables, name->name);
    if (!given || given->kind == VALUE_stage)
        return given ? given->stage->name : name->name;
    diag_error(l->diag, use, "'%s' is a candidate, not %s", name->name, value_kind_name(given));
    return NULL;
}

/* The operation that a clause is about. */
static const char *clause_operation(Lower *l, const Frame *frame, const Clause *clause) {
    return lower_operation_name(l, frame, clause->rule->kids[0]->kids[0], clause->use);
}

/* Whether a clause `candidate` is about the argument: "input", or a parameter of the method that says so. */
static bool is_about_input(Lower *l, const Frame *frame, const Clause *clause) {
    const Ast *left = clause->rule->kids[0];
    if (left->count < 3)
        return false;
    const Value *given = str_map_get(&frame->variables, left->kids[2]->name);
    const char *place = !given ? left->kids[2]->name : given->kind == VALUE_string ? given->s : "";
    if (!str_equal(place, "input") && !str_equal(place, "output"))
        diag_error(l->diag, clause->use, "'%s' is \"input\" or \"output\"", left->kids[2]->name);
    return str_equal(place, "input");
}

Clause *lower_find_clause(const Lower *l, const char *kind) {
    for (int i = 0; i < l->clause_count; i++)
        if (str_equal(l->clauses[i].rule->name, kind))
            return &l->clauses[i];
    return NULL;
}

bool lower_runs_chosen(const Lower *l) {
    return lower_find_clause(l, "run") != NULL;
}

/* What two methods of a search cannot both say; NULL: they may. */
static const char *said_once(const char *kind) {
    static const char *const kinds[][2] = {
        {"weights", "how candidates are weighed"},  {"perturb", "how the weights of candidates are perturbed"},
        {"ascend", "how perturbed weights ascend"}, {"mixed", "how an edge uses its candidates"},
        {"node", "how edges are weighed"},          {"frozen_epochs", "how long alphas are frozen"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (str_equal(kinds[i][0], kind))
            return kinds[i][1];
    return NULL;
}

static void add_clause(Lower *l, Clause clause) {
    const Clause *other = lower_find_clause(l, clause.rule->name);
    const char *once = said_once(clause.rule->name);
    if (other && once) {
        diag_error(l->diag, clause.use, "'%s' and '%s' both say %s", other->method->name, clause.method->name, once);
        return;
    }
    if (str_equal(clause.rule->name, "candidate")) {
        const Frame *frame = lower_clause_frame(l, NULL, &clause);
        const char *op = clause_operation(l, frame, &clause);
        if (!op)
            return;
        clause.about_input = is_about_input(l, frame, &clause);
        lower_check_candidate(l, op, clause.use);
    }
    ARENA_PUSH(l->arena, l->clauses, l->clause_count, l->clause_capacity, clause);
}

static void use_method(Lower *l, const Ast *method, const Bindings *given, Span use) {
    const Ast *params = method->kids[0] ? method->kids[0] : ast_create(l->arena, AST_params, use);
    Bindings args = {0};
    if (!lower_bind(l, lower_frame(l, NULL, method, use), params, given, &args))
        return;
    for (int i = 0; i < method->kids[1]->count;) {
        const Clause clause = {.method = method,
                               .rule = method->kids[1]->kids[i],
                               .args = args,
                               .use = use,
                               .functions = str_map_create(l->arena)};
        if (str_equal(clause.rule->name, "keep"))
            lower_keep(l, lower_clause_frame(l, NULL, &clause), method->kids[1], &i, clause.use);
        else
            add_clause(l, clause), i++;
    }
}

static void add_method(Lower *l, Frame *f, const Ast *use) {
    const Ast *name = use->kind == AST_call ? use->kids[0] : use;
    const Ast *method = name->kind == AST_name ? sema_find_definition(l->globals, l->library, name) : NULL;
    if (!method || method->kind != AST_method) {
        report_unknown(l, name);
        return;
    }
    Arguments arguments = {.span = use->span};
    const Ast *params = method->kids[0] ? method->kids[0] : ast_create(l->arena, AST_params, use->span);
    Bindings given = {0};
    if (use->kind == AST_call && !lower_arguments(l, f, use, &arguments))
        return;
    if (lower_match(l, f, method->name, params, 0, &arguments, &given))
        use_method(l, method, &given, use->span);
}

void lower_use_method_first(Lower *l, const Ast *method, const Bindings *given, Span use) {
    int others = l->clause_count;
    Clause *clauses = l->clauses;
    l->clauses = NULL;
    l->clause_count = l->clause_capacity = 0;
    use_method(l, method, given, use);
    for (int i = 0; i < others; i++)
        add_clause(l, clauses[i]);
}

void lower_methods(Lower *l, Frame *f, const Ast *value) {
    for (int i = 0; value->kind == AST_list && i < value->count; i++)
        add_method(l, f, value->kids[i]);
    if (value->kind != AST_list)
        add_method(l, f, value);
}

void lower_method_settings(Lower *l, const Ast *experiment) {
    const Clause *clause = lower_find_clause(l, "frozen_epochs");
    if (!clause || experiment_setting(experiment, clause->rule->name))
        return;
    Frame *frame = lower_clause_frame(l, NULL, clause);
    lower_setting_expression(l, frame, setting_key(l, "search", clause->rule->name), clause->rule->kids[0]);
}

/* ---- clauses ---- */

static Value eval_body(Lower *l, Frame *frame, const Ast *body) {
    if (body->kind != AST_block)
        return lower_eval(l, frame, body);
    lower_run_block(l, frame, body);
    return frame->returned ? frame->result : (Value){.kind = VALUE_error};
}

/* What a clause gives, of this type (NULL: any); NULL after a mistake. draws: of the random numbers in it; NULL: it has
 * none. */
IrNode *lower_eval_clause(Lower *l, Frame *frame, const Clause *clause, const IrType *type, DrawPlace *draws) {
    const Ast *body = clause->rule->kids[1];
    l->draws = draws;
    l->in_clause = true;
    Value value = eval_body(l, frame, body);
    l->in_clause = false;
    l->draws = NULL;
    if (value.kind == VALUE_tensor && (!type || ir_type_equal(&value.tensor->type, type)))
        return value.tensor;
    if (value.kind == VALUE_tensor)
        lower_error(l, frame, body->span, "'%s' gives %s; expected %s", clause->rule->name,
                    ir_type_string(l->arena, &value.tensor->type), ir_type_string(l->arena, type));
    else if (value.kind != VALUE_error)
        lower_error(l, frame, body->span, "'%s' gives %s; expected a tensor", clause->rule->name,
                    value_kind_name(&value));
    return NULL;
}

/* Weights of the shape of the parameters that they are made of. */
static IrNode *weights_of(Lower *l, const Clause *clause, const char *name, IrNode *parameters) {
    Frame *frame = lower_clause_frame(l, NULL, clause);
    lower_set_variable(l, frame, clause->rule->kids[0]->name, value_tensor(parameters));
    DrawPlace draws = {.type = &parameters->type, .of = name};
    return lower_eval_clause(l, frame, clause, &parameters->type, &draws);
}

static bool has_draws(const IrGraph *graph) {
    for (const IrNode *n = graph->first; n; n = n->next)
        if (n->op == OP_draw || n->op == OP_gumbel)
            return true;
    return false;
}

/* The weights of alphas of this shape as a function of its own, by which genotypes are derived: the setting
 * keep.weights. Where they are drawn there is none: the softmax says how often an operation is drawn by itself. */
static void note_weights(Lower *l, const Clause *clause, const IrType *type) {
    if (!l->weighing)
        l->weighing = ir_module_create(l->arena, "weights");
    const char *name = arena_printf(l->arena, "weights_%d_%lld", type->rank, (long long)type->dim[type->rank - 1]);
    if (ir_graph_find(l->weighing, name))
        return;
    IrGraph *graph = ir_graph_create(l->weighing, name);
    Target *outer = l->target, target;
    lower_begin_target(l, &target, graph, clause->rule->span);
    IrNode *alphas = ir_graph_add_arg(graph, "alphas", *type, clause->rule->span);
    IrNode *weights = weights_of(l, clause, name, alphas);
    l->target = outer;
    if (!weights || has_draws(graph))
        return;
    ir_graph_add_output(graph, "", weights);
    Str text = str_create(l->arena);
    const IrAttr *earlier = ir_module_get(l->module, "keep.weights");
    str_add(&text, earlier ? earlier->s : "");
    ir_print_graph(graph, &text);
    ir_module_set(l->module, "keep.weights", ir_attr_string("", text.data), clause->rule->span);
}

IrNode *lower_weigh(Lower *l, const char *name, IrNode *alphas) {
    const Clause *clause = lower_find_clause(l, "weights");
    if (!clause)
        return ir_build1(&l->target->builder, OP_softmax, alphas, 0, NULL);
    IrNode *weights = weights_of(l, clause, name, alphas);
    if (weights)
        note_weights(l, clause, &alphas->type);
    return weights;
}

bool lower_weighs_edges(const Lower *l) {
    return lower_find_clause(l, "node") != NULL;
}

IrNode *lower_weigh_edges(Lower *l, const char *name, IrNode *betas) {
    return weights_of(l, lower_find_clause(l, "node"), name, betas);
}

const char *const clause_edge_names[CLAUSE_EDGE_NAME_COUNT] = {"C", "stride"};

/* The frame of a clause about an edge of the cell f. */
static Frame *edge_frame(Lower *l, Frame *f, const Clause *clause) {
    Frame *frame = lower_clause_frame(l, f, clause);
    for (int i = 0; i < CLAUSE_EDGE_NAME_COUNT; i++) {
        Value value;
        const char *name = clause_edge_names[i];
        if (!bindings_find(&clause->args, name) && lower_lookup(f, l->arena, name, &value))
            lower_set_variable(l, frame, name, value);
    }
    return frame;
}

IrNode *lower_mixed_clause(Lower *l, Frame *f, IrNode *x) {
    const Clause *clause = lower_find_clause(l, "mixed");
    if (!clause) {
        Value sum = lower_candidates(l, f, x, f->call);
        return sum.kind == VALUE_tensor ? sum.tensor : NULL;
    }
    Frame *frame = edge_frame(l, f, clause);
    lower_set_variable(l, frame, clause->rule->kids[0]->name, value_tensor(x));
    return lower_eval_clause(l, frame, clause, NULL, NULL);
}

IrNode *lower_edge_clauses(Lower *l, Frame *f, IrNode *x, IrNode *mixed, IrNode *weights) {
    for (int i = 0; mixed && i < l->clause_count; i++) {
        const Clause *clause = &l->clauses[i];
        if (!str_equal(clause->rule->name, "edge"))
            continue;
        const Ast *names = clause->rule->kids[0];
        Frame *frame = edge_frame(l, f, clause);
        lower_set_variable(l, frame, names->kids[0]->name, value_tensor(x));
        lower_set_variable(l, frame, names->kids[1]->name, value_tensor(mixed));
        if (names->count > 2 && !weights) {
            lower_error(l, frame, names->kids[2]->span, "the edge has no candidates, so no weights of them");
            return NULL;
        }
        if (names->count > 2)
            lower_set_variable(l, frame, names->kids[2]->name, value_tensor(weights));
        mixed = lower_eval_clause(l, frame, clause, &mixed->type, NULL);
    }
    return mixed;
}

/* ---- candidates ---- */

/* Among the clauses that do something to candidates, from 1. */
static int clause_number(const Lower *l, const Clause *clause) {
    int number = 1;
    for (const Clause *c = l->clauses; c < clause; c++)
        number += str_equal(c->rule->name, "candidate");
    return number;
}

IrGraph *lower_begin_clause_graph(Lower *l, const Clause *clause, const char *stem, Target *target) {
    const char *name = stem;
    for (int i = 2; ir_graph_find(l->module, name); i++)
        name = arena_printf(l->arena, "%s_%d", stem, i);
    IrGraph *graph = ir_graph_create(l->module, name);
    graph->span = clause->rule->span;
    lower_begin_target(l, target, graph, clause->rule->span);
    return graph;
}

const char *lower_end_clause_graph(Lower *l, Frame *frame, Clause *clause, const char *key, IrGraph *graph,
                                   IrNode *result) {
    if (!result || !lower_measure(l, frame, clause->rule->span, graph))
        return NULL;
    ir_graph_add_output(graph, "", result);
    str_map_set(&clause->functions, key, (void *)graph->name);
    return graph->name;
}

/* graph @METHOD_OPERATION_C(%x: T) -> T: what the clause makes of x. */
static const char *clause_function(Lower *l, Frame *frame, Clause *clause, const char *op, const IrType *type) {
    const char *key = ir_type_string(l->arena, type), *known = str_map_get(&clause->functions, key);
    if (known)
        return known;
    const char *stem =
        arena_printf(l->arena, "%s_%s_%lld", clause->method->name, op, (long long)type->dim[type->rank - 1]);
    Target *outer = l->target, target;
    IrGraph *graph = lower_begin_clause_graph(l, clause, stem, &target);
    IrNode *x = ir_graph_add_arg(graph, "x", *type, clause->rule->span);
    lower_set_variable(l, frame, clause->rule->kids[0]->kids[1]->name, value_tensor(x));
    DrawPlace draws = {.type = type, .clause = clause_number(l, clause)};
    IrNode *result = lower_eval_clause(l, frame, clause, type, &draws);
    l->target = outer;
    return lower_end_clause_graph(l, frame, clause, key, graph, result);
}

/* graph @CANDIDATE_METHOD(%x: T) -> U { %1 = call %x {callee=[@CANDIDATE]}   return in_training %1 {callee=[@FUNCTION]} }
 * or, of the argument, the other way around. */
static IrGraph *wrap(Lower *l, const IrGraph *candidate, const char *function, const Clause *clause) {
    const char *name = arena_printf(l->arena, "%s_%s", candidate->name, clause->method->name);
    IrGraph *graph = ir_graph_find(l->module, name);
    if (graph)
        return graph;
    graph = ir_graph_create(l->module, name);
    graph->span = clause->rule->span;
    IrBuilder b = {.graph = graph, .diag = l->diag, .span = graph->span};
    IrNode *x = ir_graph_add_arg(graph, "x", candidate->args[0]->type, graph->span);
    IrAttr call[] = {ir_attr_symbols("callee", 1, (const char *[]){candidate->name}), ir_attr_string("name", "")};
    IrAttr apply[] = {ir_attr_symbols("callee", 1, &function), ir_attr_string("name", "")};
    IrNode *first =
        clause->about_input ? ir_build1(&b, OP_in_training, x, 2, apply) : ir_build1(&b, OP_call, x, 2, call);
    ir_graph_add_output(graph, "",
                        clause->about_input ? ir_build1(&b, OP_call, first, 2, call)
                                            : ir_build1(&b, OP_in_training, first, 2, apply));
    return graph;
}

IrGraph *lower_candidate_clauses(Lower *l, const char *op, IrGraph *candidate) {
    for (int i = 0; candidate && i < l->clause_count; i++) {
        Clause *clause = &l->clauses[i];
        if (!str_equal(clause->rule->name, "candidate"))
            continue;
        Frame *frame = lower_clause_frame(l, NULL, clause);
        if (!str_equal(clause_operation(l, frame, clause), op))
            continue;
        const IrNode *about = clause->about_input ? candidate->args[0] : candidate->outputs[0].value;
        const char *function = clause_function(l, frame, clause, op, &about->type);
        candidate = function ? wrap(l, candidate, function, clause) : NULL;
    }
    return candidate;
}

/* ---- penalties ---- */

/* The alphas of all cells, one below the other. */
static IrNode *all_alphas(Lower *l, Frame *frame, Span span) {
    int count = (int)l->alphas.count;
    IrNode **nodes = ARENA_ARRAY(l->arena, IrNode *, count);
    for (int i = 0; i < count; i++) {
        nodes[i] = ((const Alphas *)l->alphas.entries[i].value)->parameter;
        if (nodes[i]->type.dim[1] != nodes[0]->type.dim[1]) {
            lower_error(l, frame, span, "a penalty needs cells whose edges have equally many candidates");
            return NULL;
        }
    }
    IrAttr axis = ir_attr_int("axis", 0);
    return count == 1 ? nodes[0] : ir_build(&l->target->builder, OP_concat, NULL, count, nodes, 1, &axis);
}

void lower_penalties(Lower *l) {
    IrType scalar = ir_type_scalar();
    IrNode *sum = NULL;
    for (int i = 0; l->alphas.count && i < l->clause_count; i++) {
        const Clause *clause = &l->clauses[i];
        if (!str_equal(clause->rule->name, "penalty"))
            continue;
        l->target->builder.span = clause->rule->span;
        Frame *frame = lower_clause_frame(l, NULL, clause);
        IrNode *alphas = all_alphas(l, frame, clause->rule->span);
        lower_set_variable(l, frame, clause->rule->kids[0]->name, value_tensor(alphas));
        IrNode *penalty = alphas ? lower_eval_clause(l, frame, clause, &scalar, NULL) : NULL;
        if (!penalty)
            return;
        sum = sum ? ir_build2(&l->target->builder, OP_add, sum, penalty, 0, NULL) : penalty;
    }
    if (sum)
        ir_graph_add_output(l->target->builder.graph, "penalty", sum);
}
