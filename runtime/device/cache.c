/* cache.c: modules under the hash of their source (KEY.so), and beside them, under the hash of a text with everything that
 * goes into compiling it, the name of its module (KEY.key): a text compiled before needs no compilation to find it. A
 * module that does not load is built anew, of the functions that other modules had made (objects.c). */
#include "runtime/device/cache.h"

#include "base/hash.h"
#include "base/installed.h"
#include "base/str.h"
#include "runtime/device/cache_entry.h"
#include "runtime/device/cache_folder.h"
#include "runtime/device/machine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The end of what begins at text: a comment, a string or character with its escapes, or one byte of code. */
static const char *end_of_token(const char *text) {
    if (text[0] == '/' && text[1] == '*') {
        const char *end = strstr(text + 2, "*/");
        return end ? end + 2 : text + strlen(text);
    }
    if (*text != '"' && *text != '\'')
        return text + 1;
    const char *at = text + 1;
    while (*at && *at != *text)
        at += at[0] == '\\' && at[1] ? 2 : 1;
    return *at ? at + 1 : at;
}

/* Without its comments: they name the text and the lines that kernels come from, and change nothing. */
static void add_code(Str *s, const char *source) {
    while (*source) {
        size_t plain = strcspn(source, "/\"'");
        str_add_bytes(s, source, plain);
        source += plain;
        const char *end = *source ? end_of_token(source) : source;
        if (source[0] != '/' || source[1] != '*')
            str_add_bytes(s, source, (size_t)(end - source));
        source = end;
    }
}

const char *rt_cache_key(Arena *arena, const CgOutput *output, const char *options, const char *compiler_version) {
    const CgDefinitions *d = output->definitions;
    Str all = str_create(arena);
    str_addf(&all, "module 4\n%s\n%s\n", options, compiler_version);
    if (d)
        str_addf(&all, "%s\n%s\n", d->prelude, d->table);
    for (int i = 0; d && i < d->count; i++)
        str_addf(&all, "%s%s", d->list[i].name, d->list[i].text);
    for (int i = 0; i < output->unit_count; i++) {
        str_addf(&all, "unit %d\n", i);
        add_code(&all, output->units[i]);
    }
    return str_hash(&all);
}

/* ---- modules ---- */

typedef struct EntrySource {
    const RtCompiler *compiler;
    const CgOutput *output;
    const char *options;
    bool draft;
} EntrySource;

static bool make_module(Arena *arena, const char *folder, const void *what, const char **path, Error *error) {
    const EntrySource *s = what;
    RtCompiling work = {arena, s->compiler, s->options, folder, s->draft};
    return s->output->definitions ? rt_objects_build(&work, s->output->definitions, path, error)
                                  : rt_build_in_folder(&work, s->output, path, error);
}

static const char *entry_name(Arena *arena, const char *key) {
    return arena_printf(arena, "%s.so", key);
}

RtModule *rt_cache_find(const char *key) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    int file = rt_cache_hold(arena, entry_name(arena, key));
    const char *folder = file >= 0 ? rt_cache_folder(arena, &ignored) : NULL;
    RtModule *module =
        folder ? rt_module_load(arena_printf(arena, "%s/%s", folder, entry_name(arena, key)), &ignored) : NULL;
    if (module)
        module->file = file;
    else if (file >= 0)
        close(file);
    arena_destroy(arena);
    return module;
}

bool rt_cache_fill(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *key,
                   Error *error) {
    RtModule *module = rt_cache_find(key);
    bool found = module != NULL;
    rt_module_unload(module);
    if (found)
        return true;
    Arena *arena = arena_create();
    EntrySource source = {compiler, output, options, false};
    bool ok = rt_cache_put(entry_name(arena, key), make_module, &source, true, error);
    arena_destroy(arena);
    return ok;
}

static const char *draft_key(Arena *arena, const char *key) {
    Str text = str_create(arena);
    str_addf(&text, "draft %s", key);
    return str_hash(&text);
}

RtModule *rt_cache_find_draft(const char *key) {
    Arena *arena = arena_create();
    RtModule *draft = rt_cache_find(draft_key(arena, key));
    arena_destroy(arena);
    return draft;
}

RtObjectsLeft rt_cache_left(const RtCompiler *compiler, const CgOutput *output, const char *options) {
    Arena *arena = arena_create();
    RtCompiling work = {arena, compiler, options, NULL, false};
    RtObjectsLeft left = {0};
    if (output->definitions)
        left = rt_objects_left(&work, output->definitions);
    arena_destroy(arena);
    return left;
}

bool rt_cache_wants_draft(const RtObjectsLeft *left) {
    enum { LEAST_BYTES = 1000000 }; /* of less source the module itself is there soon enough */
    return left->bytes >= LEAST_BYTES;
}

void rt_cache_announce(const RtObjectsLeft *left, bool draft) {
    /* Bytes of source that a core compiles in a second: gcc 12 on an AMD EPYC (Zen 3). */
    enum { DRAFT_RATE = 270000, RATE = 85000, WORTH_SAYING = 2 /* seconds */ };
    int cores = machine_core_count();
    double seconds = (double)left->bytes / (draft ? DRAFT_RATE : RATE) / cores;
    if (seconds >= WORTH_SAYING)
        fprintf(diag_notes(), "%d of %d functions are new: about %.0f s on %d idle core%s\n", left->functions,
                left->all, seconds, cores, cores == 1 ? "" : "s");
}

bool rt_cache_fill_draft(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *key) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    EntrySource source = {compiler, output, options, true};
    bool made = rt_cache_put(entry_name(arena, draft_key(arena, key)), make_module, &source, true, &ignored);
    arena_destroy(arena);
    return made;
}

RtModule *rt_cache_load(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *key,
                        Error *error) {
    RtModule *module = rt_cache_find(key);
    if (module || !rt_cache_fill(compiler, output, options, key, error))
        return module;
    module = rt_cache_find(key);
    if (!module)
        error_set(error, ERROR_MACHINE, "the module %s was built but does not load", key);
    return module;
}

/* ---- texts ---- */

enum { KEY = 64 };
void rt_cache_add_own_hash(Str *s) {
    char digest[65] = "";
    Error ignored = {ERROR_NONE, ""};
    SourceFile *self = source_read(s->arena, installed_file(), &ignored);
    if (self)
        hash_sha256_hex(self->text, self->size, digest);
    else /* nothing that another made is known to be the same */
        snprintf(digest, sizeof digest, "%ld %ld", (long)getpid(), (long)time(NULL));
    str_addf(s, "%s\n", digest);
}

static const char *text_name(Arena *arena, const char *text_key) {
    return arena_printf(arena, "%s.key", text_key);
}

const char *rt_cache_recall(Arena *arena, const char *text_key) {
    const char *key = rt_cache_read_text(arena, text_name(arena, text_key));
    return key && strlen(key) == KEY && strspn(key, "0123456789abcdef") == KEY ? key : NULL;
}

/* Only saves time later, so a failure is none. */
void rt_cache_remember(const char *text_key, const char *key) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    rt_cache_write_text(text_name(arena, text_key), key, &ignored);
    arena_destroy(arena);
}
