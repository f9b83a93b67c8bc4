/* import_tensors.c: from the values of a checkpoint to tensors: finds the weights and makes every tensor contiguous. */
#include "runtime/exchange/import.h"

#include "base/file_kind.h"

#include <string.h>

/* Where training scripts keep the weights, the likeliest first. */
static const char *const usual_keys[] = {"model_state", "state_dict", "model_state_dict", "net",           "model",
                                         "network",     "module",     "weights",          "net_state",     "state",
                                         "ema",         "model_ema",  "ema_model",        "state_dict_ema"};
enum { USUAL_COUNT = sizeof usual_keys / sizeof usual_keys[0], MAX_DEPTH = 4 };

typedef struct Finder {
    Arena *arena;
    const char *path;
    Error *error;
    Str from;
} Finder;

static bool has_tensors(const PickleValue *value) {
    for (size_t i = 0; value->kind == PICKLE_dict && i < value->count; i += 2) {
        const PickleValue *entry = value->items[i + 1];
        if (value->items[i]->kind == PICKLE_string && (entry->kind == PICKLE_tensor || pickle_is_other_tensor(entry)))
            return true;
    }
    return false;
}

static void enter(Finder *f, const char *key) {
    str_addf(&f->from, "%s%s", f->from.length ? "." : "", key);
}

/* The entry of the most usual name that is a dict. A name such as "state" may be one more level. */
static const PickleValue *usual_entry(Finder *f, const PickleValue *dict) {
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < USUAL_COUNT; i++) {
            const PickleValue *value = pickle_dict_get(dict, usual_keys[i]);
            if (value && value->kind == PICKLE_dict && (pass == 1 || has_tensors(value))) {
                enter(f, usual_keys[i]);
                return value;
            }
        }
    }
    return NULL;
}

/* Under an unusual name, but the only entry with tensors. */
static const PickleValue *only_entry(Finder *f, const PickleValue *dict) {
    size_t found = dict->count;
    for (size_t i = 0; i < dict->count; i += 2) {
        if (dict->items[i]->kind != PICKLE_string || !has_tensors(dict->items[i + 1]))
            continue;
        if (found < dict->count)
            return NULL;
        found = i;
    }
    if (found == dict->count)
        return NULL;
    enter(f, arena_strndup(f->arena, dict->items[found]->text, dict->items[found]->length));
    return dict->items[found + 1];
}

static const char *list_keys(Finder *f, const PickleValue *dict) {
    enum { SHOWN = 12 };
    Str list = str_create(f->arena);
    size_t count = 0;
    for (size_t i = 0; i < dict->count; i += 2) {
        const PickleValue *key = dict->items[i];
        if (key->kind == PICKLE_string && count++ < SHOWN)
            str_addf(&list, "%s'%.*s' (%s)", count > 1 ? ", " : "", (int)(key->length < 60 ? key->length : 60),
                     key->text, pickle_describe(f->arena, dict->items[i + 1]));
    }
    if (count > SHOWN)
        str_addf(&list, " and %zu more", count - SHOWN);
    return list.length ? list.data : "nothing with a name";
}

static const PickleValue *find_weights(Finder *f, const PickleValue *value) {
    for (int depth = 0; depth < MAX_DEPTH && value->kind == PICKLE_dict; depth++) {
        const PickleValue *next = usual_entry(f, value);
        if (!next && has_tensors(value))
            return value;
        if (!next)
            next = only_entry(f, value);
        if (!next) {
            error_set(f->error, ERROR_INPUT, "%s: no weights under a usual name; say which with --key; there are: %s",
                      f->path, list_keys(f, value));
            return NULL;
        }
        value = next;
        if (has_tensors(value))
            return value;
    }
    error_set(f->error, ERROR_INPUT, "%s: holds %s, not a dict of tensors%s", f->path, pickle_describe(f->arena, value),
              value->kind == PICKLE_opaque ? "; save model.state_dict() instead" : "");
    return NULL;
}

/* Follows a path of keys; a key may have dots itself, the longest that fits wins. */
static const PickleValue *follow_key(Finder *f, const PickleValue *value, const char *key) {
    const char *rest = key;
    while (*rest && value->kind == PICKLE_dict) {
        const PickleValue *next = NULL;
        size_t length = strlen(rest);
        for (; length && !next; length--) {
            if (rest[length] && rest[length] != '.')
                continue;
            next = pickle_dict_get(value, arena_strndup(f->arena, rest, length));
            if (next)
                break;
        }
        if (!next) {
            error_set(f->error, ERROR_INPUT, "%s: no '%s'; there are: %s", f->path, rest, list_keys(f, value));
            return NULL;
        }
        value = next;
        rest += length + (rest[length] == '.');
    }
    str_add(&f->from, key);
    if (value->kind == PICKLE_dict && has_tensors(value))
        return value;
    error_set(f->error, ERROR_INPUT, "%s: '%s' is %s without tensors", f->path, key, pickle_describe(f->arena, value));
    return NULL;
}

