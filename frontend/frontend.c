/* frontend.c: reading a text with its imports, choosing what of it becomes the module, lowering it. */
#include "frontend/frontend.h"

#include "base/file_kind.h"
#include "base/tensor_file.h"
#include "frontend/genotype_form.h"
#include "frontend/lower.h"
#include "frontend/sema.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 8 << 20, /* of a text and all it imports */ MOST_IMPORTS = 64 /* one in the other */ };

/* ---- files ---- */
struct FrontendFiles {
    Arena *arena;
    StrMap by_path; /* KeptFile *, by the path that was asked for */
};

typedef struct KeptFile {
    const char *real; /* path */
    SourceFile *source;
} KeptFile;

static const char *real_path(Arena *arena, const char *path) {
    char buffer[PATH_MAX];
    return !str_equal(path, "-") && realpath(path, buffer) ? arena_strdup(arena, buffer) : path;
}

FrontendFiles *frontend_files_create(Arena *arena) {
    FrontendFiles *files = ARENA_NEW(arena, FrontendFiles);
    *files = (FrontendFiles){arena, str_map_create(arena)};
    return files;
}

static const KeptFile *find_kept(const FrontendFiles *files, const char *path) {
    return files ? str_map_get(&files->by_path, path) : NULL;
}

SourceFile *frontend_files_read(FrontendFiles *files, Arena *arena, const char *path, size_t most, bool imported,
                                Error *error) {
    const KeptFile *kept = find_kept(files, path);
    if (kept)
        return kept->source;
    SourceFile *source = source_read_text(files ? files->arena : arena, path, most, imported, error);
    if (!files || !source)
        return source;
    KeptFile *added = ARENA_NEW(files->arena, KeptFile);
    *added = (KeptFile){real_path(files->arena, path), source};
    str_map_set(&files->by_path, arena_strdup(files->arena, path), added);
    return source;
}

typedef struct Loader {
    Arena *arena;
    Diag *diag;
    Error *error;
    const char *library;
    StrMap files; /* Ast * by real path */
    Program *program;
    size_t bytes; /* read so far */
    int depth;    /* of imports */
    const GenotypeChoice *choice;
    ForeignText foreign; /* the text itself, when it is a file of another program */
    bool placeless;      /* the text lies in no file: nothing is beside it */
    int hidden_count, hidden_capacity;
    struct Hidden *hidden;
    FrontendFiles *kept;
    Error *unread; /* or NULL */
} Loader;

/* A file of the library that is not read, since there is one of its name beside the text that imports it. */
typedef struct Hidden {
    Span import;
    const char *found, *path; /* what is read instead; the library's */
} Hidden;

static Loader create_loader(Arena *arena, Program *program, Diag *diag, Error *error) {
    return (Loader){.arena = arena,
                    .diag = diag,
                    .error = error,
                    .library = program->library,
                    .files = str_map_create(arena),
                    .program = program};
}

/* ---- imports ---- */
static bool is_there(const Loader *loader, const char *path) {
    return find_kept(loader->kept, path) || !file_is_missing(path);
}

/* What tells one file from another, whatever it is called. */
static const char *file_key(const Loader *loader, const char *path) {
    const KeptFile *kept = find_kept(loader->kept, path);
    return kept ? kept->real : real_path(loader->arena, path);
}

static const char *beside(Arena *arena, const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    if (name[0] == '/' || !slash)
        return name;
    return arena_printf(arena, "%.*s/%s", (int)(slash - path), path, name);
}

/* The importing file's folder first, then the library. */
static const char *find_import(Loader *loader, const char *from, const char *name) {
    if (loader->placeless && name[0] != '/' && loader->library)
        return arena_printf(loader->arena, "%s/%s", loader->library, name);
    const char *path = beside(loader->arena, from, name);
    if (is_there(loader, path) || name[0] == '/' || !loader->library)
        return path;
    const char *other = arena_printf(loader->arena, "%s/%s", loader->library, name);
    return is_there(loader, other) ? other : path;
}

static const char *describe_library(const Loader *loader) {
    if (!loader->library)
        return "";
    if (!file_is_missing(loader->library))
        return " or in the library";
    return arena_printf(loader->arena,
                        ", and the library is not there; looked in %s (NDARTS_LIBRARY names another folder)",
                        loader->library);
}

