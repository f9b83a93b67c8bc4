/* tensors.c: permuted copies. A tensor has up to six axes; the copy walks them in outside order and adds up storage
 * strides. */
#include "runtime/driver/tensors.h"

#include "base/hash.h"
#include "base/str.h"

#include <string.h>

/* Which axis of the type stands at each outside position: activations of rank 4 go from NHWC to NCHW. */
static void outside_axes(const IrType *type, int axes[IR_MAX_RANK]) {
    static const int nchw[] = {0, 3, 1, 2};
    bool activation = type->rank == 4 && type->dim[0] == IR_DIM_N;
    for (int i = 0; i < type->rank; i++)
        axes[i] = activation ? nchw[i] : i;
}

RtTensorInfo rt_tensor_describe(const Plan *plan, const PlanTensor *tensor) {
    int axes[IR_MAX_RANK];
    outside_axes(&tensor->type, axes);
    RtTensorInfo info = {
        .name = tensor->name, .rank = tensor->type.rank, .kind = tensor->kind, .auxiliary = tensor->auxiliary};
    info.type = tensor->type.dtype == DTYPE_i32    ? TENSOR_i32
                : tensor->type.dtype == DTYPE_u8   ? TENSOR_u8
                : plan->precision == PRECISION_f64 ? TENSOR_f64
                                                   : TENSOR_f32;
    for (int i = 0; i < info.rank; i++) {
        int64_t extent = tensor->type.dim[axes[i]];
        info.shape[i] = extent == IR_DIM_N ? -1 : extent == IR_DIM_K ? plan->chunks : extent;
    }
    return info;
}

bool rt_tensor_fits(const RtTensorInfo *info, const Tensor *tensor, int64_t n) {
    bool one_per_image =
        info->rank == 4 && info->shape[0] == -1 && info->shape[1] * info->shape[2] * info->shape[3] == 1;
    if (one_per_image && tensor->rank == 1)
        return tensor->shape[0] == n;
    if (info->rank == 0 && tensor->rank == 1)
        return tensor->shape[0] == 1;
    bool fits = tensor->rank == info->rank;
    for (int i = 0; fits && i < info->rank; i++)
        fits = tensor->shape[i] == (info->shape[i] == -1 ? n : info->shape[i]);
    return fits;
}

const char *rt_shape_string(Arena *arena, int rank, const int64_t *shape) {
    Str s = str_create(arena);
    str_add(&s, "[");
    for (int i = 0; i < rank; i++) {
        str_add(&s, i ? ", " : "");
        if (shape[i] < 0)
            str_add(&s, "N");
        else
            str_addf(&s, "%lld", (long long)shape[i]);
    }
    str_add(&s, "]");
    return s.data;
}

/* Extents and storage strides in outside order, for n images. */
typedef struct Walk {
    int rank;
    int64_t extent[IR_MAX_RANK], stride[IR_MAX_RANK], count;
} Walk;

static Walk make_walk(const Plan *plan, const PlanTensor *t, int64_t n) {
    int axes[IR_MAX_RANK];
    int64_t extent[IR_MAX_RANK], stride[IR_MAX_RANK], step = 1;
    outside_axes(&t->type, axes);
    for (int i = t->type.rank - 1; i >= 0; i--) {
        int axis = t->order[i];
        int64_t e = t->type.dim[axis];
        extent[axis] = e == IR_DIM_N ? n : e == IR_DIM_K ? plan->chunks : e;
        stride[axis] = step;
        step *= extent[axis];
    }
    Walk walk = {.rank = t->type.rank, .count = step};
    for (int i = 0; i < walk.rank; i++) {
        walk.extent[i] = extent[axes[i]];
        walk.stride[i] = stride[axes[i]];
    }
    return walk;
}

/* The storage position after `at` in outside order; index is the odometer. */
static int64_t advance(const Walk *walk, int64_t index[IR_MAX_RANK], int64_t at) {
    for (int i = walk->rank - 1; i >= 0; i--) {
        at += walk->stride[i];
        if (++index[i] < walk->extent[i])
            return at;
        at -= walk->extent[i] * walk->stride[i];
        index[i] = 0;
    }
    return at;
}

static void put_number(const Plan *plan, IrDtype dtype, void *storage, int64_t at, double value) {
    if (dtype == DTYPE_i32)
        ((int32_t *)storage)[at] = (int32_t)value;
    else if (dtype == DTYPE_u8)
        ((uint8_t *)storage)[at] = (uint8_t)value;
    else if (plan->precision == PRECISION_f64)
        ((double *)storage)[at] = value;
    else
        ((float *)storage)[at] = (float)value;
}

void rt_tensor_store(const Plan *plan, const PlanTensor *tensor, int64_t n, const Tensor *from, int64_t first,
                     void *storage) {
    Walk walk = make_walk(plan, tensor, n);
    int64_t index[IR_MAX_RANK] = {0}, at = 0;
    for (int64_t i = 0; i < walk.count; i++, at = advance(&walk, index, at))
        put_number(plan, tensor->type.dtype, storage, at, tensor_get(from, first + i));
}

void rt_tensor_fetch(const Plan *plan, const PlanTensor *tensor, int64_t n, const void *storage, Tensor *to) {
    Walk walk = make_walk(plan, tensor, n);
    size_t size = plan_element_bytes(plan->precision, tensor->type.dtype);
    int64_t index[IR_MAX_RANK] = {0}, at = 0;
    for (int64_t i = 0; i < walk.count; i++, at = advance(&walk, index, at))
        memcpy((char *)to->data + (size_t)i * size, (const char *)storage + (size_t)at * size, size);
}

void rt_tensor_initialize(const Plan *plan, const PlanTensor *param, uint64_t seed, void *storage) {
    Walk walk = make_walk(plan, param, 1);
    Arena *arena = arena_create();
    uint32_t stream = draw_stream_hash(arena_printf(arena, "init.%s", param->name));
    arena_destroy(arena);
    int64_t index[IR_MAX_RANK] = {0}, at = 0;
    for (int64_t i = 0; i < walk.count; i++, at = advance(&walk, index, at)) {
        double value = param->init == INIT_ones ? 1 : 0;
        if (param->init == INIT_uniform_fan_in)
            value = (2 * draw_uniform(seed, stream, 0, 0, (uint32_t)i) - 1) * param->init_scale;
        else if (param->init == INIT_normal)
            value = draw_normal(seed, stream, 0, 0, (uint32_t)i) * param->init_scale;
        put_number(plan, DTYPE_f32, storage, at, value);
    }
}
