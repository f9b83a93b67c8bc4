/* import_legacy.c: PyTorch's format before 1.6: pickles one after the other (a magic number, a version, facts of the
 * machine, the object, the list of storage keys), then for each key 8 bytes of element count and the elements. */
#include "runtime/exchange/import.h"

#include "base/file_kind.h"

#include <inttypes.h>
#include <string.h>

enum { LEGACY_VERSION = 1001 };
static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

/* What is no checkpoint is called by its name. */
static bool refuse_other(Pickle *p) {
    FileKind kind = file_kind(p->bytes, p->size);
    if (kind == FILE_tar)
        return error_set(p->error, ERROR_INPUT,
                         "%s: a tar archive, as PyTorch wrote them before 0.1.10; save it again with a newer version",
                         p->path);
    if (kind == FILE_pickle)
        return error_set(p->error, ERROR_INPUT, "%s: a Python pickle, but none that torch.save wrote", p->path);
    return file_expect(p->path, p->bytes, p->size, FILE_pytorch_legacy, "a PyTorch checkpoint", p->error) &&
           error_set(p->error, ERROR_INPUT,
                     "%s: not a PyTorch checkpoint: neither a zip archive nor its magic number at the beginning",
                     p->path);
}

static bool read_magic(Pickle *p) {
    Error inner = {ERROR_NONE, ""}, *outer = p->error;
    p->error = &inner;
    const PickleValue *value = p->size && p->bytes[0] == 0x80 ? pickle_run(p) : NULL;
    p->error = outer;
    bool is_magic = value && value->kind == PICKLE_string && value->length == sizeof magic &&
                    memcmp(value->text, magic, sizeof magic) == 0;
    return is_magic || refuse_other(p);
}

static bool read_version(Pickle *p) {
    const PickleValue *value = pickle_run(p);
    if (!value)
        return false;
    return (value->kind == PICKLE_int && value->integer == LEGACY_VERSION) ||
           pickle_refuse(p, "not version %d of the legacy format", LEGACY_VERSION);
}

static bool read_machine(Pickle *p) {
    const PickleValue *value = pickle_run(p);
    if (!value)
        return false;
    const PickleValue *little = value->kind == PICKLE_dict ? pickle_dict_get(value, "little_endian") : NULL;
    return (little && little->kind == PICKLE_bool && little->integer) ||
           pickle_refuse(p, "the numbers are not little-endian");
}

static bool read_storage(Pickle *p, const PickleValue *key) {
    if (key->kind != PICKLE_string)
        return pickle_refuse(p, "a storage key that is no string");
    const char *name = arena_strndup(p->arena, key->text, key->length);
    PickleStorage *storage = str_map_get(p->storages, name);
    if (!storage)
        return pickle_refuse(p, "a storage '%s' that no tensor mentions", name);
    if (storage->data)
        return pickle_refuse(p, "storage '%s' comes twice", name);
    if (p->size - p->at < 8 || p->size - p->at - 8 < (uint64_t)storage->size)
        return pickle_refuse(p, "the file is cut off in storage '%s' of %" PRId64 " bytes", name, storage->size);
    uint64_t count = 0;
    for (int i = 7; i >= 0; i--)
        count = count << 8 | p->bytes[p->at + (size_t)i];
    /* The count is of elements, whose size the storage's other mention has settled. */
    if (count > (uint64_t)storage->size || (count && (uint64_t)storage->size % count) || (!count && storage->size))
        return pickle_refuse(p, "storage '%s' has %" PRIu64 " elements and %" PRId64 " bytes", name, count,
                             storage->size);
    storage->data = p->bytes + p->at + 8;
    p->at += 8 + (size_t)storage->size;
    return true;
}

static bool read_storages(Pickle *p) {
    const PickleValue *keys = pickle_run(p);
    if (!keys)
        return false;
    if (keys->kind != PICKLE_list)
        return pickle_refuse(p, "no list of storage keys");
    for (size_t i = 0; i < keys->count; i++) {
        if (!read_storage(p, keys->items[i]))
            return false;
    }
    return true;
}

PickleValue *import_legacy(Arena *arena, const char *path, const char *bytes, size_t size, StrMap *skipped,
                           Error *error) {
    StrMap storages = str_map_create(arena);
    Pickle p = {.arena = arena,
                .path = path,
                .error = error,
                .bytes = (const unsigned char *)bytes,
                .size = size,
                .storages = &storages,
                .skipped = skipped,
                .legacy = true};
    if (!read_magic(&p) || !read_version(&p) || !read_machine(&p))
        return NULL;
    PickleValue *value = pickle_run(&p);
    if (!value || !read_storages(&p))
        return NULL;
    for (size_t i = 0; i < storages.count; i++) {
        const PickleStorage *storage = storages.entries[i].value;
        if (!storage->data) {
            error_set(error, ERROR_INPUT, "%s: storage '%s' is missing", path, storage->key);
            return NULL;
        }
    }
    return value;
}
