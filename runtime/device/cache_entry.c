/* cache_entry.c: files of the cache, each whole or not at all.
 *
 * An entry has a trailer behind its bytes: "ndsum\0\0\1" and the SHA-256 of all before it. One that is cut short,
 * altered, or could be written by others is none. Several programs may make the same entry at once; each renames a
 * whole file. Nobody else can put another file in the place of the one that was looked at (cache_folder.c). */
#include "runtime/device/cache_entry.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/scratch.h"
#include "runtime/device/cache_folder.h"
#include "runtime/device/cache_prune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char trailer_mark[8] = "ndsum\0\0\1";
enum { DIGEST = 64, TRAILER = 8 + DIGEST };

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
    bool ok = bytes && file_write_all(file, trailer_mark, sizeof trailer_mark) &&
              file_write_all(file, digest, DIGEST) && fchmod(file, 0600) == 0;
    ok = file >= 0 && close(file) == 0 && ok;
    return ok || error_set(error, ERROR_MACHINE, "cannot write %s: %s", path, strerror(errno));
}

/* A folder in the place of an entry goes with the scratch. */
static bool replace_folder(Arena *arena, const Scratch *scratch, const char *path, const char *entry) {
    return rename(entry, arena_printf(arena, "%s/replaced", scratch->folder)) == 0 && rename(path, entry) == 0;
}

/* What a process that is killed leaves goes when the next entry is made. */
bool rt_cache_put(const char *name, RtCacheMake *make, const void *what, bool trailer, Error *error) {
    Arena *arena = arena_create();
    const char *folder = rt_cache_folder(arena, error), *path;
    int64_t limit;
    Scratch scratch;
    bool made = folder && rt_cache_limit(&limit, error) &&
                scratch_make(arena, arena_printf(arena, "%s/%s", folder, name), &scratch, error);
    bool ok = made && make(arena, scratch.folder, what, &path, error) && (!trailer || append_trailer(path, error));
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

int rt_cache_hold(Arena *arena, const char *name) {
    size_t size;
    int file = rt_cache_open(arena, name);
    char *bytes = file >= 0 ? read_entry(file, &size) : NULL;
    bool whole = bytes != NULL;
    free(bytes);
    if (whole || file < 0)
        return file;
    close(file);
    return -1;
}

bool rt_cache_adopt(Arena *arena, const char *path, const char *name, Error *error) {
    const char *folder = rt_cache_folder(arena, error);
    const char *entry = folder ? arena_printf(arena, "%s/%s", folder, name) : NULL;
    return entry && append_trailer(path, error) &&
           (rename(path, entry) == 0 || error_set(error, ERROR_MACHINE, "cannot write %s: %s", entry, strerror(errno)));
}

/* ---- plain bytes ---- */

typedef struct EntryBytes {
    const void *bytes;
    size_t size;
} EntryBytes;

static bool make_bytes(Arena *arena, const char *folder, const void *what, const char **path, Error *error) {
    const EntryBytes *b = what;
    *path = arena_printf(arena, "%s/entry", folder);
    int file = open(*path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = file >= 0 && file_write_all(file, b->bytes, b->size);
    ok = file >= 0 && close(file) == 0 && ok;
    return ok || error_set(error, ERROR_MACHINE, "cannot write %s: %s", *path, strerror(errno));
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

bool rt_cache_write(const char *name, const void *bytes, size_t size, Error *error) {
    EntryBytes all = {bytes, size};
    return rt_cache_put(name, make_bytes, &all, true, error);
}

const char *rt_cache_read_text(Arena *arena, const char *name) {
    size_t size = 0;
    int file = rt_cache_open(arena, name);
    char *bytes = file >= 0 ? read_bytes(file, &size) : NULL;
    const char *text = bytes ? arena_strndup(arena, bytes, size) : NULL;
    free(bytes);
    if (file >= 0)
        close(file);
    return text;
}

bool rt_cache_write_text(const char *name, const char *text, Error *error) {
    EntryBytes all = {text, strlen(text)};
    return rt_cache_put(name, make_bytes, &all, false, error);
}
