/* gzip.c: unpacks a file of gzip that is in memory; several, one behind the other, are one, as for gzip itself. */
#include "base/gzip.h"

#define ZLIB_CONST /* what is read is not changed */
#include <zlib.h>

enum { WINDOW_OF_GZIP = 15 + 16, PART = 1 << 20 };

typedef struct Unpacked {
    Arena *arena;
    char *data;
    size_t size, capacity, most;
} Unpacked;

static void make_room(Unpacked *out) {
    if (out->capacity - out->size > 1)
        return;
    size_t capacity = out->capacity ? 2 * out->capacity : 4096;
    out->data = out->data ? arena_grow(out->arena, out->data, out->size, capacity) : arena_alloc(out->arena, capacity);
    out->capacity = capacity;
}

/* A step: Z_OK, or Z_STREAM_END when all input was used at the end of a packed file, or what is wrong. */
static int unpack_more(z_stream *z, const Bytef **next, size_t *left, Unpacked *out) {
    if (!z->avail_in) {
        z->avail_in = *left < PART ? (uInt)*left : PART;
        z->next_in = *next;
        *next += z->avail_in;
        *left -= z->avail_in;
    }
    make_room(out);
    size_t room = out->capacity - out->size - 1;
    z->next_out = (Bytef *)out->data + out->size;
    z->avail_out = room < PART ? (uInt)room : PART;
    uInt before = z->avail_out;
    int code = inflate(z, Z_NO_FLUSH);
    out->size += before - z->avail_out;
    if (code == Z_STREAM_END && (z->avail_in || *left))
        return inflateReset(z);
    return code;
}

static bool explain(const char *path, int code, const z_stream *z, const Unpacked *out, Error *error) {
    if (out->size > out->most)
        return error_set(error, ERROR_INPUT, "%s: more than %zu bytes are packed in it", path, out->most);
    if (code == Z_MEM_ERROR)
        return error_set(error, ERROR_MACHINE, "%s: no memory to unpack it", path);
    if (code == Z_BUF_ERROR)
        return error_set(error, ERROR_INPUT, "%s: truncated: what gzip packed ends early", path);
    return code == Z_STREAM_END ||
           error_set(error, ERROR_INPUT, "%s: broken gzip data (%s)", path, z->msg ? z->msg : "no gzip");
}

char *gzip_unpack(Arena *arena, const char *path, const void *bytes, size_t size, size_t most, size_t *unpacked,
                  Error *error) {
    z_stream z = {.next_in = Z_NULL};
    Unpacked out = {.arena = arena, .most = most};
    const Bytef *next = bytes;
    int code = inflateInit2(&z, WINDOW_OF_GZIP);
    bool begun = code == Z_OK;
    while (code == Z_OK && out.size <= most)
        code = unpack_more(&z, &next, &size, &out);
    bool good = explain(path, code, &z, &out, error);
    if (begun)
        inflateEnd(&z);
    if (!good)
        return NULL;
    out.data[out.size] = '\0';
    *unpacked = out.size;
    return out.data;
}
