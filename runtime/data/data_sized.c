/* data_sized.c: sets whose images all have one size, for networks that may take another: small ones are kept as bytes
 * and resized when a batch needs them, as pictures of that size would be. */
#include "runtime/data/data.h"
#include "runtime/data/image.h"

#include <stdlib.h>
#include <string.h>

static bool load_small(const Dataset *data, int64_t index, Image *image, Error *error) {
    const Dataset *small = data->source;
    if (!image_allocate("an image", (uint64_t)small->height, (uint64_t)small->width, image, error))
        return false;
    size_t size = (size_t)small->height * (size_t)small->width * IMAGE_CHANNELS;
    memcpy(image->pixels, small->pixels + (size_t)index * size, size);
    return true;
}

static void close_small(void *source) {
    data_close(source);
    free(source);
}

static bool read_resized(const DataOptions *options, DataPart part, const DataOptions *small, DataReader *read,
                         Dataset *data, Error *error) {
    if (!data_check_side(options, error))
        return false;
    Dataset *source = calloc(1, sizeof *source);
    if (!source)
        return error_set(error, ERROR_MACHINE, "no memory to read the images");
    data->source = source;
    data->close = close_small;
    if (!read(small, part, source, error))
        return false;
    data->count = source->count;
    data->height = options->height;
    data->width = options->width;
    data->channels = IMAGE_CHANNELS;
    data->classes = options->classes;
    data->load = load_small;
    data->smaller = source;
    data->labels = source->labels;
    source->labels = NULL;
    return true;
}

bool data_read_sized(const DataOptions *options, DataPart part, int side, DataReader *read, Dataset *data,
                     Error *error) {
    if (options->channels != IMAGE_CHANNELS)
        return error_set(error, ERROR_INPUT, "images of %s have 3 channels; the network takes %d", options->source,
                         options->channels);
    DataOptions small = *options;
    small.height = small.width = side;
    bool same = options->height == side && options->width == side && data_side(options) == side;
    return same ? read(options, part, data, error) : read_resized(options, part, &small, read, data, error);
}

void data_turn_planes(const uint8_t *planes, int side, uint8_t *pixels) {
    for (int c = 0; c < IMAGE_CHANNELS; c++) {
        for (int x = 0; x < side; x++) {
            for (int y = 0; y < side; y++)
                pixels[(y * side + x) * IMAGE_CHANNELS + c] = *planes++;
        }
    }
}
