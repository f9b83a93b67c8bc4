/* cache_folder.c: where the cache is, and whether code may be loaded from there. What lies in a folder is its owner's,
 * and whoever may write a folder may put anything in the place of what it holds. So every folder from the root on, and
 * every link on the way, must be this user's or root's and not writable by others; in one with the sticky bit (/tmp)
 * each can only move his own. Where that does not hold, or the usual folder cannot be made or written, modules are kept in
 * a folder of this process. But a folder that $XDG_CACHE_HOME chose is meant: when it cannot be made, that is an error; and
 * it may be read alone, by those for whom it was filled. */
#include "runtime/device/cache_folder.h"

#include "base/file.h"
#include "base/scratch.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- who may write ---- */

/* Whoever owns the root can do anything. (Where users are mapped, as in a container, it need not be called 0.) */
static bool is_trusted(uid_t owner) {
    struct stat root;
    return owner == geteuid() || owner == 0 || (stat("/", &root) == 0 && owner == root.st_uid);
}

/* The group that has the user's name and nobody else in it: where each user has one, group and user mean the same. */
static bool is_own_group(gid_t group) {
    struct passwd user, *is_user = NULL;
    struct group entry, *is_group = NULL;
    char user_text[4096], group_text[4096];
    if (getpwuid_r(geteuid(), &user, user_text, sizeof user_text, &is_user) != 0 || !is_user ||
        getgrgid_r(group, &entry, group_text, sizeof group_text, &is_group) != 0 || !is_group)
        return false;
    bool alone = user.pw_gid == group && str_equal(user.pw_name, entry.gr_name);
    for (char **member = entry.gr_mem; alone && *member; member++)
        alone = str_equal(*member, user.pw_name);
    return alone;
}

static const char *doubt(Arena *arena, const struct stat *s) {
    if (!is_trusted(s->st_uid))
        return arena_printf(arena, "belongs to another user (number %ld)", (long)s->st_uid);
    if (S_ISLNK(s->st_mode) || !(s->st_mode & (S_IWGRP | S_IWOTH)))
        return NULL;
    if (s->st_mode & S_IWOTH)
        return "can be written by everybody";
    return is_own_group(s->st_gid) ? NULL : "can be written by its group";
}

bool cache_file_is_own(const struct stat *s) {
    return S_ISREG(s->st_mode) && is_trusted(s->st_uid) && !(s->st_mode & (S_IWGRP | S_IWOTH));
}

static const char *follow(Arena *arena, const char *link, bool sticky, int depth);

/* What the path leads through, each in turn. sticky: the last of it may be shared with others, as those before may. */
static const char *check_path(Arena *arena, const char *path, bool sticky, int depth) {
    char *part = arena_strdup(arena, path);
    for (char *p = part + 1;; p++) {
        char end = *p;
        if (end != '/' && end != '\0')
            continue;
        *p = '\0';
        struct stat s;
        if (lstat(part, &s) != 0)
            return arena_printf(arena, "%s cannot be looked at: %s", part, strerror(errno));
        bool others_stay = S_ISDIR(s.st_mode) && (s.st_mode & S_ISVTX) && (end || sticky) && is_trusted(s.st_uid);
        const char *wrong = others_stay ? NULL : doubt(arena, &s);
        if (wrong)
            return arena_printf(arena, "%s %s", part, wrong);
        if (S_ISLNK(s.st_mode) && (wrong = follow(arena, part, end || sticky, depth)))
            return wrong;
        if (end == '\0')
            return NULL;
        *p = end;
    }
}

static const char *follow(Arena *arena, const char *link, bool sticky, int depth) {
    enum { MOST = 40 };
    char target[PATH_MAX];
    ssize_t length = readlink(link, target, sizeof target);
    if (length < 0 || length == sizeof target || depth == MOST)
        return arena_printf(arena, "%s leads nowhere", link);
    const char *to = arena_strndup(arena, target, (size_t)length);
    if (*to != '/')
        to = arena_printf(arena, "%.*s/%s", (int)(strrchr(link, '/') - link), link, to);
    return check_path(arena, to, sticky, depth + 1);
}

const char *cache_folder_doubt(Arena *arena, const char *folder) {
    const char *here = *folder == '/' ? "" : realpath(".", arena_alloc(arena, PATH_MAX));
    const char *path = arena_printf(arena, "%s%s%s", here ? here : "", *folder == '/' ? "" : "/", folder);
    const char *wrong = check_path(arena, "/", false, 0);
    return wrong ? wrong : check_path(arena, path, false, 0);
}

/* ---- where ---- */

/* Of $XDG_CACHE_HOME; NULL: nothing says where. */
static const char *chosen_folder(Arena *arena) {
    const char *cache = getenv("XDG_CACHE_HOME");
    return cache && *cache ? arena_printf(arena, "%s/ndarts", cache) : NULL;
}

static const char *home_folder(Arena *arena) {
    const char *home = getenv("HOME");
    return home && *home ? arena_printf(arena, "%s/.cache/ndarts", home) : NULL;
}

