/* data_arrays.c: the arrays of a data set. */
#include "runtime/data/data.h"

#include <stdlib.h>
#include <string.h>

bool data_allocate(const DataOptions *options, int64_t count, Dataset *data, Error *error) {
    data->count = count;
    data->height = options->height;
    data->width = options->width;
    data->channels = options->channels;
    data->classes = options->classes;
    size_t size = (size_t)data->height * (size_t)data->width * (size_t)data->channels;
    data->pixels = calloc((size_t)count, size);
    data->labels = calloc((size_t)count, sizeof(int32_t));
    if (!data->pixels || !data->labels)
        return error_set(error, ERROR_MACHINE, "no memory for %lld images of %zu bytes", (long long)count, size);
    return true;
}

bool data_check_label(const DataOptions *options, const char *path, int64_t image, int label, Error *error) {
    if (label < 0 || label >= options->classes)
        return error_set(error, ERROR_INPUT, "%s: image %lld has label %d; the network has %d classes", path,
                         (long long)image, label, options->classes);
    return true;
}

void data_close(Dataset *data) {
    if (data->close)
        data->close(data->source);
    free(data->pixels);
    free(data->labels);
    memset(data, 0, sizeof(*data));
}
