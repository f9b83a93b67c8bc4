/* picture_tree_files.c: one pass over a folder; only links, and entries of file systems that do not say what they are,
 * are asked for their kind. */
#include "runtime/data/picture_tree_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

bool folder_fail(Error *error, const char *path) {
    bool users = errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP || errno == ENAMETOOLONG;
    return error_set(error, users ? ERROR_INPUT : ERROR_MACHINE,
                     errno == ENOENT ? "there is no folder '%s'" : "cannot read the folder '%s': %s", path,
                     strerror(errno));
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort(FolderNames *names) {
    if (names->count)
        qsort(names->items, names->count, sizeof *names->items, compare_names);
}

static bool is_ignored(const char *name) {
    return name[0] == '.' || strcmp(name, "__MACOSX") == 0 || strcmp(name, "@eaDir") == 0;
}

/* A link that leads nowhere, or in a circle, is of kind DT_UNKNOWN. False: it cannot be told. */
static bool kind_of(Arena *arena, const char *folder, const struct dirent *entry, int *kind, Error *error) {
    *kind = entry->d_type;
    if (*kind != DT_LNK && *kind != DT_UNKNOWN)
        return true;
    const char *path = arena_printf(arena, "%s/%s", folder, entry->d_name);
    struct stat status;
    if (stat(path, &status) != 0) {
        *kind = DT_UNKNOWN;
        return errno == ENOENT || errno == ELOOP || errno == ENOTDIR || folder_fail(error, path);
    }
    *kind = S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
    return true;
}

static bool list_entries(Arena *arena, const char *path, DIR *directory, FolderList *list, Error *error) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return errno == 0 || folder_fail(error, path);
        if (is_ignored(entry->d_name))
            continue;
        int kind;
        if (!kind_of(arena, path, entry, &kind, error))
            return false;
        FolderNames *names = kind == DT_DIR ? &list->folders : kind == DT_REG ? &list->files : &list->others;
        ARENA_PUSH(arena, names->items, names->count, names->capacity, arena_strdup(arena, entry->d_name));
    }
}

bool folder_list(Arena *arena, const char *path, FolderList *list, Error *error) {
    *list = (FolderList){0};
    DIR *directory = opendir(path);
    if (!directory)
        return folder_fail(error, path);
    bool good = list_entries(arena, path, directory, list, error);
    closedir(directory);
    sort(&list->folders);
    sort(&list->files);
    sort(&list->others);
    return good;
}

const char *folder_suffix(Arena *arena, const char *name) {
    const char *dot = strrchr(name, '.');
    if (!dot || !dot[1])
        return "without a suffix";
    char *suffix = arena_strdup(arena, dot);
    for (char *c = suffix; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return suffix;
}

bool folder_is_quiet(const char *name) {
    static const char *const quiet[] = {".txt", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".md", ".html",
                                        ".htm", ".log", ".ini", ".db",   ".py",  ".sh",   ".lst", ".url"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof quiet / sizeof quiet[0]; i++) {
        if (strcasecmp(dot, quiet[i]) == 0)
            return true;
    }
    return false;
}
