/* image_bmp.c: uncompressed BMP of 1, 4, 8, 16, 24 and 32 bits, and PNM of bytes (PGM, PPM), which need no library.
 *
 *     BMP   "BM", 8 bytes, offset of the pixels; size of what follows (12: extents of 16 bits, palette of 3 bytes;
 *           40 and more: of 32 bits, palette of 4 bytes), extents, planes, bits, compression, ...; rows of whole 32-bit
 *           words from the bottom, or from the top when the height is negative; all little-endian
 *     PNM   "P5" or "P6", width, height, largest value, one blank, rows from the top; 16 bits are big-endian */
#include "runtime/data/image.h"

#include <math.h>
#include <string.h>

enum { FILE_HEADER = 14, OLD_HEADER = 12, NEW_HEADER = 40, LARGEST_HEADER = 124, MASKED = 3, PALETTE = 256 };

static uint32_t little(const uint8_t *b, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++)
        value |= (uint32_t)b[i] << 8 * i;
    return value;
}

typedef struct Bmp {
    const uint8_t *bytes;
    size_t size, pixels; /* where the pixels begin */
    uint32_t header, bits, compression, colours;
    int64_t width, height; /* negative: from the top */
    uint32_t masks[IMAGE_CHANNELS];
    uint8_t palette[PALETTE][IMAGE_CHANNELS];
} Bmp;

static bool broken(const char *path, const char *why, Error *error) {
    return error_set(error, ERROR_INPUT, "%s: a broken BMP file: %s", path, why);
}

static bool read_header(Bmp *b, const char *path, Error *error) {
    const uint8_t *at = b->bytes + FILE_HEADER;
    if (b->size < FILE_HEADER + OLD_HEADER)
        return broken(path, "the file is cut off", error);
    b->pixels = little(b->bytes + 10, 4);
    b->header = little(at, 4);
    bool old = b->header == OLD_HEADER;
    if ((!old && b->header < NEW_HEADER) || b->header > LARGEST_HEADER)
        return broken(path, "a header of an unknown kind", error);
    if (b->size < FILE_HEADER + (size_t)b->header)
        return broken(path, "the file is cut off", error);
    b->width = old ? (int64_t)little(at + 4, 2) : (int32_t)little(at + 4, 4);
    b->height = old ? (int64_t)little(at + 6, 2) : (int32_t)little(at + 8, 4);
    b->bits = little(at + (old ? 10 : 14), 2);
    b->compression = old ? 0 : little(at + 16, 4);
    b->colours = old ? 0 : little(at + 32, 4);
    return true;
}

/* Colours that the file does not give are black, as in Pillow. */
static bool read_palette(Bmp *b, const char *path, Error *error) {
    uint32_t entry = b->header == OLD_HEADER ? 3 : 4, most = 1u << b->bits;
    uint32_t count = b->colours && b->colours < most ? b->colours : most;
    const uint8_t *from = b->bytes + FILE_HEADER + b->header;
    if (b->size < FILE_HEADER + (size_t)b->header + (size_t)count * entry)
        return broken(path, "the palette is cut off", error);
    for (uint32_t i = 0; i < PALETTE; i++) {
        for (uint32_t c = 0; c < IMAGE_CHANNELS; c++)
            b->palette[i][c] = i < count ? from[i * entry + 2 - c] : 0;
    }
    return true;
}

/* Which bits of a pixel are red, green and blue. */
static bool read_masks(Bmp *b, const char *path, Error *error) {
    static const uint32_t usual[2][IMAGE_CHANNELS] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
    memcpy(b->masks, usual[b->bits == 32], sizeof b->masks);
    if (b->compression != MASKED)
        return true;
    const uint8_t *from = b->bytes + FILE_HEADER + NEW_HEADER; /* in a larger header at the same place */
    if (b->size < FILE_HEADER + NEW_HEADER + sizeof b->masks)
        return broken(path, "the masks are cut off", error);
    for (int c = 0; c < IMAGE_CHANNELS; c++)
        b->masks[c] = little(from + 4 * c, 4);
    return true;
}

static uint8_t masked(uint32_t pixel, uint32_t mask) {
    if (mask == 0)
        return 0;
    int shift = __builtin_ctz(mask);
    return (uint8_t)((uint64_t)((pixel & mask) >> shift) * 255 / (mask >> shift));
}

