/* run_folder.c: the lock of a run's folder, what killed processes left in it, and earlier results.
 *
 * The lock is a POSIX record lock on the file .lock: the kernel gives it back when the process ends, the copies of the
 * process that fork makes do not have it, and on NFS it holds between machines. The file stays; what it says is for the
 * message to whom comes second.
 *
 * Setting aside: OUT/earlier-DATE.unfinished is made, everything is renamed into it, and it is renamed to
 * OUT/earlier-DATE. Who finds a folder `.unfinished` moves its contents back: the run that wanted to begin never took
 * a step, and a --resume means the run before it. */
#include "runtime/loops/run_folder.h"

#include "base/file.h"
#include "base/str.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char lock_name[] = ".lock";
static const char aside_prefix[] = "earlier-", unfinished[] = ".unfinished";
static const char report_name[] = "report.html";

/* ---- what runs write ---- */

static const char *const names[] = {
    "checkpoint.safetensors",
    "checkpoint.old.safetensors", /* of earlier versions */
    "metrics.jsonl",
    "alphas.jsonl",
    "genotypes.jsonl",
    "cost.json",
    "timing.jsonl",
    "steps.jsonl",
    "events.out.tfevents.ndarts",
    "genotype.nd",
    "network.ir",
    "run.json",
    "classes.txt",
    "best.safetensors",
    "weights.safetensors",
    "result.json",
    "summary.json",
    "profile.json",
    report_name, /* it is about them */
};

/* The folder of one of several seeds: seed-12. */
static bool is_seed(const char *name) {
    const char *digits = str_starts_with(name, "seed-") ? name + strlen("seed-") : "";
    return *digits && digits[strspn(digits, "0123456789")] == '\0';
}

/* Of a cell, called like its kind: normal.dot, reduce.svg. */
static bool is_drawing(const char *name) {
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return length && (str_equal(name + length, ".dot") || str_equal(name + length, ".svg"));
}

bool run_folder_knows(const char *name) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_equal(name, names[i]))
            return true;
    }
    return is_seed(name) || is_drawing(name);
}

/* ---- small ones ---- */

typedef struct Names {
    const char **items;
    size_t count, capacity;
} Names;

static const char *join(Arena *arena, const char *folder, const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

/* A mistake in the path, as opposed to a machine that fails. */
static bool fail(const char *what, const char *path, Error *error) {
    bool machine = errno == ENOSPC || errno == EROFS || errno == EIO || errno == EDQUOT || errno == ENOMEM ||
                   errno == EMFILE || errno == ENFILE;
    return error_set(error, machine ? ERROR_MACHINE : ERROR_INPUT, "cannot %s '%s': %s", what, path, strerror(errno));
}

static bool list(Arena *arena, const char *path, Names *found, Error *error) {
    DIR *directory = opendir(path);
    if (!directory)
        return fail("open the folder", path, error);
    struct dirent *entry;
    while ((errno = 0, entry = readdir(directory))) {
        if (str_equal(entry->d_name, ".") || str_equal(entry->d_name, ".."))
            continue;
        const char *name = arena_strdup(arena, entry->d_name);
        ARENA_PUSH(arena, found->items, found->count, found->capacity, name);
    }
    bool ok = errno == 0 || fail("read the folder", path, error);
    closedir(directory);
    return ok;
}

static bool is_there(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 || errno != ENOENT;
}

/* Renames survive a power failure only when the folder is synced; not every file system can. */
static void sync_folder(const char *path) {
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    fsync(descriptor);
    close(descriptor);
}

static bool make_folders(Arena *arena, const char *path, Error *error) {
    const char *failed = file_make_folders(arena, path, 0777);
    struct stat status;
    if (failed)
        return fail("make the folder", failed, error);
    return (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) ||
           error_set(error, ERROR_INPUT, "'%s' is not a folder", path);
}

/* ---- the lock ---- */

static const char *now(Arena *arena, const char *format) {
    char text[64];
    time_t seconds = time(NULL);
    struct tm local;
    if (!localtime_r(&seconds, &local) || strftime(text, sizeof text, format, &local) == 0)
        return "unknown";
    return arena_strdup(arena, text);
}

/* For the second one's message. On a full disk that one learns less, no more. */
static void write_holder(Arena *arena, int lock) {
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0)
        strcpy(host, "?");
    const char *text =
        arena_printf(arena, "process %ld on %s, since %s\n", (long)getpid(), host, now(arena, "%Y-%m-%d %H:%M:%S"));
    if (ftruncate(lock, 0) != 0 || pwrite(lock, text, strlen(text), 0) < 0)
        return;
}

