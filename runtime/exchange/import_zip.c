/* import_zip.c: PyTorch's format since 1.6: a zip archive NAME/data.pkl, NAME/data/KEY, NAME/byteorder. What an archive
 * claims about sizes is held against the file's size before memory is asked for: weights hardly shrink, and what all
 * entries are in memory is as much as their tensors may be (import_budget). */
#include "runtime/exchange/import.h"

#ifndef NDARTS_HAVE_LIBZIP

PickleValue *import_zip(Arena *arena, const char *path, const char *bytes, size_t size, StrMap *skipped, Error *error) {
    (void)arena, (void)bytes, (void)size, (void)skipped;
    error_set(error, ERROR_MACHINE, "%s: a zip archive, and this ndarts was built without libzip", path);
    return NULL;
}

#else

#include <inttypes.h>
#include <string.h>
#include <zip.h>
#include <zlib.h>

enum { MAX_PICKLE = 1 << 28 };

typedef struct Archive {
    Arena *arena;
    const char *path;
    Error *error;
    zip_t *zip;
    StrMap *skipped;
    const char *folder;        /* with its slash */
    size_t file_size, claimed; /* claimed: compressed bytes of the entries read so far, which cannot overlap */
    uint64_t budget;           /* bytes that further entries may be in memory */
} Archive;

/* Whether the library, or zlib below it, had no memory; else the archive is broken. */
static ErrorKind kind_of(zip_error_t *failure) {
    int code = zip_error_code_zip(failure), below = zip_error_code_system(failure);
    bool memory = code == ZIP_ER_MEMORY || (code == ZIP_ER_ZLIB && below == Z_MEM_ERROR);
    return memory ? ERROR_MACHINE : ERROR_INPUT;
}

static bool open_archive(Archive *a, const char *bytes, size_t size) {
    zip_error_t zip_error;
    zip_error_init(&zip_error);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, &zip_error);
    a->zip = source ? zip_open_from_source(source, ZIP_RDONLY, &zip_error) : NULL;
    if (a->zip) {
        zip_error_fini(&zip_error);
        return true;
    }
    error_set(a->error, kind_of(&zip_error), "%s: a broken zip archive: %s", a->path, zip_error_strerror(&zip_error));
    zip_source_free(source);
    zip_error_fini(&zip_error);
    return false;
}

/* The folder is called like the file was when it was written. */
static bool find_folder(Archive *a) {
    zip_int64_t count = zip_get_num_entries(a->zip, 0);
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(a->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
        if (name && str_ends_with(name, "/data.pkl")) {
            a->folder = arena_strndup(a->arena, name, strlen(name) - strlen("data.pkl"));
            return true;
        }
    }
    return error_set(a->error, ERROR_INPUT, "%s: a zip archive without a data.pkl, so no PyTorch checkpoint", a->path);
}

static bool check_claims(Archive *a, const char *name, const zip_stat_t *stat) {
    const zip_uint64_t wanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if ((stat->valid & wanted) != wanted || stat->comp_size > a->file_size - a->claimed || stat->size > SIZE_MAX / 2)
        return error_set(a->error, ERROR_INPUT, "%s: the entry '%s' claims a size that cannot be", a->path, name);
    if (stat->size > a->budget)
        return error_set(a->error, ERROR_INPUT,
                         "%s: the entry '%s' would have %" PRIu64 " bytes, far more than weights in a file of %zu "
                         "bytes; it is not read",
                         a->path, name, (uint64_t)stat->size, a->file_size);
    a->claimed += (size_t)stat->comp_size;
    a->budget -= stat->size;
    return true;
}

static bool read_bytes(const Archive *a, const char *name, zip_file_t *file, unsigned char *to, size_t size) {
    size_t done = 0;
    while (done < size) {
        zip_int64_t count = zip_fread(file, to + done, size - done);
        if (count < 0)
            return error_set(a->error, kind_of(zip_file_get_error(file)), "%s: the entry '%s' is broken: %s", a->path,
                             name, zip_file_strerror(file));
        if (count == 0)
            return error_set(a->error, ERROR_INPUT, "%s: the entry '%s' ends after %zu of %zu bytes", a->path, name,
                             done, size);
        done += (size_t)count;
    }
    unsigned char more;
    return zip_fread(file, &more, 1) == 0 ||
           error_set(a->error, ERROR_INPUT, "%s: the entry '%s' is broken or longer than it says", a->path, name);
}

