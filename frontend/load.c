/* load.c: reading a text with all it imports. An import lies in the folder of the text that imports it, or else in the
 * library. A file of another program becomes the text that says the same (genotype_form.h). */
#include "frontend/load.h"

#include "base/file.h"
#include "base/file_kind.h"

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

Loader load_create(Arena *arena, Program *program, Diag *diag, Error *error) {
    return (Loader){.arena = arena,
                    .diag = diag,
                    .error = error,
                    .library = program->library,
                    .files = str_map_create(arena),
                    .program = program};
}

/* ---- imports ---- */
static bool is_there(const Loader *loader, const char *path) {
    return find_kept(loader->program->files, path) || !file_is_missing(path);
}

/* What tells one file from another, whatever it is called. */
static const char *file_key(const Loader *loader, const char *path) {
    const KeptFile *kept = find_kept(loader->program->files, path);
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
        source =
            frontend_files_read(loader->program->files, loader->arena, path, MOST_BYTES, import.file != NULL, &failed);
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

void load_given(Loader *loader, const char *path, const char *text) {
    SourceFile *source = ARENA_NEW(loader->arena, SourceFile);
    *source = (SourceFile){path, text, strlen(text)};
    loader->placeless = true;
    load_text(loader, source, path);
}

bool load_main(Loader *loader, const char *path, const FrontendOptions *options) {
    loader->choice = options ? options->choice : NULL;
    if (!options || !options->text)
        return load_file(loader, path, (Span){0});
    load_given(loader, path, options->text);
    return true;
}

bool load_recipe(Loader *loader, const char *path) {
    if (!load_file(loader, path, (Span){0}))
        return false;
    loader->program->recipe = str_map_get(&loader->files, file_key(loader, path));
    return loader->program->recipe != NULL;
}

void load_explain_unknown(Loader *loader) {
    const StrMap *unknown = &loader->program->unknown;
    for (int i = 0; i < loader->hidden_count && unknown->count; i++) {
        const Hidden *hidden = &loader->hidden[i];
        Error ignored = {0};
        Program library = {.globals = str_map_create(loader->arena), .library = loader->library};
        Loader silent = load_create(loader->arena, &library, diag_create(loader->arena, NULL), &ignored);
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

static void load_named(Loader *loader, const char *name, Span named) {
    char *file = arena_printf(loader->arena, "%s.nd", name);
    for (char *c = file; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    const char *path = find_import(loader, loader->program->texts[0]->span.file->path, file);
    if (is_there(loader, path))
        load_file(loader, path, named);
}

void load_named_files(Loader *loader, const Sets *sets) {
    for (int i = 0; i < sets->count; i++) {
        const Ast *value = sets->items[i].value;
        if (str_equal(sets->items[i].name, "method"))
            load_named(loader, "methods", value->span);
        else if (value->kind == AST_name && !program_defines(loader->program, value->name) &&
                 !genotype_text_add(loader->arena, &loader->foreign, loader->program, value->name, loader->diag))
            load_named(loader, value->name, value->span);
    }
}
