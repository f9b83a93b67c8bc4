/* perturb.c: the clauses `perturb` and `ascend` of search methods: functions of the weights of candidates,
 *     graph @METHOD_perturb_alphas_normal(%weights: T) -> T
 *     graph @METHOD_ascend_alphas_normal(%weights: T, %at: T, %gradient: T) -> T
 * and the op that names them, %2 = perturb %weights {start=..., ascent=..., steps=...}, between the weights and their use. */
#include "frontend/lower.h"

enum { MOST_STEPS = 100 };

/* The names on its left, as arguments of the graph. */
static void add_arguments(Lower *l, Frame *frame, const Clause *clause, IrGraph *graph, const IrType *type) {
    const Ast *left = clause->rule->kids[0];
    bool one = left->kind == AST_name;
    for (int i = one ? 0 : 1; i < (one ? 1 : left->count); i++) {
        const char *name = one ? left->name : left->kids[i]->name;
        lower_set_variable(l, frame, name, value_tensor(ir_graph_add_arg(graph, name, *type, clause->rule->span)));
    }
}

/* The function that the clause is for weights of this type; NULL after a mistake. */
static const char *clause_function(Lower *l, Clause *clause, const char *parameters, const IrType *type) {
    const char *known = str_map_get(&clause->functions, parameters);
    if (known)
        return known;
    const char *stem = arena_printf(l->arena, "%s_%s_%s", clause->method->name, clause->rule->name, parameters);
    Target *outer = l->target, target;
    IrGraph *graph = lower_begin_clause_graph(l, clause, stem, &target);
    Frame *frame = lower_clause_frame(l, NULL, clause);
    add_arguments(l, frame, clause, graph, type);
    /* What `weights` draws has the first names. */
    DrawPlace draws = {.type = type, .of = parameters, .clause = lower_find_clause(l, "weights") ? 2 : 1};
    bool may_draw = str_equal(clause->rule->name, "perturb");
    IrNode *result = lower_eval_clause(l, frame, clause, type, may_draw ? &draws : NULL);
    l->target = outer;
    return lower_end_clause_graph(l, frame, clause, parameters, graph, result);
}

/* 0 after a mistake. */
static int64_t steps_of(Lower *l, const Clause *clause) {
    const char *name = clause->rule->kids[0]->kids[0]->name;
    Frame *frame = lower_clause_frame(l, NULL, clause);
    const Value *steps = str_map_get(&frame->variables, name);
    if (steps && steps->kind == VALUE_int && steps->i >= 1 && steps->i <= MOST_STEPS)
        return steps->i;
    diag_error(l->diag, clause->use, "'%s' says how often '%s' ascends: a parameter of it, 1 to %d", name,
               clause->method->name, MOST_STEPS);
    return 0;
}

IrNode *lower_perturb(Lower *l, const char *name, IrNode *weights) {
    Clause *perturb = lower_find_clause(l, "perturb"), *ascend = lower_find_clause(l, "ascend");
    if (!weights || (!perturb && !ascend))
        return weights;
    if (lower_runs_chosen(l)) {
        const Clause *clause = perturb ? perturb : ascend;
        diag_error(l->diag, clause->use,
                   "'%s' of '%s' needs all candidates; another method runs only those that are chosen",
                   clause->rule->name, clause->method->name);
        return NULL;
    }
    IrAttr attrs[4] = {ir_attr_string("name", name)};
    int count = 1;
    const char *start = perturb ? clause_function(l, perturb, name, &weights->type) : NULL;
    const char *ascent = ascend ? clause_function(l, ascend, name, &weights->type) : NULL;
    int64_t steps = ascend ? steps_of(l, ascend) : 0;
    if ((perturb && !start) || (ascend && (!ascent || !steps)))
        return NULL;
    if (start)
        attrs[count++] = ir_attr_symbols("start", 1, &start);
    if (ascent) {
        attrs[count++] = ir_attr_symbols("ascent", 1, &ascent);
        attrs[count++] = ir_attr_int("steps", steps);
    }
    return ir_build1(&l->target->builder, OP_perturb, weights, count, attrs);
}
