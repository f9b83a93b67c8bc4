/* npy.c: one array in numpy's format: 6 magic bytes, 2 of version, the header's length (2 bytes, or 4 from version 2
 * on), a Python dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, then the data. */
#include "base/file.h"
#include "base/file_kind.h"
#include "base/str.h"
#include "base/tensor_file.h"

#include <inttypes.h>
#include <string.h>

static const char npy_magic[6] = "\x93NUMPY";

/* How numpy calls the types; bfloat16 has no name there. */
static const char *const descriptions[] = {
    [TENSOR_f32] = "<f4", [TENSOR_f64] = "<f8", [TENSOR_f16] = "<f2", [TENSOR_bf16] = NULL,
    [TENSOR_i64] = "<i8", [TENSOR_i32] = "<i4", [TENSOR_u8] = "|u1",  [TENSOR_bool] = "|b1",
};

/* The header being parsed: next moves up to end. */
typedef struct NpyParser {
    Arena *arena;
    const char *path;
    Error *error;
    const char *next, *end;
    bool has_type, has_order, has_shape;
} NpyParser;

static bool malformed(NpyParser *parser, const char *expected) {
    return error_set(parser->error, ERROR_INPUT, "%s: malformed npy header: expected %s", parser->path, expected);
}

static bool accept(NpyParser *parser, char c) {
    while (parser->next < parser->end && strchr(" \t\n", *parser->next) && *parser->next)
        parser->next++;
    if (parser->next == parser->end || *parser->next != c)
        return false;
    parser->next++;
    return true;
}

static bool accept_word(NpyParser *parser, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(parser->end - parser->next) < length || memcmp(parser->next, word, length) != 0)
        return false;
    parser->next += length;
    return true;
}

/* A string in either kind of quotes, without escapes; NULL when there is none. */
static const char *parse_string(NpyParser *parser) {
    char quote = accept(parser, '\'') ? '\'' : accept(parser, '"') ? '"' : 0;
    const char *start = parser->next;
    const char *stop = quote ? memchr(start, quote, (size_t)(parser->end - start)) : NULL;
    if (!stop)
        return NULL;
    parser->next = stop + 1;
    return arena_strndup(parser->arena, start, (size_t)(stop - start));
}

static bool parse_type(NpyParser *parser, Tensor *tensor) {
    const char *text = parse_string(parser);
    if (!text)
        return malformed(parser, "a string after 'descr'");
    for (int i = 0; i <= TENSOR_bool; i++) {
        if (descriptions[i] && str_equal(text, descriptions[i])) {
            tensor->type = (TensorType)i;
            return true;
        }
    }
    return error_set(parser->error, ERROR_INPUT,
                     "%s: the array has type '%s'; expected '<f4', '<f8', '<f2', '<i4', '<i8', '|u1' or '|b1'",
                     parser->path, text);
}

static bool parse_order(NpyParser *parser) {
    accept(parser, ' ');
    if (accept_word(parser, "False"))
        return true;
    if (!accept_word(parser, "True"))
        return malformed(parser, "True or False after 'fortran_order'");
    return error_set(parser->error, ERROR_INPUT,
                     "%s: the array is in Fortran order; expected C order (numpy.ascontiguousarray makes it)",
                     parser->path);
}

static bool parse_extent(NpyParser *parser, int64_t *extent) {
    const char *start = parser->next;
    bool overflow = false;
    *extent = 0;
    for (; parser->next < parser->end && *parser->next >= '0' && *parser->next <= '9'; parser->next++) {
        overflow |= __builtin_mul_overflow(*extent, 10, extent);
        overflow |= __builtin_add_overflow(*extent, *parser->next - '0', extent);
    }
    return parser->next > start && !overflow;
}

static bool parse_shape(NpyParser *parser, Tensor *tensor) {
    if (!accept(parser, '('))
        return malformed(parser, "( after 'shape'");
    tensor->rank = 0;
    while (!accept(parser, ')')) {
        if (tensor->rank == TENSOR_MAX_RANK)
            return error_set(parser->error, ERROR_INPUT, "%s: the array has more than %d dimensions", parser->path,
                             TENSOR_MAX_RANK);
        if (!parse_extent(parser, &tensor->shape[tensor->rank++]))
            return malformed(parser, "a non-negative integer in 'shape'");
        if (!accept(parser, ',') && !(parser->next < parser->end && *parser->next == ')'))
            return malformed(parser, ", or ) in 'shape'");
    }
    return true;
}

static bool parse_item(NpyParser *parser, Tensor *tensor) {
    const char *key = parse_string(parser);
    if (!key || !accept(parser, ':'))
        return malformed(parser, "a key and a colon");
    bool *seen = str_equal(key, "descr")           ? &parser->has_type
                 : str_equal(key, "fortran_order") ? &parser->has_order
                 : str_equal(key, "shape")         ? &parser->has_shape
                                                   : NULL;
    if (!seen || *seen)
        return error_set(parser->error, ERROR_INPUT, "%s: malformed npy header: %s key '%s'", parser->path,
                         seen ? "repeated" : "unknown", key);
    *seen = true;
    return seen == &parser->has_type    ? parse_type(parser, tensor)
           : seen == &parser->has_order ? parse_order(parser)
                                        : parse_shape(parser, tensor);
}

