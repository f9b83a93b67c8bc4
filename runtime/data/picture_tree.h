/* picture_tree.h: which pictures of which classes a folder holds. docs/formats.md, "Pictures", says what is understood.
 */
#ifndef NDARTS_RUNTIME_DATA_PICTURE_TREE_H
#define NDARTS_RUNTIME_DATA_PICTURE_TREE_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct PictureTree {
    Arena *arena;
    const char *path; /* what the user named */
    const char *root; /* path, or the part of it that was read: path/train, path/val, ... */
    bool whole;       /* there are no parts: root is path, whichever was asked for */
    /* Sorted by their bytes; those of the training part, where there is one. */
    const char **classes;
    int class_count;
    int64_t *per_class;
    /* Class by class, each sorted; a folder's pictures come before those of its sub-folders. */
    const char **paths;
    int32_t *labels;
    size_t count, path_capacity, label_capacity;
    /* while reading */
    StrMap met;    /* device and inode of folders that were read or lie above */
    StrMap unread; /* by suffix: files that are no pictures that are read */
    int complaints;
} PictureTree;

/* Finds the classes of a folder; reads nothing else. A folder without classes is ERROR_INPUT. */
bool picture_tree_find(Arena *arena, const char *path, bool test, PictureTree *tree, Error *error);
/* Then: all pictures. A class of a training part without pictures is ERROR_INPUT, as is a folder of a test part that is
 * no class of training; classes that a test part lacks are warned of, as are files that are not read. */
bool picture_tree_read(PictureTree *tree, bool test, Error *error);
/* Whether there are pictures to test with, apart from those of the training. */
bool picture_tree_has_test(const char *path);
/* "a, b, c and 7 more" */
const char *picture_tree_list(Arena *arena, const char *const *names, size_t count);

#endif
