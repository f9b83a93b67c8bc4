/* picture_tree_files.h: what is in one folder, and what the names of its files say. */
#ifndef NDARTS_RUNTIME_DATA_PICTURE_TREE_FILES_H
#define NDARTS_RUNTIME_DATA_PICTURE_TREE_FILES_H

#include "base/arena.h"
#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct FolderNames {
    const char **items;
    size_t count, capacity;
} FolderNames;

/* Sorted by their bytes. Links are what they lead to; others: links that lead nowhere, pipes, devices. */
typedef struct FolderList {
    FolderNames folders, files, others;
} FolderList;

/* Without what is hidden (a dot in front) and what archives and disk stations leave behind (__MACOSX, @eaDir). A folder
 * that is not there or may not be read is ERROR_INPUT. */
bool folder_list(Arena *arena, const char *path, FolderList *list, Error *error);
/* Reports errno for the path; returns false. */
bool folder_fail(Error *error, const char *path);
/* ".heic", in small letters, or "without a suffix". */
const char *folder_suffix(Arena *arena, const char *name);
/* Texts, tables and the like, which nobody takes for pictures. */
bool folder_is_quiet(const char *name);

#endif
