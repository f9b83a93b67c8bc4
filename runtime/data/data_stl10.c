/* data_stl10.c: the binary version of STL-10 (https://cs.stanford.edu/~acoates/stl10).
 *
 *     train_X.bin, test_X.bin    96 x 96 images: red, green and blue planes, column by column
 *     train_y.bin, test_y.bin    a byte for each image, the classes from 1 */
#include "runtime/data/data.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 96, BYTES = SIDE * SIDE * 3, PATH_SIZE = 4096 };

typedef struct StlFile {
    char path[PATH_SIZE];
    FILE *stream;
    int64_t size;
} StlFile;

static bool open_file(const DataOptions *o, DataPart part, const char *what, StlFile *file, Error *error) {
    snprintf(file->path, sizeof file->path, "%s/%s_%s.bin", o->path, part == DATA_train ? "train" : "test", what);
    file->stream = fopen(file->path, "rb");
    struct stat status;
    if (!file->stream || fstat(fileno(file->stream), &status) != 0)
        return error_set(error, ERROR_INPUT, "%s: %s", file->path, strerror(errno));
    file->size = status.st_size;
    return S_ISREG(status.st_mode) || error_set(error, ERROR_INPUT, "%s: no file", file->path);
}

static bool read_bytes(StlFile *file, void *to, size_t size, int64_t image, Error *error) {
    return fread(to, 1, size, file->stream) == size ||
           error_set(error, ferror(file->stream) ? ERROR_MACHINE : ERROR_INPUT, "%s: image %lld cannot be read: %s",
                     file->path, (long long)image, ferror(file->stream) ? strerror(errno) : "the file is cut off");
}

static bool read_images(const DataOptions *o, StlFile *images, StlFile *labels, Dataset *data, Error *error) {
    for (int64_t i = 0; i < data->count; i++) {
        uint8_t planes[BYTES], label;
        if (!read_bytes(images, planes, sizeof planes, i, error) || !read_bytes(labels, &label, 1, i, error))
            return false;
        if (label == 0)
            return error_set(error, ERROR_INPUT, "%s: image %lld has label 0; the classes begin at 1", labels->path,
                             (long long)i);
        data_turn_planes(planes, SIDE, data->pixels + i * BYTES);
        data->labels[i] = label - 1;
        if (!data_check_label(o, labels->path, i, label - 1, error))
            return false;
    }
    return true;
}

static bool read_pair(const DataOptions *o, DataPart part, StlFile *images, StlFile *labels, Dataset *data,
                      Error *error) {
    if (!open_file(o, part, "X", images, error) || !open_file(o, part, "y", labels, error))
        return false;
    if (images->size == 0 || images->size % BYTES != 0)
        return error_set(error, ERROR_INPUT,
                         "%s: truncated or no file of STL-10: expected a multiple of %d bytes, found %lld",
                         images->path, BYTES, (long long)images->size);
    int64_t count = images->size / BYTES;
    if (labels->size != count)
        return error_set(error, ERROR_INPUT, "%s: %lld labels, but %s has %lld images", labels->path,
                         (long long)labels->size, images->path, (long long)count);
    bool limited = part == DATA_train && o->limit > 0 && o->limit < count;
    return data_allocate(o, limited ? o->limit : count, data, error) && read_images(o, images, labels, data, error);
}

static bool read_all(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    StlFile images = {.stream = NULL}, labels = {.stream = NULL};
    bool ok = read_pair(options, part, &images, &labels, data, error);
    if (images.stream)
        fclose(images.stream);
    if (labels.stream)
        fclose(labels.stream);
    return ok;
}

static bool read_set(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    return data_read_sized(options, part, SIDE, read_all, data, error);
}

const DataFormat data_stl10 = {.read = read_set};