static bool load_file(Loader *loader, const char *path, Span import);

/* The library's file of this name, when it is another one than the file found; else NULL. */
static const char *other_of_library(Loader *loader, const char *found, const char *name) {
    const char *path = loader->library ? arena_printf(loader->arena, "%s/%s", loader->library, name) : NULL;
    bool other =
        path && name[0] != '/' && is_there(loader, path) && !str_equal(file_key(loader, path), file_key(loader, found));
    return other ? path : NULL;
}

/* A text has no use for itself: most likely it has the name of what it wants to import. */
static void report_self_import(Loader *loader, const Ast *import, const char *hidden) {
    if (hidden)
        diag_error(loader->diag, import->name_span,
                   "this text imports itself; call it something else, and \"%s\" is the library's", import->name);
    else
        diag_error(loader->diag, import->name_span, "this text imports itself");
}

/* An import that was found. */
static void follow_import(Loader *loader, const Ast *import, const char *from, const char *found) {
    const char *hidden = other_of_library(loader, found, import->name);
    if (str_equal(file_key(loader, found), file_key(loader, from))) {
        report_self_import(loader, import, hidden);
        found = hidden ? hidden : found;
    } else if (hidden) {
        ARENA_PUSH(loader->arena, loader->hidden, loader->hidden_count, loader->hidden_capacity,
                   ((Hidden){import->name_span, found, hidden}));
    }
    load_file(loader, found, import->span);
}

static void load_imports(Loader *loader, const Ast *text, const char *path) {
    for (int i = 0; i < text->count; i++) {
        const Ast *import = text->kids[i];
        if (import->kind != AST_import)
            continue;
        const char *found = find_import(loader, path, import->name);
        if (loader->depth >= MOST_IMPORTS)
            diag_error(loader->diag, import->span, "imports go %d deep here; more are not followed", MOST_IMPORTS);
        else if (is_there(loader, found))
            follow_import(loader, import, path, found);
        else
            diag_error(loader->diag, import->name_span, "cannot import '%s': there is no such file beside this one%s",
                       import->name, describe_library(loader));
    }
}

static void load_text(Loader *loader, SourceFile *source, const char *key) {
    ForeignText *foreign = &loader->foreign;
    bool other = loader->program->text_count == 0 && genotype_is_foreign(source);
    Ast *text = other ? genotype_text_begin(loader->arena, source, loader->choice, foreign, loader->diag)
                      : ast_parse_text(loader->arena, source, loader->diag);
    str_map_set(&loader->files, key, text);
    ARENA_PUSH(loader->arena, loader->program->texts, loader->program->text_count, loader->program->text_capacity,
               text);
    loader->depth++;
    load_imports(loader, text, str_equal(source->path, "-") ? "" : source->path);
    loader->depth--;
    if (other)
        genotype_text_end(loader->arena, foreign, loader->program, loader->choice, loader->diag);
}

static const char expected[] = "a text in the ndarts language";

/* What is read may have been given in place of a text. */
static bool is_expected(const Loader *loader, const SourceFile *source, Error *failed) {
    return (loader->program->text_count == 0 && genotype_is_foreign(source)) ||
           file_expect(source->path, source->text, source->size, FILE_language, expected, failed);
}

/* import: where a text names the file; none when the user does. */
static bool load_file(Loader *loader, const char *path, Span import) {
    const char *key = file_key(loader, path);
    if (str_map_get(&loader->files, key))
        return true;
    Error failed = {0};
    FileKind kind = file_kind_at(path);
    SourceFile *source = NULL;
    if (file_kind_is_text(kind) || file_expect_kind(path, kind, FILE_language, expected, &failed))
        source = frontend_files_read(loader->kept, loader->arena, path, MOST_BYTES, import.file != NULL, &failed);
    if (source && !is_expected(loader, source, &failed))
        source = NULL;
    loader->bytes += source ? source->size : 0;
    if (loader->bytes > MOST_BYTES) {
        error_set(&failed, ERROR_INPUT, "cannot read '%s': with it a text and its imports have more than %d bytes",
                  path, MOST_BYTES);
        source = NULL;
    }
    if (!source && loader->unread)
        error_set(loader->unread, failed.kind, "%s", failed.message);
    if (!source && import.file && failed.kind == ERROR_INPUT) {
        diag_error(loader->diag, import, "%s", failed.message);
        return false;
    }
    if (!source)
        return error_set(loader->error, failed.kind, "%s", failed.message);
    load_text(loader, source, key);
    return true;
}

