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

/* True only when the system says that there is no such file. Whatever else is wrong with it (rights, a failing disk) is
 * not that: who opens it then will be told. */
bool file_is_missing(const char *path);

/* A folder whose files are its own, such as a run's, which may come from anybody: from now on what is written in it, at
 * any depth, is not written through links there: one in the place of a file is replaced, one in the place of a folder
 * refused. The folder's own path may be a link. */
void file_guard_folder(const char *folder);
/* False when a folder on the way from the guarded one to the file is a link: for what is not written by the calls here.
 */
bool file_check_guarded(const char *path, Error *error);
/* Opens a file to write at its end, which is made when it is not there; -1 with an error. Other than by a FileWriter
 * what is written appears bit by bit. */
int file_open_append(const char *path, Error *error);

/* The same for who does not open it: false, with an error, when it cannot be told. */
bool file_find(const char *path, bool *found, Error *error);
/* Writes bytes atomically, as above. */
bool file_write_atomic(const char *path, const void *data, size_t size, Error *error);

#endif
