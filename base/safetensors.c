/* safetensors.c: 8 bytes of little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, the data.
 * Reading trusts nothing: every tensor must fit its type and shape, and together they must cover the data without
 * overlap, gap or rest. */
#include "base/file.h"
#include "base/file_kind.h"
#include "base/json.h"
#include "base/str.h"
#include "base/tensor_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 100000000, PREFIX = 8 };

/* A file being read: header and data as they lie in memory, and where the tensors lie in data. */
typedef struct Reader {
    Arena *arena;
    const char *path;
    Error *error;
    const char *data;
    uint64_t data_size;
} Reader;

typedef struct Extent {
    uint64_t begin, end;
    const char *name;
} Extent;

static bool parse_dtype(const Reader *reader, const char *name, json_t *entry, TensorType *type) {
    const char *text = json_string_value(json_object_get(entry, "dtype"));
    if (!text)
        return error_set(reader->error, ERROR_INPUT, "%s: tensor '%s' has no dtype", reader->path, name);
    for (int i = 0; i <= TENSOR_bool; i++) {
        if (str_equal(text, tensor_type_name((TensorType)i))) {
            *type = (TensorType)i;
            return true;
        }
    }
    return error_set(reader->error, ERROR_INPUT,
                     "%s: tensor '%s' has dtype '%s'; expected F32, F64, F16, BF16, I64, I32, U8 or BOOL", reader->path,
                     name, text);
}

static bool parse_shape(const Reader *reader, json_t *entry, Tensor *tensor, uint64_t *bytes) {
    json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape))
        return error_set(reader->error, ERROR_INPUT, "%s: tensor '%s' has no shape", reader->path, tensor->name);
    if (json_array_size(shape) > TENSOR_MAX_RANK)
        return error_set(reader->error, ERROR_INPUT, "%s: tensor '%s' has %zu dimensions; at most %d are possible",
                         reader->path, tensor->name, json_array_size(shape), TENSOR_MAX_RANK);
    tensor->rank = (int)json_array_size(shape);
    int64_t product = (int64_t)tensor_type_size(tensor->type);
    bool overflow = false;
    for (int i = 0; i < tensor->rank; i++) {
        json_t *extent = json_array_get(shape, (size_t)i);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0)
            return error_set(reader->error, ERROR_INPUT,
                             "%s: dimension %d of tensor '%s' is not a non-negative integer", reader->path, i,
                             tensor->name);
        tensor->shape[i] = json_integer_value(extent);
        overflow |= __builtin_mul_overflow(product, tensor->shape[i], &product);
    }
    if (overflow)
        return error_set(reader->error, ERROR_INPUT, "%s: the size of tensor '%s' is too big", reader->path,
                         tensor->name);
    *bytes = (uint64_t)product;
    return true;
}

static bool parse_offsets(const Reader *reader, json_t *entry, const char *name, uint64_t bytes, Extent *extent) {
    json_t *offsets = json_object_get(entry, "data_offsets");
    json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return error_set(reader->error, ERROR_INPUT, "%s: tensor '%s' has no data_offsets of two integers",
                         reader->path, name);
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || end < begin || (uint64_t)end > reader->data_size)
        return error_set(reader->error, ERROR_INPUT,
                         "%s: tensor '%s' has data_offsets [%" PRId64 ", %" PRId64 "], outside the %" PRIu64
                         " bytes of data",
                         reader->path, name, (int64_t)begin, (int64_t)end, reader->data_size);
    if ((uint64_t)(end - begin) != bytes)
        return error_set(reader->error, ERROR_INPUT,
                         "%s: tensor '%s' has %" PRId64 " bytes of data; its dtype and shape need %" PRIu64,
                         reader->path, name, (int64_t)(end - begin), bytes);
    *extent = (Extent){.begin = (uint64_t)begin, .end = (uint64_t)end, .name = name};
    return true;
}

/* Numbers are read through typed pointers, so data that lies askew in the file is copied. */
static void *place_data(const Reader *reader, const Extent *extent, TensorType type) {
    const char *data = reader->data + extent->begin;
    size_t size = (size_t)(extent->end - extent->begin);
    if ((uintptr_t)data % tensor_type_size(type))
        return arena_grow(reader->arena, data, size, size + 1);
    return (void *)data;
}

static bool parse_tensor(const Reader *reader, const char *name, json_t *entry, Tensor *tensor, Extent *extent) {
    uint64_t bytes = 0;
    tensor->name = arena_strdup(reader->arena, name);
    if (!json_is_object(entry))
        return error_set(reader->error, ERROR_INPUT, "%s: the entry of tensor '%s' is not an object", reader->path,
                         name);
    if (!parse_dtype(reader, name, entry, &tensor->type) || !parse_shape(reader, entry, tensor, &bytes) ||
        !parse_offsets(reader, entry, tensor->name, bytes, extent))
        return false;
    tensor->data = place_data(reader, extent, tensor->type);
    return true;
}

