/* cache.c: modules under the hash of their source, and beside them, under the hash of a text with everything that goes
 * into compiling it, the name of its module (KEY.key): a text compiled before needs no compilation to find it.
 *
 * An entry is KEY.so with a trailer after the shared object: "ndsum\0\0\1" and the SHA-256 of all before it.
 * An entry that is cut short, altered or does not load is built anew. Several programs may build the same entry at
 * once; each renames a whole file. */
#include "runtime/cache.h"

#include "base/hash.h"
#include "base/str.h"
#include "base/tensor_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char trailer_mark[8] = "ndsum\0\0\1";
enum { DIGEST = 64, TRAILER = 8 + DIGEST };

const char *rt_cache_folder(Arena *arena) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache)
        return arena_printf(arena, "%s/ndarts", cache);
    if (home && *home)
        return arena_printf(arena, "%s/.cache/ndarts", home);
    return arena_printf(arena, "/tmp/ndarts-%d", (int)getuid());
}

const char *rt_cache_key(Arena *arena, const CgOutput *output, const char *options, const char *compiler_version) {
    Str all = str_create(arena);
    str_addf(&all, "module 1\n%s\n%s\n", options, compiler_version);
    for (int i = 0; i < output->unit_count; i++) {
        str_addf(&all, "unit %d: %zu bytes\n", i, strlen(output->units[i]));
        str_add(&all, output->units[i]);
    }
    char *key = arena_alloc(arena, 65);
    hash_sha256_hex(all.data, all.length, key);
    return key;
}

/* Makes the folder and those above it. */
static bool make_folders(Arena *arena, const char *path, Error *error) {
    char *partial = arena_strdup(arena, path);
    for (char *p = partial + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(partial, 0777) != 0 && errno != EEXIST)
            return error_set(error, ERROR_MACHINE,
                             "cannot make the cache folder %s: %s (set XDG_CACHE_HOME to another place)", partial,
                             strerror(errno));
        if (end == '\0')
            return true;
        *p = end;
    }
}

/* The whole file; NULL when it cannot be read. The caller frees. */
static char *read_bytes(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseeko(file, 0, SEEK_END);
    off_t length = ftello(file);
    rewind(file);
    char *bytes = length >= 0 ? malloc((size_t)length + 1) : NULL;
    *size = bytes ? fread(bytes, 1, (size_t)length, file) : 0;
    fclose(file);
    if (bytes && *size == (size_t)length)
        return bytes;
    free(bytes);
    return NULL;
}

static bool entry_is_whole(const char *path) {
    size_t size;
    char *bytes = read_bytes(path, &size), digest[DIGEST + 1];
    bool ok = bytes && size > TRAILER && memcmp(bytes + size - TRAILER, trailer_mark, sizeof trailer_mark) == 0;
    if (ok) {
        hash_sha256_hex(bytes, size - TRAILER, digest);
        ok = memcmp(bytes + size - DIGEST, digest, DIGEST) == 0;
    }
    free(bytes);
    return ok;
}

static bool append_trailer(const char *path, Error *error) {
    size_t size;
    char digest[DIGEST + 1], *bytes = read_bytes(path, &size);
    if (bytes)
        hash_sha256_hex(bytes, size, digest);
    FILE *file = bytes ? fopen(path, "ab") : NULL;
    free(bytes);
    bool ok = file && fwrite(trailer_mark, 1, sizeof trailer_mark, file) == sizeof trailer_mark &&
              fwrite(digest, 1, DIGEST, file) == DIGEST;
    ok = file && fclose(file) == 0 && ok;
    return ok || error_set(error, ERROR_MACHINE, "cannot write %s: %s", path, strerror(errno));
}

/* Where an entry is written until it is whole. Threads of one process may write the same one at a time. */
static const char *fresh_path(Arena *arena, const char *entry) {
    static atomic_uint serial;
    return arena_printf(arena, "%s.%d-%u", entry, (int)getpid(), atomic_fetch_add(&serial, 1));
}

/* written: was it? */
static bool put_in_place(bool written, const char *fresh, const char *entry, Error *error) {
    bool ok = written && append_trailer(fresh, error);
    if (ok && rename(fresh, entry) != 0)
        ok = error_set(error, ERROR_MACHINE, "cannot write %s: %s", entry, strerror(errno));
    if (!ok)
        unlink(fresh);
    return ok;
}

static bool build_entry(Arena *arena, const RtCompiler *compiler, const CgOutput *output, const char *options,
                        const char *entry, Error *error) {
    const char *fresh = fresh_path(arena, entry);
    return put_in_place(rt_build_shared(compiler, output, options, fresh, error), fresh, entry, error);
}

