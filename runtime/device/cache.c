/* cache.c: modules under the hash of their source, and beside them, under the hash of a text with everything that goes
 * into compiling it, the name of its module (KEY.key): a text compiled before needs no compilation to find it.
 *
 * An entry is KEY.so with a trailer after the shared object: "ndsum\0\0\1" and the SHA-256 of all before it.
 * An entry that is cut short, altered, could be written by others or does not load is built anew. Several programs may
 * build the same entry at once; each renames a whole file. Nobody else can put another file in the place of
 * the one that was looked at (cache_folder.c). */
#include "runtime/device/cache.h"

#include "base/hash.h"
#include "base/installed.h"
#include "base/scratch.h"
#include "base/str.h"
#include "runtime/device/cache_folder.h"
#include "runtime/device/cache_prune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static const char trailer_mark[8] = "ndsum\0\0\1";
enum { DIGEST = 64, TRAILER = 8 + DIGEST };

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
    Str all = str_create(arena);
    str_addf(&all, "module 2\n%s\n%s\n", options, compiler_version);
    for (int i = 0; i < output->unit_count; i++) {
        str_addf(&all, "unit %d\n", i);
        add_code(&all, output->units[i]);
    }
    char *key = arena_alloc(arena, 65);
    hash_sha256_hex(all.data, all.length, key);
    return key;
}

/* ---- entries ---- */

