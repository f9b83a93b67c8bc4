/* genotype_text.c: a genotype as a definition of the language, and back. Every part keeps its place in the file that it
 * comes from, so that mistakes found later are shown there. */
#include "frontend/genotype_form.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- names of operations ---- */

const char *genotype_import(const GenotypeForm *form) {
    return form->nas_bench_201 ? "nas_bench_201.nd" : "darts.nd";
}

/* What other programs call operations of the library otherwise than by case and underscores. */
static const struct {
    const char *theirs, *ours;
} others[] = {{"identity", "skip_connect"},
              {"skip", "skip_connect"},
              {"skipconnection", "skip_connect"},
              {"zero", "none"},
              {"zeroize", "none"}};

/* Letters and digits, in lower case. */
static const char *plain(Arena *arena, const char *name) {
    Str out = str_create(arena);
    str_add(&out, "");
    for (; *name; name++) {
        char c = (char)tolower((unsigned char)*name);
        if (isalnum((unsigned char)c))
            str_add_bytes(&out, &c, 1);
    }
    return out.data;
}

static bool is_in(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (str_equal(names[i], name))
            return true;
    return false;
}

/* The library's name of an operation, or NULL. `none` of NAS-Bench-201 is none_201: there a name of the benchmark comes
 * before that of another space. */
static const char *library_name(Arena *arena, const char *name, bool nas_bench_201, const char *const *operations,
                                int count) {
    const char *bench = nas_bench_201 ? arena_printf(arena, "%s_201", name) : name;
    if (is_in(operations, count, bench))
        return bench;
    if (is_in(operations, count, name))
        return name;
    const char *wanted = plain(arena, name);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (str_equal(others[i].theirs, wanted))
            return library_name(arena, others[i].ours, nas_bench_201, operations, count);
    for (int i = 0; i < count; i++)
        if (str_equal(plain(arena, operations[i]), wanted))
            return operations[i];
    return NULL;
}

/* Known are the library's names, as the other program calls them: without _201. */
static void report_unknown(Arena *arena, const FormEdge *edge, const char *const *operations, int count, Diag *diag) {
    const char **known = ARENA_ARRAY(arena, const char *, count + 1);
    Str list = str_create(arena);
    for (int i = 0; i < count; i++) {
        bool bench = str_ends_with(operations[i], "_201");
        known[i] = bench ? arena_strndup(arena, operations[i], strlen(operations[i]) - strlen("_201")) : operations[i];
        str_addf(&list, "%s%s", i ? ", " : "", known[i]);
    }
    const char *near = diag_suggest(edge->operation, known, (size_t)count);
    if (near)
        diag_error(diag, edge->operation_span, "unknown operation '%s'; did you mean '%s'?", edge->operation, near);
    else
        diag_error(diag, edge->operation_span, "unknown operation '%s'; the library has %s", edge->operation,
                   list.data);
}

bool genotype_name_operations(Arena *arena, GenotypeForm *form, const char *const *operations, int count, Diag *diag) {
    bool known = true;
    for (int c = 0; c < form->cell_count; c++)
        for (int n = 0; n < form->cells[c].node_count; n++)
            for (int e = 0; e < form->cells[c].nodes[n].count; e++) {
                FormEdge *edge = &form->cells[c].nodes[n].edges[e];
                const char *name = library_name(arena, edge->operation, form->nas_bench_201, operations, count);
                if (!name)
                    report_unknown(arena, edge, operations, count, diag);
                edge->operation = name ? name : edge->operation;
                known = known && name;
            }
    return known;
}

/* ---- to the language ---- */

static Ast *name_node(Arena *arena, const char *name, Span span) {
    Ast *ast = ast_create(arena, AST_name, span);
    ast->name = name;
    return ast;
}

static Ast *state_node(Arena *arena, int state, Span span) {
    return name_node(arena, arena_printf(arena, "s%d", state), span);
}

static Ast *call_node(Arena *arena, const char *name, Span span) {
    return ast_add(arena, ast_create(arena, AST_call, span), name_node(arena, name, span));
}

static Ast *list_of(Arena *arena, AstKind kind, Ast *only) {
    return ast_add(arena, ast_create(arena, kind, only->span), only);
}

