/* sema_space.c: the form of genotypes and spaces. */
#include "frontend/sema.h"

#include <stdlib.h>
#include <string.h>

/* ---- genotypes ---- */

/* Whether the name comes up for the first time among those asked for with this map. */
static bool is_first(StrMap *seen, const char *name) {
    if (str_map_get(seen, name))
        return false;
    str_map_set(seen, name, seen);
    return true;
}

/* s0, s1, ... up to the first state that the cell computes itself are its inputs; two when it computes none called so.
 */
static int count_cell_inputs(const Ast *block) {
    long first = -1;
    for (int i = 0; i < block->count; i++) {
        const Ast *statement = block->kids[i];
        for (int k = 0; statement->kind == AST_assign && k < statement->kids[0]->count; k++) {
            const char *name = statement->kids[0]->kids[k]->name;
            char *end;
            long number = name[0] == 's' ? strtol(name + 1, &end, 10) : -1;
            if (number >= 0 && name[1] && !*end && (first < 0 || number < first))
                first = number;
        }
    }
    return first < 0 ? 2 : first > 64 ? 64 : (int)first;
}

static bool has_return(const Ast *block) {
    for (int i = 0; i < block->count; i++)
        if (block->kids[i]->kind == AST_return)
            return true;
    return false;
}

static void check_cell(Sema *s, const Ast *genotype, const Ast *cell) {
    Scope scope = {.names = str_map_create(s->arena), .cell = true};
    int inputs = count_cell_inputs(cell->kids[0]);
    for (int i = 0; i < inputs; i++)
        str_map_set(&scope.names, arena_printf(s->arena, "s%d", i), (void *)cell);
    sema_check_block(s, &scope, cell->kids[0]);
    if (!has_return(cell->kids[0]))
        diag_error(s->diag, cell->name_span, "cell '%s' of genotype '%s' returns nothing", cell->name, genotype->name);
}

void sema_check_genotype(Sema *s, const Ast *genotype) {
    if (!genotype->count)
        diag_error(s->diag, genotype->name_span, "genotype '%s' has no cells", genotype->name);
    StrMap seen = str_map_create(s->arena);
    for (int i = 0; i < genotype->count && !diag_is_full(s->diag); i++) {
        if (!is_first(&seen, genotype->kids[i]->name))
            diag_error(s->diag, genotype->kids[i]->name_span, "genotype '%s' has two cells '%s'", genotype->name,
                       genotype->kids[i]->name);
        check_cell(s, genotype, genotype->kids[i]);
    }
}

/* ---- spaces ---- */

static bool is_in(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (str_equal(names[i], name))
            return true;
    return false;
}

/* 'cell' is a section, 'after' and 'edge' are rules, all others have a value. */
static void check_form(Sema *s, const Ast *setting) {
    bool rule = str_equal(setting->name, "after") || str_equal(setting->name, "edge");
    AstKind kind = rule ? AST_rule : str_equal(setting->name, "cell") ? AST_section : AST_setting;
    bool block = setting->kind == AST_rule && setting->kids[1]->kind == AST_block; /* a method's rules may have one */
    if (setting->kind != kind || block)
        diag_error(s->diag, setting->span,
                   rule                  ? "'%s' is a rule: %s LEFT = RIGHT"
                   : kind == AST_section ? "'%s' has settings of its own: %s { ... }"
                                         : "'%s' takes a value: %s VALUE",
                   setting->name, setting->name);
}

static void check_keys(Sema *s, const Ast *section, const char *what, const char *const *names, int count) {
    StrMap seen = str_map_create(s->arena);
    for (int i = 0; i < section->count && !diag_is_full(s->diag); i++) {
        const Ast *setting = section->kids[i];
        if (!is_in(names, count, setting->name))
            diag_error(s->diag, setting->name_span, "unknown %s '%s'%s", what, setting->name,
                       diag_choices(s->arena, setting->name, names, (size_t)count));
        else if (!is_first(&seen, setting->name) && setting->kind != AST_rule)
            diag_error(s->diag, setting->name_span, "'%s' is given twice", setting->name);
        else
            check_form(s, setting);
    }
}

static const Ast *find(const Ast *section, AstKind kind, const char *name) {
    for (int i = 0; i < section->count; i++)
        if (section->kids[i]->kind == kind && str_equal(section->kids[i]->name, name))
            return section->kids[i];
    return NULL;
}

static void check_candidates(Sema *s, const Ast *list) {
    StrMap seen = str_map_create(s->arena);
    for (int i = 0; list->kind == AST_list && i < list->count && !diag_is_full(s->diag); i++) {
        const Ast *candidate = list->kids[i];
        sema_check_operation(s, NULL, candidate);
        if (candidate->kind == AST_name && !is_first(&seen, candidate->name))
            diag_error(s->diag, candidate->span, "'%s' is a candidate already", candidate->name);
    }
    if (list->kind != AST_list)
        sema_check_expression(s, NULL, list);
    else if (!list->count)
        diag_error(s->diag, list->span, "an edge needs at least one candidate");
}

