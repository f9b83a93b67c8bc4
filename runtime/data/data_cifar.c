/* data_cifar.c: the binary versions of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html).
 *
 *     CIFAR-10   data_batch_1.bin ... data_batch_5.bin, test_batch.bin: records of label, 3072 pixel bytes
 *     CIFAR-100  train.bin, test.bin: records of coarse label, fine label (the one used), 3072 pixel bytes
 *
 * Pixels of a record are planes (channel, row, column); they are stored here with the channel innermost. */
#include "runtime/data/data.h"

#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 32, CHANNELS = 3, PLANE = SIDE * SIDE, PIXELS = PLANE * CHANNELS, MAX_FILES = 5, PATH_SIZE = 4096 };

typedef struct CifarFiles {
    int count, label_bytes;
    char path[MAX_FILES][PATH_SIZE];
    FILE *stream[MAX_FILES];
    int64_t images[MAX_FILES];
} CifarFiles;

static void name_files(const DataOptions *o, DataPart part, CifarFiles *files) {
    files->count = 1;
    files->label_bytes = 1;
    if (str_equal(o->source, "cifar100")) {
        files->label_bytes = 2;
        snprintf(files->path[0], PATH_SIZE, "%s/%s.bin", o->path, part == DATA_train ? "train" : "test");
    } else if (part == DATA_test) {
        snprintf(files->path[0], PATH_SIZE, "%s/test_batch.bin", o->path);
    } else {
        files->count = MAX_FILES;
        for (int i = 0; i < MAX_FILES; i++)
            snprintf(files->path[i], PATH_SIZE, "%s/data_batch_%d.bin", o->path, i + 1);
    }
}

/* A whole number of records is all that tells a complete file; the five training files must also be equally long. */
static bool open_file(CifarFiles *files, int i, Error *error) {
    const char *path = files->path[i];
    files->stream[i] = fopen(path, "rb");
    if (!files->stream[i])
        return error_set(error, ERROR_INPUT, "%s: %s", path, strerror(errno));
    long record = files->label_bytes + PIXELS;
    struct stat status; /* a folder opens too, and says that it is very long */
    if (fstat(fileno(files->stream[i]), &status) == 0 && S_ISDIR(status.st_mode))
        return error_set(error, ERROR_INPUT, "%s: %s", path, strerror(EISDIR));
    long size = fseek(files->stream[i], 0, SEEK_END) == 0 ? ftell(files->stream[i]) : -1;
    if (size < 0 || fseek(files->stream[i], 0, SEEK_SET) != 0)
        return error_set(error, ERROR_INPUT, "%s: cannot be read as a file: %s", path, strerror(errno));
    if (size == 0 || size % record != 0)
        return error_set(error, ERROR_INPUT,
                         "%s: truncated or no CIFAR file: expected a multiple of %ld bytes, found %ld bytes", path,
                         record, size);
    files->images[i] = size / record;
    if (files->images[i] != files->images[0])
        return error_set(error, ERROR_INPUT, "%s: truncated: expected %lld images as in %s, found %lld", path,
                         (long long)files->images[0], files->path[0], (long long)files->images[i]);
    return true;
}

static bool read_record(const DataOptions *o, CifarFiles *files, int file, int64_t index, int64_t image, Dataset *data,
                        Error *error) {
    uint8_t record[2 + PIXELS];
    size_t size = (size_t)files->label_bytes + PIXELS;
    if (fread(record, 1, size, files->stream[file]) != size)
        return error_set(error, ferror(files->stream[file]) ? ERROR_MACHINE : ERROR_INPUT,
                         "%s: image %lld cannot be read: %s", files->path[file], (long long)index, strerror(errno));
    int label = record[files->label_bytes - 1];
    data->labels[image] = label;
    const uint8_t *planes = record + files->label_bytes;
    uint8_t *out = data->pixels + image * PIXELS;
    for (int p = 0; p < PLANE; p++) {
        for (int c = 0; c < CHANNELS; c++)
            out[p * CHANNELS + c] = planes[c * PLANE + p];
    }
    return data_check_label(o, files->path[file], index, label, error);
}

static bool read_files(const DataOptions *o, DataPart part, CifarFiles *files, Dataset *data, Error *error) {
    int64_t total = 0;
    for (int i = 0; i < files->count; i++) {
        if (!open_file(files, i, error))
            return false;
        total += files->images[i];
    }
    if (part == DATA_train && o->limit > 0 && o->limit < total)
        total = o->limit;
    if (!data_allocate(o, total, data, error))
        return false;
    int64_t image = 0;
    for (int i = 0; i < files->count; i++) {
        for (int64_t k = 0; k < files->images[i] && image < total; k++, image++) {
            if (!read_record(o, files, i, k, image, data, error))
                return false;
        }
    }
    return true;
}

static bool read_all(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    CifarFiles *files = calloc(1, sizeof(*files));
    if (!files)
        return error_set(error, ERROR_MACHINE, "no memory to read CIFAR files");
    name_files(options, part, files);
    bool ok = read_files(options, part, files, data, error);
    for (int i = 0; i < files->count; i++) {
        if (files->stream[i])
            fclose(files->stream[i]);
    }
    free(files);
    return ok;
}

static bool read_set(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    return data_read_sized(options, part, SIDE, read_all, data, error);
}

const DataFormat data_cifar = {.read = read_set};
