/* sema_method.c: the form of search methods. The clauses of a method, and what they may name:
 *
 *     weights(alphas) = ...          alphas: [edges, candidates], or one row of it
 *     perturb(weights) = ...         weights: of the candidates, as `weights` gives them
 *     ascend STEPS(weights, at, gradient) = ...   at: as perturbed so far; STEPS: a parameter of the method
 *     candidate OPERATION(x) = ...   x: what the candidate computes; OPERATION: its name, or a parameter of the method
 *     candidate OPERATION(x, input)  x: what it computes from; input, output or a parameter that is one of them
 *     mixed(x) = ...                 x: the state an edge comes from; the channels C and the stride of the edge
 *     edge(x, mixed) = ...           likewise; mixed: the weighted sum of its candidates, or what `mixed` makes of it
 *     edge(x, mixed, weights) = ...  weights: those of its candidates
 *     node(betas) = ...              betas: one number for each edge of a node
 *     run chosen                     the candidate of the largest weight alone is computed
 *     penalty alphas = ...           alphas: those of all cells, one below the other
 *     keep threshold = ...           keep.c: what of the alphas a genotype keeps
 *     frozen_epochs ...              what a search has that does not say it itself
 *
 * A block that returns its value may stand in place of "= ...". */
#include "frontend/lower.h"
#include "frontend/sema.h"

typedef struct ClauseForm {
    const char *name;
    int inputs;       /* names on the left; candidate: behind the operation's */
    bool operation;   /* the left is OPERATION(name), or a number of the method in its place */
    bool further;     /* another name may come behind: where a candidate is taken, input or output; an edge's weights */
    bool repeated;    /* may be given several times */
    bool of_edge;     /* C and stride are known */
    const char *word; /* NAME WORD, and no expression; NULL: another form */
    const char *example;
} ClauseForm;

static const ClauseForm clauses[] = {
    {"weights", 1, false, false, false, false, NULL, "weights(alphas) = softmax(alphas)"},
    {"perturb", 1, false, false, false, false, NULL, "perturb(weights) = softmax(weights + 0.01 * normal())"},
    {"ascend", 3, true, false, false, false, NULL,
     "ascend STEPS(weights, at, gradient) = softmax(at + 0.01 * gradient)"},
    {"candidate", 1, true, true, true, false, NULL, "candidate skip_connect(x) = x + 0.2 * normal()"},
    {"mixed", 1, false, false, false, true, NULL, "mixed(x) = candidates(relu(x))"},
    {"edge", 2, false, true, false, true, NULL, "edge(x, mixed) = mixed + x"},
    {"node", 1, false, false, false, false, NULL, "node(betas) = softmax(betas)"},
    {"run", 0, false, false, false, false, "chosen", "run chosen"},
    {"penalty", 1, false, false, true, false, NULL, "penalty alphas = 0.1 * mean(alphas * alphas)"},
    {"frozen_epochs", 0, false, false, false, false, NULL, "frozen_epochs 15"},
    {"keep", 0, false, false, false, false, NULL, NULL}, /* keep.c */
};
enum { CLAUSE_COUNT = sizeof clauses / sizeof clauses[0] };

static const ClauseForm *find_clause(const char *name) {
    for (int i = 0; i < CLAUSE_COUNT; i++)
        if (str_equal(clauses[i].name, name))
            return &clauses[i];
    return NULL;
}

/* The names on the left of a clause, from `first` on; NULL when it is of another form. */
static const Ast *clause_names(const ClauseForm *clause, const Ast *left, int *first) {
    *first = clause->operation;
    if (clause->inputs == 1 && !clause->operation)
        return left->kind == AST_name ? left : NULL;
    int least = clause->operation + clause->inputs;
    if (left->kind != (clause->operation ? AST_call : AST_list) || left->count < least ||
        left->count > least + clause->further)
        return NULL;
    for (int i = 0; i < left->count; i++)
        if (left->kids[i]->kind != AST_name)
            return NULL;
    return left;
}

static void check_body(Sema *s, Scope *scope, const Ast *rule) {
    const Ast *body = rule->kids[1];
    if (body->kind != AST_block) {
        sema_check_expression(s, scope, body);
        return;
    }
    sema_check_block(s, scope, body);
    if (!sema_returns(body))
        diag_error(s->diag, rule->name_span, "'%s' returns nothing", rule->name);
}

