/* frontend.c: choosing what of a text becomes the module, lowering it. */
#include "frontend/frontend.h"

#include "frontend/load.h"
#include "frontend/method_list.h"

#include <string.h>

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

/* Lowers, and says of a network that cannot be made at its size which size to take. */
static IrModule *lower_program(const Job *job, const Sets *sets, Diag *diag) {
    Span place = {0};
    diag_hold(diag);
    Lowered done = lower_job(job, sets, diag);
    const char *reason = done.misfit && diag_is_read(diag) ? sizes_explain(job, sets, &done, &place) : NULL;
    diag_release(diag, place, reason);
    return done.module;
}

/* ---- from outside ---- */

/* A search's network takes the space of the text. A training's takes its genotype; a text without one, or when the recipe has
 * no network, is trained as it is. */
static const Ast *recipe_network(Arena *arena, const Ast *text, const Ast *entry) {
    const Ast *own = experiment_network(entry), *network = find_entry(text, "main");
    if (str_equal(entry->name, "search"))
        return own;
    for (int i = 0; i < text->count; i++) {
        if (own && text->kids[i]->kind == AST_genotype)
            return own;
        if (!network && text->kids[i]->kind == AST_network)
            network = text->kids[i];
    }
    return network ? name_of(arena, network) : own;
}

/* What is made @forward: --set network=... or what the text says. */
static const Ast *choose_network(Arena *arena, const Program *program, const Ast *entry, const Sets *sets) {
    const Ast *network = program->recipe                 ? recipe_network(arena, program->texts[0], entry)
                         : entry->kind == AST_experiment ? experiment_network(entry)
                                                         : name_of(arena, entry);
    for (int i = 0; i < sets->count; i++)
        if (str_equal(sets->items[i].name, "network"))
            network = sets->items[i].value;
    return network;
}

static bool mentions(const Ast *ast, const char *name) {
    if (ast->kind == AST_name && str_equal(ast->name, name))
        return true;
    for (int i = 0; i < ast->count; i++)
        if (ast->kids[i] && mentions(ast->kids[i], name))
            return true;
    return false;
}

/* That there is one, when a recipe puts one into its network. */
static bool check_genotype(const Program *program, const Ast *entry, const Ast *network, const Sets *sets, Diag *diag) {
    bool wanted = program->recipe && network && network == experiment_network(entry) && mentions(network, "genotype");
    bool given = str_map_get(&program->globals, "genotype") != NULL;
    for (int i = 0; i < sets->count; i++)
        given = given || str_ends_with(sets->items[i].name, "genotype");
    if (wanted && !given)
        diag_error(diag, (Span){program->texts[0]->span.file, 1, 1, 1, 1},
                   "this text has neither a genotype nor a network to train; a search writes its own as "
                   "OUT/genotype.nd");
    return !wanted || given;
}

static void check_sets(Arena *arena, Program *program, const Ast *entry, const Ast *network, Sets *sets, Diag *diag) {
    const char **keys;
    int key_count;
    settings_list_keys(arena, network ? network_template(&program->globals, network) : NULL,
                       entry->kind == AST_experiment ? entry : NULL, &keys, &key_count);
    sets_resolve(arena, sets, keys, key_count, diag);
    Sema sema = {arena, diag, program, &program->globals, NULL};
    for (int i = 0; i < sets->count; i++)
        if (sets->items[i].key && str_starts_with(sets->items[i].key, "network"))
            sema_check_expression(&sema, NULL, sets->items[i].value);
}

static void report_no_entry(Arena *arena, const Ast *text, const char *wanted, Diag *diag) {
    Span start = {text->span.file, 1, 1, 1, 1};
    const char **names = ARENA_ARRAY(arena, const char *, text->count + 1);
    size_t count = 0;
    for (int i = 0; i < text->count; i++)
        if (text->kids[i]->kind == AST_network || text->kids[i]->kind == AST_experiment)
            names[count++] = text->kids[i]->name;
    if (wanted)
        diag_error(diag, start, "there is no network or experiment '%s' in this text%s", wanted,
                   diag_choices(arena, wanted, names, count));
    else
        diag_error(diag, start,
                   "nothing to compile in this text: it has no 'search', no 'train' and no 'network main'");
}

static const Ast *choose_entry(Arena *arena, const Program *program, const FrontendOptions *options, Diag *diag) {
    const char *prefer = options ? options->prefer : NULL,
               *of_recipe = prefer && str_equal(prefer, "search") ? prefer : "train";
    const char *wanted = program->recipe ? of_recipe : options ? options->entry : NULL;
    const Ast *text = program->recipe ? program->recipe : program->texts[0], *entry = NULL;
    if (!wanted && prefer)
        entry = find_entry(text, prefer);
    if (!entry)
        entry = find_entry(text, wanted);
    if (!entry && (wanted || diag_count_errors(diag) == 0))
        report_no_entry(arena, text, wanted, diag);
    return entry;
}

