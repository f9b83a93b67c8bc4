/* cache_folder.h: the files of the cache's folder, none of which anybody else could have written. Private to
 * cache*.c. */
#ifndef NDARTS_RUNTIME_DEVICE_CACHE_FOLDER_H
#define NDARTS_RUNTIME_DEVICE_CACHE_FOLDER_H

#include "base/arena.h"
#include "base/diag.h"

#include <sys/stat.h>

/* Why code should not be loaded from there, in words that follow the path; NULL: nobody but this user and root can have
 * written it. folder: the last of a path, in which anybody else's permission to write is too much. */
const char *cache_folder_doubt(Arena *arena, const char *folder);
/* The same for an open file. */
bool cache_file_is_own(const struct stat *status);

#endif
