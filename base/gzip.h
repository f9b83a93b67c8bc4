/* gzip.h: bytes that gzip packed. */
#ifndef NDARTS_BASE_GZIP_H
#define NDARTS_BASE_GZIP_H

#include "base/arena.h"
#include "base/error.h"

#include <stddef.h>

/* What was packed, in the arena with a zero byte after it, of at most `most` bytes. NULL: ERROR_INPUT when the bytes are broken, end
 * early or hold more, ERROR_MACHINE without memory. path names them in the message. */
char *gzip_unpack(Arena *arena, const char *path, const void *bytes, size_t size, size_t most, size_t *unpacked,
                  Error *error);

#endif
