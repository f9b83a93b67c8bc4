/* cache_prune.c: keeps the cache within its size: what was used longest ago goes first. A file says by its time of
 * modification when it was used last (rt_cache_open). What was used a moment ago stays, or a module could go
 * before the program that had it built has loaded it; so does what a program holds open (a shared lock). Only files
 * named as entries are looked at, and the folders in which entries are made: those of killed programs go. */
#include "runtime/device/cache_prune.h"

#include "base/arena.h"
#include "base/scratch.h"
#include "base/str.h"
#include "runtime/device/cache_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { A_MOMENT = 600, DIGITS = 64 }; /* seconds; of a key */

typedef struct Entry {
    const char *path;
    int64_t used, size;
} Entry;

typedef struct Entries {
    Arena *arena;
    int count, capacity;
    Entry *list;
    int64_t size;
} Entries;

bool rt_cache_limit(int64_t *bytes, Error *error) {
    const char *text = getenv("NDARTS_CACHE_SIZE");
    *bytes = 1000000000;
    return !text || !*text || str_parse_bytes(text, bytes) || str_equal(text, "0") ||
           error_set(error, ERROR_INPUT, "NDARTS_CACHE_SIZE is '%s'; expected a size such as 500M, or 0 for no limit",
                     text);
}

static void collect(Entries *e, const char *folder) {
    DIR *directory = opendir(folder);
    for (struct dirent *item; directory && (item = readdir(directory));) {
        struct stat status;
        const char *path = arena_printf(e->arena, "%s/%s", folder, item->d_name);
        if (strspn(item->d_name, "0123456789abcdef") != DIGITS || item->d_name[DIGITS] != '.' ||
            lstat(path, &status) != 0 || !S_ISREG(status.st_mode))
            continue;
        Entry entry = {path, status.st_mtime, status.st_size};
        ARENA_PUSH(e->arena, e->list, e->count, e->capacity, entry);
        e->size += entry.size;
    }
    if (directory)
        closedir(directory);
}

static int compare_use(const void *a, const void *b) {
    const Entry *x = a, *y = b;
    return x->used != y->used ? (x->used > y->used) - (x->used < y->used) : strcmp(x->path, y->path);
}

/* False when a program holds it. */
static bool remove_entry(const Entry *entry) {
    int file = open(entry->path, O_RDONLY | O_CLOEXEC);
    bool removed = file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0 && unlink(entry->path) == 0;
    if (file >= 0)
        close(file);
    return removed;
}

void rt_cache_prune(int64_t limit) {
    Entries e = {.arena = arena_create()};
    Error ignored = {ERROR_NONE, ""};
    const char *folder = rt_cache_folder(e.arena, &ignored);
    if (folder) {
        e.size = scratch_sweep(e.arena, arena_printf(e.arena, "%s/", folder));
        collect(&e, folder);
    }
    if (limit > 0 && e.size > limit) {
        int64_t moment = (int64_t)time(NULL) - A_MOMENT;
        qsort(e.list, (size_t)e.count, sizeof *e.list, compare_use);
        for (int i = 0; i < e.count && e.size > limit && e.list[i].used < moment; i++)
            if (remove_entry(&e.list[i]))
                e.size -= e.list[i].size;
    }
    arena_destroy(e.arena);
}
