/* data_synthetic.c: images that need no files, for tests. Each class has a coarse pattern of 4 x 4 blocks; an image is
 * its class's pattern half way to uniform noise, so a network can learn it but not at once. Labels go 0, 1, ...,
 * classes - 1, 0,
 * ... The same for every seed. data.limit is the number of training images (default 512); the test part has as many. */
#include "base/hash.h"
#include "runtime/data/data.h"

enum { BLOCKS = 4, DEFAULT_COUNT = 512, TEST_BASE = 1 << 24 };

static void make_image(Dataset *data, int64_t image, uint32_t draw_image) {
    static const uint64_t seed = 20;
    uint32_t pattern = draw_stream_hash("synthetic.pattern"), noise = draw_stream_hash("synthetic.noise");
    int label = (int)(image % data->classes);
    size_t size = (size_t)data->height * (size_t)data->width * (size_t)data->channels;
    uint8_t *out = data->pixels + (size_t)image * size;
    data->labels[image] = label;
    for (uint32_t i = 0; i < size; i++) {
        uint32_t channels = (uint32_t)data->channels, width = (uint32_t)data->width;
        uint32_t c = i % channels, x = i / channels % width, y = i / channels / width;
        uint32_t block = (y * BLOCKS / (uint32_t)data->height * BLOCKS + x * BLOCKS / width) * channels + c;
        double level = draw_uniform(seed, pattern, 0, (uint32_t)label, block);
        double u = draw_uniform(seed, noise, 0, draw_image, i);
        out[i] = (uint8_t)(255.0 * 0.5 * (level + u));
    }
}

static bool make_set(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    int64_t count = options->limit > 0 ? options->limit : DEFAULT_COUNT;
    if (!data_allocate(options, count, data, error))
        return false;
    for (int64_t i = 0; i < count; i++)
        make_image(data, i, (uint32_t)i + (part == DATA_test ? TEST_BASE : 0));
    return true;
}

const DataFormat data_synthetic = {.read = make_set, .without_files = true};
