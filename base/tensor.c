/* tensor.c: arrays in memory: element types, looking up, reading elements. */
#include "base/str.h"
#include "base/tensor_file.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [TENSOR_f32] = {"F32", 4}, [TENSOR_f64] = {"F64", 8}, [TENSOR_f16] = {"F16", 2}, [TENSOR_bf16] = {"BF16", 2},
    [TENSOR_i64] = {"I64", 8}, [TENSOR_i32] = {"I32", 4}, [TENSOR_u8] = {"U8", 1},   [TENSOR_bool] = {"BOOL", 1},
};

size_t tensor_type_size(TensorType type) {
    return types[type].size;
}

const char *tensor_type_name(TensorType type) {
    return types[type].name;
}

int64_t tensor_count(const Tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    return count;
}

static double half_to_double(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double magnitude = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                       : exponent == 0 ? ldexp(fraction, -24)
                                       : ldexp(1024 + fraction, exponent - 25);
    return half >> 15 ? -magnitude : magnitude;
}

static double bfloat_to_double(uint16_t bfloat) {
    uint32_t bits = (uint32_t)bfloat << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

double tensor_get(const Tensor *tensor, int64_t i) {
    switch (tensor->type) {
    case TENSOR_f32:
        return (double)((const float *)tensor->data)[i];
    case TENSOR_f64:
        return ((const double *)tensor->data)[i];
    case TENSOR_f16:
        return half_to_double(((const uint16_t *)tensor->data)[i]);
    case TENSOR_bf16:
        return bfloat_to_double(((const uint16_t *)tensor->data)[i]);
    case TENSOR_i64:
        return (double)((const int64_t *)tensor->data)[i];
    case TENSOR_i32:
        return ((const int32_t *)tensor->data)[i];
    case TENSOR_u8:
        return ((const uint8_t *)tensor->data)[i];
    case TENSOR_bool:
        return ((const uint8_t *)tensor->data)[i] != 0;
    }
    bug("tensor '%s' has type %d", tensor->name, (int)tensor->type);
}

bool tensor_is_same(const Tensor *a, const Tensor *b) {
    if (a->type != b->type || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->shape[i] != b->shape[i])
            return false;
    }
    size_t bytes = (size_t)tensor_count(a) * tensor_type_size(a->type);
    return !bytes || memcmp(a->data, b->data, bytes) == 0;
}

Tensor *tensor_find(const TensorFile *file, const char *name) {
    for (size_t i = 0; i < file->count; i++) {
        if (str_equal(file->tensors[i].name, name))
            return &file->tensors[i];
    }
    return NULL;
}

void tensor_file_add(Arena *arena, TensorFile *file, Tensor tensor) {
    ARENA_PUSH(arena, file->tensors, file->count, file->capacity, tensor);
}
