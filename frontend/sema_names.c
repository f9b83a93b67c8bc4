/* sema_names.c: names and calls in expressions and statements. A name is a parameter or variable of its body, a
 * definition, or a primitive, in this order. */
#include "frontend/lower.h"
#include "frontend/sema.h"

/* ---- names ---- */

static void add_names(Sema *s, const StrMap *map, const char ***names, int *count, int *capacity) {
    for (size_t i = 0; i < map->count; i++)
        ARENA_PUSH(s->arena, *names, *count, *capacity, map->entries[i].key);
}

/* "unknown WHAT 'name'; did you mean 'near'?" among count names, or which text to import. */
static void report_unknown(Sema *s, Span span, const char *what, const char *name, const char *const *names,
                           int count) {
    const char *hint = sema_library_hint(s->arena, s->program, name);
    const char *near = *hint ? NULL : diag_suggest(name, names, (size_t)count);
    if (s->unknown)
        str_map_set(s->unknown, name, s->unknown);
    if (near)
        diag_error(s->diag, span, "unknown %s '%s'; did you mean '%s'?", what, name, near);
    else
        diag_error(s->diag, span, "unknown %s '%s'%s", what, name, hint);
}

static void report_name(Sema *s, Scope *scope, const Ast *name, const char *what) {
    const char **names = NULL, **builtins;
    int count = 0, capacity = 0, builtin_count;
    if (scope)
        add_names(s, &scope->names, &names, &count, &capacity);
    add_names(s, s->globals, &names, &count, &capacity);
    builtin_list_names(s->arena, &builtins, &builtin_count);
    for (int i = 0; i < builtin_count; i++)
        ARENA_PUSH(s->arena, names, count, capacity, builtins[i]);
    report_unknown(s, name->span, what, name->name, names, count);
}

static const Builtin *find_builtin(const Scope *scope, const char *name) {
    const Builtin *schedule = scope && scope->clause ? builtin_find_schedule(name) : NULL;
    return schedule ? schedule : builtin_find(name);
}

static void check_name(Sema *s, Scope *scope, const Ast *name, const char *what) {
    if ((scope && str_map_get(&scope->names, name->name)) || str_map_get(s->globals, name->name) ||
        find_builtin(scope, name->name))
        return;
    report_name(s, scope, name, what);
    /* Once is enough. */
    if (scope)
        str_map_set(&scope->names, name->name, (void *)name);
}

void sema_check_operation(Sema *s, Scope *scope, const Ast *ast) {
    if (ast->kind == AST_name)
        check_name(s, scope, ast, "operation");
    else
        sema_check_expression(s, scope, ast);
}

/* ---- calls ---- */

/* What a call of a definition or a primitive may have. */
typedef struct Signature {
    const char **names;
    int count, capacity;
    int positional; /* most arguments without a name; -1: any number */
} Signature;

static void add_param_names(Sema *s, Signature *signature, const Ast *params) {
    for (int i = 0; i < params->count; i++)
        ARENA_PUSH(s->arena, signature->names, signature->count, signature->capacity, params->kids[i]->name);
}

static bool describe_op(Sema *s, const Ast *op, Signature *signature) {
    int lists = op->count - 2;
    if (lists == 0 && !op->kids[0])
        return false; /* another name of something */
    for (int i = 0; i < lists; i++)
        add_param_names(s, signature, op->kids[i]);
    const Ast *inputs = op->kids[lists];
    int tensors = inputs ? inputs->count : 1, first = lists ? op->kids[0]->count : 0;
    signature->positional = tensors > first ? tensors : first;
    return true;
}

static bool describe(Sema *s, const Ast *definition, Signature *signature) {
    switch (definition->kind) {
    case AST_op:
        return describe_op(s, definition, signature);
    case AST_fn:
        add_param_names(s, signature, definition->kids[0]);
        break;
    case AST_network:
        if (definition->kids[0])
            add_param_names(s, signature, definition->kids[0]);
        break;
    default:
        return false;
    }
    signature->positional = signature->count;
    return true;
}

static void check_arguments(Sema *s, const Ast *call, const Signature *signature) {
    const char *callee = call->kids[0]->name;
    int positional = 0;
    for (int i = 1; i < call->count; i++) {
        const Ast *argument = call->kids[i];
        if (argument->kind != AST_arg) {
            positional++;
            continue;
        }
        bool known = false;
        for (int k = 0; k < signature->count; k++)
            known = known || str_equal(signature->names[k], argument->name);
        if (known)
            continue;
        diag_error(s->diag, argument->name_span, "'%s' has no parameter '%s'%s", callee, argument->name,
                   diag_choices(s->arena, argument->name, signature->names, (size_t)signature->count));
    }
    if (signature->positional >= 0 && positional > signature->positional)
        diag_error(s->diag, call->span, "'%s' takes at most %d argument%s, not %d", callee, signature->positional,
                   signature->positional == 1 ? "" : "s", positional);
}