static void read_pixel(const Bmp *b, const uint8_t *row, uint32_t x, uint8_t *out) {
    if (b->bits <= 8) {
        uint32_t per_byte = 8 / b->bits, down = 8 - b->bits * (1 + x % per_byte);
        memcpy(out, b->palette[row[x / per_byte] >> down & ((1u << b->bits) - 1)], IMAGE_CHANNELS);
        return;
    }
    uint32_t bytes = b->bits / 8, pixel = little(row + (size_t)x * bytes, (int)bytes);
    for (int c = 0; c < IMAGE_CHANNELS; c++)
        out[c] = bytes == 3 ? (uint8_t)(pixel >> (16 - 8 * c)) : masked(pixel, b->masks[c]);
}

static bool read_rows(const Bmp *b, const char *path, Image *image, Error *error) {
    size_t stride = ((size_t)image->width * b->bits + 31) / 32 * 4;
    if (b->pixels > b->size || (b->size - b->pixels) / stride < (size_t)image->height)
        return broken(path, "the file is cut off", error);
    uint8_t *out = image->pixels;
    for (int y = 0; y < image->height; y++) {
        int row = b->height < 0 ? y : image->height - 1 - y;
        for (int x = 0; x < image->width; x++, out += IMAGE_CHANNELS)
            read_pixel(b, b->bytes + b->pixels + (size_t)row * stride, (uint32_t)x, out);
    }
    return true;
}

bool image_decode_bmp(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    Bmp b = {.bytes = bytes, .size = size};
    if (!read_header(&b, path, error))
        return false;
    bool indexed = b.bits == 1 || b.bits == 4 || b.bits == 8, words = b.bits == 16 || b.bits == 32;
    if (!indexed && !words && b.bits != 24)
        return error_set(error, ERROR_INPUT, "%s: a BMP file of %u bits a pixel; read are 1, 4, 8, 16, 24 and 32", path,
                         b.bits);
    if (b.compression != 0 && !(words && b.compression == MASKED))
        return error_set(error, ERROR_INPUT, "%s: a compressed BMP file (kind %u), which is not read", path,
                         b.compression);
    if (b.width < 0)
        return broken(path, "a negative width", error);
    return image_allocate(path, (uint64_t)(b.height < 0 ? -b.height : b.height), (uint64_t)b.width, image, error) &&
           (!indexed || read_palette(&b, path, error)) && (!words || read_masks(&b, path, error)) &&
           read_rows(&b, path, image, error);
}

/* ---- PNM ---- */

typedef struct Pnm {
    const uint8_t *bytes;
    size_t size, at;
} Pnm;

static bool is_blank(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* A number after blanks and comments; -1: none, or one too large for any picture. */
static int64_t read_number(Pnm *p) {
    bool comment = false;
    for (; p->at < p->size && (comment || is_blank(p->bytes[p->at]) || p->bytes[p->at] == '#'); p->at++)
        comment = p->bytes[p->at] != '\n' && (comment || p->bytes[p->at] == '#');
    int64_t number = 0;
    size_t first = p->at;
    for (; p->at < p->size && p->bytes[p->at] >= '0' && p->bytes[p->at] <= '9' && number < INT32_MAX; p->at++)
        number = number * 10 + (p->bytes[p->at] - '0');
    return p->at > first && number < INT32_MAX ? number : -1;
}

/* To 0..255, to the nearest and to the even one of two, as Python's round() does it. */
static uint8_t scaled(const uint8_t *from, int bytes, int64_t most) {
    int value = bytes == 1 ? from[0] : from[0] << 8 | from[1];
    double whole = most == 255 ? value : rint((double)value / (double)most * 255);
    return (uint8_t)(whole > 255 ? 255 : whole);
}

bool image_decode_pnm(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    Pnm p = {bytes, size, 2};
    int64_t width = read_number(&p), height = read_number(&p), most = read_number(&p);
    if (width < 0 || height < 0 || most < 1 || most > 65535 || p.at >= size || !is_blank(bytes[p.at++]))
        return error_set(error, ERROR_INPUT, "%s: a broken PNM file: no width, height and largest value", path);
    if (!image_allocate(path, (uint64_t)height, (uint64_t)width, image, error))
        return false;
    int depth = most > 255 ? 2 : 1, samples = bytes[1] == '6' ? IMAGE_CHANNELS : 1;
    size_t count = (size_t)image->height * (size_t)image->width;
    if ((size - p.at) / (size_t)(depth * samples) < count)
        return error_set(error, ERROR_INPUT, "%s: a broken PNM file: the file is cut off", path);
    const uint8_t *from = bytes + p.at;
    for (size_t i = 0; i < count * IMAGE_CHANNELS; i++) {
        size_t sample = samples == 1 ? i / IMAGE_CHANNELS : i;
        image->pixels[i] = scaled(from + sample * (size_t)depth, depth, most);
    }
    return true;
}