/* ---- tensors ---- */

static void copy_element(const PickleTensor *t, int64_t from, void *to, int64_t at) {
    const ElementType *element = t->view.element;
    const unsigned char *bytes = t->view.storage->data + (size_t)from * (size_t)element->size;
    if (element->type != TENSOR_i32 || element->size == 4) {
        memcpy((char *)to + (size_t)at * (size_t)element->size, bytes, (size_t)element->size);
        return;
    }
    int16_t stored;
    memcpy(&stored, bytes, element->size == 2 ? 2 : 1);
    ((int32_t *)to)[at] = element->size == 2 ? stored : (int8_t)bytes[0];
}

static void copy_strided(const PickleTensor *t, int64_t count, void *to) {
    int64_t index[TENSOR_MAX_RANK] = {0}, from = t->view.first + t->offset;
    for (int64_t i = 0; i < count; i++) {
        copy_element(t, from, to, i);
        for (int axis = t->rank - 1; axis >= 0; axis--) {
            from += t->stride[axis];
            if (++index[axis] < t->shape[axis])
                break;
            from -= t->stride[axis] * t->shape[axis];
            index[axis] = 0;
        }
    }
}

/* Strides of 0 can ask for much more than there is. */
static bool spend(Finder *f, const char *name, const Tensor *tensor, uint64_t *budget) {
    uint64_t bytes = tensor_type_size(tensor->type);
    bool overflow = false;
    for (int i = 0; i < tensor->rank; i++)
        overflow |= __builtin_mul_overflow(bytes, (uint64_t)tensor->shape[i], &bytes);
    if (tensor_count(tensor) == 0)
        return true;
    if (overflow || bytes > *budget)
        return error_set(f->error, ERROR_INPUT, "%s: '%.200s' repeats its numbers so often that it does not fit",
                         f->path, name);
    *budget -= bytes;
    return true;
}

static bool add_tensor(Finder *f, Imported *out, const char *name, const PickleTensor *t, uint64_t *budget) {
    Tensor tensor = {.name = name, .type = t->view.element->type, .rank = t->rank};
    memcpy(tensor.shape, t->shape, sizeof tensor.shape);
    if (!spend(f, name, &tensor, budget))
        return false;
    int64_t count = tensor_count(&tensor);
    tensor.data = arena_alloc(f->arena, (size_t)count * tensor_type_size(tensor.type) + 1);
    copy_strided(t, count, tensor.data);
    tensor_file_add(f->arena, &out->file, tensor);
    return true;
}

/* A later entry of the same name replaces an earlier one, as in a dict; entries that are no tensors are noted. */
static bool collect(Finder *f, const PickleValue *dict, StrMap *tensors, Imported *out) {
    out->left_out = str_map_create(f->arena);
    for (size_t i = 0; i < dict->count; i += 2) {
        PickleValue *key = dict->items[i], *value = dict->items[i + 1];
        if (key->kind != PICKLE_string)
            continue;
        const char *name = arena_strndup(f->arena, key->text, key->length);
        if (pickle_is_other_tensor(value))
            return error_set(f->error, ERROR_INPUT,
                             "%s: '%.200s' is %s: only dense tensors of plain numbers are read, so save it as one",
                             f->path, name, pickle_describe(f->arena, value));
        str_map_set(value->kind == PICKLE_tensor ? tensors : &out->left_out, name, value);
    }
    return true;
}

static bool take_tensors(Finder *f, const PickleValue *dict, size_t file_size, Imported *out) {
    uint64_t budget = import_budget(file_size);
    StrMap tensors = str_map_create(f->arena);
    out->from = f->from.data;
    if (!collect(f, dict, &tensors, out))
        return false;
    for (size_t i = 0; i < tensors.count; i++) {
        const PickleValue *value = tensors.entries[i].value;
        if (!add_tensor(f, out, tensors.entries[i].key, value->tensor, &budget))
            return false;
    }
    return true;
}

bool import_bytes(Arena *arena, const char *path, const char *bytes, size_t size, const char *key, Imported *out,
                  Error *error) {
    Finder f = {.arena = arena, .path = path, .error = error, .from = str_create(arena)};
    FileKind kind = file_kind(bytes, size);
    bool zip = size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0;
    if (zip && kind != FILE_zip && !file_expect_kind(path, kind, FILE_pytorch, "a PyTorch checkpoint", error))
        return false;
    out->skipped = str_map_create(arena);
    const PickleValue *value = (zip ? import_zip : import_legacy)(arena, path, bytes, size, &out->skipped, error);
    if (!value)
        return false;
    const PickleValue *dict = key ? follow_key(&f, value, key) : find_weights(&f, value);
    return dict && take_tensors(&f, dict, size, out);
}
