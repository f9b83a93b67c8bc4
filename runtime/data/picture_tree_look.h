/* picture_tree_look.h: what a folder of pictures holds, so that nobody has to count. */
#ifndef NDARTS_RUNTIME_DATA_PICTURE_TREE_LOOK_H
#define NDARTS_RUNTIME_DATA_PICTURE_TREE_LOOK_H

#include <stdint.h>

/* The number of its classes, and the size of its pictures where some that are looked at all have the same, of at most
 * DATA_MOST_SIDE; 0 for what is not known. Says nothing. */
void picture_tree_look(const char *path, int64_t *classes, int64_t *height, int64_t *width);

#endif