static void check_cell_settings(Sema *s, const Ast *space, const Ast *cell) {
    static const char *const names[] = {"inputs", "nodes", "output", "keep", "per", "names"};
    check_keys(s, cell, "setting of a cell", names, 6);
    const Ast *edges = find(cell, AST_setting, "names");
    if (edges && edges->kids[0]->kind != AST_string)
        diag_error(s->diag, edges->kids[0]->span, "'names' is a string, as in  names \"edges.{to}<-{from}\"");
    const Ast *output = find(cell, AST_setting, "output"), *per = find(cell, AST_setting, "per");
    if (per && (per->kids[0]->kind != AST_name || !str_equal(per->kids[0]->name, "node")))
        diag_error(s->diag, per->span, "edges are kept per node: keep N per node");
    if (!output) {
        diag_error(s->diag, cell->name_span, "the cell of space '%s' has no output, as in  output concat(nodes)",
                   space->name);
        return;
    }
    Scope scope = {.names = str_map_create(s->arena)};
    str_map_set(&scope.names, "nodes", (void *)output);
    for (int i = 0; i < 64; i++)
        str_map_set(&scope.names, arena_printf(s->arena, "s%d", i), (void *)output);
    sema_check_expression(s, &scope, output->kids[0]);
}

/* The names that candidates of a space have. */
typedef struct Candidates {
    StrMap names;
    bool computed; /* a list is not written out: who knows */
} Candidates;

static void add_candidates(Candidates *candidates, const Ast *list) {
    candidates->computed |= list->kind != AST_list;
    for (int i = 0; i < list->count; i++)
        if (list->kids[i]->kind == AST_name)
            str_map_set(&candidates->names, list->kids[i]->name, list->kids[i]);
}

static Candidates find_candidates(Sema *s, const Ast *space) {
    Candidates candidates = {.names = str_map_create(s->arena)};
    for (int i = 0; i < space->count; i++) {
        const Ast *setting = space->kids[i];
        if (setting->kind == AST_setting && str_equal(setting->name, "candidates"))
            add_candidates(&candidates, setting->kids[0]);
        if (setting->kind == AST_rule && str_equal(setting->name, "edge"))
            add_candidates(&candidates, setting->kids[1]);
    }
    return candidates;
}

/* cells = [normal, reduce] */
static void check_kinds(Sema *s, const Ast *kinds) {
    const Ast *list = kinds->kids[0];
    for (int i = 0; list->kind == AST_list && i < list->count; i++)
        if (list->kids[i]->kind != AST_name)
            diag_error(s->diag, list->kids[i]->span, "a cell has a name, as in  cells = [normal, reduce]");
    if (list->kind != AST_list || !list->count)
        diag_error(s->diag, list->span, "'cells' is a list of names, as in  cells = [normal, reduce]");
}

/* after OPERATION = ...    edge KIND(FROM, TO) = [...] */
static void check_rule(Sema *s, const Candidates *candidates, const Ast *rule, const Ast *kinds) {
    const Ast *left = rule->kids[0];
    if (str_equal(rule->name, "after")) {
        if (left->kind != AST_name)
            diag_error(s->diag, left->span, "'after' names a candidate, as in  after max_pool_3x3 = ^bn1: batch_norm");
        else if (!candidates->computed && !str_map_get(&candidates->names, left->name))
            diag_error(s->diag, left->span, "'%s' is no candidate of this space", left->name);
        sema_check_operation(s, NULL, rule->kids[1]);
        return;
    }
    if (left->kind != AST_call || left->count != 3 || left->kids[0]->kind != AST_name)
        diag_error(s->diag, left->span, "'edge' names a cell and two states, as in  edge normal(0, 2) = [...]");
    else if (!kinds && !str_equal(left->kids[0]->name, "normal") && !str_equal(left->kids[0]->name, "reduce"))
        diag_error(s->diag, left->kids[0]->span, "unknown cell '%s'%s", left->kids[0]->name,
                   diag_choices(s->arena, left->kids[0]->name, (const char *[]){"normal", "reduce"}, 2));
    check_candidates(s, rule->kids[1]);
}

void sema_check_space(Sema *s, const Ast *space) {
    static const char *const names[] = {"candidates", "cell", "cells", "after", "edge", "network"};
    check_keys(s, space, "setting of a space", names, 6);
    const Ast *cell = find(space, AST_section, "cell"), *kinds = find(space, AST_setting, "cells");
    const Ast *candidates = find(space, AST_setting, "candidates"), *network = find(space, AST_setting, "network");
    if (!cell)
        diag_error(s->diag, space->name_span,
                   "space '%s' has no cell, as in  cell { inputs 2 nodes 4 output concat(nodes) }", space->name);
    else
        check_cell_settings(s, space, cell);
    if (kinds)
        check_kinds(s, kinds);
    if (candidates)
        check_candidates(s, candidates->kids[0]);
    else if (!find(space, AST_rule, "edge"))
        diag_error(s->diag, space->name_span, "space '%s' has no candidates", space->name);
    if (network)
        sema_check_operation(s, NULL, network->kids[0]);
    Candidates known = find_candidates(s, space);
    for (int i = 0; i < space->count && !diag_is_full(s->diag); i++)
        if (space->kids[i]->kind == AST_rule && space->kids[i]->kids[1]->kind != AST_block)
            check_rule(s, &known, space->kids[i], kinds);
}