static Program program_create(Arena *arena, const FrontendOptions *options) {
    Program program = {.globals = str_map_create(arena)};
    if (options) {
        program.library = options->library;
        program.files = options->files;
        program.look_at = options->look_at;
    }
    return program;
}

IrModule *frontend_load(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag, Error *error) {
    Program program = program_create(arena, options);
    Loader loader = load_create(arena, &program, diag, error);
    loader.unread = options ? options->unread : NULL;
    if (!load_main(&loader, path, options))
        return NULL;
    if (options && options->recipe && !load_recipe(&loader, options->recipe))
        return NULL;
    Sets sets = {0};
    if (options)
        sets_parse(arena, options->sets, options->set_count, &sets, diag);
    load_named_files(&loader, &sets);
    if (error->kind) /* an import that is there and cannot be read */
        return NULL;
    sema_check(arena, &program, diag);
    load_explain_unknown(&loader);
    const Ast *entry = choose_entry(arena, &program, options, diag);
    if (!entry)
        return NULL;
    const Ast *network = choose_network(arena, &program, entry, &sets);
    if (!check_genotype(&program, entry, network, &sets, diag))
        return NULL;
    check_sets(arena, &program, entry, network, &sets, diag);
    return lower_program(&(Job){arena, &program, entry, network}, &sets, diag);
}

IrModule *frontend_parse_data(Arena *arena, const char *text, Diag *diag) {
    SourceFile *file = ARENA_NEW(arena, SourceFile);
    *file = (SourceFile){"--data", text, strlen(text)};
    const Ast *data = ast_parse_expression(arena, file, diag);
    StrMap globals = str_map_create(arena);
    const Sets none = {0};
    Lower l = {.arena = arena,
               .diag = diag,
               .globals = &globals,
               .constants = str_map_create(arena),
               .alphas = str_map_create(arena),
               .instance_index = str_map_create(arena),
               .sets = &none,
               .module = ir_module_create(arena, "data")};
    if (data)
        lower_data(&l, data);
    return data && diag_count_errors(diag) == 0 ? l.module : NULL;
}

static bool is_plain_name(Arena *arena, const char *name) {
    return ast_is_name(arena, name) && !str_equal(name, "main") && !builtin_find(name);
}

bool frontend_name_is_free(Arena *arena, const FrontendOptions *options, const char *name, Error *error) {
    Diag *silent = diag_create(arena, NULL);
    Program program = program_create(arena, options);
    Loader loader = load_create(arena, &program, silent, error);
    loader.unread = error;
    load_given(&loader, "definitions", options->text);
    return !error->kind && is_plain_name(arena, name) && !program_defines(&program, name);
}

/* Loads and checks a text with all that it imports; false with a message. */
static bool load_checked(Arena *arena, const char *path, const FrontendOptions *options, Program *program,
                         Loader *loader, Diag *diag, Error *error) {
    *program = program_create(arena, options);
    *loader = load_create(arena, program, diag, error);
    loader->unread = options ? options->unread : NULL;
    if (!load_main(loader, path, options) || error->kind)
        return false;
    sema_check(arena, program, diag);
    load_explain_unknown(loader);
    return diag_count_errors(diag) == 0;
}

const char *frontend_print_ast(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag,
                               Error *error) {
    Program program;
    Loader loader;
    if (!load_checked(arena, path, options, &program, &loader, diag, error))
        return NULL;
    Str out = str_create(arena);
    str_add(&out, "");
    ast_print(program.texts[0], &out);
    return out.data;
}

const char *frontend_list_methods(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag,
                                  Error *error) {
    Program program;
    Loader loader;
    if (!load_checked(arena, path, options, &program, &loader, diag, error))
        return NULL;
    Str out = str_create(arena);
    str_add(&out, "| method | clauses | what it is |\n| --- | --- | --- |\n");
    for (int i = 0; i < program.text_count; i++)
        method_list(arena, program.texts[i], &out);
    return out.data;
}

/* The last genotype of the text, or the one of that name. */
static const GenotypeForm *read_own_genotype(Arena *arena, const Ast *text, const char *name, Diag *diag) {
    const Ast *found = NULL;
    for (int i = 0; i < text->count; i++)
        if (text->kids[i]->kind == AST_genotype && (!name || str_equal(text->kids[i]->name, name)))
            found = text->kids[i];
    if (found)
        return genotype_read_definition(arena, found, diag);
    diag_error(diag, (Span){.file = text->span.file}, name ? "no genotype is called '%s'" : "holds no genotype", name);
    return NULL;
}

const GenotypeForm *frontend_read_genotype(Arena *arena, const char *path, const FrontendOptions *options,
                                           const char **text, Diag *diag, Error *error) {
    Program program;
    Loader loader;
    if (!load_checked(arena, path, options, &program, &loader, diag, error))
        return NULL;
    Str out = str_create(arena);
    ast_print(program.texts[0], &out);
    *text = out.data;
    const char *pick = options->choice ? options->choice->pick : NULL;
    return loader.foreign.source ? loader.foreign.form : read_own_genotype(arena, program.texts[0], pick, diag);
}