/* The names that a clause without any on its left sees, and others besides theirs. */
static Scope clause_scope(Sema *s, const Ast *method, const ClauseForm *clause, const Ast *rule) {
    Scope scope = {.names = str_map_create(s->arena), .clause = true};
    for (int i = 0; method->kids[0] && i < method->kids[0]->count; i++)
        str_map_set(&scope.names, method->kids[0]->kids[i]->name, method->kids[0]->kids[i]);
    for (int i = 0; clause->of_edge && i < CLAUSE_EDGE_NAME_COUNT; i++)
        str_map_set(&scope.names, clause_edge_names[i], (void *)rule);
    return scope;
}

/* Where x is of a candidate: a parameter of the method says it, or the word. */
static void check_place(Sema *s, const Scope *scope, const Ast *place) {
    bool word = str_equal(place->name, "input") || str_equal(place->name, "output");
    if (!word && !str_map_get(&scope->names, place->name))
        diag_error(s->diag, place->span, "a candidate's 'input' or 'output', not '%s'", place->name);
}

static void check_clause(Sema *s, const Ast *method, const ClauseForm *clause, const Ast *rule) {
    if (clause->word) {
        const Ast *word = rule->kind == AST_setting && !rule->integer ? rule->kids[0] : NULL;
        if (!word || word->kind != AST_name || !str_equal(word->name, clause->word))
            diag_error(s->diag, rule->span, "'%s' of a method is written as in  %s", clause->name, clause->example);
        return;
    }
    int first = 0;
    Scope scope = clause_scope(s, method, clause, rule);
    if (!clause->inputs && rule->kind == AST_setting) {
        sema_check_expression(s, &scope, rule->kids[0]);
        return;
    }
    bool named = clause->inputs && rule->kind == AST_rule;
    const Ast *names = named ? clause_names(clause, rule->kids[0], &first) : NULL;
    if (!names) {
        diag_error(s->diag, rule->span, "'%s' of a method is written as in  %s", clause->name, clause->example);
        return;
    }
    if (clause->operation && !str_map_get(&scope.names, names->kids[0]->name))
        sema_check_operation(s, NULL, names->kids[0]);
    bool place = clause->operation && names->count > first + clause->inputs;
    if (place)
        check_place(s, &scope, names->kids[names->count - 1]);
    for (int i = first; i < names->count - place; i++)
        str_map_set(&scope.names, names->kids[i]->name, (void *)names->kids[i]);
    if (names->kind == AST_name)
        str_map_set(&scope.names, names->name, (void *)names);
    check_body(s, &scope, rule);
}

/* *i: the clause's last part. */
static void check_keep(Sema *s, const Ast *method, const ClauseForm *clause, int *i) {
    Scope scope = clause_scope(s, method, clause, method->kids[1]->kids[*i]);
    int count;
    KeepItem *items = keep_read(s->arena, method->kids[1], i, &count, s->diag);
    for (int k = 0; k < count; k++) {
        if (items[k].operation && !str_map_get(&scope.names, items[k].operation->name))
            sema_check_operation(s, NULL, items[k].operation);
        sema_check_expression(s, &scope, items[k].value);
    }
    --*i;
}

static bool is_repeated(const Ast *section, int i) {
    for (int k = 0; k < i; k++)
        if (str_equal(section->kids[k]->name, section->kids[i]->name))
            return true;
    return false;
}

void sema_check_method(Sema *s, const Ast *method) {
    const char *names[CLAUSE_COUNT];
    for (int i = 0; i < CLAUSE_COUNT; i++)
        names[i] = clauses[i].name;
    const Ast *section = method->kids[1];
    for (int i = 0; i < section->count && !diag_is_full(s->diag); i++) {
        const Ast *rule = section->kids[i];
        const ClauseForm *clause = find_clause(rule->name);
        if (!clause)
            diag_error(s->diag, rule->name_span, "unknown clause '%s' of a method%s", rule->name,
                       diag_choices(s->arena, rule->name, names, CLAUSE_COUNT));
        else if (is_repeated(section, i) && !clause->repeated)
            diag_error(s->diag, rule->name_span, "'%s' is given twice", rule->name);
        else if (str_equal(clause->name, "keep"))
            check_keep(s, method, clause, &i);
        else
            check_clause(s, method, clause, rule);
    }
}
