/* import_names.c: the closed list of names that mean something in a checkpoint's pickle, and what calling each one
 * makes. Any other name makes opaque values, and is noted. Nothing is imported, looked up or run. */
#include "runtime/exchange/import.h"

#include <inttypes.h>
#include <string.h>

typedef PickleValue *NameCall(Pickle *p, const PickleValue *arguments);

struct PickleName {
    const char *name; /* module.name */
    NameCall *call;   /* NULL: is only mentioned */
    const ElementType *element;
};

/* ---- element types ---- */

enum { ELEMENT_COUNT = 11 };
static const ElementType elements[ELEMENT_COUNT] = {
    {"Float", "float32", 4, TENSOR_f32},      {"Double", "float64", 8, TENSOR_f64}, {"Half", "float16", 2, TENSOR_f16},
    {"BFloat16", "bfloat16", 2, TENSOR_bf16}, {"Long", "int64", 8, TENSOR_i64},     {"Int", "int32", 4, TENSOR_i32},
    {"Short", "int16", 2, TENSOR_i32},        {"Byte", "uint8", 1, TENSOR_u8},      {"Char", "int8", 1, TENSOR_i32},
    {"Bool", "bool", 1, TENSOR_bool},         {"Untyped", NULL, 1, TENSOR_u8},
};

/* ---- reading arguments ---- */

static PickleValue *opaque(Pickle *p, const PickleName *made_by) {
    PickleValue *value = pickle_new(p, PICKLE_opaque);
    if (value)
        value->made_by = made_by;
    return value;
}

static const PickleValue *argument(const PickleValue *arguments, size_t i, PickleKind kind) {
    return i < arguments->count && arguments->items[i]->kind == kind ? arguments->items[i] : NULL;
}

static bool read_extents(Pickle *p, const PickleValue *list, int64_t *to, int *rank) {
    if (!list || (list->kind != PICKLE_tuple && list->kind != PICKLE_list) || list->count > TENSOR_MAX_RANK)
        return pickle_refuse(p, "a tensor whose shape or stride is not a tuple of at most %d integers",
                             TENSOR_MAX_RANK);
    *rank = (int)list->count;
    for (int i = 0; i < *rank; i++) {
        if (list->items[i]->kind != PICKLE_int || list->items[i]->integer < 0)
            return pickle_refuse(p, "a tensor whose shape or stride is not made of integers from 0 on");
        to[i] = list->items[i]->integer;
    }
    return true;
}

/* Does the last element lie in the storage? */
static bool check_bounds(Pickle *p, const PickleTensor *t) {
    int64_t last = t->offset, elements_here = 1, step = 0;
    bool bad = t->offset < 0, empty = false;
    for (int i = 0; i < t->rank; i++)
        empty |= t->shape[i] == 0;
    if (empty)
        return true;
    for (int i = 0; i < t->rank; i++) {
        bad |= __builtin_mul_overflow(elements_here, t->shape[i], &elements_here);
        bad |= __builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &step);
        bad |= __builtin_add_overflow(last, step, &last);
    }
    if (bad || last >= t->view.count)
        return pickle_refuse(p, "a tensor that reaches beyond the %" PRId64 " elements of its storage '%s'",
                             t->view.count, t->view.storage->key);
    return true;
}

/* ---- tensors ---- */

/* The storage of a tensor that names its dtype is made of bytes. */
static bool apply_dtype(Pickle *p, PickleTensor *t, const PickleValue *dtype) {
    const ElementType *element = dtype ? dtype->name->element : t->view.element;
    if (!element || !element->dtype)
        return pickle_refuse(p, "a tensor without an element type");
    if (t->view.element == element)
        return true;
    if (t->view.element->size != 1)
        return pickle_refuse(p, "a tensor of %s in a storage of %s", element->dtype, t->view.element->name);
    if (t->view.first % element->size)
        return pickle_refuse(p, "a tensor of %s in the middle of an element", element->dtype);
    t->view.first /= element->size;
    t->view.count /= element->size;
    t->view.element = element;
    return true;
}

