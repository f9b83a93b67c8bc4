/* augment.c: one image from bytes to normalised numbers:
 *
 *     picture --resized, middle or random part--> bytes of the network's size
 *             --random crop after padding with zeros, flip--> --colour jitter--> (byte / 255 - mean) / std --cutout-->
 *
 * Cutout writes zeros after normalising, as in the published code. The random resized crop and the jitter are
 * torchvision's. Element 0 of a draw is the vertical, element 1 the horizontal decision; the counter's image is the
 * index in the data set and its step the epoch, so the result depends on nothing else. */
#include "base/hash.h"
#include "runtime/data/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void augment_prepare(const DataOptions *options, bool enabled, Augment *augment) {
    memset(augment, 0, sizeof(*augment));
    augment->enabled = enabled;
    augment->options = options;
    for (int c = 0; c < options->channels; c++) {
        for (int v = 0; v < 256; v++)
            augment->table[c][v] = (v / 255.0 - (double)options->mean[c]) / (double)options->std[c];
    }
}

/* What the draws of one image are keyed by. */
typedef struct DrawKey {
    uint64_t seed;
    uint32_t epoch, image;
} DrawKey;

static double draw(DrawKey key, const char *stream, uint32_t element) {
    return draw_uniform(key.seed, draw_stream_hash(stream), key.epoch, key.image, element);
}

static int draw_int(DrawKey key, const char *stream, uint32_t element, int count) {
    return (int)(draw(key, stream, element) * count);
}

static double draw_between(DrawKey key, const char *stream, uint32_t element, double low, double high) {
    return low + draw(key, stream, element) * (high - low);
}

/* ---- from a picture to the network's size ---- */

/* The largest part in the middle whose ratio is allowed. */
static ImageBox middle_part(const double *ratio, int height, int width) {
    ImageBox box = {0, 0, height, width};
    double whole = (double)width / height;
    if (whole < ratio[0])
        box.height = (int)rint(width / ratio[0]);
    else if (whole > ratio[1])
        box.width = (int)rint(height * ratio[1]);
    box.top = (height - box.height) / 2;
    box.left = (width - box.width) / 2;
    return box;
}

/* Ten tries to find a part that fits; area and the logarithm of the ratio are uniform. */
ImageBox augment_area(const DataOptions *o, int height, int width, uint64_t seed, uint32_t epoch, uint32_t image) {
    static const char stream[] = "augment.area";
    DrawKey key = {seed, epoch, image};
    for (uint32_t at = 0; at < 40; at += 4) {
        double area = (double)height * width * draw_between(key, stream, at, o->area[0], o->area[1]);
        double ratio = exp(draw_between(key, stream, at + 1, log(o->ratio[0]), log(o->ratio[1])));
        int w = (int)rint(sqrt(area * ratio)), h = (int)rint(sqrt(area / ratio));
        if (w < 1 || h < 1 || w > width || h > height)
            continue;
        return (ImageBox){draw_int(key, stream, at + 2, height - h + 1), draw_int(key, stream, at + 3, width - w + 1),
                          h, w};
    }
    return middle_part(o->ratio, height, width);
}

static bool fail_memory(Error *error) {
    return error_set(error, ERROR_MACHINE, "no memory to make an image of the network's size");
}

static bool cut_part(const Augment *a, const Image *picture, DrawKey key, uint8_t *out) {
    const DataOptions *o = a->options;
    ImageBox box = augment_area(o, picture->height, picture->width, key.seed, key.epoch, key.image);
    Image part;
    if (!image_resize(picture, box, o->height, o->width, o->interpolation, &part))
        return false;
    memcpy(out, part.pixels, (size_t)o->height * (size_t)o->width * IMAGE_CHANNELS);
    image_free(&part);
    return true;
}

/* The middle of a picture. One that has the network's size already is used as it is, unless the text asks for a side.
 */
static bool cut_middle(const DataOptions *o, const Image *picture, int height, int width, uint8_t *out) {
    bool fits = picture->height == o->height && picture->width == o->width && data_takes_whole(o);
    if (!fits)
        return image_center(picture, data_side(o), height, width, o->interpolation, out);
    memcpy(out, picture->pixels, (size_t)height * (size_t)width * IMAGE_CHANNELS);
    return true;
}

/* Red, green and blue to what the network takes, in place. */
static void make_channels(uint8_t *pixels, size_t count, int channels) {
    for (size_t i = 0; channels != IMAGE_CHANNELS && i < count; i++)
        pixels[i] = image_grey(pixels + i * IMAGE_CHANNELS);
}

/* The bytes of image `index` in the network's size; a set's own, or in scratch. NULL: a broken image, or an error. */
static const uint8_t *fit_image(const Augment *a, const Dataset *data, int64_t index, DrawKey key, uint8_t *scratch,
                                Error *error) {
    const DataOptions *o = a->options;
    size_t count = (size_t)data->height * (size_t)data->width, size = count * (size_t)data->channels;
    bool random_part = a->enabled && o->area[1] > 0, good;
    Image picture = {data->height, data->width, data->load ? NULL : data->pixels + (size_t)index * size};
    if (!data->load && !random_part)
        return picture.pixels;
    if (data->load && !data->load(data, index, &picture, error))
        return NULL;
    good = random_part ? cut_part(a, &picture, key, scratch) : cut_middle(o, &picture, o->height, o->width, scratch);
    if (data->load)
        image_free(&picture);
    if (!good)
        return fail_memory(error), NULL;
    make_channels(scratch, count, data->channels);
    return scratch;
}

/* ---- moved and recoloured ---- */

