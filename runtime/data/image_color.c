/* image_color.c: brightness, contrast, saturation and hue, in the arithmetic of Pillow (ImageEnhance, and the
 * conversion to HSV and back), which is what torchvision's ColorJitter uses on pictures. */
#include "runtime/data/image.h"

uint8_t image_grey(const uint8_t *pixel) {
    return (uint8_t)((pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16);
}

void image_ink_to_light(const uint8_t *ink, uint8_t *pixel) {
    int paper = 255 - ink[3];
    for (int c = 0; c < IMAGE_CHANNELS; c++) {
        int amount = ink[c] * paper + 128, light = paper - ((amount + (amount >> 8)) >> 8);
        pixel[c] = (uint8_t)(light < 0 ? 0 : light);
    }
}

/* From `from`, at 0, to `to`, at 1, or beyond; cut off, not rounded. */
static uint8_t blend(int from, int to, float at) {
    float value = (float)from + at * (float)(to - from);
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
}

void image_adjust_brightness(uint8_t *pixels, size_t count, double factor) {
    for (size_t i = 0; i < count * IMAGE_CHANNELS; i++)
        pixels[i] = blend(0, pixels[i], (float)factor);
}

void image_adjust_contrast(uint8_t *pixels, size_t count, double factor) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += image_grey(pixels + IMAGE_CHANNELS * i);
    int mean = (int)((double)sum / (double)count + 0.5);
    for (size_t i = 0; i < count * IMAGE_CHANNELS; i++)
        pixels[i] = blend(mean, pixels[i], (float)factor);
}

void image_adjust_saturation(uint8_t *pixels, size_t count, double factor) {
    for (size_t i = 0; i < count; i++, pixels += IMAGE_CHANNELS) {
        int grey = image_grey(pixels);
        for (int c = 0; c < IMAGE_CHANNELS; c++)
            pixels[c] = blend(grey, pixels[c], (float)factor);
    }
}

/* ---- hue ---- */

typedef struct Hsv {
    uint8_t h, s, v;
} Hsv;

/* The sixth of the circle is that of the largest of red, green, blue. */
static Hsv hsv_of(const uint8_t *pixel) {
    int r = pixel[0], g = pixel[1], b = pixel[2];
    int most = r > g ? r : g, least = r < g ? r : g;
    most = most > b ? most : b;
    least = least < b ? least : b;
    if (most == least)
        return (Hsv){0, 0, (uint8_t)most};
    float range = (float)(most - least), saturation = range / (float)most;
    float red = (float)(most - r) / range, green = (float)(most - g) / range, blue = (float)(most - b) / range;
    float sixths = r == most   ? blue - green
                   : g == most ? (float)(2.0 + (double)red - (double)blue)
                               : (float)(4.0 + (double)green - (double)red);
    double turns = (double)sixths / 6.0 + 1.0; /* 0 to 2, of which the fraction counts */
    float turn = (float)(turns >= 1 ? turns - 1 : turns);
    return (Hsv){(uint8_t)((double)turn * 255.0), (uint8_t)((double)saturation * 255.0), (uint8_t)most};
}

/* To the nearest, halves up; x is not negative. */
static uint8_t round_byte(double x) {
    int whole = (int)x;
    return (uint8_t)(whole + (x - whole >= 0.5));
}

static void write_hsv(Hsv color, uint8_t *pixel) {
    double sixths = (double)(float)color.h * 6.0 / 255.0, s = (double)(float)((float)color.s / 255.0f), v = color.v;
    int sixth = (int)sixths;
    double part = (double)(float)(sixths - sixth);
    uint8_t top = color.v, p = round_byte(v * (1.0 - s)), q = round_byte(v * (1.0 - s * part)),
            t = round_byte(v * (1.0 - s * (1.0 - part)));
    const uint8_t rgb[6][3] = {{top, t, p}, {q, top, p}, {p, top, t}, {p, q, top}, {t, p, top}, {top, p, q}};
    for (int c = 0; c < IMAGE_CHANNELS; c++)
        pixel[c] = color.s ? rgb[sixth % 6][c] : top;
}

void image_adjust_hue(uint8_t *pixels, size_t count, double turn) {
    uint8_t shift = (uint8_t)(int)(turn * 255); /* modulo 256 */
    for (size_t i = 0; i < count; i++, pixels += IMAGE_CHANNELS) {
        Hsv color = hsv_of(pixels);
        color.h = (uint8_t)(color.h + shift);
        write_hsv(color, pixels);
    }
}
