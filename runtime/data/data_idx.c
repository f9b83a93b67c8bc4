/* data_idx.c: the IDX files of the MNIST family (http://yann.lecun.com/exdb/mnist), gzipped or not.
 *
 *     4 bytes 0x00000803 (images) or 0x00000801 (labels), then one big-endian 32-bit extent per dimension, then bytes.
 *
 * Images have one channel, which is kept; smaller ones are padded with zeros to the network's size, 32 x 32 unless it
 * is said otherwise, the extra row and column of an odd difference going to the bottom and the right. zlib reads a file
 * that is not gzipped as it is. */
#include "runtime/data/data.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/str.h"
#include "runtime/data/picture_tree_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { PATH_SIZE = 4096, MAGIC_IMAGES = 0x803, MAGIC_LABELS = 0x801 };

/* One open file and the name it is complained about by. */
typedef struct IdxFile {
    char path[PATH_SIZE];
    gzFile stream;
} IdxFile;

/* The spellings under which the four files are handed around. */
static const char *const spellings[] = {"%s-%s-idx%d-ubyte", "%s-%s-idx%d-ubyte.gz", "%s-%s.idx%d-ubyte",
                                        "%s-%s.idx%d-ubyte.gz"};
static const char *const part_names[2][3] = {[DATA_train] = {"train"}, [DATA_test] = {"t10k", "test"}};

/* Opens STEM-WHAT-idxRANK-ubyte, however it is spelt: 1 when it is there, 0 when it is not, -1 for an error. */
static int try_stem(const char *stem, const char *what, int rank, IdxFile *file, Error *error) {
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        snprintf(file->path, sizeof(file->path), spellings[i], stem, what, rank);
        file->stream = gzopen(file->path, "rb");
        if (file->stream)
            return 1;
        if (errno != ENOENT && errno != ENOTDIR)
            return error_set(error, ERROR_INPUT, "%s: %s", file->path, strerror(errno)), -1;
    }
    return 0;
}

/* The files of a set in folder PATH, or of one called NAME when PATH is FOLDER/NAME: PATH-train-images-... */
static int try_set(const char *path, const char *between, DataPart part, const char *what, int rank, IdxFile *file,
                   Error *error) {
    for (int i = 0; part_names[part][i]; i++) {
        char stem[PATH_SIZE];
        snprintf(stem, sizeof stem, "%s%s%s", path, between, part_names[part][i]);
        int found = try_stem(stem, what, rank, file, error);
        if (found)
            return found;
    }
    return 0;
}

/* Sets in a folder that have a name in front, as EMNIST's do: emnist-letters-train-images-idx3-ubyte.gz */
static const char *named_sets(Arena *arena, const char *folder, const char **only) {
    Error ignored = {ERROR_NONE, ""}; /* that there is no folder was said */
    FolderList list;
    Str names = str_create(arena);
    if (!folder_list(arena, folder, &list, &ignored))
        return "";
    for (size_t i = 0; i < list.files.count; i++) {
        const char *end = strstr(list.files.items[i], "-train-images");
        if (!end || end == list.files.items[i])
            continue;
        const char *name = arena_strndup(arena, list.files.items[i], (size_t)(end - list.files.items[i]));
        str_addf(&names, "%s%s", names.length ? ", " : "", name);
        *only = *only ? "" : name; /* of two, none */
    }
    return names.data;
}

static bool idx_open(const char *path, DataPart part, const char *what, int rank, IdxFile *file, Error *error) {
    int found = try_set(path, "/", part, what, rank, file, error);
    if (found == 0)
        found = try_set(path, "-", part, what, rank, file, error);
    if (found)
        return found > 0;
    Arena *arena = arena_create();
    const char *only = NULL, *names = named_sets(arena, path, &only), *prefix = part_names[part][0];
    if (only && only[0])
        found = try_set(arena_printf(arena, "%s/%s", path, only), "-", part, what, rank, file, error);
    else if (only)
        error_set(error, ERROR_INPUT, "%s: several sets: %s; name one of them, as in %s/SET", path, names, path);
    if (found == 0 && error->kind == ERROR_NONE)
        error_set(error, ERROR_INPUT, "no file %s-%s-idx%d-ubyte or %s-%s-idx%d-ubyte.gz in '%s'", prefix, what, rank,
                  prefix, what, rank, path);
    arena_destroy(arena);
    return found > 0;
}

