/* image_tiff.c: the first picture of a TIFF by libtiff: grey, RGB, palette, CMYK and JPEG's YCbCr, of 1 to 16 bits a
 * sample, in strips or tiles, samples together or in planes. libtiff decodes; what samples mean is decided here, so
 * that alpha is dropped and 16 bits become the upper 8, as with the other formats. */
#include "runtime/data/image.h"

#ifdef NDARTS_HAVE_TIFF

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

enum { MAX_SAMPLES = 8, MAX_PART_BYTES = 1 << 30, COLOURS = 256 };

typedef struct TiffReader {
    const uint8_t *bytes;
    size_t size, at;
    TIFF *tiff;
    uint16_t bits, samples, photometric, planes, orientation;
    uint32_t width, height;
    uint8_t palette[COLOURS][IMAGE_CHANNELS];
    uint8_t *part; /* a strip or a tile as it is decoded; of planes one after the other */
    size_t part_bytes;
    char message[256];
} TiffReader;

/* ---- the file is in memory ---- */

static tmsize_t take_bytes(thandle_t handle, void *to, tmsize_t count) {
    TiffReader *r = handle;
    size_t left = r->at < r->size ? r->size - r->at : 0, taken = (size_t)count < left ? (size_t)count : left;
    memcpy(to, r->bytes + (taken ? r->at : 0), taken);
    r->at += taken;
    return (tmsize_t)taken;
}

static tmsize_t refuse_bytes(thandle_t handle, void *from, tmsize_t count) {
    (void)handle, (void)from, (void)count;
    return -1;
}

static toff_t seek(thandle_t handle, toff_t offset, int from) {
    TiffReader *r = handle;
    r->at = (size_t)(from == SEEK_SET ? 0 : from == SEEK_CUR ? r->at : r->size) + (size_t)offset;
    return (toff_t)r->at;
}

static int close_nothing(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle) {
    return (toff_t)((TiffReader *)handle)->size;
}

static int take_message(TIFF *tiff, void *user, const char *module, const char *format, va_list args) {
    TiffReader *r = user;
    (void)tiff, (void)module;
    if (!r->message[0]) /* the first is the cause */
        vsnprintf(r->message, sizeof r->message, format, args);
    return 1;
}

static int ignore_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list args) {
    (void)tiff, (void)user, (void)module, (void)format, (void)args;
    return 1;
}

static bool fail(const TiffReader *r, const char *path, Error *error) {
    bool memory = strstr(r->message, "ut of memory") || strstr(r->message, "o space for");
    return error_set(error, memory ? ERROR_MACHINE : ERROR_INPUT, "%s: %s: %s", path,
                     memory ? "it cannot be read" : "a broken TIFF file",
                     r->message[0] ? r->message : "its data is wrong");
}

/* ---- what samples mean ---- */

/* Sample i of a row, as it is; of 16 bits the upper 8. */
static uint32_t sample(const TiffReader *r, const uint8_t *row, size_t i) {
    if (r->bits == 8)
        return row[i];
    if (r->bits == 16) {
        uint16_t value; /* in the machine's order */
        memcpy(&value, row + 2 * i, sizeof value);
        return value >> 8;
    }
    size_t bit = i * r->bits;
    return (uint32_t)row[bit / 8] >> (8 - r->bits - bit % 8) & ((1u << r->bits) - 1);
}

/* One pixel; rows[c] and at[c] say where its sample c is. */
static void convert(const TiffReader *r, const uint8_t *const *rows, const size_t *at, uint8_t *out) {
    uint32_t most = r->bits >= 8 ? 255 : (1u << r->bits) - 1, first = sample(r, rows[0], at[0]);
    uint8_t ink[4];
    switch (r->photometric) {
    case PHOTOMETRIC_PALETTE:
        memcpy(out, r->palette[first], IMAGE_CHANNELS);
        return;
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE:
        first = first * 255 / most;
        memset(out, (int)(r->photometric == PHOTOMETRIC_MINISWHITE ? 255 - first : first), IMAGE_CHANNELS);
        return;
    case PHOTOMETRIC_SEPARATED:
        for (int c = 0; c < 4; c++)
            ink[c] = (uint8_t)sample(r, rows[c], at[c]);
        image_ink_to_light(ink, out);
        return;
    default:
        for (int c = 0; c < IMAGE_CHANNELS; c++)
            out[c] = (uint8_t)sample(r, rows[c], at[c]);
    }
}

