/* import.h: what the files of `ndarts-run import` share: pickles, the values they make, and where storages come from.
 *
 * A pickle is a program for a small stack machine that may call anything. Here it may not: the opcodes and the names it
 * can mention are closed lists (import_pickle.c, import_names.c), a "call" only ever makes one of the values below, and
 * whatever else is asked for is refused by its name. Nothing walks a value recursively, so depth and cycles are no
 * danger; sizes are checked against the bytes there are before anything is allocated. */
#ifndef NDARTS_RUNTIME_IMPORT_H
#define NDARTS_RUNTIME_IMPORT_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"
#include "base/tensor_file.h"

/* The types that PyTorch stores. What safetensors here does not know is widened: i8 and i16 become i32. */
typedef struct ElementType {
    const char *name; /* "Float" of FloatStorage; NULL: bytes without a type */
    const char *dtype;
    int size;
    TensorType type; /* what it becomes */
} ElementType;

/* Bytes that tensors share. */
typedef struct PickleStorage {
    const char *key;
    int64_t size; /* bytes */
    const unsigned char *data;
} PickleStorage;

typedef enum PickleKind {
    PICKLE_none,
    PICKLE_bool,
    PICKLE_int,
    PICKLE_float,
    PICKLE_string, /* or bytes, or an integer of more than 8 bytes */
    PICKLE_tuple,
    PICKLE_list,
    PICKLE_dict, /* items: key, value, key, value, ... */
    PICKLE_name, /* of the closed list */
    PICKLE_storage,
    PICKLE_tensor,
    PICKLE_opaque, /* something harmless that is not looked into: a set, a numpy scalar, a Namespace */
    PICKLE_KIND_COUNT
} PickleKind;

typedef struct PickleValue PickleValue;
typedef struct PickleName PickleName;

typedef struct PickleView {
    PickleStorage *storage;
    const ElementType *element;
    int64_t first, count; /* elements of the storage that may be used */
} PickleView;

typedef struct PickleTensor {
    PickleView view;
    int64_t offset; /* elements, from view.first */
    int rank;
    int64_t shape[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK];
} PickleTensor;

struct PickleValue {
    PickleKind kind;
    uint32_t capacity; /* of items */
    union {
        int64_t integer;
        double number;
        struct {
            const char *text;
            size_t length;
        };
        struct {
            PickleValue **items;
            size_t count;
        };
        const PickleName *name;
        PickleView *storage;
        PickleTensor *tensor;
    };
};

typedef struct Pickle {
    Arena *arena;
    const char *path;
    Error *error;
    const unsigned char *bytes;
    size_t size, at;
    StrMap *storages; /* key -> PickleStorage, filled as the pickle mentions them */
    /* the machine */
    PickleValue **stack, **memo;
    size_t depth, stack_capacity, memo_count, memo_next, value_count;
    size_t *marks;
    size_t mark_count, mark_capacity;
} Pickle;

/* Runs one pickle from at on; afterwards at is behind its end. NULL with ERROR_INPUT. */
PickleValue *pickle_run(Pickle *p);

/* For import_names.c. */
PickleValue *pickle_new(Pickle *p, PickleKind kind);
bool pickle_push_item(Pickle *p, PickleValue *to, PickleValue *item);
bool pickle_refuse(Pickle *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *pickle_kind_name(PickleKind kind);

/* The name of the list, or NULL (and the refusal, which says the name). */
const PickleName *pickle_name_find(Pickle *p, const char *module, const char *name);
/* What calling it with the arguments (a tuple) makes. */
PickleValue *pickle_name_call(Pickle *p, const PickleName *name, const PickleValue *arguments);
/* ('storage', type, key, location, count[, view]) */
PickleValue *pickle_storage_open(Pickle *p, const PickleValue *id);

/* The last value of a dict under a key, or NULL. */
PickleValue *pickle_dict_get(const PickleValue *dict, const char *key);

/* How many bytes a file of this size may become in memory: what is compressed, or repeated by strides of 0, can claim
 * any number of them. */
uint64_t import_budget(size_t file_size);
/* The files. The top value; the data of every storage it mentions is in memory. */
PickleValue *import_zip(Arena *arena, const char *path, const char *bytes, size_t size, Error *error);
PickleValue *import_legacy(Arena *arena, const char *path, const char *bytes, size_t size, Error *error);

/* A checkpoint's weights: read, found inside it, prefixes stripped, made contiguous. key: dotted path of the dict that
 * holds them, NULL: found by itself. from: where they were ("" : at the top). left_out: names of what is no tensor. */
typedef struct Imported {
    TensorFile file;
    const char *from, *prefix;
    StrMap left_out;
} Imported;
bool import_bytes(Arena *arena, const char *path, const char *bytes, size_t size, const char *key, Imported *out,
                  Error *error);
bool import_checkpoint(Arena *arena, const char *path, const char *key, Imported *out, Error *error);

#endif