static Ast *sum_node(Arena *arena, const FormNode *node) {
    Ast *sum = NULL;
    for (int i = 0; i < node->count; i++) {
        const FormEdge *edge = &node->edges[i];
        Ast *call = call_node(arena, edge->operation, edge->operation_span);
        ast_add(arena, call, state_node(arena, edge->source, edge->source_span));
        if (!sum) {
            sum = call;
            continue;
        }
        Ast *both = ast_create(arena, AST_binary, node->span);
        both->name = "+";
        sum = ast_add(arena, ast_add(arena, both, sum), call);
    }
    return sum;
}

static Ast *return_node(Arena *arena, const FormCell *cell) {
    if (!cell->concat)
        return list_of(arena, AST_return, state_node(arena, cell->outputs[0], cell->span));
    Ast *concat = call_node(arena, "concat", cell->span);
    for (int i = 0; i < cell->output_count; i++)
        ast_add(arena, concat, state_node(arena, cell->outputs[i], cell->span));
    return list_of(arena, AST_return, concat);
}

static Ast *cell_node(Arena *arena, const FormCell *cell) {
    Ast *block = ast_create(arena, AST_block, cell->span), *ast = ast_create(arena, AST_cell, cell->span);
    for (int i = 0; i < cell->node_count; i++) {
        const FormNode *node = &cell->nodes[i];
        Ast *assign = ast_create(arena, AST_assign, node->span);
        ast_add(arena, assign, list_of(arena, AST_list, state_node(arena, cell->inputs + i, node->span)));
        ast_add(arena, assign, list_of(arena, AST_list, sum_node(arena, node)));
        ast_add(arena, block, assign);
    }
    ast_add(arena, block, return_node(arena, cell));
    ast->name = cell->name;
    return ast_add(arena, ast, block);
}

Ast *genotype_definition(Arena *arena, const GenotypeForm *form) {
    Ast *genotype = ast_create(arena, AST_genotype, form->span);
    genotype->name = form->name;
    for (int i = 0; i < form->cell_count; i++)
        ast_add(arena, genotype, cell_node(arena, &form->cells[i]));
    return genotype;
}

/* ---- the network around it ---- */

static void add_argument(Arena *arena, Ast *call, const char *name, AstKind kind, double value) {
    Ast *number = ast_create(arena, kind, call->span), *argument = ast_create(arena, AST_arg, call->span);
    number->integer = (int64_t)value;
    number->number = value;
    argument->name = name;
    ast_add(arena, call, ast_add(arena, argument, number));
}

/* As published: 36 channels and 20 cells on CIFAR, 48 and 14 on ImageNet, an auxiliary head of weight 0.4; 16 channels
 * and three times 5 cells for NAS-Bench-201. */
Ast *genotype_network_definition(Arena *arena, const GenotypeForm *form, const GenotypeChoice *choice) {
    const GenotypeChoice none = {.auxiliary = -1}, *c = choice ? choice : &none;
    bool bench = form->nas_bench_201;
    const char *network = c->network ? c->network : bench ? "nas_bench_201_network" : "cifar";
    bool imagenet = str_equal(network, "imagenet"), known = imagenet || bench || str_equal(network, "cifar");
    int64_t channels = c->channels ? c->channels : bench ? 16 : imagenet ? 48 : known ? 36 : 0;
    int64_t layers = c->layers ? c->layers : bench ? 5 : imagenet ? 14 : known ? 20 : 0;
    int64_t classes = c->classes ? c->classes : imagenet ? 1000 : known ? 10 : 0;
    double auxiliary = c->auxiliary >= 0 ? c->auxiliary : known && !bench ? 0.4 : 0;
    Ast *call = call_node(arena, network, form->span), *definition = ast_create(arena, AST_network, form->span);
    ast_add(arena, call, name_node(arena, form->name, form->span));
    if (channels)
        add_argument(arena, call, "C", AST_int, (double)channels);
    if (layers)
        add_argument(arena, call, bench ? "cells_per_stage" : "layers", AST_int, (double)layers);
    if (classes)
        add_argument(arena, call, "classes", AST_int, (double)classes);
    if (auxiliary > 0)
        add_argument(arena, call, "auxiliary", AST_float, auxiliary);
    definition->name = "main";
    ast_add(arena, ast_add(arena, definition, NULL), NULL);
    return ast_add(arena, definition, call);
}

/* ---- from the language ---- */

