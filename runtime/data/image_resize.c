/* image_resize.c: resizing with a filter as wide as the shrinking asks for, in the arithmetic of Pillow
 * (libImaging/Resample.c): weights in double, rounded to 22 bits, one pass over the columns and then one over the rows,
 * bytes in between. */
#include "runtime/data/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 22 }; /* 32 bits less 8 of the pixel and 2 of headroom */

/* For every output position: where it begins in the input, and the weights from there on. */
typedef struct FilterWeights {
    int width; /* weights per position */
    int *first, *count;
    int32_t *values;
} FilterWeights;

static void weights_free(FilterWeights *w) {
    free(w->first);
    free(w->count);
    free(w->values);
}

static double triangle(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys' cubic convolution with a = -1/2. */
static double cubic(double x) {
    static const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

typedef struct Filter {
    double (*value)(double x);
    double reach; /* value is 0 beyond */
} Filter;

static const Filter filters[] = {[IMAGE_bilinear] = {triangle, 1}, [IMAGE_bicubic] = {cubic, 2}};

static void fill_position(FilterWeights *w, const Filter *filter, int out, double *scratch, int in_size, double scale) {
    double stretch = scale < 1 ? 1 : scale, support = filter->reach * stretch, center = (out + 0.5) * scale, sum = 0;
    int first = (int)(center - support + 0.5), end = (int)(center + support + 0.5);
    first = first < 0 ? 0 : first;
    end = end > in_size ? in_size : end;
    for (int i = first; i < end; i++)
        sum += scratch[i - first] = filter->value((i - center + 0.5) * (1 / stretch));
    w->first[out] = first;
    w->count[out] = end - first;
    for (int i = 0; i < end - first; i++) {
        double value = sum != 0 ? scratch[i] / sum : scratch[i];
        w->values[(size_t)out * (size_t)w->width + (size_t)i] =
            (int32_t)((value < 0 ? -0.5 : 0.5) + value * (1 << BITS));
    }
}

static bool weights_make(FilterWeights *w, const Filter *filter, int in_size, int out_size) {
    double scale = (double)in_size / out_size;
    w->width = (int)ceil(filter->reach * (scale < 1 ? 1 : scale)) * 2 + 1;
    w->first = malloc(sizeof(int) * (size_t)out_size);
    w->count = malloc(sizeof(int) * (size_t)out_size);
    w->values = malloc(sizeof(int32_t) * (size_t)out_size * (size_t)w->width);
    double *scratch = malloc(sizeof(double) * (size_t)w->width);
    bool good = w->first && w->count && w->values && scratch;
    for (int i = 0; good && i < out_size; i++)
        fill_position(w, filter, i, scratch, in_size, scale);
    free(scratch);
    return good;
}

static uint8_t clip(int32_t sum) {
    sum >>= BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One output pixel out of count pixels that are `step` bytes apart. */
static void mix(const uint8_t *from, size_t step, const int32_t *weights, int count, uint8_t *to) {
    int32_t sum[IMAGE_CHANNELS];
    for (int c = 0; c < IMAGE_CHANNELS; c++)
        sum[c] = 1 << (BITS - 1);
    for (int i = 0; i < count; i++, from += step) {
        for (int c = 0; c < IMAGE_CHANNELS; c++)
            sum[c] += from[c] * weights[i];
    }
    for (int c = 0; c < IMAGE_CHANNELS; c++)
        to[c] = clip(sum[c]);
}

/* rows x width pixels, whose rows begin from_stride bytes apart, to rows x out_width. */
static void resize_rows(const uint8_t *from, size_t from_stride, int rows, const FilterWeights *w, int out_width,
                        uint8_t *to) {
    for (int y = 0; y < rows; y++, from += from_stride) {
        for (int x = 0; x < out_width; x++, to += IMAGE_CHANNELS)
            mix(from + (size_t)w->first[x] * IMAGE_CHANNELS, IMAGE_CHANNELS, w->values + (size_t)x * (size_t)w->width,
                w->count[x], to);
    }
}

static void resize_columns(const uint8_t *from, int width, const FilterWeights *w, int out_height, uint8_t *to) {
    size_t stride = (size_t)width * IMAGE_CHANNELS;
    for (int y = 0; y < out_height; y++) {
        const uint8_t *top = from + (size_t)w->first[y] * stride;
        for (int x = 0; x < width; x++, to += IMAGE_CHANNELS)
            mix(top + (size_t)x * IMAGE_CHANNELS, stride, w->values + (size_t)y * (size_t)w->width, w->count[y], to);
    }
}

static void copy_rows(const uint8_t *from, size_t from_stride, int rows, int width, uint8_t *to) {
    size_t stride = (size_t)width * IMAGE_CHANNELS;
    for (int y = 0; y < rows; y++)
        memcpy(to + (size_t)y * stride, from + (size_t)y * from_stride, stride);
}

/* A pass whose size does not change is left out, as in Pillow. */
static bool resize(const Image *from, ImageBox box, const Filter *filter, FilterWeights *across, FilterWeights *down,
                   uint8_t *middle, Image *to) {
    size_t stride = (size_t)from->width * IMAGE_CHANNELS;
    const uint8_t *corner = from->pixels + (size_t)box.top * stride + (size_t)box.left * IMAGE_CHANNELS;
    bool same_height = box.height == to->height;
    uint8_t *rows = same_height ? to->pixels : middle;
    if (box.width == to->width)
        copy_rows(corner, stride, box.height, box.width, rows);
    else if (weights_make(across, filter, box.width, to->width))
        resize_rows(corner, stride, box.height, across, to->width, rows);
    else
        return false;
    if (same_height)
        return true;
    if (!weights_make(down, filter, box.height, to->height))
        return false;
    resize_columns(middle, to->width, down, to->height, to->pixels);
    return true;
}

bool image_resize(const Image *from, ImageBox box, int height, int width, ImageFilter filter, Image *to) {
    FilterWeights across = {0}, down = {0};
    *to = (Image){height, width, malloc((size_t)height * (size_t)width * IMAGE_CHANNELS)};
    uint8_t *middle = malloc((size_t)box.height * (size_t)width * IMAGE_CHANNELS);
    bool good = to->pixels && middle && resize(from, box, &filters[filter], &across, &down, middle, to);
    weights_free(&across);
    weights_free(&down);
    free(middle);
    if (!good)
        image_free(to);
    return good;
}

/* ---- as torchvision does for evaluation ---- */

int image_side_for(int height, int width) {
    int larger = height > width ? height : width;
    return (larger * 256 + 112) / 224;
}

/* Half of an odd number goes to the even neighbour, as in Python's round(). */
static int round_half(int twice) {
    int quotient = twice / 2;
    return twice % 2 ? quotient + (quotient & 1) : quotient;
}

bool image_is_too_long(const Image *image, int side) {
    int64_t shorter = image->height < image->width ? image->height : image->width;
    int64_t longer = image->height < image->width ? image->width : image->height;
    return longer * side / shorter > IMAGE_MAX_PIXELS / side;
}

bool image_center(const Image *from, int side, int height, int width, ImageFilter filter, uint8_t *out) {
    bool tall = from->height >= from->width;
    int64_t shorter = tall ? from->width : from->height, longer = tall ? from->height : from->width;
    int64_t long_side = side * longer / shorter;
    Image resized;
    if (image_is_too_long(from, side))
        return false;
    if (!image_resize(from, (ImageBox){0, 0, from->height, from->width}, tall ? (int)long_side : side,
                      tall ? side : (int)long_side, filter, &resized))
        return false;
    int top = round_half(resized.height - height), left = round_half(resized.width - width);
    size_t stride = (size_t)resized.width * IMAGE_CHANNELS;
    copy_rows(resized.pixels + (size_t)top * stride + (size_t)left * IMAGE_CHANNELS, stride, height, width, out);
    image_free(&resized);
    return true;
}
