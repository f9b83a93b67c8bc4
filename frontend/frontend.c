/* frontend.c: reading a text with its imports, choosing what of it becomes the module, lowering it. */
#include "frontend/frontend.h"
#include "frontend/lower.h"
#include "frontend/sema.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Loader {
    Arena *arena;
    Diag *diag;
    Error *error;
    const char *library;
    StrMap files; /* Ast * by real path */
    Program *program;
} Loader;

/* ---- imports ---- */
static const char *real_path(Arena *arena, const char *path) {
    char buffer[PATH_MAX];
    return realpath(path, buffer) ? arena_strdup(arena, buffer) : path;
}

static const char *beside(Arena *arena, const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    if (name[0] == '/' || !slash)
        return name;
    return arena_printf(arena, "%.*s/%s", (int)(slash - path), path, name);
}

/* The importing file's folder first, then the library. */
static const char *find_import(Loader *loader, const char *from, const char *name) {
    const char *path = beside(loader->arena, from, name);
    if (access(path, R_OK) == 0 || name[0] == '/' || !loader->library)
        return path;
    const char *other = arena_printf(loader->arena, "%s/%s", loader->library, name);
    return access(other, R_OK) == 0 ? other : path;
}

static bool load_file(Loader *loader, const char *path, Span import);

static void load_imports(Loader *loader, const Ast *text, const char *path) {
    for (int i = 0; i < text->count; i++) {
        const Ast *import = text->kids[i];
        if (import->kind != AST_import)
            continue;
        const char *found = find_import(loader, path, import->name);
        if (access(found, R_OK) == 0) {
            load_file(loader, found, import->span);
            continue;
        }
        diag_error(loader->diag, import->name_span, "cannot import '%s': there is no such file beside this one%s%s",
                   import->name, loader->library ? " or in " : "", loader->library ? loader->library : "");
    }
}

static bool load_file(Loader *loader, const char *path, Span import) {
    bool input = str_equal(path, "-");
    const char *key = input ? path : real_path(loader->arena, path);
    if (str_map_get(&loader->files, key))
        return true;
    Error failed = {0};
    SourceFile *source = source_read(loader->arena, path, &failed);
    if (!source && import.file) {
        diag_error(loader->diag, import, "%s", failed.message);
        return false;
    }
    if (!source)
        return error_set(loader->error, failed.kind, "%s", failed.message);
    Ast *text = ast_parse_text(loader->arena, source, loader->diag);
    str_map_set(&loader->files, key, text);
    ARENA_PUSH(loader->arena, loader->program->texts, loader->program->text_count, loader->program->text_capacity,
               text);
    load_imports(loader, text, input ? "" : path);
    return true;
}

/* ---- what to make ---- */
/* The last experiment or network of the text itself; imported ones are not meant. */
static const Ast *find_entry(const Ast *text, const char *entry) {
    static const char *const order[] = {"search", "train", "main"};
    for (int o = 0; o < 3; o++)
        for (int i = 0; i < text->count; i++) {
            const Ast *definition = text->kids[i];
            bool fits = definition->kind == AST_experiment || definition->kind == AST_network;
            if (fits && str_equal(definition->name, entry ? entry : order[o]))
                return definition;
        }
    const Ast *only = NULL;
    for (int i = 0; i < text->count && !entry; i++)
        if (text->kids[i]->kind == AST_network) {
            if (only)
                return NULL;
            only = text->kids[i];
        }
    return only;
}

static Ast *name_of(Arena *arena, const Ast *definition) {
    Ast *name = ast_create(arena, AST_name, definition->name_span);
    name->name = definition->name;
    return name;
}

static const Ast *entry_expression(Arena *arena, const Ast *entry) {
    return entry->kind == AST_experiment ? experiment_network(entry) : name_of(arena, entry);
}

/* Functions before their users, @forward last. */
static void order_graphs(Lower *l) {
    IrGraph *forward = ir_graph_find(l->module, "forward");
    for (int i = 0; i < l->instance_count; i++)
        l->module->graphs[i] = l->instances[i]->graph;
    l->module->graphs[l->instance_count] = forward;
    l->module->graph_count = l->instance_count + 1;
}

static IrModule *lower_program(Arena *arena, Program *program, const Ast *entry, const Sets *sets, Diag *diag) {
    Lower *l = ARENA_NEW(arena, Lower);
    *l = (Lower){.arena = arena,
                 .diag = diag,
                 .globals = &program->globals,
                 .constants = str_map_create(arena),
                 .alphas = str_map_create(arena),
                 .sets = sets,
                 .library = program->library};
    l->module = ir_module_create(arena, entry->kind == AST_network ? entry->name : entry->span.file->path);
    if (entry->kind == AST_experiment) {
        lower_experiment(l, entry);
    } else {
        ir_module_set(l->module, "kind", ir_attr_string("", "network"), entry->name_span);
        lower_entry(l, lower_frame(l, NULL, NULL, (Span){0}), name_of(arena, entry));
    }
    if (diag_count_errors(diag))
        return NULL;
    order_graphs(l);
    const char *wrong = ir_verify_module(l->module, arena);
    if (wrong)
        bug("lowering made a wrong module: %s", wrong);
    return l->module;
}

static bool load_program(Arena *arena, const char *path, const FrontendOptions *options, Program *program, Diag *diag,
                         Error *error) {
    *program = (Program){.globals = str_map_create(arena), .library = options ? options->library : NULL};
    Loader loader = {arena, diag, error, program->library, str_map_create(arena), program};
    return load_file(&loader, path, (Span){0});
}

IrModule *frontend_load(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag, Error *error) {
    Program program;
    Sets sets = {0};
    if (!load_program(arena, path, options, &program, diag, error))
        return NULL;
    if (options)
        sets_parse(arena, options->sets, options->set_count, &sets, diag);
    sema_check(arena, &program, diag);
    const char *wanted = options ? options->entry : NULL;
    const Ast *text = program.texts[0], *entry = find_entry(text, wanted);
    if (!entry && diag_count_errors(diag) == 0)
        diag_error(diag, (Span){text->span.file, 1, 1, 1, 1},
                   wanted ? "there is no network or experiment '%s' in this text"
                          : "nothing to compile in this text: it has no 'search', no 'train' and no 'network main'%s",
                   wanted ? wanted : "");
    if (!entry)
        return NULL;
    const char **keys;
    int key_count;
    const Ast *expression = entry_expression(arena, entry);
    settings_list_keys(arena, expression ? network_template(&program.globals, expression) : NULL,
                       entry->kind == AST_experiment ? entry : NULL, &keys, &key_count);
    sets_resolve(arena, &sets, keys, key_count, diag);
    return diag_count_errors(diag) ? NULL : lower_program(arena, &program, entry, &sets, diag);
}

const char *frontend_print_ast(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag,
                               Error *error) {
    Program program;
    if (!load_program(arena, path, options, &program, diag, error))
        return NULL;
    sema_check(arena, &program, diag);
    if (diag_count_errors(diag))
        return NULL;
    Str out = str_create(arena);
    ast_print(program.texts[0], &out);
    return out.data;
}