/* width pixels of a decoded row, which begins `offset` bytes into the part of each plane. */
static void convert_row(const TiffReader *r, size_t offset, uint32_t width, uint8_t *out) {
    const uint8_t *rows[MAX_SAMPLES];
    size_t at[MAX_SAMPLES];
    bool apart = r->planes == PLANARCONFIG_SEPARATE;
    for (uint32_t x = 0; x < width; x++, out += IMAGE_CHANNELS) {
        for (size_t c = 0; c < r->samples; c++) {
            rows[c] = r->part + (apart ? c * r->part_bytes : 0) + offset;
            at[c] = apart ? x : (size_t)x * r->samples + c;
        }
        convert(r, rows, at, out);
    }
}

/* ---- strips and tiles ---- */

static int plane_count(const TiffReader *r) {
    return r->planes == PLANARCONFIG_SEPARATE ? r->samples : 1;
}

static bool allocate_part(TiffReader *r, const char *path, tmsize_t bytes, size_t least, Error *error) {
    r->part_bytes = bytes > 0 ? (size_t)bytes : 0;
    if (r->part_bytes < least || r->part_bytes > MAX_PART_BYTES)
        return error_set(error, ERROR_INPUT, "%s: a broken TIFF file: parts of %zu bytes", path, r->part_bytes);
    r->part = calloc((size_t)plane_count(r), r->part_bytes);
    return r->part || error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
}

/* Bytes that `width` pixels of a plane take at least. */
static size_t row_bytes(const TiffReader *r, uint32_t width) {
    size_t samples = r->planes == PLANARCONFIG_SEPARATE ? 1 : r->samples;
    return ((size_t)width * samples * r->bits + 7) / 8;
}

/* The file's strips or tiles, which are `part_width` x `part_height` pixels, cut off at the picture's end. */
static bool read_part(TiffReader *r, uint32_t top, uint32_t left, int plane) {
    uint8_t *to = r->part + (size_t)plane * r->part_bytes;
    if (TIFFIsTiled(r->tiff))
        return TIFFReadTile(r->tiff, to, left, top, 0, (uint16_t)plane) >= 0;
    uint32_t strip = TIFFComputeStrip(r->tiff, top, (uint16_t)plane);
    return TIFFReadEncodedStrip(r->tiff, strip, to, (tmsize_t)r->part_bytes) >= 0;
}

static bool read_parts(TiffReader *r, const char *path, uint32_t part_width, uint32_t part_height, Image *image,
                       Error *error) {
    size_t stride = row_bytes(r, part_width);
    for (uint32_t top = 0; top < r->height; top += part_height) {
        for (uint32_t left = 0; left < r->width; left += part_width) {
            for (int p = 0; p < plane_count(r); p++) {
                if (!read_part(r, top, left, p))
                    return fail(r, path, error);
            }
            for (uint32_t y = 0; y < part_height && top + y < r->height; y++)
                convert_row(r, y * stride, part_width < r->width - left ? part_width : r->width - left,
                            image->pixels + ((size_t)(top + y) * r->width + left) * IMAGE_CHANNELS);
        }
    }
    return true;
}

static bool read_pixels(TiffReader *r, const char *path, Image *image, Error *error) {
    uint32_t part_width = r->width, part_height = 0;
    bool tiled = TIFFIsTiled(r->tiff);
    if (tiled)
        TIFFGetField(r->tiff, TIFFTAG_TILEWIDTH, &part_width);
    TIFFGetFieldDefaulted(r->tiff, tiled ? TIFFTAG_TILELENGTH : TIFFTAG_ROWSPERSTRIP, &part_height);
    part_height = !tiled && part_height > r->height ? r->height : part_height;
    if (part_width == 0 || part_height == 0 || part_width > IMAGE_MAX_PIXELS || part_height > IMAGE_MAX_PIXELS)
        return error_set(error, ERROR_INPUT, "%s: a broken TIFF file: parts of %u x %u", path, part_height, part_width);
    return allocate_part(r, path, tiled ? TIFFTileSize(r->tiff) : TIFFStripSize(r->tiff),
                         row_bytes(r, part_width) * part_height, error) &&
           read_parts(r, path, part_width, part_height, image, error);
}

/* ---- the directory ---- */

static bool unread(const TiffReader *r, const char *path, Error *error) {
    return error_set(error, ERROR_INPUT, "%s: a TIFF file of an unread kind: %u samples of %u bits, photometric %u",
                     path, r->samples, r->bits, r->photometric);
}

