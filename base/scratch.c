/* scratch.c: a folder in use is locked by whoever made it, and the system takes the lock away when that process ends,
 * however it ends, on whichever machine. So one that can be locked is a dead process's. */
#include "base/scratch.h"

#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char ending[] = "build-XXXXXX";

static int open_folder(int in, const char *path) {
    return openat(in, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Between being made and being locked a folder may be swept; then it has no links. A file system without locks goes
 * without. */
static bool lock_folder(Scratch *s) {
    struct stat status;
    s->lock = open_folder(AT_FDCWD, s->folder);
    if (s->lock >= 0)
        flock(s->lock, LOCK_EX);
    if (s->lock >= 0 && fstat(s->lock, &status) == 0 && status.st_nlink > 0)
        return true;
    if (s->lock >= 0)
        close(s->lock);
    return false;
}

bool scratch_make(Arena *arena, const char *prefix, Scratch *scratch, Error *error) {
    enum { TRIES = 10 };
    const char *start = arena_printf(arena, "%s.ndarts-", prefix);
    scratch_sweep(arena, start);
    for (int i = 0; i < TRIES; i++) {
        char *folder = arena_printf(arena, "%s%s", start, ending);
        if (!mkdtemp(folder))
            break;
        *scratch = (Scratch){folder, -1};
        if (lock_folder(scratch))
            return true;
    }
    return error_set(error, ERROR_MACHINE, "cannot make a folder for building, %s%s: %s", start, ending,
                     strerror(errno));
}

/* The bytes of what is in it, folders included; removed unless it only is to be counted. */
static int64_t go_through(int in, const char *folder, bool remove) {
    int file = open_folder(in, folder);
    DIR *directory = file >= 0 ? fdopendir(file) : NULL;
    struct stat status;
    int64_t bytes = 0;
    for (struct dirent *item; directory && (item = readdir(directory));) {
        const char *name = item->d_name;
        if (str_equal(name, ".") || str_equal(name, "..") || fstatat(file, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bytes += S_ISDIR(status.st_mode) ? go_through(file, name, remove) : status.st_size;
        if (remove && !S_ISDIR(status.st_mode))
            unlinkat(file, name, 0);
    }
    if (directory)
        closedir(directory);
    else if (file >= 0)
        close(file);
    if (remove)
        unlinkat(in, folder, AT_REMOVEDIR);
    return bytes;
}

void scratch_remove(Scratch *scratch) {
    if (!scratch->folder)
        return;
    go_through(AT_FDCWD, scratch->folder, true);
    close(scratch->lock);
    *scratch = (Scratch){NULL, -1};
}

/* Where the file system has no locks, one that has not changed for a day is a dead process's. */
static bool is_abandoned(const char *path) {
    enum { DAY = 24 * 3600 };
    struct stat status;
    int file = open_folder(AT_FDCWD, path);
    bool own = file >= 0 && fstat(file, &status) == 0 && status.st_uid == geteuid();
    bool free_now = own && flock(file, LOCK_EX | LOCK_NB) == 0;
    if (own && !free_now && errno != EWOULDBLOCK)
        free_now = status.st_mtime < time(NULL) - DAY;
    if (free_now) /* under the lock, or its maker could be about to lock it */
        go_through(AT_FDCWD, path, true);
    if (file >= 0)
        close(file);
    return free_now;
}

static bool is_scratch(const char *name, const char *start) {
    size_t length = strlen(name), tail = sizeof ending - 1;
    return str_starts_with(name, start) && length >= tail &&
           strncmp(name + length - tail, ending, tail - strlen("XXXXXX")) == 0;
}

int64_t scratch_sweep(Arena *arena, const char *prefix) {
    const char *slash = strrchr(prefix, '/'), *start = slash ? slash + 1 : prefix;
    const char *folder = slash ? arena_printf(arena, "%.*s/", (int)(slash - prefix), prefix) : "./";
    int64_t bytes = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *item; directory && (item = readdir(directory));) {
        const char *path = arena_printf(arena, "%s%s", folder, item->d_name);
        if (is_scratch(item->d_name, start) && !is_abandoned(path))
            bytes += go_through(AT_FDCWD, path, false);
    }
    if (directory)
        closedir(directory);
    return bytes;
}

const char *scratch_place(void) {
    const char *place = getenv("TMPDIR");
    return place && *place ? place : "/tmp";
}