/* (storage, offset, shape, stride, ...); dtype: of version 3, else NULL. */
static PickleValue *make_tensor(Pickle *p, const PickleValue *arguments, const PickleValue *dtype) {
    const PickleValue *storage = argument(arguments, 0, PICKLE_storage), *offset = argument(arguments, 1, PICKLE_int);
    const PickleValue *unknown = argument(arguments, 0, PICKLE_opaque);
    int stride_rank = 0;
    PickleTensor *t = ARENA_NEW(p->arena, PickleTensor);
    if (unknown || (dtype && !dtype->name->element))
        return opaque(p, unknown ? unknown->made_by : dtype->name);
    if (!storage || !offset || arguments->count < 4) {
        pickle_refuse(p, "a tensor without a storage and an offset");
        return NULL;
    }
    t->view = *storage->storage;
    t->offset = offset->integer;
    if (!read_extents(p, arguments->items[2], t->shape, &t->rank) ||
        !read_extents(p, arguments->items[3], t->stride, &stride_rank) || !apply_dtype(p, t, dtype))
        return NULL;
    if (stride_rank != t->rank) {
        pickle_refuse(p, "a tensor with %d axes and %d strides", t->rank, stride_rank);
        return NULL;
    }
    PickleValue *value = check_bounds(p, t) ? pickle_new(p, PICKLE_tensor) : NULL;
    if (value)
        value->tensor = t;
    return value;
}

static PickleValue *call_rebuild_tensor(Pickle *p, const PickleValue *arguments) {
    return make_tensor(p, arguments, NULL);
}

static PickleValue *call_rebuild_tensor_v3(Pickle *p, const PickleValue *arguments) {
    const PickleValue *dtype = argument(arguments, 6, PICKLE_name);
    if (!dtype) {
        pickle_refuse(p, "a tensor of version 3 without its dtype");
        return NULL;
    }
    return make_tensor(p, arguments, dtype);
}

static PickleValue *call_rebuild_parameter(Pickle *p, const PickleValue *arguments) {
    if (argument(arguments, 0, PICKLE_tensor) || argument(arguments, 0, PICKLE_opaque))
        return arguments->items[0];
    pickle_refuse(p, "a parameter without a tensor");
    return NULL;
}

/* (how, class, arguments, state): a tensor of a class derived from Tensor. */
static PickleValue *call_rebuild_from_type(Pickle *p, const PickleValue *arguments) {
    const PickleValue *how = argument(arguments, 0, PICKLE_name), *what = argument(arguments, 2, PICKLE_tuple);
    bool plain = how && what && how->name->call && how->name->call != call_rebuild_from_type;
    return plain ? how->name->call(p, what) : opaque(p, NULL);
}

/* ---- containers ---- */

static PickleValue *call_dict(Pickle *p, const PickleValue *arguments) {
    const PickleValue *pairs = argument(arguments, 0, PICKLE_list);
    PickleValue *dict = pickle_new(p, PICKLE_dict);
    for (size_t i = 0; dict && pairs && i < pairs->count; i++) {
        const PickleValue *pair = pairs->items[i];
        if ((pair->kind != PICKLE_list && pair->kind != PICKLE_tuple) || pair->count != 2) {
            pickle_refuse(p, "a dict made of something else than pairs");
            return NULL;
        }
        if (!pickle_push_item(p, dict, pair->items[0]) || !pickle_push_item(p, dict, pair->items[1]))
            return NULL;
    }
    return dict;
}

/* A dict whose first argument is how to make what is missing. */
static PickleValue *call_default_dict(Pickle *p, const PickleValue *arguments) {
    (void)arguments;
    return pickle_new(p, PICKLE_dict);
}

static PickleValue *call_size(Pickle *p, const PickleValue *arguments) {
    if (argument(arguments, 0, PICKLE_tuple))
        return arguments->items[0];
    pickle_refuse(p, "a torch.Size that is not made of a tuple");
    return NULL;
}

static PickleValue *call_opaque(Pickle *p, const PickleValue *arguments) {
    (void)arguments;
    return opaque(p, NULL);
}

/* ---- the list ---- */