typedef struct Reader {
    Arena *arena;
    Diag *diag;
} Reader;

static bool refuse(Reader *r, Span span, const char *expected) {
    diag_error(r->diag, span, "expected %s: only sums of operations on states can be written down otherwise", expected);
    return false;
}

/* The number of s3; -1: another name. */
static int state_number(const Ast *ast) {
    char *end = NULL;
    if (ast->kind != AST_name || ast->name[0] != 's' || !isdigit((unsigned char)ast->name[1]) || strlen(ast->name) > 4)
        return -1;
    long number = strtol(ast->name + 1, &end, 10);
    return *end ? -1 : (int)number;
}

static bool read_sum(Reader *r, const FormCell *cell, FormNode *node, const Ast *ast) {
    if (ast->kind == AST_binary && str_equal(ast->name, "+"))
        return read_sum(r, cell, node, ast->kids[0]) && read_sum(r, cell, node, ast->kids[1]);
    bool call = ast->kind == AST_call && ast->count == 2 && ast->kids[0]->kind == AST_name;
    if (!call || state_number(ast->kids[1]) < 0)
        return refuse(r, ast->span, "an operation on a state, as in sep_conv_3x3(s0)");
    FormEdge edge = {ast->kids[0]->name, state_number(ast->kids[1]), ast->kids[0]->span, ast->kids[1]->span};
    return genotype_add_edge(r->arena, cell, node, edge, r->diag);
}

static bool read_return(Reader *r, FormCell *cell, const Ast *ast) {
    const Ast *value = ast->kids[0];
    cell->concat =
        value->kind == AST_call && value->kids[0]->kind == AST_name && str_equal(value->kids[0]->name, "concat");
    int first = cell->concat ? 1 : 0, count = cell->concat ? value->count : 1;
    for (int i = first; i < count; i++) {
        int state = state_number(cell->concat ? value->kids[i] : value);
        if (ast->count != 1 || state < 0 || state >= cell->inputs + cell->node_count)
            return refuse(r, ast->span, "one state or concat(s2, s3, ...)");
        ARENA_PUSH(r->arena, cell->outputs, cell->output_count, cell->output_capacity, state);
    }
    return cell->output_count > 0 || refuse(r, ast->span, "one state or concat(s2, s3, ...)");
}

static bool read_statement(Reader *r, FormCell *cell, const Ast *ast) {
    if (ast->kind == AST_return)
        return read_return(r, cell, ast);
    bool single = ast->kind == AST_assign && ast->kids[0]->count == 1 && ast->kids[1]->count == 1;
    int state = single ? state_number(ast->kids[0]->kids[0]) : -1;
    if (cell->node_count == 0 && (state == 1 || state == 2))
        cell->inputs = state;
    if (state < 1 || state != cell->inputs + cell->node_count)
        return refuse(r, ast->span, "the states in their order: s2 = ..., s3 = ...");
    FormNode *node = genotype_add_node(r->arena, cell, ast->span);
    return node ? read_sum(r, cell, node, ast->kids[1]->kids[0]) : refuse(r, ast->span, "at most 64 nodes");
}

static bool read_cell(Reader *r, FormCell *cell, const Ast *ast) {
    *cell = (FormCell){.name = ast->name, .span = ast->name_span};
    for (int i = 0; i < ast->kids[0]->count; i++)
        if (!read_statement(r, cell, ast->kids[0]->kids[i]))
            return false;
    return true;
}

GenotypeForm *genotype_read_definition(Arena *arena, const Ast *genotype, Diag *diag) {
    Reader r = {arena, diag};
    GenotypeForm *form = ARENA_NEW(arena, GenotypeForm);
    *form = (GenotypeForm){.name = genotype->name, .span = genotype->name_span};
    for (int i = 0; i < genotype->count; i++) {
        const Ast *cell = genotype->kids[i];
        bool reduce = str_equal(cell->name, "reduce");
        if (form->cell_count == 2 || reduce != (form->cell_count == 1)) {
            refuse(&r, cell->name_span, "a cell 'normal' and a cell 'reduce'");
            return NULL;
        }
        if (!read_cell(&r, &form->cells[form->cell_count++], cell))
            return NULL;
    }
    form->nas_bench_201 = form->cell_count == 1 && form->cells[0].inputs == 1;
    return form;
}