int rt_cache_open(Arena *arena, const char *name) {
    Error ignored = {ERROR_NONE, ""};
    const char *folder = rt_cache_folder(arena, &ignored);
    struct stat status;
    int file =
        folder ? open(arena_printf(arena, "%s/%s", folder, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    if (file < 0)
        return -1;
    if (fstat(file, &status) != 0 || !cache_file_is_own(&status)) {
        close(file);
        return -1;
    }
    futimens(file, NULL);
    flock(file, LOCK_SH | LOCK_NB);
    return file;
}

/* The whole file; NULL when it cannot be read. The caller frees. */
static char *read_bytes(int file, size_t *size) {
    struct stat status;
    char *bytes = fstat(file, &status) == 0 ? malloc((size_t)status.st_size + 1) : NULL;
    ssize_t count = 0;
    for (*size = 0; bytes && *size < (size_t)status.st_size; *size += (size_t)count) {
        count = pread(file, bytes + *size, (size_t)status.st_size - *size, (off_t)*size);
        if (count <= 0)
            break;
    }
    if (bytes && *size == (size_t)status.st_size)
        return bytes;
    free(bytes);
    return NULL;
}

/* What comes before the trailer; NULL when the entry is cut short or altered. */
static char *read_entry(int file, size_t *size) {
    char *bytes = read_bytes(file, size), digest[DIGEST + 1];
    bool ok = bytes && *size > TRAILER && memcmp(bytes + *size - TRAILER, trailer_mark, sizeof trailer_mark) == 0;
    if (ok) {
        *size -= TRAILER;
        hash_sha256_hex(bytes, *size, digest);
        ok = memcmp(bytes + *size + TRAILER - DIGEST, digest, DIGEST) == 0;
    }
    if (ok)
        return bytes;
    free(bytes);
    return NULL;
}

static bool append_trailer(const char *path, Error *error) {
    char digest[DIGEST + 1];
    size_t size;
    int file = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    char *bytes = file >= 0 ? read_bytes(file, &size) : NULL;
    if (bytes)
        hash_sha256_hex(bytes, size, digest);
    free(bytes);
    bool ok = bytes && write(file, trailer_mark, sizeof trailer_mark) == sizeof trailer_mark &&
              write(file, digest, DIGEST) == DIGEST && fchmod(file, 0600) == 0;
    ok = file >= 0 && close(file) == 0 && ok;
    return ok || error_set(error, ERROR_MACHINE, "cannot write %s: %s", path, strerror(errno));
}

/* Makes a file in a folder that is there for it alone; *path is the file. */
typedef bool Make(Arena *arena, const char *folder, const void *what, const char **path, Error *error);

/* A folder in the place of an entry goes with the scratch. */
static bool replace_folder(Arena *arena, const Scratch *scratch, const char *path, const char *entry) {
    return rename(entry, arena_printf(arena, "%s/replaced", scratch->folder)) == 0 && rename(path, entry) == 0;
}

/* The entry appears whole or not at all; what a process that is killed leaves goes when the next entry is made. */
static bool put(const char *name, Make *make, const void *what, Error *error) {
    Arena *arena = arena_create();
    const char *folder = rt_cache_folder(arena, error), *path;
    int64_t limit;
    Scratch scratch;
    bool made = folder && rt_cache_limit(&limit, error) &&
                scratch_make(arena, arena_printf(arena, "%s/%s", folder, name), &scratch, error);
    bool ok = made && make(arena, scratch.folder, what, &path, error);
    const char *entry = ok ? arena_printf(arena, "%s/%s", folder, name) : NULL;
    if (ok && rename(path, entry) != 0 && !(errno == EISDIR && replace_folder(arena, &scratch, path, entry)))
        ok = error_set(error, ERROR_MACHINE, "cannot write %s: %s", entry, strerror(errno));
    if (made)
        scratch_remove(&scratch);
    if (ok)
        rt_cache_prune(limit);
    arena_destroy(arena);
    return ok;
}

/* ---- modules ---- */

typedef struct EntrySource {
    const RtCompiler *compiler;
    const CgOutput *output;
    const char *options;
} EntrySource;

static bool make_module(Arena *arena, const char *folder, const void *what, const char **path, Error *error) {
    const EntrySource *s = what;
    return rt_build_in_folder(arena, s->compiler, s->output, s->options, folder, path, error) &&
           append_trailer(*path, error);
}

static const char *entry_name(Arena *arena, const char *key) {
    return arena_printf(arena, "%s.so", key);
}

RtModule *rt_cache_find(const char *key) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    size_t size;
    int file = rt_cache_open(arena, entry_name(arena, key));
    char *bytes = file >= 0 ? read_entry(file, &size) : NULL;
    const char *folder = bytes ? rt_cache_folder(arena, &ignored) : NULL;
    RtModule *module =
        folder ? rt_module_load(arena_printf(arena, "%s/%s", folder, entry_name(arena, key)), &ignored) : NULL;
    if (module)
        module->file = file;
    else if (file >= 0)
        close(file);
    free(bytes);
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
    EntrySource source = {compiler, output, options};
    bool ok = put(entry_name(arena, key), make_module, &source, error);
    arena_destroy(arena);
    return ok;
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

/* ---- plain bytes ---- */

typedef struct EntryBytes {
    const void *bytes;
    size_t size;
    bool trailer;
} EntryBytes;

static bool make_bytes(Arena *arena, const char *folder, const void *what, const char **path, Error *error) {
    const EntryBytes *b = what;
    *path = arena_printf(arena, "%s/entry", folder);
    int file = open(*path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = file >= 0 && write(file, b->bytes, b->size) == (ssize_t)b->size;
    ok = file >= 0 && close(file) == 0 && ok;
    if (!ok)
        return error_set(error, ERROR_MACHINE, "cannot write %s: %s", *path, strerror(errno));
    return !b->trailer || append_trailer(*path, error);
}

void *rt_cache_read(Arena *arena, const char *name, size_t *size) {
    int file = rt_cache_open(arena, name);
    char *bytes = file >= 0 ? read_entry(file, size) : NULL;
    void *copy = bytes ? memcpy(arena_alloc(arena, *size + 1), bytes, *size) : NULL;
    free(bytes);
    if (file >= 0)
        close(file);
    return copy;
}

bool rt_cache_write(Arena *arena, const char *name, const void *bytes, size_t size, Error *error) {
    (void)arena;
    EntryBytes all = {bytes, size, true};
    return put(name, make_bytes, &all, error);
}

/* ---- texts ---- */

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
    size_t size = 0;
    int file = rt_cache_open(arena, text_name(arena, text_key));
    char *bytes = file >= 0 ? read_bytes(file, &size) : NULL;
    const char *key = NULL;
    if (bytes && size == DIGEST &&
        strspn(memcpy(arena_alloc(arena, DIGEST + 1), bytes, DIGEST), "0123456789abcdef") == DIGEST)
        key = arena_strndup(arena, bytes, DIGEST);
    free(bytes);
    if (file >= 0)
        close(file);
    return key;
}

/* Only saves time later, so a failure is none. */
void rt_cache_remember(const char *text_key, const char *key) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    EntryBytes all = {key, DIGEST, false};
    put(text_name(arena, text_key), make_bytes, &all, &ignored);
    arena_destroy(arena);
}