/* Which of libtiff's kinds are read here. */
static bool check_kind(TiffReader *r, const char *path, Error *error) {
    uint16_t format = SAMPLEFORMAT_UINT, compression = COMPRESSION_NONE;
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_COMPRESSION, &compression);
    if (r->photometric == PHOTOMETRIC_YCBCR && compression == COMPRESSION_JPEG) {
        TIFFSetField(r->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        r->photometric = PHOTOMETRIC_RGB;
    }
    bool bytes = r->bits == 8 || r->bits == 16, bits = r->bits == 1 || r->bits == 2 || r->bits == 4;
    bool grey = r->photometric == PHOTOMETRIC_MINISBLACK || r->photometric == PHOTOMETRIC_MINISWHITE;
    bool known = (grey && (bytes || (bits && r->samples == 1))) ||
                 (r->photometric == PHOTOMETRIC_PALETTE && r->samples == 1 && (bits || r->bits == 8)) ||
                 (r->photometric == PHOTOMETRIC_RGB && r->samples >= 3 && bytes) ||
                 (r->photometric == PHOTOMETRIC_SEPARATED && r->samples >= 4 && bytes);
    return (known && format == SAMPLEFORMAT_UINT && r->samples >= 1 && r->samples <= MAX_SAMPLES) ||
           unread(r, path, error);
}

/* Of 16 bits the upper 8. */
static bool read_palette(TiffReader *r, const char *path, Error *error) {
    uint16_t *map[IMAGE_CHANNELS];
    if (r->photometric != PHOTOMETRIC_PALETTE)
        return true;
    if (!TIFFGetField(r->tiff, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2]))
        return error_set(error, ERROR_INPUT, "%s: a broken TIFF file: no palette", path);
    for (int i = 0; i < 1 << r->bits; i++) {
        for (int c = 0; c < IMAGE_CHANNELS; c++)
            r->palette[i][c] = (uint8_t)(map[c][i] >> 8);
    }
    return true;
}

static bool read_directory(TiffReader *r, const char *path, Error *error) {
    r->planes = PLANARCONFIG_CONTIG;
    TIFFGetField(r->tiff, TIFFTAG_IMAGEWIDTH, &r->width);
    TIFFGetField(r->tiff, TIFFTAG_IMAGELENGTH, &r->height);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_BITSPERSAMPLE, &r->bits);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLESPERPIXEL, &r->samples);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_PLANARCONFIG, &r->planes);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_ORIENTATION, &r->orientation);
    if (!TIFFGetField(r->tiff, TIFFTAG_PHOTOMETRIC, &r->photometric))
        r->photometric = r->samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    return check_kind(r, path, error) && read_palette(r, path, error);
}

/* ---- which way up ---- */

/* Orientation: bit by bit whether rows, columns come backwards, and, from 5 on, whether they change places. */
static bool turn(const TiffReader *r, const char *path, Image *image, Error *error) {
    static const bool rows_backwards[9] = {[3] = true, [4] = true, [7] = true, [8] = true};
    static const bool columns_backwards[9] = {[2] = true, [3] = true, [6] = true, [7] = true};
    if (r->orientation < 2 || r->orientation > 8)
        return true;
    bool across = r->orientation >= 5;
    Image turned;
    if (!image_allocate(path, r->height, r->width, &turned, error))
        return false;
    turned.height = (int)(across ? r->width : r->height);
    turned.width = (int)(across ? r->height : r->width);
    uint8_t *out = turned.pixels;
    for (int y = 0; y < turned.height; y++) {
        for (int x = 0; x < turned.width; x++, out += IMAGE_CHANNELS) {
            int row = rows_backwards[r->orientation] ? turned.height - 1 - y : y;
            int column = columns_backwards[r->orientation] ? turned.width - 1 - x : x;
            size_t from = across ? (size_t)column * r->width + (size_t)row : (size_t)row * r->width + (size_t)column;
            memcpy(out, image->pixels + from * IMAGE_CHANNELS, IMAGE_CHANNELS);
        }
    }
    image_free(image);
    *image = turned;
    return true;
}

static bool decode(TiffReader *r, const char *path, Image *image, Error *error) {
    if (!read_directory(r, path, error) || !image_allocate(path, r->height, r->width, image, error))
        return false;
    return read_pixels(r, path, image, error) && turn(r, path, image, error);
}

bool image_decode_tiff(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    TiffReader r = {.bytes = bytes, .size = size};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
    TIFFOpenOptionsSetErrorHandlerExtR(options, take_message, &r);
    TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, NULL);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, MAX_PART_BYTES);
    r.tiff =
        TIFFClientOpenExt(path, "rm", &r, take_bytes, refuse_bytes, seek, close_nothing, size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    bool good = r.tiff ? decode(&r, path, image, error) : fail(&r, path, error);
    if (r.tiff)
        TIFFClose(r.tiff);
    free(r.part);
    return good;
}

#endif