static const PickleName names[] = {
    {"collections.OrderedDict", call_dict, NULL},
    {"collections.Counter", call_dict, NULL},
    {"collections.defaultdict", call_default_dict, NULL},
    {"torch._utils._rebuild_tensor", call_rebuild_tensor, NULL},
    {"torch._utils._rebuild_tensor_v2", call_rebuild_tensor, NULL},
    {"torch._utils._rebuild_tensor_v3", call_rebuild_tensor_v3, NULL},
    {"torch._utils._rebuild_parameter", call_rebuild_parameter, NULL},
    {"torch._utils._rebuild_parameter_with_state", call_rebuild_parameter, NULL},
    {"torch._tensor._rebuild_from_type", call_rebuild_from_type, NULL},
    {"torch._tensor._rebuild_from_type_v2", call_rebuild_from_type, NULL},
    {"torch.Size", call_size, NULL},
    {"torch.device", call_opaque, NULL},
    {"numpy.dtype", call_opaque, NULL},
    {"numpy.ndarray", NULL, NULL},
    {"numpy.core.multiarray.scalar", call_opaque, NULL},
    {"numpy._core.multiarray.scalar", call_opaque, NULL},
    {"numpy.core.multiarray._reconstruct", call_opaque, NULL},
    {"numpy._core.multiarray._reconstruct", call_opaque, NULL},
    {"_codecs.encode", call_opaque, NULL},
    {"argparse.Namespace", call_opaque, NULL},
    {"copyreg._reconstructor", call_opaque, NULL},
    {"copy_reg._reconstructor", call_opaque, NULL},
    {"builtins.set", call_opaque, NULL},
    {"__builtin__.set", call_opaque, NULL},
    {"builtins.bytearray", call_opaque, NULL},
    {"__builtin__.bytearray", call_opaque, NULL},
    {"builtins.complex", call_opaque, NULL},
    {"__builtin__.complex", call_opaque, NULL},
    {"builtins.object", NULL, NULL},
    {"__builtin__.object", NULL, NULL},
    {"builtins.dict", call_dict, NULL},
    {"__builtin__.dict", call_dict, NULL},
    {"builtins.list", NULL, NULL},
    {"__builtin__.list", NULL, NULL},
};

static const PickleName *new_name(Pickle *p, const char *name, NameCall *call, const ElementType *element) {
    PickleName *made = ARENA_NEW(p->arena, PickleName);
    *made = (PickleName){name, call, element};
    return made;
}

const char *pickle_name_text(const PickleName *name) {
    return name->name;
}

bool pickle_is_other_tensor(const PickleValue *value) {
    static const char *const signs[] = {"rebuild", "ensor", "Storage", "arameter", "torch.complex", "torch.float8"};
    if (value->kind != PICKLE_opaque || !value->made_by || !str_starts_with(value->made_by->name, "torch"))
        return false;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (strstr(value->made_by->name, signs[i]))
            return true;
    return false;
}

/* torch.FloatStorage, torch.cuda.FloatStorage, torch.storage.UntypedStorage; torch.float32. */
static const PickleName *find_element(Pickle *p, const char *module, const char *name) {
    bool storage_module =
        str_equal(module, "torch") || str_equal(module, "torch.cuda") || str_equal(module, "torch.storage");
    for (int i = 0; i < ELEMENT_COUNT; i++) {
        size_t length = strlen(elements[i].name);
        if (storage_module && str_starts_with(name, elements[i].name) && str_equal(name + length, "Storage"))
            return new_name(p, name, NULL, &elements[i]);
        if (elements[i].dtype && str_equal(module, "torch") && str_equal(name, elements[i].dtype))
            return new_name(p, name, NULL, &elements[i]);
    }
    return NULL;
}

/* Functions that run programs or code. They would do nothing here; a checkpoint has no use for them all the same, so
 * one that mentions them was made to harm whoever loads it elsewhere, and is said to be so. */
