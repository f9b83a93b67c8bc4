/* sema.c: definitions by name, then every body: parameters, statements, returns. */
#include "frontend/sema.h"
#include "frontend/lower.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

bool program_defines(const Program *program, const char *name) {
    for (int t = 0; t < program->text_count; t++)
        for (int i = 0; i < program->texts[t]->count; i++)
            if (program->texts[t]->kids[i]->name && str_equal(program->texts[t]->kids[i]->name, name))
                return true;
    return false;
}

/* ---- definitions ---- */

static void define(Program *program, const Ast *definition, Diag *diag) {
    const Ast *before = str_map_get(&program->globals, definition->name);
    if (!before) {
        str_map_set(&program->globals, definition->name, (void *)definition);
        return;
    }
    diag_error(diag, definition->name_span, "'%s' is defined twice", definition->name);
    diag_note(diag, before->name_span, "the other definition is here");
}

/* Experiments have no names of their own: at most one search and one train in a text. */
static void check_experiments(const Ast *text, Diag *diag) {
    const Ast *seen[2] = {NULL, NULL};
    for (int i = 0; i < text->count; i++) {
        const Ast *experiment = text->kids[i];
        if (experiment->kind != AST_experiment)
            continue;
        const Ast **before = &seen[str_equal(experiment->name, "train")];
        if (*before) {
            diag_error(diag, experiment->name_span, "a text has one '%s'", experiment->name);
            diag_note(diag, (*before)->name_span, "the other one is here");
        }
        *before = experiment;
    }
}

/* ---- bodies ---- */

static void add_params(Sema *s, Scope *scope, const Ast *params) {
    for (int i = 0; i < params->count; i++) {
        const Ast *param = params->kids[i];
        if (param->kids[0])
            sema_check_expression(s, scope, param->kids[0]);
        if (str_map_get(&scope->names, param->name))
            diag_error(s->diag, param->name_span, "there are two parameters '%s'", param->name);
        str_map_set(&scope->names, param->name, (void *)param);
    }
}

bool sema_returns(const Ast *block) {
    for (int i = 0; i < block->count; i++) {
        const Ast *statement = block->kids[i];
        if (statement->kind == AST_return)
            return true;
        for (int k = 0; k < statement->count; k++)
            if (statement->kids[k]->kind == AST_block && sema_returns(statement->kids[k]))
                return true;
    }
    return false;
}

static void check_body(Sema *s, Scope *scope, const Ast *definition, const Ast *inputs, const Ast *body) {
    for (int i = 0; inputs && i < inputs->count; i++) {
        if (str_map_get(&scope->names, inputs->kids[i]->name))
            diag_error(s->diag, inputs->kids[i]->span, "'%s' is a parameter and an input", inputs->kids[i]->name);
        str_map_set(&scope->names, inputs->kids[i]->name, (void *)inputs->kids[i]);
    }
    if (body->kind != AST_block) {
        sema_check_expression(s, scope, body);
        return;
    }
    sema_check_block(s, scope, body);
    if (!sema_returns(body))
        diag_error(s->diag, definition->name_span, "%s '%s' returns nothing", ast_kind_name(definition->kind),
                   definition->name);
}

static void check_definition(Sema *s, const Ast *definition) {
    Scope scope = {.names = str_map_create(s->arena)};
    switch (definition->kind) {
    case AST_let:
        sema_check_expression(s, &scope, definition->kids[0]);
        break;
    case AST_op:
        for (int i = 0; i + 2 < definition->count; i++)
            add_params(s, &scope, definition->kids[i]);
        check_body(s, &scope, definition, definition->kids[definition->count - 2],
                   definition->kids[definition->count - 1]);
        break;
    case AST_fn:
        add_params(s, &scope, definition->kids[0]);
        if (!definition->kids[0]->count)
            diag_error(s->diag, definition->name_span, "function '%s' has no parameter; it is applied to its first one",
                       definition->name);
        sema_check_expression(s, &scope, definition->kids[1]);
        break;
    case AST_network:
        if (definition->kids[0])
            add_params(s, &scope, definition->kids[0]);
        check_body(s, &scope, definition, definition->kids[1], definition->kids[2]);
        break;
    case AST_genotype:
        sema_check_genotype(s, definition);
        break;
    case AST_space:
        sema_check_space(s, definition);
        break;
    case AST_method:
        if (definition->kids[0])
            add_params(s, &scope, definition->kids[0]);
        sema_check_method(s, definition);
        break;
    default:
        break;
    }
}

static bool is_experiment(const Ast *definition, bool trainings) {
    return definition->kind == AST_experiment && (trainings || str_equal(definition->name, "search"));
}

/* Their other settings are checked where they are read. */
static void check_experiment_names(Sema *s, const Ast *text, bool trainings) {
    for (int i = 0; i < text->count; i++)
        for (int k = 0; is_experiment(text->kids[i], trainings) && k < text->kids[i]->count; k++) {
            const Ast *setting = text->kids[i]->kids[k];
            bool names = str_equal(setting->name, "network") || str_equal(setting->name, "space");
            if (setting->kind == AST_setting && names)
                sema_check_expression(s, NULL, setting->kids[0]);
        }
}

/* A recipe trains the genotype of another text, whatever it is called there. */
static void bind_genotype(Program *program) {
    const Ast *text = program->texts[0];
    for (int i = 0; program->recipe && i < text->count; i++)
        if (text->kids[i]->kind == AST_genotype)
            str_map_set(&program->globals, "genotype", text->kids[i]);
}

void sema_check(Arena *arena, Program *program, Diag *diag) {
    for (int t = 0; t < program->text_count; t++)
        for (int i = 0; i < program->texts[t]->count; i++) {
            const Ast *definition = program->texts[t]->kids[i];
            /* What an imported file itself compiles is nobody else's business. */
            bool imported_entry = t > 0 && definition->kind == AST_network && !definition->kids[0];
            if (definition->kind != AST_import && definition->kind != AST_experiment && !imported_entry)
                define(program, definition, diag);
        }
    program->unknown = str_map_create(arena);
    Sema s = {arena, diag, program, &program->globals, &program->unknown};
    for (size_t i = 0; i < program->globals.count && !diag_is_full(diag); i++)
        check_definition(&s, program->globals.entries[i].value);
    if (!program->text_count)
        return;
    const Ast *text = program->recipe ? program->recipe : program->texts[0];
    bind_genotype(program);
    check_experiments(text, diag);
    /* The network of a recipe is not used when there is no genotype to put into it. */
    check_experiment_names(&s, text, !program->recipe || str_map_get(&program->globals, "genotype"));
}
