/* picture_tree_look.c: what a folder of pictures holds, so that nobody has to count: its classes, and the size of the first
 * pictures of the first classes. Mistakes are left to those who read the folder in earnest. */
#include "runtime/data/picture_tree_look.h"

#include "runtime/data/data.h"
#include "runtime/data/picture_tree.h"
#include "runtime/data/picture_tree_files.h"

enum { MOST_CLASSES = 8, MOST_FILES = 8 };

/* Of the first file that can be decoded. */
static bool first_size(Arena *arena, const char *folder, int *height, int *width) {
    FolderList list;
    Error ignored = {ERROR_NONE, ""};
    if (!folder_list(arena, folder, &list, &ignored))
        return false;
    for (size_t i = 0; i < list.files.count && i < MOST_FILES; i++) {
        Error broken = {ERROR_NONE, ""};
        Image image;
        if (!image_read(arena_printf(arena, "%s/%s", folder, list.files.items[i]), &image, &broken, &ignored))
            continue;
        *height = image.height, *width = image.width;
        image_free(&image);
        return true;
    }
    return false;
}

static void look_at_sizes(const PictureTree *tree, int64_t *height, int64_t *width) {
    int h, w;
    for (int i = 0; i < tree->class_count && i < MOST_CLASSES; i++) {
        if (!first_size(tree->arena, arena_printf(tree->arena, "%s/%s", tree->root, tree->classes[i]), &h, &w))
            continue;
        if (h > DATA_MOST_SIDE || w > DATA_MOST_SIDE || (*height && (*height != h || *width != w))) {
            *height = *width = 0;
            return;
        }
        *height = h, *width = w;
    }
}

void picture_tree_look(const char *path, int64_t *classes, int64_t *height, int64_t *width) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    PictureTree tree;
    *classes = *height = *width = 0;
    if (picture_tree_find(arena, path, false, &tree, &ignored)) {
        *classes = tree.class_count;
        look_at_sizes(&tree, height, width);
    }
    arena_destroy(arena);
}
