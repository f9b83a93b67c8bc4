/* data_options.c: what an experiment says about its images, and what size pictures get. */
#include "runtime/data/data.h"

#include "base/str.h"

#include <math.h>
#include <string.h>

bool data_report_unknown(const char *name, Error *error) {
    const char *names[SOURCE_COUNT];
    Arena *arena = arena_create();
    Str list = str_create(arena);
    for (int i = 0; i < SOURCE_COUNT; i++) {
        names[i] = data_sources[i].name;
        str_addf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = diag_suggest(name, names, SOURCE_COUNT);
    error_set(error, ERROR_INPUT, "unknown data source '%s'%s%s%s; known: %s", name, near ? "; did you mean '" : "",
              near ? near : "", near ? "'?" : "", list.data);
    arena_destroy(arena);
    return false;
}

/* The random resized crop and the jitter. */
static bool check_pictures(const DataOptions *o, Error *error) {
    bool jitters = o->brightness != 0 || o->contrast != 0 || o->saturation != 0 || o->hue != 0;
    bool cuts = o->area[1] != 0 && !data_has_pictures(o); /* of which a grey one is made afterwards */
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
static void read_pictures(const DataSettings *s, DataOptions *o) {
    o->resize = (int)s->resize;
    o->transposed = s->transposed;
    o->labels_from = (int)s->labels_from;
    o->interpolation = str_equal(s->interpolation, "bicubic") ? IMAGE_bicubic : IMAGE_bilinear;
    o->area[0] = s->area_0, o->area[1] = s->area_1;
    o->ratio[0] = s->ratio_0, o->ratio[1] = s->ratio_1;
    o->brightness = s->brightness;
    o->contrast = s->contrast;
    o->saturation = s->saturation;
    o->hue = s->hue;
}

static void read_channels(const DataSettings *s, DataOptions *o) {
    const double means[] = {s->mean_0, s->mean_1, s->mean_2}, stds[] = {s->std_0, s->std_1, s->std_2};
    for (int c = 0; c < DATA_MAX_CHANNELS; c++) {
        o->mean[c] = (float)means[c < 3 ? c : 2];
        o->std[c] = (float)stds[c < 3 ? c : 2];
    }
}

bool data_options_read(const Settings *settings, DataOptions *options, Error *error) {
    const DataSettings *s = &settings->data;
    const NetworkFacts *n = &settings->network;
    memset(options, 0, sizeof(*options));
    if (!s->source)
        return error_set(error, ERROR_INPUT,
                         "the experiment names no data; add a line such as  data cifar10(\"PATH\")");
    if (!data_source_find(s->source))
        return data_report_unknown(s->source, error);
    options->source = s->source;
    options->path = s->path;
    options->split = s->split;
    options->limit = s->limit;
    options->crop = (int)s->crop;
    options->flip = s->flip;
    options->cutout = (int)s->cutout;
    read_pictures(s, options);
    options->height = (int)n->height;
    options->width = (int)n->width;
    options->channels = (int)n->channels;
    options->classes = (int)n->classes;
    read_channels(s, options);
    return check_options(options, error);
}

static DataFit fit_of(const DataOptions *options) {
    const DataSource *source = data_source_find(options->source);
    return source ? source->fit : FIT_exact;
}

bool data_has_pictures(const DataOptions *options) {
    return fit_of(options) == FIT_pictures;
}

int data_side(const DataOptions *o) {
    enum { PADDED_SIDE = 28 };
    int larger = o->height > o->width ? o->height : o->width;
    if (o->resize)
        return o->resize;
    if (data_has_pictures(o))
        return image_side_for(o->height, o->width);
    return fit_of(o) == FIT_padded && larger >= PADDED_SIDE ? PADDED_SIDE : larger;
}

bool data_takes_whole(const DataOptions *options) {
    return options->resize == 0 && data_has_pictures(options);
}

bool data_check_side(const DataOptions *o, Error *error) {
    int side = data_side(o);
    return (side >= o->height && side >= o->width) ||
           error_set(error, ERROR_INPUT, "data.resize is %d, less than the network's %d x %d", side, o->height,
                     o->width);
}
