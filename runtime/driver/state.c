/* state.c: the parameters of a program: initial values, weights from files, checkpoints. */
#include "runtime/driver/program.h"
#include "runtime/driver/tensors.h"
#include "runtime/driver/weights_fit.h"
#include "runtime/driver/weights_names.h"

#include "base/file.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int rt_param_count(const RtProgram *p) {
    return p->plan->param_count;
}

const RtTensorInfo *rt_param_info(const RtProgram *p, int index) {
    return &p->params[index];
}

int rt_param_find(const RtProgram *p, const char *name) {
    const PlanTensor *param = str_map_get(&p->param_index, name);
    return param ? (int)(param - p->plan->params) : -1;
}

static void upload_param(RtProgram *p, const PlanTensor *param, const void *storage) {
    p->backend->upload(p->device, (char *)p->memory.state + param->offset, storage,
                       (size_t)plan_tensor_bytes(p->plan, param, 1));
    p->state_version++;
}

static bool check_shape(const RtProgram *p, const Tensor *tensor, Error *error) {
    const RtTensorInfo *info = &p->params[rt_param_find(p, tensor->name)];
    if (rt_tensor_fits(info, tensor, 1))
        return true;
    Arena *arena = arena_create();
    error_set(error, ERROR_INPUT, "%s: expected shape %s, found %s", tensor->name,
              rt_shape_string(arena, info->rank, info->shape), rt_shape_string(arena, tensor->rank, tensor->shape));
    arena_destroy(arena);
    return false;
}

/* The shape has been checked. */
static void set_param(RtProgram *p, const Tensor *tensor, Arena *arena) {
    const PlanTensor *param = str_map_get(&p->param_index, tensor->name);
    void *storage = arena_alloc(arena, (size_t)plan_tensor_bytes(p->plan, param, 1));
    rt_tensor_store(p->plan, param, 1, tensor, 0, storage);
    upload_param(p, param, storage);
}

bool rt_param_set(RtProgram *p, const Tensor *tensor, Error *error) {
    if (rt_param_find(p, tensor->name) < 0)
        return error_set(error, ERROR_INPUT, "the program has no parameter '%s'", tensor->name);
    if (!check_shape(p, tensor, error))
        return false;
    Arena *arena = arena_create();
    set_param(p, tensor, arena);
    arena_destroy(arena);
    return true;
}

Tensor rt_param_get(const RtProgram *p, const char *name, Arena *arena) {
    int i = rt_param_find(p, name);
    if (i < 0)
        bug("the program has no parameter '%s'", name);
    const PlanTensor *param = &p->plan->params[i];
    size_t bytes = (size_t)plan_tensor_bytes(p->plan, param, 1);
    void *storage = arena_alloc(arena, bytes);
    p->backend->download(p->device, storage, (char *)p->memory.state + param->offset, bytes);
    Tensor t = {.name = arena_strdup(arena, name),
                .type = p->params[i].type,
                .rank = p->params[i].rank,
                .data = arena_alloc(arena, bytes)};
    memcpy(t.shape, p->params[i].shape, sizeof t.shape);
    rt_tensor_fetch(p->plan, param, 1, storage, &t);
    return t;
}

void rt_state_initialize(RtProgram *p, uint64_t seed) {
    Arena *arena = arena_create();
    for (int i = 0; i < p->plan->param_count; i++) {
        const PlanTensor *param = &p->plan->params[i];
        void *storage = arena_alloc(arena, (size_t)plan_tensor_bytes(p->plan, param, 1));
        rt_tensor_initialize(p->plan, param, seed, storage);
        upload_param(p, param, storage);
    }
    arena_destroy(arena);
}

/* ---- whole files ---- */

static bool is_required(const RtTensorInfo *info, RtStateMode mode) {
    return mode == RT_STATE_all || info->kind == PARAM_weight || info->kind == PARAM_statistic;
}

bool rt_state_set(RtProgram *p, const TensorFile *file, RtStateMode mode, Error *error) {
    Arena *arena = arena_create();
    Error inner = {ERROR_NONE, ""};
    int count = p->plan->param_count;
    bool *required = ARENA_ARRAY(arena, bool, count);
    for (int i = 0; i < count; i++)
        required[i] = is_required(&p->params[i], mode);
    TensorFile adapted = mode == RT_STATE_all ? *file : weights_adapt(arena, p->params, required, count, file);
    bool ok = weights_fit(arena, p->params, required, count, &adapted, mode == RT_STATE_all, &inner) ||
              error_set(error, inner.kind, "does not fit the network: %s; nothing was loaded", inner.message);
    for (size_t i = 0; ok && i < adapted.count; i++) {
        if (rt_param_find(p, adapted.tensors[i].name) >= 0)
            set_param(p, &adapted.tensors[i], arena);
    }
    arena_destroy(arena);
    return ok;
}

void rt_state_get(const RtProgram *p, Arena *arena, TensorFile *file) {
    for (int i = 0; i < p->plan->param_count; i++)
        tensor_file_add(arena, file, rt_param_get(p, p->params[i].name, arena));
}

/* The reader wants a file, so the bytes are shown to it as one. */
static bool set_embedded_weights(RtProgram *p, Error *error) {
    const unsigned char *bytes = p->module->weights;
    if (!bytes)
        return true;
    Arena *arena = arena_create();
    int descriptor = memfd_create("nd_weights", MFD_CLOEXEC);
    TensorFile file = {0};
    bool ok = descriptor >= 0 && file_write_all(descriptor, bytes, p->module->weights_size);
    if (!ok)
        error_set(error, ERROR_MACHINE, "out of memory for the embedded weights");
    ok = ok && safetensors_read(arena, arena_printf(arena, "/proc/self/fd/%d", descriptor), &file, error) &&
         rt_state_set(p, &file, RT_STATE_weights, error);
    if (descriptor >= 0)
        close(descriptor);
    arena_destroy(arena);
    return ok;
}

bool program_make_state(RtProgram *p, uint64_t seed, Error *error) {
    int count = p->plan->param_count;
    p->params = ARENA_ARRAY(p->arena, RtTensorInfo, count);
    p->param_index = str_map_create(p->arena);
    for (int i = 0; i < count; i++) {
        p->params[i] = rt_tensor_describe(p->plan, &p->plan->params[i]);
        str_map_set(&p->param_index, p->plan->params[i].name, &p->plan->params[i]);
    }
    rt_state_initialize(p, seed);
    return set_embedded_weights(p, error);
}
