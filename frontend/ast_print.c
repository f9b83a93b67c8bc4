/* ast_print.c: a syntax tree as text that parses to the same tree. */
#include "frontend/ast.h"

#include <string.h>

enum { INDENT = 4 };

typedef struct Printer {
    Str *out;
    int depth;
} Printer;

static void print_expression(Printer *p, const Ast *ast, int level);
static void print_block(Printer *p, const Ast *block);

static void new_line(Printer *p) {
    str_add(p->out, "\n");
    for (int i = 0; i < p->depth * INDENT; i++)
        str_add(p->out, " ");
}

/* How tightly an expression binds; an operand that binds less tightly than its place stands in parentheses. */
enum {
    LEVEL_pipe,
    LEVEL_stage,
    LEVEL_or,
    LEVEL_and,
    LEVEL_comparison,
    LEVEL_sum,
    LEVEL_product,
    LEVEL_unary,
    LEVEL_postfix
};

static int binary_level(const char *name) {
    if (str_equal(name, "or"))
        return LEVEL_or;
    if (str_equal(name, "and"))
        return LEVEL_and;
    if (strchr("=!<>", name[0]))
        return LEVEL_comparison;
    return strchr("+-", name[0]) ? LEVEL_sum : LEVEL_product;
}

static int level_of(const Ast *ast) {
    switch (ast->kind) {
    case AST_pipe:
        return LEVEL_pipe;
    case AST_if:
    case AST_label:
    case AST_group:
        return LEVEL_stage;
    case AST_binary:
        return binary_level(ast->name);
    case AST_unary:
        return LEVEL_unary;
    default:
        return LEVEL_postfix;
    }
}

static void print_list(Printer *p, const Ast *list, int from, const char *separator) {
    for (int i = from; i < list->count; i++) {
        if (i > from)
            str_add(p->out, separator);
        print_expression(p, list->kids[i], LEVEL_pipe);
    }
}

static void print_binary(Printer *p, const Ast *ast) {
    int level = binary_level(ast->name);
    int side = level == LEVEL_comparison ? LEVEL_sum : level;
    print_expression(p, ast->kids[0], side);
    str_addf(p->out, " %s ", ast->name);
    print_expression(p, ast->kids[1], level == LEVEL_comparison ? LEVEL_sum : level + 1);
}

static void print_if(Printer *p, const Ast *ast) {
    str_add(p->out, "if ");
    print_expression(p, ast->kids[0], LEVEL_pipe);
    str_add(p->out, " then ");
    print_expression(p, ast->kids[1], LEVEL_stage);
    str_add(p->out, " else ");
    print_expression(p, ast->kids[2], LEVEL_stage);
}

static void print_group(Printer *p, const Ast *ast) {
    if (ast->kids[0]) {
        print_expression(p, ast->kids[0], LEVEL_postfix);
        str_add(p->out, " ");
    }
    str_add(p->out, "{ ");
    print_expression(p, ast->kids[1], LEVEL_pipe);
    str_add(p->out, " }");
}

static void print_bare(Printer *p, const Ast *ast) {
    switch (ast->kind) {
    case AST_int:
        str_addf(p->out, "%lld", (long long)ast->integer);
        break;
    case AST_float:
        str_add_double(p->out, ast->number);
        break;
    case AST_string:
        str_add_quoted(p->out, ast->name);
        break;
    case AST_bool:
        str_add(p->out, ast->integer ? "true" : "false");
        break;
    case AST_name:
        str_add(p->out, ast->name);
        break;
    case AST_list:
        str_add(p->out, "[");
        print_list(p, ast, 0, ", ");
        str_add(p->out, "]");
        break;
    case AST_call:
        print_expression(p, ast->kids[0], LEVEL_postfix);
        str_add(p->out, "(");
        print_list(p, ast, 1, ", ");
        str_add(p->out, ")");
        break;
    case AST_arg:
        str_addf(p->out, "%s = ", ast->name);
        print_expression(p, ast->kids[0], LEVEL_pipe);
        break;
    case AST_binary:
        print_binary(p, ast);
        break;
    case AST_unary:
        str_addf(p->out, "%s%s", ast->name, ast->name[0] == 'n' ? " " : "");
        print_expression(p, ast->kids[0], LEVEL_unary);
        break;
    case AST_if:
        print_if(p, ast);
        break;
    case AST_field:
        print_expression(p, ast->kids[0], LEVEL_postfix);
        str_addf(p->out, ".%s", ast->name);
        break;
    case AST_index:
        print_expression(p, ast->kids[0], LEVEL_postfix);
        str_add(p->out, "[");
        print_expression(p, ast->kids[1], LEVEL_pipe);
        str_add(p->out, "]");
        break;
    case AST_pipe:
        for (int i = 0; i < ast->count; i++) {
            str_add(p->out, i ? " | " : "");
            print_expression(p, ast->kids[i], LEVEL_stage);
        }
        break;
    case AST_label:
        print_expression(p, ast->kids[0], LEVEL_postfix);
        str_add(p->out, ": ");
        print_expression(p, ast->kids[1], LEVEL_stage);
        break;
    case AST_group:
        print_group(p, ast);
        break;
    default:
        bug("expression of kind %d", ast->kind);
    }
}

