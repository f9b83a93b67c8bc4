/* data.c: which source of images an experiment names, its defaults, and what all sources share.
 *
 * Defaults of settings that a text leaves out:
 *     split 0.5, limit 0, cutout 0; crop 4 and flip for CIFAR, no crop and no flip otherwise; no random resized crop,
 *     and when there is one, one of 0.08 to 1 of the area and ratios of 3/4 to 4/3; no colour jitter; bilinear;
 *     mean and std of the data set that the source names. */
#include "runtime/data/data.h"

#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One row per source. Means and deviations: of the training pixels scaled to [0, 1]. */
typedef struct DataSource {
    const char *name;
    DataReader *read;
    bool needs_path;
    int crop;
    bool flip;
    double mean[3], std[3];
} DataSource;

static const DataSource sources[] = {
    {"mnist", data_read_idx, true, 0, false, {0.1307, 0.1307, 0.1307}, {0.3081, 0.3081, 0.3081}},
    {"fashion_mnist", data_read_idx, true, 0, false, {0.2860, 0.2860, 0.2860}, {0.3530, 0.3530, 0.3530}},
    {"kmnist", data_read_idx, true, 0, false, {0.1918, 0.1918, 0.1918}, {0.3483, 0.3483, 0.3483}},
    {"cifar10",
     data_read_cifar,
     true,
     4,
     true,
     {0.49139968, 0.48215827, 0.44653124},
     {0.24703233, 0.24348505, 0.26158768}},
    {"cifar100", data_read_cifar, true, 4, true, {0.5071, 0.4865, 0.4409}, {0.2673, 0.2564, 0.2762}},
    {"stl10", data_read_stl10, true, 0, true, {0.4467, 0.4398, 0.4066}, {0.2603, 0.2566, 0.2713}},
    {"svhn", data_read_svhn, true, 0, false, {0.4377, 0.4438, 0.4728}, {0.1980, 0.2010, 0.1970}},
    {"image_folder", data_read_image_folder, true, 0, true, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
    {"synthetic", data_make_synthetic, false, 0, false, {0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}},
};
enum { SOURCE_COUNT = sizeof(sources) / sizeof(sources[0]), MNIST_SIDE = 28 };

static const DataSource *source_find(const char *name, Error *error) {
    const char *names[SOURCE_COUNT];
    for (int i = 0; i < SOURCE_COUNT; i++) {
        if (str_equal(sources[i].name, name))
            return &sources[i];
        names[i] = sources[i].name;
    }
    const char *near = diag_suggest(name, names, SOURCE_COUNT);
    error_set(error, ERROR_INPUT,
              "unknown data source '%s'%s%s%s; known: mnist, fashion_mnist, kmnist, cifar10, cifar100, stl10, "
              "svhn, image_folder, synthetic",
              name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

/* "data.mean.0", ... or one "data.mean" for all channels. */
static void read_channels(const IrModule *module, const char *key, const double *otherwise, float *out) {
    for (int c = 0; c < DATA_MAX_CHANNELS; c++) {
        char name[64];
        snprintf(name, sizeof(name), "%s.%d", key, c);
        double fallback = ir_module_get_float(module, key, otherwise[c < 3 ? c : 2]);
        out[c] = (float)ir_module_get_float(module, name, fallback);
    }
}

/* The random resized crop and the jitter. */
static bool check_pictures(const DataOptions *o, Error *error) {
    bool jitters = o->brightness != 0 || o->contrast != 0 || o->saturation != 0 || o->hue != 0;
    bool cuts = o->area[1] != 0 && !str_equal(o->source, "image_folder"); /* of which a grey one is made afterwards */
    return (o->channels == IMAGE_CHANNELS || (!jitters && !cuts)) ||
           error_set(error, ERROR_INPUT, "%s needs 3 channels; the network takes %d",
                     jitters ? "colour jitter" : "a random resized crop", o->channels);
}

static bool check_options(const DataOptions *o, Error *error) {
    /* Enlarged by an eighth for evaluation, such a square has no more than IMAGE_MAX_PIXELS. */
    enum { MOST_SIDE = 8192 };
    if (o->height > MOST_SIDE || o->width > MOST_SIDE)
        return error_set(error, ERROR_INPUT,
                         "images of %d x %d are too large; at most %d rows and columns can be loaded", o->height,
                         o->width, MOST_SIDE);
    if (o->channels < 1 || o->channels > DATA_MAX_CHANNELS)
        return error_set(error, ERROR_INPUT, "images of %d channels cannot be loaded; expected 1 to %d", o->channels,
                         DATA_MAX_CHANNELS);
    for (int c = 0; c < o->channels; c++) /* of "data.std" for all channels, which no text makes */
        if (!(o->std[c] > 0) || !isfinite(o->mean[c]))
            return error_set(error, ERROR_INPUT, "data.std of channel %d is %g; expected a number above 0", c,
                             (double)o->std[c]);
    return check_pictures(o, error);
}

/* What pictures of any size are made to, and how they are changed in training. */
static void read_pictures(const IrModule *module, DataOptions *o) {
    o->resize = (int)ir_module_get_int(module, "data.resize", 0);
    o->transposed = ir_module_get_int(module, "data.transposed", 0) != 0;
    o->labels_from = (int)ir_module_get_int(module, "data.labels_from", 0);
    const char *filter = ir_module_get_string(module, "data.interpolation", "bilinear");
    o->interpolation = str_equal(filter, "bicubic") ? IMAGE_bicubic : IMAGE_bilinear;
    bool crops = ir_module_get(module, "data.area.0") || ir_module_get(module, "data.area.1");
    o->area[0] = crops ? ir_module_get_float(module, "data.area.0", 0.08) : 0;
    o->area[1] = crops ? ir_module_get_float(module, "data.area.1", 1) : 0;
    o->ratio[0] = ir_module_get_float(module, "data.ratio.0", 3.0 / 4.0);
    o->ratio[1] = ir_module_get_float(module, "data.ratio.1", 4.0 / 3.0);
    o->brightness = ir_module_get_float(module, "data.brightness", 0);
    o->contrast = ir_module_get_float(module, "data.contrast", 0);
    o->saturation = ir_module_get_float(module, "data.saturation", 0);
    o->hue = ir_module_get_float(module, "data.hue", 0);
}

bool data_options_read(const IrModule *module, DataOptions *options, Error *error) {
    memset(options, 0, sizeof(*options));
    options->source = ir_module_get_string(module, "data.source", NULL);
    if (!options->source)
        return error_set(error, ERROR_INPUT,
                         "the experiment names no data; add a line such as  data cifar10(\"PATH\")");
    const DataSource *source = source_find(options->source, error);
    if (!source)
        return false;
    options->path = ir_module_get_string(module, "data.path", NULL);
    options->split = ir_module_get_float(module, "data.split", 0.5);
    options->limit = ir_module_get_int(module, "data.limit", 0);
    options->crop = (int)ir_module_get_int(module, "data.crop", source->crop);
    options->flip = ir_module_get_int(module, "data.flip", source->flip) != 0;
    options->cutout = (int)ir_module_get_int(module, "data.cutout", 0);
    read_pictures(module, options);
    options->height = (int)ir_module_get_int(module, "input.height", 32);
    options->width = (int)ir_module_get_int(module, "input.width", 32);
    options->channels = (int)ir_module_get_int(module, "input.channels", 3);
    options->classes = (int)ir_module_get_int(module, "classes", 10);
    read_channels(module, "data.mean", source->mean, options->mean);
    read_channels(module, "data.std", source->std, options->std);
    return check_options(options, error);
}

int data_side(const DataOptions *options) {
    int larger = options->height > options->width ? options->height : options->width;
    if (options->resize)
        return options->resize;
    if (str_equal(options->source, "image_folder"))
        return image_side_for(options->height, options->width);
    bool padded = str_ends_with(options->source, "mnist") && larger >= MNIST_SIDE;
    return padded ? MNIST_SIDE : larger;
}

bool data_takes_whole(const DataOptions *options) {
    return options->resize == 0 && str_equal(options->source, "image_folder");
}

bool data_check_side(const DataOptions *o, Error *error) {
    int side = data_side(o);
    return (side >= o->height && side >= o->width) ||
           error_set(error, ERROR_INPUT, "data.resize is %d, less than the network's %d x %d", side, o->height,
                     o->width);
}

bool data_open(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    memset(data, 0, sizeof(*data));
    const DataSource *source = source_find(options->source, error);
    if (!source)
        return false;
    if (source->needs_path && (!options->path || !options->path[0]))
        return error_set(error, ERROR_INPUT, "the data source '%s' needs the folder of its files (data.path)",
                         options->source);
    if (!source->read(options, part, data, error)) {
        data_close(data);
        return false;
    }
    return true;
}

bool data_has_test(const DataOptions *options) {
    return !str_equal(options->source, "image_folder") || data_image_folder_has_test(options);
}

void data_close(Dataset *data) {
    if (data->close)
        data->close(data->source);
    free(data->pixels);
    free(data->labels);
    memset(data, 0, sizeof(*data));
}

const char *data_summary(Arena *arena, const DataOptions *o, const Dataset *data) {
    bool has_path = o->path && o->path[0];
    return arena_printf(arena, "%s%s%s%s: %lld pictures in %d classes, %d x %d x %d", o->source, has_path ? " '" : "",
                        has_path ? o->path : "", has_path ? "'" : "", (long long)data->count, o->classes, o->height,
                        o->width, o->channels);
}

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
