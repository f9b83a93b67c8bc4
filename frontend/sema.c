/* sema.c: definitions of a program by name. */
#include "frontend/sema.h"

static void define(Program *program, const Ast *definition, Diag *diag) {
    const Ast *before = str_map_get(&program->globals, definition->name);
    if (!before) {
        str_map_set(&program->globals, definition->name, (void *)definition);
        return;
    }
    diag_error(diag, definition->name_span, "'%s' is defined twice", definition->name);
    diag_note(diag, before->name_span, "the other definition is here");
}

void sema_check(Arena *arena, Program *program, Diag *diag) {
    (void)arena;
    for (int t = 0; t < program->text_count; t++)
        for (int i = 0; i < program->texts[t]->count; i++) {
            const Ast *definition = program->texts[t]->kids[i];
            bool imported_entry = t > 0 && definition->kind == AST_network && !definition->kids[0];
            if (definition->kind != AST_import && definition->kind != AST_experiment && !imported_entry)
                define(program, definition, diag);
        }
}