static void print_expression(Printer *p, const Ast *ast, int level) {
    bool wrap = level_of(ast) < level;
    str_add(p->out, wrap ? "(" : "");
    print_bare(p, ast);
    str_add(p->out, wrap ? ")" : "");
}

/* ---- statements ---- */
static void print_statement(Printer *p, const Ast *ast) {
    switch (ast->kind) {
    case AST_assign:
        print_list(p, ast->kids[0], 0, ", ");
        str_add(p->out, " = ");
        print_list(p, ast->kids[1], 0, ", ");
        break;
    case AST_for:
        str_addf(p->out, "for %s in ", ast->name);
        print_expression(p, ast->kids[0], LEVEL_sum);
        str_add(p->out, " .. ");
        print_expression(p, ast->kids[1], LEVEL_sum);
        str_add(p->out, " do ");
        print_block(p, ast->kids[2]);
        break;
    case AST_when:
        str_add(p->out, "if ");
        print_expression(p, ast->kids[0], LEVEL_pipe);
        str_add(p->out, " then ");
        print_block(p, ast->kids[1]);
        if (ast->count > 2) {
            str_add(p->out, " else ");
            print_block(p, ast->kids[2]);
        }
        break;
    case AST_within:
        print_expression(p, ast->kids[0], LEVEL_postfix);
        str_add(p->out, " ");
        print_block(p, ast->kids[1]);
        break;
    case AST_return:
        str_add(p->out, "return ");
        print_list(p, ast, 0, ", ");
        break;
    case AST_require:
        str_add(p->out, "require ");
        print_list(p, ast, 0, ", ");
        break;
    default:
        bug("statement of kind %d", ast->kind);
    }
}

static void print_block(Printer *p, const Ast *block) {
    str_add(p->out, "{");
    p->depth++;
    for (int i = 0; i < block->count; i++) {
        new_line(p);
        print_statement(p, block->kids[i]);
    }
    p->depth--;
    new_line(p);
    str_add(p->out, "}");
}

/* Of a definition or a rule. */
static void print_body(Printer *p, const Ast *body) {
    str_add(p->out, body->kind == AST_block ? " " : " = ");
    if (body->kind == AST_block)
        print_block(p, body);
    else
        print_expression(p, body, LEVEL_pipe);
}

/* ---- settings ---- */
static void print_setting(Printer *p, const Ast *ast);

static void print_attachment(Printer *p, const Ast *ast) {
    str_addf(p->out, "%s on ", ast->name);
    print_expression(p, ast->kids[0], LEVEL_sum);
    str_add(p->out, " {");
    for (int i = 1; i < ast->count; i++) {
        str_addf(p->out, " %s", ast->kids[i]->name);
        if (ast->kids[i]->kind == AST_flag)
            continue;
        str_add(p->out, " = ");
        print_expression(p, ast->kids[i]->kids[0], LEVEL_sum);
    }
    str_add(p->out, " }");
}

static void print_settings(Printer *p, const Ast *section) {
    str_add(p->out, "{");
    p->depth++;
    for (int i = 0; i < section->count; i++) {
        new_line(p);
        print_setting(p, section->kids[i]);
    }
    p->depth--;
    new_line(p);
    str_add(p->out, "}");
}

