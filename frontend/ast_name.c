/* ast_name.c: whether a word may be a name: asked of the parser. */
#include "frontend/ast.h"

#include <string.h>

bool ast_is_name(Arena *arena, const char *text) {
    SourceFile *file = ARENA_NEW(arena, SourceFile);
    *file = (SourceFile){"name", text, strlen(text)};
    const Ast *ast = ast_parse_expression(arena, file, diag_create(arena, NULL));
    return ast && ast->kind == AST_name;
}