static bool runs_something(const char *module, const char *name) {
    static const char *const modules[] = {"subprocess", "pty", "runpy", "webbrowser", "commands", "ctypes", "socket"};
    static const char *const functions[] = {"system", "popen",   "eval",       "exec", "execfile",
                                            "spawn",  "compile", "__import__", "fork", "startfile"};
    bool system = str_equal(module, "os") || str_equal(module, "posix") || str_equal(module, "nt") ||
                  str_equal(module, "builtins") || str_equal(module, "__builtin__");
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        if (str_equal(modules[i], module))
            return true;
    for (size_t i = 0; system && i < sizeof functions / sizeof functions[0]; i++)
        if (str_starts_with(name, functions[i]))
            return true;
    return false;
}

const PickleName *pickle_name_find(Pickle *p, const char *module, const char *name) {
    const char *whole = arena_printf(p->arena, "%s.%s", module, name);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_equal(names[i].name, whole))
            return &names[i];
    }
    const PickleName *found = find_element(p, module, name);
    if (found)
        return found;
    if (runs_something(module, name)) {
        pickle_refuse(p,
                      "the pickle asks for '%.200s', which runs programs or code: this file was made to harm whoever "
                      "loads it",
                      whole);
        return NULL;
    }
    if (p->skipped)
        str_map_set(p->skipped, whole, p);
    return new_name(p, whole, call_opaque, NULL);
}

PickleValue *pickle_name_call(Pickle *p, const PickleName *name, const PickleValue *arguments) {
    PickleValue *value = name->call ? name->call(p, arguments) : opaque(p, name);
    if (value && value->kind == PICKLE_opaque && !value->made_by)
        value->made_by = name;
    return value;
}

/* ---- storages ---- */

static bool find_storage(Pickle *p, const PickleValue *key, int64_t size, PickleStorage **storage) {
    const char *name = arena_strndup(p->arena, key->text, key->length);
    *storage = str_map_get(p->storages, name);
    if (*storage)
        return (*storage)->size == size || pickle_refuse(p, "storage '%s' has %" PRId64 " bytes and %" PRId64 " bytes",
                                                         name, (*storage)->size, size);
    *storage = ARENA_NEW(p->arena, PickleStorage);
    (*storage)->key = name;
    (*storage)->size = size;
    str_map_set(p->storages, name, *storage);
    return true;
}

/* (key, first, count): a part of the storage, as very old versions wrote it. */
static bool read_view(Pickle *p, const PickleValue *view, PickleView *to) {
    const PickleValue *first = argument(view, 1, PICKLE_int), *count = argument(view, 2, PICKLE_int);
    if (!first || !count || first->integer < 0 || count->integer < 0 || first->integer > to->count ||
        count->integer > to->count - first->integer)
        return pickle_refuse(p, "a view that is no part of its storage '%s'", to->storage->key);
    to->first = first->integer;
    to->count = count->integer;
    return true;
}

PickleValue *pickle_storage_open(Pickle *p, const PickleValue *id) {
    const PickleValue *kind = NULL, *type = NULL, *key = NULL, *count = NULL;
    if (id->kind == PICKLE_tuple) {
        kind = argument(id, 0, PICKLE_string);
        type = argument(id, 1, PICKLE_name);
        key = argument(id, 2, PICKLE_string);
        count = argument(id, 4, PICKLE_int);
    }
    bool good = kind && kind->length == 7 && memcmp(kind->text, "storage", 7) == 0;
    if (good && type && type->name->call == call_opaque && !p->legacy)
        return opaque(p, type->name);
    if (!good || !type || !type->name->element || !key || !count || count->integer < 0) {
        pickle_refuse(p, "a reference that is not to a storage of numbers");
        return NULL;
    }
    PickleView *view = ARENA_NEW(p->arena, PickleView);
    int64_t size = 0;
    view->element = type->name->element;
    view->count = count->integer;
    if (__builtin_mul_overflow(view->count, view->element->size, &size)) {
        pickle_refuse(p, "a storage of %" PRId64 " elements", view->count);
        return NULL;
    }
    const PickleValue *part = argument(id, 5, PICKLE_tuple);
    if (!find_storage(p, key, size, &view->storage) || (part && !read_view(p, part, view)))
        return NULL;
    PickleValue *value = pickle_new(p, PICKLE_storage);
    if (value)
        value->storage = view;
    return value;
}