/* Who has the lock: what it wrote, unless the kernel knows that the file is still of the one before. */
static const char *read_holder(Arena *arena, int lock) {
    struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    long pid = fcntl(lock, F_GETLK, &held) == 0 && held.l_type != F_UNLCK ? (long)held.l_pid : 0;
    char text[400];
    ssize_t size = pread(lock, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    for (char *p = text; *p; p++)
        *p = isprint((unsigned char)*p) ? *p : '?';
    bool is_theirs = pid <= 0 || str_starts_with(text, arena_printf(arena, "process %ld ", pid));
    if (*text && is_theirs)
        return arena_strdup(arena, text);
    return pid > 0 ? arena_printf(arena, "process %ld", pid) : "another process";
}

static bool lock_folder(Arena *arena, RunFolder *folder, Error *error) {
    const char *path = join(arena, folder->path, lock_name);
    if (!file_check_guarded(path, error))
        return false;
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (lock < 0)
        return fail("write", path, error);
    struct flock wanted = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(lock, F_SETLK, &wanted) == 0) {
        folder->lock = lock;
        write_holder(arena, lock);
        return true;
    }
    bool is_held = errno == EAGAIN || errno == EACCES;
    if (is_held)
        error_set(error, ERROR_INPUT, "'%s' is in use by %s; wait for its end, or name another folder with --out",
                  folder->path, read_holder(arena, lock));
    else
        fprintf(diag_notes(), "warning: '%s' cannot be locked (%s); see that no second run uses it\n", folder->path,
                strerror(errno));
    close(lock);
    return !is_held;
}

/* ---- what killed processes left ---- */

/* Takes NAME.PID-N.tmp (base/file.c) apart. */
static bool split_temporary(Arena *arena, const char *entry, const char **name, long *pid) {
    static const char suffix[] = ".tmp";
    char *copy = arena_strdup(arena, entry);
    if (!str_ends_with(copy, suffix))
        return false;
    copy[strlen(copy) - strlen(suffix)] = '\0';
    char *dot = strrchr(copy, '.'), *end = NULL;
    if (!dot || !isdigit((unsigned char)dot[1]))
        return false;
    *dot = '\0';
    *name = copy;
    *pid = strtol(dot + 1, &end, 10);
    return *end == '-' && end[1] && end[1 + strspn(end + 1, "0123456789")] == '\0';
}

/* All that a run was writing is of a process that is gone, since the lock is ours; a report is written without it. */
static bool is_left_over(Arena *arena, const char *entry) {
    const char *name;
    long pid;
    if (str_equal(entry, RUN_FOLDER_TRIAL))
        return true;
    if (!split_temporary(arena, entry, &name, &pid))
        return false;
    if (str_equal(name, report_name))
        return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
    return run_folder_knows(name) || str_equal(name, RUN_FOLDER_TRIAL);
}

static bool remove_temporaries(Arena *arena, const char *path, const Names *entries, Error *error) {
    for (size_t i = 0; i < entries->count; i++) {
        const char *file = join(arena, path, entries->items[i]);
        if (is_left_over(arena, entries->items[i]) && unlink(file) != 0 && errno != ENOENT)
            return fail("remove what a killed process left,", file, error);
    }
    return true;
}

/* ---- setting aside ---- */

static bool is_aside(const char *name) {
    return str_starts_with(name, aside_prefix) && isdigit((unsigned char)name[strlen(aside_prefix)]);
}

/* Back to where it was. Nothing is there, for who was killed had written nothing yet; unless a person did. */
static bool undo_one(Arena *arena, const char *path, const char *folder, Error *error) {
    Names moved = {0};
    if (!list(arena, folder, &moved, error))
        return false;
    for (size_t i = 0; i < moved.count; i++) {
        const char *from = join(arena, folder, moved.items[i]), *to = join(arena, path, moved.items[i]);
        if (is_there(to))
            return error_set(error, ERROR_INPUT,
                             "'%s' was being set aside when its process was killed, and cannot be put back: there is "
                             "a '%s' too; move one of them away",
                             from, to);
        if (rename(from, to) != 0)
            return fail("put back", from, error);
    }
    sync_folder(path);
    return rmdir(folder) == 0 || fail("remove the folder", folder, error);
}

