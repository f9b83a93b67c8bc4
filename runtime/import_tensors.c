/* import_tensors.c: from the values of a checkpoint to tensors: finds the weights, strips the prefixes that wrappers
 * put before the names, makes every tensor contiguous. */
#include "runtime/import.h"

#include <string.h>

/* Where training scripts keep the weights, the likeliest first. */
static const char *const usual_keys[] = {"model_state", "state_dict", "model_state_dict", "net",       "model",
                                         "network",     "module",     "weights",          "net_state", "state",
                                         "ema",         "model_ema",  "state_dict_ema"};
enum { USUAL_COUNT = sizeof usual_keys / sizeof usual_keys[0], MAX_DEPTH = 4 };

/* Prefixes of DataParallel and of torch.compile. */
static const char *const wrappers[] = {"module.", "_orig_mod."};

typedef struct Finder {
    Arena *arena;
    const char *path;
    Error *error;
    Str from;
} Finder;

static bool has_tensors(const PickleValue *value) {
    for (size_t i = 0; value->kind == PICKLE_dict && i < value->count; i += 2) {
        if (value->items[i]->kind == PICKLE_string && value->items[i + 1]->kind == PICKLE_tensor)
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

static const char *list_keys(Finder *f, const PickleValue *dict) {
    enum { SHOWN = 12 };
    Str list = str_create(f->arena);
    size_t count = 0;
    for (size_t i = 0; i < dict->count; i += 2) {
        const PickleValue *key = dict->items[i];
        if (key->kind == PICKLE_string && count++ < SHOWN)
            str_addf(&list, "%s'%.*s' (%s)", count > 1 ? ", " : "", (int)(key->length < 60 ? key->length : 60),
                     key->text, pickle_kind_name(dict->items[i + 1]->kind));
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
        if (!next) {
            error_set(f->error, ERROR_INPUT, "%s: no weights under a usual name; say which with --key; there are: %s",
                      f->path, list_keys(f, value));
            return NULL;
        }
        value = next;
        if (has_tensors(value))
            return value;
    }
    error_set(f->error, ERROR_INPUT, "%s: holds %s, not a dict of tensors", f->path, pickle_kind_name(value->kind));
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
    error_set(f->error, ERROR_INPUT, "%s: '%s' is %s without tensors", f->path, key, pickle_kind_name(value->kind));
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
    int16_t narrow;
    memcpy(&narrow, bytes, element->size == 2 ? 2 : 1);
    ((int32_t *)to)[at] = element->size == 2 ? narrow : (int8_t)bytes[0];
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

uint64_t import_budget(size_t file_size) {
    return 16 * (uint64_t)file_size + (UINT64_C(64) << 20);
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
static StrMap collect(Finder *f, const PickleValue *dict, Imported *out) {
    StrMap tensors = str_map_create(f->arena);
    out->left_out = str_map_create(f->arena);
    for (size_t i = 0; i < dict->count; i += 2) {
        PickleValue *key = dict->items[i], *value = dict->items[i + 1];
        if (key->kind != PICKLE_string)
            continue;
        const char *name = arena_strndup(f->arena, key->text, key->length);
        str_map_set(value->kind == PICKLE_tensor ? &tensors : &out->left_out, name, value);
    }
    return tensors;
}

static const char *common_prefix(Arena *arena, const StrMap *tensors) {
    const char *prefix = "";
    for (size_t w = 0; w < 2 * sizeof wrappers / sizeof wrappers[0]; w++) {
        const char *longer = arena_printf(arena, "%s%s", prefix, wrappers[w % 2]);
        bool all = tensors->count > 0;
        for (size_t i = 0; all && i < tensors->count; i++)
            all = str_starts_with(tensors->entries[i].key, longer) && tensors->entries[i].key[strlen(longer)];
        if (all)
            prefix = longer;
    }
    return prefix;
}

static bool take_tensors(Finder *f, const PickleValue *dict, size_t file_size, Imported *out) {
    uint64_t budget = import_budget(file_size);
    StrMap tensors = collect(f, dict, out);
    out->from = f->from.data;
    out->prefix = common_prefix(f->arena, &tensors);
    for (size_t i = 0; i < tensors.count; i++) {
        const PickleValue *value = tensors.entries[i].value;
        if (!add_tensor(f, out, tensors.entries[i].key + strlen(out->prefix), value->tensor, &budget))
            return false;
    }
    return true;
}

bool import_bytes(Arena *arena, const char *path, const char *bytes, size_t size, const char *key, Imported *out,
                  Error *error) {
    Finder f = {.arena = arena, .path = path, .error = error, .from = str_create(arena)};
    bool zip = size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0;
    const PickleValue *value = (zip ? import_zip : import_legacy)(arena, path, bytes, size, error);
    if (!value)
        return false;
    const PickleValue *dict = key ? follow_key(&f, value, key) : find_weights(&f, value);
    return dict && take_tensors(&f, dict, size, out);
}

bool import_checkpoint(Arena *arena, const char *path, const char *key, Imported *out, Error *error) {
    const SourceFile *source = source_read(arena, path, error);
    return source && import_bytes(arena, path, source->text, source->size, key, out, error);
}
