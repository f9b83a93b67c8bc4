/* cache_entry.h: the files of the cache. Names are those of files in its folder; an entry's begins with a key of 64
 * hexadecimal digits and a point. */
#ifndef NDARTS_RUNTIME_DEVICE_CACHE_ENTRY_H
#define NDARTS_RUNTIME_DEVICE_CACHE_ENTRY_H

#include "base/arena.h"
#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

/* Opens a file, and says that it is used for as long as it is open. -1: there is none that only this user or root can
 * have written. */
int rt_cache_open(Arena *arena, const char *name);
/* The same, of an entry that is whole. */
int rt_cache_hold(Arena *arena, const char *name);

/* Makes a file in a folder that is there for it alone; *path is the file. */
typedef bool RtCacheMake(Arena *arena, const char *folder, const void *what, const char **path, Error *error);
/* The entry appears whole or not at all; then the cache is kept to its size. */
bool rt_cache_put(const char *name, RtCacheMake *make, const void *what, bool trailer, Error *error);
/* A finished file, of the same file system, becomes an entry. */
bool rt_cache_adopt(Arena *arena, const char *path, const char *name, Error *error);

/* An entry that is plain bytes. Read: NULL when it is not there or damaged. */
void *rt_cache_read(Arena *arena, const char *name, size_t *size);
bool rt_cache_write(const char *name, const void *bytes, size_t size, Error *error);
/* A file without a trailer, whatever it says; NULL when there is none. */
const char *rt_cache_read_text(Arena *arena, const char *name);
bool rt_cache_write_text(const char *name, const char *text, Error *error);

#endif
