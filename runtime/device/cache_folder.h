/* cache_folder.h: the folder of the cache, and its files, none of which anybody else could have written. */
#ifndef NDARTS_RUNTIME_DEVICE_CACHE_FOLDER_H
#define NDARTS_RUNTIME_DEVICE_CACHE_FOLDER_H

#include "base/arena.h"
#include "base/diag.h"

#include <sys/stat.h>

/* The folder: $XDG_CACHE_HOME/ndarts, else ~/.cache/ndarts. It is there, and nobody but this user and root can have
 * written it. Where that cannot be, it is a temporary one of this process, which is said once. NULL: there is none, or
 * that of $XDG_CACHE_HOME cannot be made. */
const char *rt_cache_folder(Arena *arena, Error *error);
/* The folder, or why it is none, in words. Makes nothing. */
const char *rt_cache_describe(Arena *arena);

/* Why code should not be loaded from there, in words that follow the path; NULL: nobody but this user and root can have
 * written it. folder: the last of a path, in which anybody else's permission to write is too much. */
const char *cache_folder_doubt(Arena *arena, const char *folder);
/* The same for an open file. */
bool cache_file_is_own(const struct stat *status);

#endif
