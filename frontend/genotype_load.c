/* genotype_load.c: a file of another program as a text of the language. What the library defines decides how operations
 * are called and which names are free, so the genotype is added after the import is read. */
#include "frontend/builtin.h"
#include "frontend/genotype_form.h"

#include <string.h>

/* As is wished, as it is assigned to, or as the file is called; `genotype` says nothing. */
static const char *choose_name(Arena *arena, const ForeignText *foreign, const Program *program, const char *wished) {
    const char *stem = str_file_stem(arena, foreign->source->path);
    const char *const names[] = {str_equal(stem, "-") ? NULL : stem, foreign->form->name, wished};
    const char *name = "found";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i] && *names[i] && !str_equal(names[i], "genotype"))
            name = names[i];
    name = str_identifier(arena, name);
    while (program_defines(program, name) || builtin_find(name) || str_equal(name, "main") || !ast_is_name(arena, name))
        name = arena_printf(arena, "%s_found", name);
    return name;
}

/* Can stand on an edge: op NAME(C, stride) = ..., whatever else has a default, or another name of one. */
static bool is_edge_operation(const Ast *op) {
    if (op->kind != AST_op || op->count > 3)
        return false;
    const Ast *params = op->count == 3 ? op->kids[0] : NULL;
    bool fits = !params || (params->count >= 2 && str_equal(params->kids[0]->name, "C") &&
                            str_equal(params->kids[1]->name, "stride"));
    for (int i = 2; fits && params && i < params->count; i++)
        fits = params->kids[i]->kids[0] != NULL;
    return fits;
}

static bool name_operations(Arena *arena, const Program *program, GenotypeForm *form, Diag *diag) {
    const char **names = NULL;
    int count = 0, capacity = 0;
    for (int t = 0; t < program->text_count; t++)
        for (int i = 0; i < program->texts[t]->count; i++)
            if (is_edge_operation(program->texts[t]->kids[i]))
                ARENA_PUSH(arena, names, count, capacity, program->texts[t]->kids[i]->name);
    return genotype_name_operations(arena, form, names, count, diag);
}

Ast *genotype_text_begin(Arena *arena, const SourceFile *source, const GenotypeChoice *choice, ForeignText *foreign,
                         Diag *diag) {
    ForeignList list = genotype_find_all(arena, source);
    const ForeignGenotype *found = genotype_choose(arena, source, &list, choice, diag);
    Ast *text = ast_create(arena, AST_text, (Span){source, 1, 1, 1, 1});
    *foreign = (ForeignText){source, text, found ? genotype_read(arena, source, found, diag) : NULL};
    if (!foreign->form)
        return text;
    Ast *import = ast_create(arena, AST_import, foreign->form->span);
    import->name = genotype_import(foreign->form);
    return ast_add(arena, text, import);
}

static bool add_genotype(Arena *arena, const ForeignText *foreign, const Program *program, GenotypeForm *form,
                         Diag *diag) {
    if (!name_operations(arena, program, form, diag))
        return false;
    ast_add(arena, foreign->text, genotype_definition(arena, form));
    return true;
}

void genotype_text_end(Arena *arena, ForeignText *foreign, const Program *program, const GenotypeChoice *choice,
                       Diag *diag) {
    GenotypeForm *form = foreign->form;
    if (!form)
        return;
    form->name = choose_name(arena, foreign, program, choice ? choice->name : NULL);
    if (add_genotype(arena, foreign, program, form, diag))
        ast_add(arena, foreign->text, genotype_network_definition(arena, form, choice));
}

bool genotype_text_add(Arena *arena, ForeignText *foreign, const Program *program, const char *name, Diag *diag) {
    if (!foreign->source)
        return false;
    GenotypeChoice choice = {.pick = name, .epoch = -1};
    ForeignList list = genotype_find_all(arena, foreign->source);
    const ForeignGenotype *found = genotype_choose(arena, foreign->source, &list, &choice, diag_create(arena, NULL));
    GenotypeForm *form = found ? genotype_read(arena, foreign->source, found, diag) : NULL;
    if (!form)
        return false;
    form->name = name;
    return add_genotype(arena, foreign, program, form, diag);
}