static void move_image(const Augment *a, const Dataset *data, const uint8_t *from, DrawKey key, uint8_t *to) {
    const DataOptions *o = a->options;
    int dy = 0, dx = 0, channels = data->channels;
    bool flip = a->enabled && o->flip && draw_int(key, "augment.flip", 0, 2) == 1;
    if (a->enabled && o->crop > 0) {
        dy = draw_int(key, "augment.crop", 0, 2 * o->crop + 1) - o->crop;
        dx = draw_int(key, "augment.crop", 1, 2 * o->crop + 1) - o->crop;
    }
    for (int y = 0; y < data->height; y++) {
        for (int x = 0; x < data->width; x++, to += channels) {
            int from_y = y + dy, from_x = (flip ? data->width - 1 - x : x) + dx;
            bool inside = from_y >= 0 && from_y < data->height && from_x >= 0 && from_x < data->width;
            for (int c = 0; c < channels; c++)
                to[c] = inside ? from[(from_y * data->width + from_x) * channels + c] : 0;
        }
    }
}

static double draw_factor(DrawKey key, uint32_t element, double reach) {
    return draw_between(key, "augment.color", element, reach < 1 ? 1 - reach : 0, 1 + reach);
}

/* In an order that is drawn too. */
static void jitter(const DataOptions *o, DrawKey key, uint8_t *pixels) {
    size_t count = (size_t)o->height * (size_t)o->width;
    int order[4] = {0, 1, 2, 3};
    for (int i = 3; i > 0; i--) {
        int j = draw_int(key, "augment.color", (uint32_t)(4 + i), i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (int i = 0; i < 4; i++) {
        if (order[i] == 0 && o->brightness > 0)
            image_adjust_brightness(pixels, count, draw_factor(key, 0, o->brightness));
        else if (order[i] == 1 && o->contrast > 0)
            image_adjust_contrast(pixels, count, draw_factor(key, 1, o->contrast));
        else if (order[i] == 2 && o->saturation > 0)
            image_adjust_saturation(pixels, count, draw_factor(key, 2, o->saturation));
        else if (order[i] == 3 && o->hue > 0)
            image_adjust_hue(pixels, count, draw_between(key, "augment.color", 3, -o->hue, o->hue));
    }
}

static bool changes_bytes(const DataOptions *o) {
    return o->crop > 0 || o->flip || o->brightness > 0 || o->contrast > 0 || o->saturation > 0 || o->hue > 0;
}

/* ---- to numbers ---- */

/* The square that is blanked; bottom and right exclusive. */
typedef struct Square {
    int top, bottom, left, right;
} Square;

static Square place_cutout(const Augment *a, DrawKey key) {
    const DataOptions *o = a->options;
    if (!a->enabled || o->cutout <= 0)
        return (Square){0};
    int top = draw_int(key, "augment.cutout", 0, o->height) - o->cutout / 2;
    int left = draw_int(key, "augment.cutout", 1, o->width) - o->cutout / 2;
    return (Square){top, top + o->cutout, left, left + o->cutout};
}

static void write_numbers(const Augment *a, const uint8_t *bytes, Square blank, bool f64, void *out) {
    const DataOptions *o = a->options;
    size_t i = 0;
    for (int y = 0; y < o->height; y++) {
        for (int x = 0; x < o->width; x++) {
            bool blanked = y >= blank.top && y < blank.bottom && x >= blank.left && x < blank.right;
            for (int c = 0; c < o->channels; c++, i++) {
                double value = blanked ? 0 : a->table[c][bytes[i]];
                if (f64)
                    ((double *)out)[i] = value;
                else
                    ((float *)out)[i] = (float)value;
            }
        }
    }
}

bool augment_image(const Augment *a, const Dataset *data, int64_t index, uint64_t seed, uint32_t epoch, bool f64,
                   void *out, Error *error) {
    const DataOptions *o = a->options;
    DrawKey key = {seed, epoch, (uint32_t)index};
    int most = data->channels > IMAGE_CHANNELS ? data->channels : IMAGE_CHANNELS; /* pictures begin in colour */
    size_t size = (size_t)data->height * (size_t)data->width * (size_t)most;
    uint8_t *scratch = malloc(2 * size);
    if (!scratch)
        return fail_memory(error);
    const uint8_t *bytes = fit_image(a, data, index, key, scratch, error);
    if (bytes && a->enabled && changes_bytes(o)) {
        uint8_t *moved = scratch + size;
        move_image(a, data, bytes, key, moved);
        jitter(o, key, moved);
        bytes = moved;
    }
    if (bytes)
        write_numbers(a, bytes, place_cutout(a, key), f64, out);
    free(scratch);
    return bytes != NULL;
}

/* The middle, at the size that the source's files have, with zeros around it; grey for networks of one channel. */
bool augment_picture(const Augment *a, const Image *picture, double *out, Error *error) {
    const DataOptions *o = a->options;
    int side = data_side(o), height = side < o->height ? side : o->height, width = side < o->width ? side : o->width;
    int top = (o->height - height) / 2, left = (o->width - width) / 2;
    uint8_t *middle = malloc((size_t)height * (size_t)width * IMAGE_CHANNELS);
    uint8_t *bytes = calloc((size_t)o->height * (size_t)o->width, (size_t)o->channels);
    bool good = middle && bytes && cut_middle(o, picture, height, width, middle);
    for (int i = 0; good && i < height * width; i++) {
        uint8_t *to = bytes + (size_t)((top + i / width) * o->width + left + i % width) * (size_t)o->channels;
        if (o->channels == IMAGE_CHANNELS)
            memcpy(to, middle + (size_t)i * IMAGE_CHANNELS, IMAGE_CHANNELS);
        else
            to[0] = image_grey(middle + (size_t)i * IMAGE_CHANNELS);
    }
    if (good)
        write_numbers(a, bytes, (Square){0}, true, out);
    free(middle);
    free(bytes);
    return good || fail_memory(error);
}