/* What was made here and lies in no file yet. */
static void load_given(Loader *loader, const char *path, const char *text) {
    SourceFile *source = ARENA_NEW(loader->arena, SourceFile);
    *source = (SourceFile){path, text, strlen(text)};
    loader->placeless = true;
    load_text(loader, source, path);
}

static bool load_main(Loader *loader, const char *path, const FrontendOptions *options) {
    loader->choice = options ? options->choice : NULL;
    if (!options || !options->text)
        return load_file(loader, path, (Span){0});
    load_given(loader, path, options->text);
    return true;
}

static bool load_recipe(Loader *loader, const char *path) {
    if (!load_file(loader, path, (Span){0}))
        return false;
    loader->program->recipe = str_map_get(&loader->files, file_key(loader, path));
    return loader->program->recipe != NULL;
}

/* Names that are unknown since the library's file of an import's name is not the one that is read. */
static void explain_unknown(Loader *loader) {
    const StrMap *unknown = &loader->program->unknown;
    for (int i = 0; i < loader->hidden_count && unknown->count; i++) {
        const Hidden *hidden = &loader->hidden[i];
        Error ignored = {0};
        Program library = {.globals = str_map_create(loader->arena), .library = loader->library};
        Loader silent = create_loader(loader->arena, &library, diag_create(loader->arena, NULL), &ignored);
        load_file(&silent, hidden->path, (Span){0});
        for (size_t k = 0; k < unknown->count; k++) {
            if (!program_defines(&library, unknown->entries[k].key))
                continue;
            diag_note(loader->diag, hidden->import,
                      "this is '%s'; '%s' is in the library's file of this name, which is read when yours is called "
                      "something else",
                      hidden->found, unknown->entries[k].key);
            break;
        }
    }
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

/* Functions before their users, @forward last. */
static void order_graphs(Lower *l) {
    IrGraph *forward = ir_graph_find(l->module, "forward");
    for (int i = 0; i < l->instance_count; i++)
        l->module->graphs[i] = l->instances[i]->graph;
    l->module->graphs[l->instance_count] = forward;
    l->module->graph_count = l->instance_count + 1;
}

/* The data of a text's training, or search. */
static const Ast *own_data(const Ast *text) {
    static const char *const kinds[] = {"train", "search"};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < text->count; i++) {
            const Ast *experiment = text->kids[i];
            bool fits = experiment->kind == AST_experiment && str_equal(experiment->name, kinds[k]);
            const Ast *setting = fits ? experiment_setting(experiment, "data") : NULL;
            if (setting && setting->kind == AST_setting)
                return setting->kids[0];
        }
    return NULL;
}