/* Makes the folder and those above it. */
static bool make_folders(Arena *arena, const char *path, Error *error) {
    const char *failed = file_make_folders(arena, path, 0700);
    return !failed ||
           error_set(error, ERROR_MACHINE, "cannot make the cache folder %s: %s (set XDG_CACHE_HOME to another place)",
                     failed, strerror(errno));
}

/* Makes it; why it is of no use, or NULL. */
static const char *prepare_home_folder(Arena *arena, const char *folder) {
    const char *failed = file_make_folders(arena, folder, 0700);
    if (failed)
        return arena_printf(arena, "%s cannot be made: %s", failed, strerror(errno));
    if (access(arena_printf(arena, "%s/.", folder), W_OK | X_OK) != 0)
        return arena_printf(arena, "%s cannot be written: %s", folder, strerror(errno));
    return NULL;
}

/* One that an earlier version made for others too. What they may have put there is not theirs to hide: every file is
 * looked at. */
static void take_permissions(const char *folder) {
    struct stat s;
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (file >= 0 && fstat(file, &s) == 0 && s.st_uid == geteuid() && (s.st_mode & (S_IWGRP | S_IWOTH)))
        fchmod(file, 0700);
    if (file >= 0)
        close(file);
}

/* ---- a folder of this process ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static Arena *own_arena;
static Scratch own;
static pid_t own_process;

static void remove_own(void) {
    if (getpid() == own_process) /* a copy of the process leaves it alone */
        scratch_remove(&own);
    arena_destroy(own_arena);
    own_arena = NULL;
}

static bool make_own(Arena *arena, const char *reason, Scratch *made, Error *error) {
    if (!scratch_make(arena, arena_printf(arena, "%s/ndarts-cache", scratch_place()), made, error))
        return false;
    const char *wrong = cache_folder_doubt(arena, made->folder);
    if (!wrong)
        return true;
    scratch_remove(made);
    return error_set(
        error, ERROR_MACHINE,
        "there is no safe place for compiled modules: %s, and %s; set XDG_CACHE_HOME to a folder that only "
        "you can write",
        reason, wrong);
}

/* False when another thread was faster. Nothing that can run out of memory happens under the mutex. */
static bool keep_own(Arena *arena, const Scratch *made) {
    pthread_mutex_lock(&mutex);
    bool first = !own_arena;
    if (first) {
        own = *made;
        own_arena = arena;
        own_process = getpid();
        atexit(remove_own);
    }
    pthread_mutex_unlock(&mutex);
    return first;
}

static bool has_own(void) {
    pthread_mutex_lock(&mutex);
    bool has = own_arena != NULL;
    pthread_mutex_unlock(&mutex);
    return has;
}

/* reason: why it is needed, told once. */
static const char *own_folder(Arena *arena, const char *reason, Error *error) {
    if (has_own())
        return arena_strdup(arena, own.folder);
    Scratch made;
    Arena *kept = arena_create();
    bool ok = make_own(kept, reason, &made, error), first = ok && keep_own(kept, &made);
    if (first)
        fprintf(diag_stream(),
                "warning: compiled modules are not kept, since %s; set XDG_CACHE_HOME to a folder that only you can "
                "write\n",
                reason);
    else if (ok)
        scratch_remove(&made);
    if (!first)
        arena_destroy(kept);
    return ok ? arena_strdup(arena, own.folder) : NULL;
}

static const char unset[] = "neither XDG_CACHE_HOME nor HOME is set";

const char *rt_cache_folder(Arena *arena, Error *error) {
    const char *chosen = chosen_folder(arena), *folder = chosen ? chosen : home_folder(arena);
    if (!folder)
        return own_folder(arena, unset, error);
    if (chosen && !make_folders(arena, folder, error))
        return NULL;
    const char *wrong = chosen ? NULL : prepare_home_folder(arena, folder);
    take_permissions(folder);
    wrong = wrong ? wrong : cache_folder_doubt(arena, folder);
    return wrong ? own_folder(arena, wrong, error) : folder;
}

/* What prepare_home_folder would say, as far as it shows in what is there. */
static const char *foresee_home_folder(Arena *arena, const char *folder) {
    char *there = arena_strdup(arena, folder), *slash;
    while (access(there, F_OK) != 0 && (slash = strrchr(there, '/')) && slash > there)
        *slash = '\0';
    return access(there, W_OK | X_OK) == 0 ? NULL
                                           : arena_printf(arena, "%s cannot be written: %s", there, strerror(errno));
}

const char *rt_cache_describe(Arena *arena) {
    const char *chosen = chosen_folder(arena), *folder = chosen ? chosen : home_folder(arena);
    const char *wrong = !folder ? unset : chosen ? NULL : foresee_home_folder(arena, folder);
    if (!wrong && access(folder, F_OK) == 0)
        wrong = cache_folder_doubt(arena, folder);
    return wrong ? arena_printf(arena, "a folder of each process (%s)", wrong) : folder;
}