static void check_builtin_call(Sema *s, const Ast *call, const Builtin *builtin) {
    for (int i = 1; i < call->count; i++) {
        const Ast *argument = call->kids[i];
        if (argument->kind == AST_arg && !builtin_has_param(builtin, argument->name))
            diag_error(s->diag, argument->name_span, "'%s' has no parameter '%s'%s", builtin_name(builtin),
                       argument->name, builtin_param_choices(s->arena, builtin, argument->name));
    }
}

static void check_call(Sema *s, Scope *scope, const Ast *call) {
    const Ast *callee = call->kids[0];
    sema_check_operation(s, scope, callee);
    for (int i = 1; i < call->count; i++) {
        const Ast *argument = call->kids[i];
        sema_check_expression(s, scope, argument->kind == AST_arg ? argument->kids[0] : argument);
    }
    if (callee->kind != AST_name || (scope && str_map_get(&scope->names, callee->name)))
        return;
    const Ast *definition = sema_find_definition(s->globals, s->program->library, callee);
    Signature signature = {0};
    if (definition && describe(s, definition, &signature))
        check_arguments(s, call, &signature);
    else if (!definition && find_builtin(scope, callee->name))
        check_builtin_call(s, call, find_builtin(scope, callee->name));
}

/* ---- expressions ---- */

static void check_label(Sema *s, Scope *scope, const Ast *label) {
    if (label->kind == AST_index)
        sema_check_expression(s, scope, label->kids[1]);
    if (label->kind == AST_index || label->kind == AST_field)
        check_label(s, scope, label->kids[0]);
}

void sema_check_expression(Sema *s, Scope *scope, const Ast *ast) {
    if (diag_is_full(s->diag))
        return;
    switch (ast->kind) {
    case AST_name:
        check_name(s, scope, ast, "name");
        return;
    case AST_call:
        check_call(s, scope, ast);
        return;
    case AST_label:
    case AST_group:
        if (ast->kids[0])
            check_label(s, scope, ast->kids[0]);
        sema_check_operation(s, scope, ast->kids[1]);
        return;
    case AST_pipe:
        for (int i = 0; i < ast->count; i++)
            if (i)
                sema_check_operation(s, scope, ast->kids[i]);
            else
                sema_check_expression(s, scope, ast->kids[i]);
        return;
    default:
        for (int i = 0; i < ast->count; i++)
            if (ast->kids[i])
                sema_check_expression(s, scope, ast->kids[i]);
    }
}

/* ---- statements ---- */

static void check_assign(Sema *s, Scope *scope, const Ast *ast) {
    sema_check_expression(s, scope, ast->kids[1]);
    const Ast *names = ast->kids[0], *values = ast->kids[1];
    if (values->count > 1 && values->count != names->count)
        diag_error(s->diag, ast->span, "%d name%s for %d values", names->count, names->count == 1 ? "" : "s",
                   values->count);
    for (int i = 0; i < names->count; i++) {
        const char *name = names->kids[i]->name;
        if (scope->cell && str_map_get(&scope->names, name))
            diag_error(s->diag, names->kids[i]->span, "state '%s' is there already", name);
        str_map_set(&scope->names, name, names->kids[i]);
    }
}

static void check_statement(Sema *s, Scope *scope, const Ast *ast) {
    switch (ast->kind) {
    case AST_assign:
        check_assign(s, scope, ast);
        return;
    case AST_for:
        sema_check_expression(s, scope, ast->kids[0]);
        sema_check_expression(s, scope, ast->kids[1]);
        str_map_set(&scope->names, ast->name, (void *)ast);
        sema_check_block(s, scope, ast->kids[2]);
        return;
    case AST_within:
        check_label(s, scope, ast->kids[0]);
        sema_check_block(s, scope, ast->kids[1]);
        return;
    case AST_when:
        sema_check_expression(s, scope, ast->kids[0]);
        for (int i = 1; i < ast->count; i++)
            sema_check_block(s, scope, ast->kids[i]);
        return;
    default:
        sema_check_expression(s, scope, ast);
    }
}

void sema_check_block(Sema *s, Scope *scope, const Ast *block) {
    for (int i = 0; i < block->count && !diag_is_full(s->diag); i++) {
        check_statement(s, scope, block->kids[i]);
        if (block->kids[i]->kind == AST_return && i + 1 < block->count)
            diag_error(s->diag, block->kids[i + 1]->span, "nothing comes after 'return'");
    }
}