/* The bytes of FOLDER/name, of which there are at most `most`, in the arena; NULL on failure. */
static unsigned char *read_entry(Archive *a, const char *name, uint64_t most, size_t *size) {
    const char *whole = arena_printf(a->arena, "%s%s", a->folder, name);
    zip_stat_t stat;
    if (zip_stat(a->zip, whole, ZIP_FL_ENC_RAW, &stat) != 0) {
        error_set(a->error, kind_of(zip_get_error(a->zip)), "%s: the entry '%s' is missing", a->path, whole);
        return NULL;
    }
    if (!check_claims(a, whole, &stat))
        return NULL;
    if (stat.size > most) {
        error_set(a->error, ERROR_INPUT, "%s: the entry '%s' has %" PRIu64 " bytes; expected at most %" PRIu64, a->path,
                  whole, (uint64_t)stat.size, most);
        return NULL;
    }
    *size = (size_t)stat.size;
    zip_file_t *file = zip_fopen_index(a->zip, stat.index, 0);
    if (!file) {
        error_set(a->error, kind_of(zip_get_error(a->zip)), "%s: the entry '%s' cannot be read: %s", a->path, whole,
                  zip_strerror(a->zip));
        return NULL;
    }
    unsigned char *bytes = arena_alloc(a->arena, *size + 1);
    bool good = read_bytes(a, whole, file, bytes, *size);
    zip_fclose(file);
    return good ? bytes : NULL;
}

static bool check_byte_order(Archive *a) {
    size_t size;
    const char *whole = arena_printf(a->arena, "%sbyteorder", a->folder);
    if (zip_name_locate(a->zip, whole, ZIP_FL_ENC_RAW) < 0)
        return true;
    const unsigned char *order = read_entry(a, "byteorder", 16, &size);
    if (!order)
        return false;
    return (size == 6 && memcmp(order, "little", 6) == 0) ||
           error_set(a->error, ERROR_INPUT, "%s: the numbers are not little-endian", a->path);
}

static bool read_storages(Archive *a, const StrMap *storages) {
    for (size_t i = 0; i < storages->count; i++) {
        PickleStorage *storage = storages->entries[i].value;
        size_t size;
        storage->data = read_entry(a, arena_printf(a->arena, "data/%s", storage->key), (uint64_t)storage->size, &size);
        if (!storage->data)
            return false;
        if (size != (uint64_t)storage->size)
            return error_set(a->error, ERROR_INPUT, "%s: storage '%s' should have %" PRId64 " bytes and has %zu",
                             a->path, storage->key, storage->size, size);
    }
    return true;
}

static PickleValue *read_archive(Archive *a) {
    StrMap storages = str_map_create(a->arena);
    Pickle p = {.arena = a->arena, .path = a->path, .error = a->error, .storages = &storages, .skipped = a->skipped};
    if (!find_folder(a) || !check_byte_order(a))
        return NULL;
    p.bytes = read_entry(a, "data.pkl", MAX_PICKLE, &p.size);
    if (!p.bytes)
        return NULL;
    PickleValue *value = pickle_run(&p);
    return value && read_storages(a, &storages) ? value : NULL;
}

PickleValue *import_zip(Arena *arena, const char *path, const char *bytes, size_t size, StrMap *skipped, Error *error) {
    Archive a = {.arena = arena,
                 .path = path,
                 .error = error,
                 .skipped = skipped,
                 .file_size = size,
                 .budget = import_budget(size)};
    if (!open_archive(&a, bytes, size))
        return NULL;
    PickleValue *value = read_archive(&a);
    zip_discard(a.zip);
    return value;
}

#endif