static bool parse_header(NpyParser *parser, Tensor *tensor) {
    if (!accept(parser, '{'))
        return malformed(parser, "{");
    while (!accept(parser, '}')) {
        if (!parse_item(parser, tensor))
            return false;
        if (!accept(parser, ',') && !(parser->next < parser->end && *parser->next == '}'))
            return malformed(parser, ", or }");
    }
    if (!parser->has_type || !parser->has_order || !parser->has_shape)
        return malformed(parser, "the keys 'descr', 'fortran_order' and 'shape'");
    return true;
}

/* Finds the header in the file; what follows it is the data. */
static bool find_header(NpyParser *parser, const char *bytes, size_t size) {
    if (size < 10 || memcmp(bytes, npy_magic, sizeof npy_magic) != 0)
        return error_set(parser->error, ERROR_INPUT, "%s: not an npy file", parser->path);
    int version = (unsigned char)bytes[6];
    if (version < 1 || version > 2)
        return error_set(parser->error, ERROR_INPUT, "%s: npy version %d; expected 1 or 2", parser->path, version);
    size_t prefix = version == 1 ? 10 : 12, length = 0;
    for (size_t i = prefix; i-- > 8 && size >= prefix;)
        length = length << 8 | (unsigned char)bytes[i];
    if (size < prefix || length > size - prefix)
        return error_set(parser->error, ERROR_INPUT, "%s: the npy header is cut off: the file has %zu bytes",
                         parser->path, size);
    parser->next = bytes + prefix;
    parser->end = parser->next + length;
    return true;
}

static bool check_size(NpyParser *parser, const Tensor *tensor, size_t found) {
    int64_t bytes = (int64_t)tensor_type_size(tensor->type);
    bool overflow = false;
    for (int i = 0; i < tensor->rank; i++)
        overflow |= __builtin_mul_overflow(bytes, tensor->shape[i], &bytes);
    if (overflow)
        return error_set(parser->error, ERROR_INPUT, "%s: the size of the array is too big", parser->path);
    if ((uint64_t)bytes != found)
        return error_set(parser->error, ERROR_INPUT, "%s: expected %" PRId64 " bytes of data, found %zu", parser->path,
                         bytes, found);
    return true;
}

bool npy_read(Arena *arena, const char *path, Tensor *tensor, Error *error) {
    size_t size;
    NpyParser parser = {.arena = arena, .path = path, .error = error};
    *tensor = (Tensor){.name = arena_strdup(arena, path)};
    const char *bytes = file_read(arena, path, &size, error);
    if (!bytes || !file_expect(path, bytes, size, FILE_npy, "an array of numpy (.npy)", error) ||
        !find_header(&parser, bytes, size))
        return false;
    const char *data = parser.end;
    size_t data_size = size - (size_t)(data - bytes);
    if (!parse_header(&parser, tensor) || !check_size(&parser, tensor, data_size))
        return false;
    bool aligned = (uintptr_t)data % tensor_type_size(tensor->type) == 0;
    tensor->data = aligned ? (void *)data : arena_grow(arena, data, data_size, data_size + 1);
    return true;
}

/* Prefix and header, padded so that the data begins at a multiple of 64. */
static Str make_header(Arena *arena, const Tensor *tensor) {
    Str s = str_create(arena);
    str_add_bytes(&s, npy_magic, sizeof npy_magic);
    str_add_bytes(&s, "\1\0\0\0", 4);
    str_addf(&s, "{'descr': '%s', 'fortran_order': False, 'shape': (", descriptions[tensor->type]);
    for (int i = 0; i < tensor->rank; i++)
        str_addf(&s, "%s%" PRId64 "%s", i ? " " : "", tensor->shape[i], i + 1 < tensor->rank || i == 0 ? "," : "");
    str_add(&s, "), }");
    while (s.length % 64 != 63)
        str_add(&s, " ");
    str_add(&s, "\n");
    s.data[8] = (char)((s.length - 10) & 255);
    s.data[9] = (char)((s.length - 10) >> 8);
    return s;
}

static bool check_file(const char *path, const void *expected, Error *error) {
    Arena *arena = arena_create();
    Tensor found;
    bool same = npy_read(arena, path, &found, error);
    if (same && !tensor_is_same(&found, expected))
        same = error_set(error, ERROR_MACHINE, "the numbers are others");
    arena_destroy(arena);
    return same;
}

bool npy_write(const char *path, const Tensor *tensor, Error *error) {
    if (!descriptions[tensor->type])
        return error_set(error, ERROR_INPUT, "%s: npy files cannot hold %s", path, tensor_type_name(tensor->type));
    Arena *arena = arena_create();
    Str header = make_header(arena, tensor);
    size_t size = (size_t)tensor_count(tensor) * tensor_type_size(tensor->type);
    FileWriter writer;
    bool good =
        file_writer_open(&writer, path, error) && file_writer_write(&writer, header.data, header.length, error) &&
        file_writer_write(&writer, tensor->data, size, error) && file_writer_commit(&writer, check_file, tensor, error);
    arena_destroy(arena);
    return good;
}