static int compare_extents(const void *a, const void *b) {
    const Extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static bool check_extents(const Reader *reader, Extent *extents, size_t count) {
    uint64_t covered = 0;
    if (count)
        qsort(extents, count, sizeof *extents, compare_extents);
    for (size_t i = 0; i < count; i++) {
        if (extents[i].begin < covered)
            return error_set(reader->error, ERROR_INPUT, "%s: the data of tensors '%s' and '%s' overlap", reader->path,
                             extents[i - 1].name, extents[i].name);
        if (extents[i].begin > covered)
            return error_set(reader->error, ERROR_INPUT,
                             "%s: %" PRIu64 " bytes before the data of tensor '%s' belong to no tensor", reader->path,
                             extents[i].begin - covered, extents[i].name);
        covered = extents[i].end;
    }
    if (covered != reader->data_size)
        return error_set(reader->error, ERROR_INPUT,
                         "%s: expected %" PRIu64 " bytes of data, found %" PRIu64 " (%" PRIu64
                         " trailing bytes belong to no tensor)",
                         reader->path, covered, reader->data_size, reader->data_size - covered);
    return true;
}

static bool parse_metadata(const Reader *reader, json_t *metadata, TensorFile *file) {
    const char *key;
    json_t *value;
    bool strings = json_is_object(metadata);
    json_object_foreach(metadata, key, value) {
        strings = strings && json_is_string(value);
    }
    if (!strings)
        return error_set(reader->error, ERROR_INPUT, "%s: __metadata__ is not an object of strings", reader->path);
    file->metadata = json_print(reader->arena, metadata, JSON_COMPACT);
    return true;
}

static bool parse_header(const Reader *reader, json_t *header, TensorFile *file) {
    const char *name;
    json_t *entry;
    Extent *extents = ARENA_ARRAY(reader->arena, Extent, json_object_size(header));
    size_t count = 0;
    json_object_foreach(header, name, entry) {
        Tensor tensor = {0};
        bool good = str_equal(name, "__metadata__") ? parse_metadata(reader, entry, file)
                                                    : parse_tensor(reader, name, entry, &tensor, &extents[count]);
        if (!good)
            return false;
        if (tensor.name) {
            tensor_file_add(reader->arena, file, tensor);
            count++;
        }
    }
    return check_extents(reader, extents, count);
}

static uint64_t load_le64(const char *bytes) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

/* Splits the file into header and data. */
static bool find_header(Reader *reader, const char *bytes, size_t size, uint64_t *header_size) {
    if (size < PREFIX)
        return error_set(reader->error, ERROR_INPUT,
                         "%s: not a safetensors file: expected at least %d bytes, found %zu", reader->path, PREFIX,
                         size);
    *header_size = load_le64(bytes);
    if (*header_size < 2 || *header_size > HEADER_MAX)
        return error_set(reader->error, ERROR_INPUT,
                         "%s: not a safetensors file: the header length is %" PRIu64 ", expected 2 to %d", reader->path,
                         *header_size, HEADER_MAX);
    if (*header_size > size - PREFIX)
        return error_set(reader->error, ERROR_INPUT,
                         "%s: the header needs %" PRIu64 " bytes, the file has %zu after its length", reader->path,
                         *header_size, size - PREFIX);
    reader->data = bytes + PREFIX + *header_size;
    reader->data_size = size - PREFIX - *header_size;
    return true;
}

bool safetensors_read(Arena *arena, const char *path, TensorFile *file, Error *error) {
    Reader reader = {.arena = arena, .path = path, .error = error};
    size_t size;
    uint64_t header_size = 0;
    json_error_t json_error;
    *file = (TensorFile){0};
    const char *bytes = file_read(arena, path, &size, error);
    if (!bytes || !file_expect(path, bytes, size, FILE_safetensors, "weights in safetensors", error) ||
        !find_header(&reader, bytes, size, &header_size))
        return false;
    json_t *header = json_loadb(bytes + PREFIX, (size_t)header_size, JSON_REJECT_DUPLICATES, &json_error);
    if (!header)
        return error_set(error, ERROR_INPUT, "%s: the header is not valid JSON: %s", path, json_error.text);
    bool good = json_is_object(header) ? parse_header(&reader, header, file)
                                       : error_set(error, ERROR_INPUT, "%s: the header is not a JSON object", path);
    json_decref(header);
    return good;
}

static size_t tensor_bytes(const Tensor *tensor) {
    return (size_t)tensor_count(tensor) * tensor_type_size(tensor->type);
}

/* The tensors by falling element size, so that every one is aligned; in the given order otherwise. */
static const Tensor **order_tensors(Arena *arena, const TensorFile *file) {
    const Tensor **order = ARENA_ARRAY(arena, const Tensor *, file->count);
    size_t count = 0;
    for (size_t element = 8; element; element /= 2) {
        for (size_t i = 0; i < file->count; i++) {
            if (tensor_type_size(file->tensors[i].type) == element)
                order[count++] = &file->tensors[i];
        }
    }
    return order;
}

static json_t *describe_tensor(const Tensor *tensor, uint64_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        json_append(shape, json_integer(tensor->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor_type_name(tensor->type), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + tensor_bytes(tensor)));
}

static bool add_metadata(json_t *header, const char *path, const char *metadata, Error *error) {
    json_error_t json_error;
    json_t *object = json_loads(metadata, JSON_REJECT_DUPLICATES, &json_error);
    if (!object)
        return error_set(error, ERROR_INPUT, "%s: the metadata is not valid JSON: %s", path, json_error.text);
    json_add(header, "__metadata__", object);
    return true;
}

/* The JSON text, padded with spaces so that the data begins at a multiple of 8. NULL and *error on failure. */
static char *make_header(Arena *arena, const char *path, const TensorFile *file, const Tensor **order, Error *error) {
    json_t *header = json_object();
    bool good = !file->metadata || add_metadata(header, path, file->metadata, error);
    uint64_t offset = 0;
    for (size_t i = 0; good && i < file->count; i++) {
        if (str_equal(order[i]->name, "__metadata__"))
            good = error_set(error, ERROR_INPUT,
                             "%s: a tensor cannot be called '__metadata__', which is what a safetensors file says of "
                             "itself",
                             path);
        else if (json_object_get(header, order[i]->name))
            good = error_set(error, ERROR_INPUT, "%s: two tensors are called '%s'", path, order[i]->name);
        else if (json_object_set_new(header, order[i]->name, describe_tensor(order[i], offset)) != 0)
            good = error_set(error, ERROR_INPUT, "%s: the name of tensor '%s' is not UTF-8", path, order[i]->name);
        offset += tensor_bytes(order[i]);
    }
    const char *text = good ? json_print(arena, header, JSON_COMPACT) : NULL;
    json_decref(header);
    return text ? arena_printf(arena, "%-*s", (int)((strlen(text) + 7) & ~(size_t)7), text) : NULL;
}

static bool is_same_metadata(const char *a, const char *b) {
    if (!a || !b)
        return a == b;
    json_t *first = json_loads(a, 0, NULL), *second = json_loads(b, 0, NULL);
    bool same = json_equal(first, second);
    json_decref(first);
    json_decref(second);
    return same;
}

/* Reads it as whoever needs it will. */
static bool check_file(const char *path, const void *expected, Error *error) {
    const TensorFile *file = expected;
    Arena *arena = arena_create();
    TensorFile found;
    bool same = safetensors_read(arena, path, &found, error);
    if (same && found.count != file->count)
        same = error_set(error, ERROR_MACHINE, "%zu tensors, not %zu", found.count, file->count);
    if (same && !is_same_metadata(found.metadata, file->metadata))
        same = error_set(error, ERROR_MACHINE, "the metadata is another");
    for (size_t i = 0; same && i < file->count; i++) {
        const Tensor *tensor = tensor_find(&found, file->tensors[i].name);
        if (!tensor || !tensor_is_same(tensor, &file->tensors[i]))
            same = error_set(error, ERROR_MACHINE, "the tensor '%s' is another", file->tensors[i].name);
    }
    arena_destroy(arena);
    return same;
}

bool safetensors_write(const char *path, const TensorFile *file, Error *error) {
    Arena *arena = arena_create();
    FileWriter writer;
    const Tensor **order = order_tensors(arena, file);
    char *header = make_header(arena, path, file, order, error);
    bool good = header && file_writer_open(&writer, path, error);
    if (good) {
        unsigned char prefix[PREFIX];
        for (int i = 0; i < PREFIX; i++)
            prefix[i] = (unsigned char)((uint64_t)strlen(header) >> (8 * i));
        good = file_writer_write(&writer, prefix, PREFIX, error) &&
               file_writer_write(&writer, header, strlen(header), error);
        for (size_t i = 0; good && i < file->count; i++)
            good = file_writer_write(&writer, order[i]->data, tensor_bytes(order[i]), error);
        good = good && file_writer_commit(&writer, check_file, file, error);
    }
    arena_destroy(arena);
    return good;
}