static const char *entry_path(Arena *arena, const char *key) {
    return arena_printf(arena, "%s/%s.so", rt_cache_folder(arena), key);
}

static RtModule *load_entry(const char *entry, Error *error) {
    RtModule *module = rt_module_load(entry, error);
    if (module)
        module->file = rt_cache_mark_used(entry);
    return module;
}

RtModule *rt_cache_find(const char *key) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    const char *entry = entry_path(arena, key);
    RtModule *module = entry_is_whole(entry) ? load_entry(entry, &ignored) : NULL;
    arena_destroy(arena);
    return module;
}

bool rt_cache_fill(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *key, Error *error) {
    RtModule *module = rt_cache_find(key);
    bool found = module != NULL;
    rt_module_unload(module);
    if (found)
        return true;
    Arena *arena = arena_create();
    int64_t limit;
    bool ok = rt_cache_limit(&limit, error) && make_folders(arena, rt_cache_folder(arena), error) &&
              build_entry(arena, compiler, output, options, entry_path(arena, key), error);
    if (ok)
        rt_cache_prune(limit);
    arena_destroy(arena);
    return ok;
}

RtModule *rt_cache_load(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *key,
                        Error *error) {
    RtModule *module = rt_cache_find(key);
    if (module || !rt_cache_fill(compiler, output, options, key, error))
        return module;
    Arena *arena = arena_create();
    module = load_entry(entry_path(arena, key), error);
    arena_destroy(arena);
    return module;
}

/* Used, but not for longer than reading it takes. */
static void touch(const char *path) {
    int file = rt_cache_mark_used(path);
    if (file >= 0)
        close(file);
}

void *rt_cache_read(Arena *arena, const char *name, size_t *size) {
    const char *entry = arena_printf(arena, "%s/%s", rt_cache_folder(arena), name);
    char *bytes = entry_is_whole(entry) ? read_bytes(entry, size) : NULL;
    if (!bytes)
        return NULL;
    touch(entry);
    *size -= TRAILER;
    void *copy = arena_alloc(arena, *size + 1);
    memcpy(copy, bytes, *size);
    free(bytes);
    return copy;
}

static bool write_bytes(const char *path, const void *bytes, size_t size, Error *error) {
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(bytes, 1, size, file) == size;
    ok = file && fclose(file) == 0 && ok;
    return ok || error_set(error, ERROR_MACHINE, "cannot write %s: %s", path, strerror(errno));
}

bool rt_cache_write(Arena *arena, const char *name, const void *bytes, size_t size, Error *error) {
    const char *folder = rt_cache_folder(arena), *entry = arena_printf(arena, "%s/%s", folder, name);
    const char *fresh = fresh_path(arena, entry);
    int64_t limit;
    bool ok = rt_cache_limit(&limit, error) && make_folders(arena, folder, error) &&
              put_in_place(write_bytes(fresh, bytes, size, error), fresh, entry, error);
    if (ok)
        rt_cache_prune(limit);
    return ok;
}

/* ---- texts ---- */

/* The file that this code is in: the program, or the shared library that it uses. */
static const char *own_path(void) {
    Dl_info info;
    struct link_map *map = NULL;
    bool found = dladdr1((void *)&ir_op_info, &info, (void **)&map, RTLD_DL_LINKMAP) && map && *map->l_name;
    return found ? map->l_name : "/proc/self/exe";
}

void rt_cache_add_own_hash(Str *s) {
    char digest[65] = "";
    Error ignored = {ERROR_NONE, ""};
    SourceFile *self = source_read(s->arena, own_path(), &ignored);
    if (self)
        hash_sha256_hex(self->text, self->size, digest);
    str_addf(s, "%s\n", digest);
}

static const char *text_path(Arena *arena, const char *text_key) {
    return arena_printf(arena, "%s/%s.key", rt_cache_folder(arena), text_key);
}

const char *rt_cache_recall(Arena *arena, const char *text_key) {
    size_t size = 0;
    const char *path = text_path(arena, text_key);
    char *bytes = read_bytes(path, &size);
    touch(path);
    const char *key = NULL;
    if (bytes && size == DIGEST && strspn(memcpy(arena_alloc(arena, DIGEST + 1), bytes, DIGEST), "0123456789abcdef") == DIGEST)
        key = arena_strndup(arena, bytes, DIGEST);
    free(bytes);
    return key;
}

/* Only saves time later, so a failure is none. */
void rt_cache_remember(const char *text_key, const char *key) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    file_write_atomic(text_path(arena, text_key), key, DIGEST, &ignored);
    arena_destroy(arena);
}
