/* augment.c: one image from bytes to normalised numbers: random crop after padding with zeros, horizontal flip,
 * (byte / 255 - mean) / std, cutout (zeros after normalising, as in the published code).
 *
 * Element 0 of a draw is the vertical, element 1 the horizontal decision; the counter's image is the index in the data
 * set and its step the epoch, so the result depends on nothing else. */
#include "base/hash.h"
#include "runtime/data.h"

#include <stdlib.h>
#include <string.h>

void augment_prepare(const DataOptions *options, bool enabled, Augment *augment) {
    memset(augment, 0, sizeof(*augment));
    augment->enabled = enabled;
    augment->crop = options->crop;
    augment->cutout = options->cutout;
    augment->flip = options->flip;
    augment->channels = options->channels;
    for (int c = 0; c < options->channels; c++) {
        for (int v = 0; v < 256; v++)
            augment->table[c][v] = (v / 255.0 - (double)options->mean[c]) / (double)options->std[c];
    }
}

/* Where an output pixel comes from, and the square that is blanked. */
typedef struct Placement {
    int dy, dx; /* added to the row and the column */
    bool flip;
    int top, bottom, left, right; /* the cutout, bottom and right exclusive */
} Placement;

static int draw_int(uint64_t seed, const char *stream, uint32_t epoch, uint32_t image, uint32_t element, int count) {
    return (int)(draw_uniform(seed, draw_stream_hash(stream), epoch, image, element) * count);
}

static Placement place_image(const Augment *a, const Dataset *data, uint32_t image, uint64_t seed, uint32_t epoch) {
    Placement p = {0};
    if (!a->enabled)
        return p;
    if (a->crop > 0) {
        p.dy = draw_int(seed, "augment.crop", epoch, image, 0, 2 * a->crop + 1) - a->crop;
        p.dx = draw_int(seed, "augment.crop", epoch, image, 1, 2 * a->crop + 1) - a->crop;
    }
    if (a->flip)
        p.flip = draw_int(seed, "augment.flip", epoch, image, 0, 2) == 1;
    if (a->cutout > 0) {
        int y = draw_int(seed, "augment.cutout", epoch, image, 0, data->height);
        int x = draw_int(seed, "augment.cutout", epoch, image, 1, data->width);
        p.top = y - a->cutout / 2;
        p.bottom = p.top + a->cutout;
        p.left = x - a->cutout / 2;
        p.right = p.left + a->cutout;
    }
    return p;
}

/* The value of output pixel (y, x), channel c. Padding is a zero byte, which is normalised like any other. */
static double pixel_value(const Augment *a, const Dataset *data, const uint8_t *image, const Placement *p, int y, int x,
                          int c) {
    if (y >= p->top && y < p->bottom && x >= p->left && x < p->right)
        return 0.0;
    int from_y = y + p->dy, from_x = (p->flip ? data->width - 1 - x : x) + p->dx;
    bool inside = from_y >= 0 && from_y < data->height && from_x >= 0 && from_x < data->width;
    return a->table[c][inside ? image[(from_y * data->width + from_x) * data->channels + c] : 0];
}

static void write_image(const Augment *augment, const Dataset *data, const uint8_t *image, const Placement *p, bool f64,
                        void *out) {
    size_t i = 0;
    for (int y = 0; y < data->height; y++) {
        for (int x = 0; x < data->width; x++) {
            for (int c = 0; c < data->channels; c++, i++) {
                double value = pixel_value(augment, data, image, p, y, x, c);
                if (f64)
                    ((double *)out)[i] = value;
                else
                    ((float *)out)[i] = (float)value;
            }
        }
    }
}

bool augment_image(const Augment *augment, const Dataset *data, int64_t index, uint64_t seed, uint32_t epoch, bool f64,
                   void *out) {
    Placement p = place_image(augment, data, (uint32_t)index, seed, epoch);
    size_t size = (size_t)data->height * (size_t)data->width * (size_t)data->channels;
    if (!data->load) {
        write_image(augment, data, data->pixels + (size_t)index * size, &p, f64, out);
        return true;
    }
    uint8_t *image = malloc(size);
    bool good = image && data->load(data, index, image);
    if (good)
        write_image(augment, data, image, &p, f64, out);
    free(image);
    return good;
}
