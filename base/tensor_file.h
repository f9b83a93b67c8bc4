/* tensor_file.h: named arrays in files: safetensors and npy.
 * Layout on disk is row-major with the shapes of PyTorch; nothing here knows what the numbers mean. */
#ifndef NDARTS_BASE_TENSOR_FILE_H
#define NDARTS_BASE_TENSOR_FILE_H

#include "base/arena.h"
#include "base/diag.h"

#include <stdint.h>

enum { TENSOR_MAX_RANK = 8 };
typedef enum TensorType {
    TENSOR_f32,
    TENSOR_f64,
    TENSOR_f16,
    TENSOR_bf16,
    TENSOR_i64,
    TENSOR_i32,
    TENSOR_u8,
    TENSOR_bool
} TensorType;

typedef struct Tensor {
    const char *name;
    TensorType type;
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    void *data; /* row-major */
} Tensor;

typedef struct TensorFile {
    Tensor *tensors;
    size_t count, capacity;
    const char *metadata; /* JSON object of strings, or NULL */
} TensorFile;

size_t tensor_type_size(TensorType type);
const char *tensor_type_name(TensorType type); /* the safetensors name: "F32", ... */
int64_t tensor_count(const Tensor *tensor);    /* elements */
/* Element i of any numeric type as a double. */
double tensor_get(const Tensor *tensor, int64_t i);
/* Type, shape and bytes; not the name. */
bool tensor_is_same(const Tensor *a, const Tensor *b);
Tensor *tensor_find(const TensorFile *file, const char *name); /* NULL when absent */
void tensor_file_add(Arena *arena, TensorFile *file, Tensor tensor);

/* A broken file is ERROR_INPUT and names what was expected and found; a failing disk is ERROR_MACHINE. */
bool safetensors_read(Arena *arena, const char *path, TensorFile *file, Error *error);
/* Written to a temporary file beside path, synced, then renamed: path is either the old file or the whole new one. */
bool safetensors_write(const char *path, const TensorFile *file, Error *error);
bool npy_read(Arena *arena, const char *path, Tensor *tensor, Error *error);
bool npy_write(const char *path, const Tensor *tensor, Error *error);

#endif
