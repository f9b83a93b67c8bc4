/* import.h: what the files of `ndarts-run import` share: pickles, the values they make, and where storages come from.
 *
 * A pickle is a program for a small stack machine that may call anything. Here it may not: the opcodes are a closed
 * list (import_pickle.c), so are the names that mean something (import_names.c), and a "call" only ever makes one of
 * the values below. What another name makes is an opaque value that stands for "some object"; nothing is looked up,
 * imported or run. Nothing walks a value recursively, so depth and cycles are no danger; sizes are checked against the
 * bytes there are before anything is allocated. */
#ifndef NDARTS_RUNTIME_EXCHANGE_IMPORT_H
#define NDARTS_RUNTIME_EXCHANGE_IMPORT_H

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
    PICKLE_opaque, /* something that is not looked into: a set, a numpy scalar, a Namespace, an optimizer, a module */
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
    uint32_t capacity;         /* of items */
    const PickleName *made_by; /* of something opaque, or NULL */
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
    StrMap *skipped;  /* names of what is not looked into; or NULL */
    bool legacy;      /* storages follow without their sizes, so all must be known */
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
/* The kind, and of an object its class: "an object of 'argparse.Namespace'". */
const char *pickle_describe(Arena *arena, const PickleValue *value);
/* A tensor, but of a kind that is not read: sparse, quantised, complex, of a class of its own. */
bool pickle_is_other_tensor(const PickleValue *value);

/* The name of the list, or one that makes opaque values; NULL (and the refusal) for what would run a program. */
const PickleName *pickle_name_find(Pickle *p, const char *module, const char *name);
const char *pickle_name_text(const PickleName *name);
/* What calling it with the arguments (a tuple) makes. */
PickleValue *pickle_name_call(Pickle *p, const PickleName *name, const PickleValue *arguments);
/* ('storage', type, key, location, count[, view]) */
PickleValue *pickle_storage_open(Pickle *p, const PickleValue *id);

/* The last value of a dict under a key, or NULL. */
PickleValue *pickle_dict_get(const PickleValue *dict, const char *key);

/* How many bytes a file of this size may become in memory: what is compressed, or repeated by strides of 0, can claim
 * any number of them. */
static inline uint64_t import_budget(size_t file_size) {
    return 16 * (uint64_t)file_size + (UINT64_C(64) << 20);
}

/* The files. The top value; the data of every storage it mentions is in memory. */
PickleValue *import_zip(Arena *arena, const char *path, const char *bytes, size_t size, StrMap *skipped, Error *error);
PickleValue *import_legacy(Arena *arena, const char *path, const char *bytes, size_t size, StrMap *skipped,
                           Error *error);

/* A checkpoint's weights: read, found inside it, made contiguous. key: dotted path of the dict that holds them, NULL:
 * found by itself. from: where they were ("" : at the top). left_out: names of what is no tensor there. skipped:
 * classes and functions anywhere in the file of which nothing was made. */
typedef struct Imported {
    TensorFile file;
    const char *from;
    StrMap left_out, skipped;
} Imported;
bool import_bytes(Arena *arena, const char *path, const char *bytes, size_t size, const char *key, Imported *out,
                  Error *error);

#endif