/* Reads exactly size bytes. zlib reports a stream that ends early only when asked. */
static bool idx_read(IdxFile *file, void *out, size_t size, const char *what, Error *error) {
    size_t done = 0;
    while (done < size) {
        unsigned part = size - done > (1u << 20) ? 1u << 20 : (unsigned)(size - done);
        int got = gzread(file->stream, (char *)out + done, part);
        int code = Z_OK;
        const char *text = gzerror(file->stream, &code);
        if (got < 0 && code == Z_ERRNO)
            return error_set(error, file_error_kind(errno), "%s: %s", file->path, strerror(errno));
        if (got < 0 && code == Z_MEM_ERROR)
            return error_set(error, ERROR_MACHINE, "%s: no memory to read it", file->path);
        if (got < 0 && code != Z_BUF_ERROR)
            return error_set(error, ERROR_INPUT, "%s: broken gzip data (%s)", file->path, text);
        if (got <= 0)
            return error_set(error, ERROR_INPUT, "%s: truncated: %s needs %zu bytes, found %zu", file->path, what, size,
                             done);
        done += (size_t)got;
    }
    return true;
}

/* Nothing may follow; reading on to the end also checks the gzip checksum. */
static bool idx_check_end(IdxFile *file, Error *error) {
    char byte;
    int got = gzread(file->stream, &byte, 1);
    int code = Z_OK;
    const char *text = gzerror(file->stream, &code);
    if (got > 0)
        return error_set(error, ERROR_INPUT, "%s: more bytes than its header announces", file->path);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END))
        return error_set(error, ERROR_INPUT, "%s: broken gzip data (%s)", file->path, text);
    return true;
}

