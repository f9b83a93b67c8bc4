/* keep.c: the clause `keep` of a method: what of the alphas a genotype keeps.
 *
 *     keep threshold = 0.85  most = 2 per node  most skip_connect = 2
 *
 * Its words stand one after the other among the clauses, as `keep 2 per node` does in the cell of a space. */
#include "frontend/lower.h"

static const char example[] = "keep threshold = 0.85  most = 2 per node  most skip_connect = 2";

static bool is_assignment(const Ast *kid, const char *name) {
    return kid->kind == AST_setting && kid->integer && (!name || str_equal(kid->name, name));
}

/* `per node`, `per edge` behind most = N. */
static bool read_per(const Ast *section, int *at, KeepItem *item) {
    const Ast *per = *at < section->count ? section->kids[*at] : NULL;
    bool given = per && per->kind == AST_setting && !per->integer && str_equal(per->name, "per") &&
                 per->kids[0]->kind == AST_name;
    if (!given || !(str_equal(per->kids[0]->name, "node") || str_equal(per->kids[0]->name, "edge")))
        return false;
    item->key = str_equal(per->kids[0]->name, "node") ? "keep.per_node" : "keep.per_edge";
    ++*at;
    return true;
}

/* WORD = VALUE, or WORD OPERATION = VALUE. *at: what comes after. */
static bool read_item(const Ast *section, const char *word, const Ast *operation, const Ast *value, int *at,
                      KeepItem *item) {
    *item = (KeepItem){.operation = operation, .value = value};
    if (str_equal(word, "threshold") && !operation)
        item->key = "keep.threshold";
    else if (!str_equal(word, "most") || (operation && operation->kind != AST_name))
        return false;
    return item->key || operation || read_per(section, at, item);
}

/* The word behind `keep` belongs to the same part of the tree. */
static bool read_first(Arena *arena, const Ast *section, int *at, KeepItem *item) {
    const Ast *kid = section->kids[(*at)++], *left = kid->count ? kid->kids[0] : NULL;
    if (!left || left->kind != AST_name || is_assignment(kid, NULL))
        return false;
    if (kid->kind == AST_rule)
        return read_item(section, left->name, NULL, kid->kids[1], at, item);
    const Ast *next = *at < section->count ? section->kids[*at] : NULL;
    if (kid->kind != AST_setting || !next || !is_assignment(next, NULL))
        return false;
    ++*at;
    Ast *operation = ast_create(arena, AST_name, next->name_span);
    operation->name = next->name;
    return read_item(section, left->name, operation, next->kids[0], at, item);
}

/* Whether the word goes on with the clause. */
static bool is_next(const Ast *section, int at) {
    const Ast *kid = at < section->count ? section->kids[at] : NULL;
    return kid && (is_assignment(kid, "threshold") || is_assignment(kid, "most") ||
                   (kid->kind == AST_rule && str_equal(kid->name, "most")));
}

static bool read_next(const Ast *section, int *at, KeepItem *item) {
    const Ast *kid = section->kids[(*at)++];
    bool rule = kid->kind == AST_rule;
    return read_item(section, kid->name, rule ? kid->kids[0] : NULL, kid->kids[rule], at, item);
}

KeepItem *keep_read(Arena *arena, const Ast *section, int *at, int *count, Diag *diag) {
    KeepItem *items = NULL, item;
    int capacity = 0, first = *at;
    *count = 0;
    bool good = read_first(arena, section, at, &item);
    while (good) {
        ARENA_PUSH(arena, items, *count, capacity, item);
        if (!is_next(section, *at))
            return items;
        good = read_next(section, at, &item);
    }
    while (*at < section->count && str_equal(section->kids[*at]->name, "per"))
        ++*at;
    diag_error(diag, section->kids[first]->span, "'keep' of a method is written as in  %s", example);
    *count = 0;
    return items;
}

/* ---- of a search ---- */

/* False, and a mistake, when another method of the search has said it. */
static bool is_new(Lower *l, const char *key, Span use) {
    if (ir_module_get(l->module, key))
        diag_error(l->diag, use, "another method of the search says '%s' too", key);
    return !ir_module_get(l->module, key);
}

static void set_limit(Lower *l, Frame *frame, const Ast *name, const Ast *expression, Span use) {
    const char *op = lower_operation_name(l, frame, name, use);
    Value value = lower_eval(l, frame, expression);
    if (!op || value.kind == VALUE_error)
        return;
    const char *key = arena_printf(l->arena, "keep.most.%s", op);
    if (value.kind != VALUE_int || value.i < 0 || value.i > 1000)
        lower_error(l, frame, expression->span, "a cell has at most so many of '%s': an integer from 0 to 1000", op);
    else if (is_new(l, key, use))
        ir_module_set(l->module, key, ir_attr_int("", value.i), expression->span);
    lower_check_candidate(l, op, use);
}

void lower_keep(Lower *l, Frame *frame, const Ast *section, int *at, Span use) {
    int count;
    KeepItem *items = keep_read(l->arena, section, at, &count, l->diag);
    for (int i = 0; i < count; i++) {
        if (items[i].operation)
            set_limit(l, frame, items[i].operation, items[i].value, use);
        else if (is_new(l, items[i].key, use))
            lower_setting(l, items[i].key, lower_eval(l, frame, items[i].value), items[i].value->span);
    }
}