Lowered lower_job(const Job *job, const Sets *sets, Diag *diag) {
    Arena *arena = job->arena;
    const Program *program = job->program;
    const Ast *entry = job->entry;
    Lower *l = ARENA_NEW(arena, Lower);
    *l = (Lower){.arena = arena,
                 .diag = diag,
                 .globals = &program->globals,
                 .constants = str_map_create(arena),
                 .alphas = str_map_create(arena),
                 .instance_index = str_map_create(arena),
                 .sets = sets,
                 .program = program,
                 .library = program->library,
                 .text = program->texts[0]->span.file,
                 .own_data = program->recipe ? own_data(program->texts[0]) : NULL,
                 .is_recipe = program->recipe != NULL,
                 .look_at = program->look_at};
    bool clean = diag_count_errors(diag) == 0, experiment = entry->kind == AST_experiment, made = true;
    l->module = ir_module_create(arena, experiment ? str_file_stem(arena, entry->span.file->path) : entry->name);
    if (experiment) {
        made = lower_experiment(l, entry, job->network, clean);
    } else if (clean) {
        ir_module_set(l->module, "kind", ir_attr_string("", "network"), entry->name_span);
        made = lower_entry(l, lower_frame(l, NULL, NULL, (Span){0}), job->network);
    }
    Lowered done = {.misfit = !made && !l->gave_up, .steps = l->steps};
    if (l->input)
        done.height = l->input->type.dim[1], done.width = l->input->type.dim[2];
    if (diag_count_errors(diag))
        return done;
    order_graphs(l);
    const char *wrong = ir_verify_module(l->module, arena);
    if (wrong)
        bug("lowering made a wrong module: %s", wrong);
    done.module = l->module;
    return done;
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

/* --set genotype=noisy_darts_b: what no text defines may be in a file of its name. */
static void load_named_files(Loader *loader, const Sets *sets) {
    for (int i = 0; i < sets->count; i++) {
        const Ast *value = sets->items[i].value;
        if (value->kind != AST_name || program_defines(loader->program, value->name) ||
            genotype_text_add(loader->arena, &loader->foreign, loader->program, value->name, loader->diag))
            continue;
        char *file = arena_printf(loader->arena, "%s.nd", value->name);
        for (char *c = file; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        const char *path = find_import(loader, loader->program->texts[0]->span.file->path, file);
        if (is_there(loader, path))
            load_file(loader, path, value->span);
    }
}

/* A recipe's own network takes the genotype of the text; a text without one, or when the recipe has no network, is
 * trained as it is. */
static const Ast *recipe_network(Arena *arena, const Ast *text, const Ast *entry) {
    const Ast *own = experiment_network(entry), *network = find_entry(text, "main");
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
    Sema sema = {arena, diag, &program->globals, program->library, NULL};
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
    const char *wanted = program->recipe ? "train" : options ? options->entry : NULL;
    const Ast *text = program->recipe ? program->recipe : program->texts[0], *entry = NULL;
    if (!wanted && options && options->prefer)
        entry = find_entry(text, options->prefer);
    if (!entry)
        entry = find_entry(text, wanted);
    if (!entry && (wanted || diag_count_errors(diag) == 0))
        report_no_entry(arena, text, wanted, diag);
    return entry;
}

IrModule *frontend_load(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag, Error *error) {
    Program program = {.globals = str_map_create(arena),
                       .library = options ? options->library : NULL,
                       .look_at = options ? options->look_at : NULL};
    Loader loader = create_loader(arena, &program, diag, error);
    loader.kept = options ? options->files : NULL;
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
    explain_unknown(&loader);
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

bool frontend_name_is_free(Arena *arena, const char *definitions, const char *library, const char *name, Error *error) {
    Diag *silent = diag_create(arena, NULL);
    Program program = {.globals = str_map_create(arena), .library = library};
    Loader loader = create_loader(arena, &program, silent, error);
    loader.unread = error;
    load_given(&loader, "definitions", definitions);
    return !error->kind && is_plain_name(arena, name) && !program_defines(&program, name);
}

const char *frontend_print_ast(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag,
                               Error *error) {
    Program program = {.globals = str_map_create(arena), .library = options ? options->library : NULL};
    Loader loader = create_loader(arena, &program, diag, error);
    loader.kept = options ? options->files : NULL;
    loader.unread = options ? options->unread : NULL;
    if (!load_main(&loader, path, options) || error->kind)
        return NULL;
    sema_check(arena, &program, diag);
    explain_unknown(&loader);
    if (diag_count_errors(diag))
        return NULL;
    Str out = str_create(arena);
    str_add(&out, "");
    ast_print(program.texts[0], &out);
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
    Program program = {.globals = str_map_create(arena), .library = options->library};
    Loader loader = create_loader(arena, &program, diag, error);
    if (!load_main(&loader, path, options))
        return NULL;
    sema_check(arena, &program, diag);
    explain_unknown(&loader);
    if (diag_count_errors(diag))
        return NULL;
    Str out = str_create(arena);
    ast_print(program.texts[0], &out);
    *text = out.data;
    const char *pick = options->choice ? options->choice->pick : NULL;
    return loader.foreign.source ? loader.foreign.form : read_own_genotype(arena, program.texts[0], pick, diag);
}
