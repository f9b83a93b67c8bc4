/* ast.c: making syntax trees. */
#include "frontend/ast.h"

#include <string.h>

Ast *ast_create(Arena *arena, AstKind kind, Span span) {
    Ast *ast = ARENA_NEW(arena, Ast);
    ast->kind = kind;
    ast->span = span;
    ast->name_span = span;
    return ast;
}

Ast *ast_add(Arena *arena, Ast *parent, Ast *kid) {
    if (kid && kid->depth >= parent->depth)
        parent->depth = kid->depth + 1;
    ARENA_PUSH(arena, parent->kids, parent->count, parent->capacity, kid);
    return parent;
}

const char *ast_kind_name(AstKind kind) {
    switch (kind) {
    case AST_op:
        return "operation";
    case AST_fn:
        return "function";
    case AST_network:
        return "network";
    case AST_genotype:
        return "genotype";
    case AST_space:
        return "space";
    case AST_let:
        return "constant";
    case AST_method:
        return "method";
    case AST_experiment:
        return "experiment";
    default:
        return "expression";
    }
}