static void print_setting(Printer *p, const Ast *ast) {
    if (ast->kind == AST_attach) {
        print_attachment(p, ast);
        return;
    }
    str_addf(p->out, "%s ", ast->name);
    if (ast->kind == AST_section) {
        print_settings(p, ast);
        return;
    }
    if (ast->kind == AST_setting && ast->integer)
        str_add(p->out, "= ");
    print_expression(p, ast->kids[0], ast->integer ? LEVEL_pipe : LEVEL_sum);
    if (ast->kind == AST_rule)
        print_body(p, ast->kids[1]);
}

/* ---- definitions ---- */
static void print_params(Printer *p, const Ast *params) {
    str_add(p->out, "(");
    for (int i = 0; i < params->count; i++) {
        const Ast *param = params->kids[i];
        str_addf(p->out, "%s%s", i ? ", " : "", param->name);
        if (!param->kids[0])
            continue;
        str_add(p->out, param->integer ? " ?= " : " = ");
        print_expression(p, param->kids[0], LEVEL_pipe);
    }
    str_add(p->out, ")");
}

static void print_inputs(Printer *p, const Ast *inputs) {
    str_add(p->out, inputs->count == 1 ? " on " : " on (");
    print_list(p, inputs, 0, ", ");
    str_add(p->out, inputs->count == 1 ? "" : ")");
}

/* op, fn and network: parameter lists, inputs, body are the children in this order; inputs and lists may be missing. */
static void print_function(Printer *p, const char *word, const Ast *ast) {
    str_addf(p->out, "%s %s", word, ast->name);
    for (int i = 0; i < ast->count; i++) {
        const Ast *kid = ast->kids[i];
        if (!kid)
            continue;
        if (kid->kind == AST_params && i + 1 < ast->count) {
            str_add(p->out, ast->kind == AST_op && i > 0 ? " " : "");
            print_params(p, kid);
        } else if (kid->kind == AST_inputs) {
            print_inputs(p, kid);
        } else {
            print_body(p, kid);
        }
    }
}

static void print_genotype(Printer *p, const Ast *ast) {
    str_addf(p->out, "genotype %s {", ast->name);
    p->depth++;
    for (int i = 0; i < ast->count; i++) {
        new_line(p);
        str_addf(p->out, "%s ", ast->kids[i]->name);
        print_block(p, ast->kids[i]->kids[0]);
    }
    p->depth--;
    new_line(p);
    str_add(p->out, "}");
}

static void print_definition(Printer *p, const Ast *ast) {
    switch (ast->kind) {
    case AST_import:
        str_add(p->out, "import ");
        str_add_quoted(p->out, ast->name);
        break;
    case AST_let:
        str_addf(p->out, "let %s = ", ast->name);
        print_expression(p, ast->kids[0], LEVEL_pipe);
        break;
    case AST_op:
        print_function(p, "op", ast);
        break;
    case AST_fn:
        print_function(p, "fn", ast);
        break;
    case AST_network:
        print_function(p, "network", ast);
        break;
    case AST_genotype:
        print_genotype(p, ast);
        break;
    case AST_space:
        str_addf(p->out, "space %s ", ast->name);
        print_settings(p, ast);
        break;
    case AST_method:
        str_addf(p->out, "method %s", ast->name);
        if (ast->kids[0])
            print_params(p, ast->kids[0]);
        str_add(p->out, " ");
        print_settings(p, ast->kids[1]);
        break;
    case AST_experiment:
        str_addf(p->out, "%s ", ast->name);
        print_settings(p, ast);
        break;
    default:
        bug("definition of kind %d", ast->kind);
    }
}

void ast_print_definition(const Ast *definition, Str *out) {
    Printer p = {out, 0};
    print_definition(&p, definition);
}

void ast_print_setting(const Ast *setting, Str *out) {
    Printer p = {out, 1};
    str_add(out, "    ");
    print_setting(&p, setting);
}

void ast_print_params(const Ast *params, Str *out) {
    Printer p = {out, 0};
    print_params(&p, params);
}

void ast_print(const Ast *ast, Str *out) {
    Printer p = {out, 0};
    if (ast->kind != AST_text) {
        print_expression(&p, ast, LEVEL_pipe);
        return;
    }
    for (int i = 0; i < ast->count; i++) {
        bool imports = i > 0 && ast->kids[i]->kind == AST_import && ast->kids[i - 1]->kind == AST_import;
        str_add(out, i && !imports ? "\n" : "");
        print_definition(&p, ast->kids[i]);
        str_add(out, "\n");
    }
}