static bool undo_unfinished(Arena *arena, const char *path, const Names *entries, Error *error) {
    for (size_t i = 0; i < entries->count; i++) {
        bool found = is_aside(entries->items[i]) && str_ends_with(entries->items[i], unfinished);
        if (found && !undo_one(arena, path, join(arena, path, entries->items[i]), error))
            return false;
    }
    return true;
}

/* The name is of this second; of several within one, or after the clock went back, the later ones have a number. */
static bool make_aside(Arena *arena, const char *path, const char **aside, const char **during, Error *error) {
    const char *date = now(arena, "%Y-%m-%d-%H%M%S");
    for (int i = 1; i < 10000; i++) {
        *aside = arena_printf(arena, i > 1 ? "%s/%s%s-%d" : "%s/%s%s", path, aside_prefix, date, i);
        *during = arena_printf(arena, "%s%s", *aside, unfinished);
        if (is_there(*aside))
            continue;
        if (mkdir(*during, 0777) == 0)
            return true;
        if (errno != EEXIST)
            break;
    }
    return fail("make the folder", *during, error);
}

/* A seed's folder with nothing in it is none. */
static bool has_results(Arena *arena, const char *path) {
    Names entries = {0};
    Error ignored = {0}; /* setting aside lists it again */
    if (!list(arena, path, &entries, &ignored))
        return true;
    for (size_t i = 0; i < entries.count; i++) {
        const char *name = entries.items[i];
        if (is_seed(name) ? has_results(arena, join(arena, path, name)) : run_folder_knows(name))
            return true;
    }
    return false;
}

/* A seed's folder may be in use by a process that runs that seed alone. */
static bool move_seed(Arena *arena, const char *from, const char *to, Error *error) {
    if (!has_results(arena, from))
        return true;
    RunFolder seed = {.path = from, .lock = -1};
    if (!lock_folder(arena, &seed, error))
        return false;
    bool ok = rename(from, to) == 0 || fail("set aside", from, error);
    run_folder_close(&seed);
    return ok;
}

static bool move_all(Arena *arena, const char *path, const char *during, const Names *entries, Error *error) {
    for (size_t i = 0; i < entries->count; i++) {
        const char *name = entries->items[i], *from = join(arena, path, name), *to = join(arena, during, name);
        if (!run_folder_knows(name))
            continue;
        if (is_seed(name) ? !move_seed(arena, from, to, error)
                          : rename(from, to) != 0 && !fail("set aside", from, error))
            return false;
    }
    return true;
}

bool run_folder_set_aside(Arena *arena, const RunFolder *folder, const char **aside, Error *error) {
    Names entries = {0};
    const char *during;
    if (!list(arena, folder->path, &entries, error) || !make_aside(arena, folder->path, aside, &during, error))
        return false;
    bool ok = move_all(arena, folder->path, during, &entries, error);
    if (ok)
        sync_folder(during);
    ok = ok && (rename(during, *aside) == 0 || fail("rename", during, error));
    if (!ok) {
        Error ignored = {0}; /* the next process tries again, and says why it cannot */
        undo_one(arena, folder->path, during, &ignored);
    }
    sync_folder(folder->path);
    return ok;
}

bool run_folder_is_used(Arena *arena, const RunFolder *folder) {
    return has_results(arena, folder->path);
}

const char *run_folder_latest_aside(Arena *arena, const char *path) {
    Names entries = {0};
    Error ignored = {0}; /* it is for a hint */
    const char *latest = NULL;
    if (!list(arena, path, &entries, &ignored))
        return NULL;
    for (size_t i = 0; i < entries.count; i++) {
        if (is_aside(entries.items[i]) && (!latest || strverscmp(entries.items[i], latest) > 0))
            latest = entries.items[i];
    }
    return latest ? join(arena, path, latest) : NULL;
}

/* ---- the whole ---- */

bool run_folder_open(Arena *arena, const char *path, RunFolder *folder, Error *error) {
    Names entries = {0};
    *folder = (RunFolder){.path = path, .lock = -1};
    if (make_folders(arena, path, error) && lock_folder(arena, folder, error) && list(arena, path, &entries, error) &&
        remove_temporaries(arena, path, &entries, error) && undo_unfinished(arena, path, &entries, error))
        return true;
    run_folder_close(folder);
    return false;
}

void run_folder_close(RunFolder *folder) {
    /* Nobody holds it any more: the file says so, and folders of the same results have the same files. */
    if (folder->path && folder->lock >= 0) {
        bool emptied = ftruncate(folder->lock, 0) == 0;
        (void)emptied;
        close(folder->lock);
    }
    *folder = (RunFolder){.lock = -1};
}