static uint32_t big_endian(const uint8_t *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static bool idx_read_header(IdxFile *file, uint32_t magic, int rank, uint32_t *extent, Error *error) {
    uint8_t bytes[16];
    if (!idx_read(file, bytes, 4 + 4 * (size_t)rank, "its header", error))
        return false;
    if (!file_expect(file->path, bytes, 4 + 4 * (size_t)rank, FILE_idx, "an IDX file", error))
        return false;
    if (big_endian(bytes) != magic)
        return error_set(error, ERROR_INPUT, "%s: not an IDX file of %s: expected the first bytes %08x, found %08x",
                         file->path, rank == 3 ? "images" : "labels", magic, big_endian(bytes));
    for (int i = 0; i < rank; i++)
        extent[i] = big_endian(bytes + 4 + 4 * i);
    return true;
}

static bool check_shape(const DataOptions *o, const char *path, const uint32_t *extent, Error *error) {
    if (extent[0] == 0)
        return error_set(error, ERROR_INPUT, "%s: holds no images", path);
    if (extent[1] == 0 || extent[2] == 0 || extent[1] > (uint32_t)o->height || extent[2] > (uint32_t)o->width)
        return error_set(
            error, ERROR_INPUT,
            "%s: images of %u x %u do not fit the network's input of %d x %d; one for them has H = %u, W = "
            "%u (--set H=%u --set W=%u)",
            path, extent[1], extent[2], o->height, o->width, extent[1], extent[2], extent[1], extent[2]);
    if (o->channels != 1)
        return error_set(error, ERROR_INPUT, "%s: images have one channel; the network takes %d", path, o->channels);
    return true;
}

/* To its place in zeros; raw has rows of columns, or columns of rows. */
static void place_image(const DataOptions *o, const uint8_t *raw, size_t height, size_t width, uint8_t *image) {
    for (size_t y = 0; y < height; y++, image += o->width) {
        if (!o->transposed)
            memcpy(image, raw + y * width, width);
        for (size_t x = 0; o->transposed && x < width; x++)
            image[x] = raw[x * height + y];
    }
}

static bool read_images(const DataOptions *o, IdxFile *file, const uint32_t *extent, Dataset *data, Error *error) {
    size_t height = extent[1], width = extent[2];
    size_t top = ((size_t)o->height - height) / 2, left = ((size_t)o->width - width) / 2;
    uint8_t *raw = malloc(height * width);
    if (!raw)
        return error_set(error, ERROR_MACHINE, "no memory for an image of %zu bytes", height * width);
    bool ok = true;
    for (int64_t i = 0; ok && i < data->count; i++) {
        char what[64];
        snprintf(what, sizeof(what), "image %lld of %u", (long long)i, extent[0]);
        ok = idx_read(file, raw, height * width, what, error);
        if (ok)
            place_image(o, raw, height, width,
                        data->pixels + ((size_t)i * (size_t)o->height + top) * (size_t)o->width + left);
    }
    free(raw);
    return ok;
}

/* Labels that are too many, or do not begin where the text says, but would fit if they did: EMNIST's letters begin at
 * 1. */
static bool check_first(const DataOptions *o, const IdxFile *file, const uint8_t *raw, int64_t count, Error *error) {
    int least = 255, most = 0;
    int64_t beyond = count; /* the first that is too large */
    for (int64_t i = 0; i < count; i++) {
        least = raw[i] < least ? raw[i] : least;
        most = raw[i] > most ? raw[i] : most;
        beyond = beyond == count && raw[i] - o->labels_from >= o->classes ? i : beyond;
    }
    if (most - least >= o->classes && least >= o->labels_from)
        return error_set(error, ERROR_INPUT,
                         "%s: image %lld has label %d; the network has %d classes; the labels go from %d to %d (--set "
                         "classes=%d)",
                         file->path, (long long)beyond, raw[beyond], o->classes, least, most,
                         most - o->labels_from + 1);
    bool fits = least >= o->labels_from && most - o->labels_from < o->classes;
    return fits || least == o->labels_from || most - least >= o->classes ||
           error_set(error, ERROR_INPUT,
                     "%s: the labels go from %d to %d, for %d classes from %d; labels_from = %d takes them so (--set "
                     "labels_from=%d)",
                     file->path, least, most, o->classes, o->labels_from, least, least);
}

static bool read_labels(const DataOptions *o, IdxFile *file, Dataset *data, Error *error) {
    uint8_t *raw = malloc((size_t)data->count);
    if (!raw)
        return error_set(error, ERROR_MACHINE, "no memory for %lld labels", (long long)data->count);
    bool ok =
        idx_read(file, raw, (size_t)data->count, "the labels", error) && check_first(o, file, raw, data->count, error);
    for (int64_t i = 0; ok && i < data->count; i++) {
        data->labels[i] = raw[i] - o->labels_from;
        ok = data_check_label(o, file->path, i, data->labels[i], error);
    }
    free(raw);
    return ok;
}

static bool read_pair(const DataOptions *o, DataPart part, IdxFile *images, IdxFile *labels, Dataset *data,
                      Error *error) {
    uint32_t extent[3], label_count;
    if (!idx_read_header(images, MAGIC_IMAGES, 3, extent, error))
        return false;
    if (o->transposed) {
        uint32_t rows = extent[2];
        extent[2] = extent[1], extent[1] = rows;
    }
    if (!check_shape(o, images->path, extent, error) || !idx_read_header(labels, MAGIC_LABELS, 1, &label_count, error))
        return false;
    if (label_count != extent[0])
        return error_set(error, ERROR_INPUT, "%s: %u labels, but %s has %u images", labels->path, label_count,
                         images->path, extent[0]);
    int64_t count = extent[0];
    bool all = part == DATA_test || o->limit == 0 || o->limit >= count;
    if (!data_allocate(o, all ? count : o->limit, data, error))
        return false;
    return read_images(o, images, extent, data, error) && (!all || idx_check_end(images, error)) &&
           read_labels(o, labels, data, error) && (!all || idx_check_end(labels, error));
}

static bool read_set(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    IdxFile images = {.stream = NULL}, labels = {.stream = NULL};
    bool ok = idx_open(options->path, part, "images", 3, &images, error) &&
              idx_open(options->path, part, "labels", 1, &labels, error) &&
              read_pair(options, part, &images, &labels, data, error);
    if (images.stream)
        gzclose_r(images.stream);
    if (labels.stream)
        gzclose_r(labels.stream);
    return ok;
}

const DataFormat data_idx = {.read = read_set};
