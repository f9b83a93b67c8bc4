/* image.c: reading picture files: the table of formats, of which a file's first bytes choose one. */
#include "runtime/data/image.h"

#include "base/arena.h"
#include "base/file_kind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef bool ImageDecoder(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error);

/* One row per format. The magic stands at the file's beginning; '?' is any byte. */
typedef struct ImageFormat {
    const char *name;
    const char *suffixes; /* of file names, each with its dot and followed by a blank */
    const char *magic;
    int magic_size;
    ImageDecoder *decode; /* NULL: left out of this build for want of the package */
    const char *package;
} ImageFormat;

#ifdef NDARTS_HAVE_JPEG
#define JPEG_DECODER image_decode_jpeg
#else
#define JPEG_DECODER NULL
#endif
#ifdef NDARTS_HAVE_PNG
#define PNG_DECODER image_decode_png
#else
#define PNG_DECODER NULL
#endif
#ifdef NDARTS_HAVE_WEBP
#define WEBP_DECODER image_decode_webp
#else
#define WEBP_DECODER NULL
#endif
#ifdef NDARTS_HAVE_GIF
#define GIF_DECODER image_decode_gif
#else
#define GIF_DECODER NULL
#endif
#ifdef NDARTS_HAVE_TIFF
#define TIFF_DECODER image_decode_tiff
#else
#define TIFF_DECODER NULL
#endif

static const ImageFormat formats[] = {
    {"JPEG", ".jpg .jpeg .jpe .jfif ", "\xff\xd8\xff", 3, JPEG_DECODER, "libjpeg62-turbo-dev"},
    {"PNG", ".png ", "\x89PNG\r\n\x1a\n", 8, PNG_DECODER, "libpng-dev"},
    {"WebP", ".webp ", "RIFF????WEBP", 12, WEBP_DECODER, "libwebp-dev"},
    {"GIF", ".gif ", "GIF8", 4, GIF_DECODER, "libgif-dev"},
    {"TIFF", ".tif .tiff ", "II*\0", 4, TIFF_DECODER, "libtiff-dev"},
    {"TIFF", "", "MM\0*", 4, TIFF_DECODER, "libtiff-dev"},
    {"BMP", ".bmp .dib ", "BM", 2, image_decode_bmp, NULL},
    {"PNM", ".pgm .ppm .pnm ", "P5", 2, image_decode_pnm, NULL},
    {"PNM", "", "P6", 2, image_decode_pnm, NULL},
};
enum { FORMAT_COUNT = sizeof formats / sizeof formats[0] };

static bool has_magic(const char *magic, size_t magic_size, const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < magic_size; i++) {
        if (i >= size || (magic[i] != '?' && (uint8_t)magic[i] != bytes[i]))
            return false;
    }
    return true;
}

const char *image_formats(void) {
    return "JPEG, PNG, WebP, GIF, TIFF, BMP, PNM";
}

ImageSuffix image_suffix(const char *name, const char **package) {
    const char *dot = strrchr(name, '.');
    size_t length = dot ? strlen(dot) : 0;
    for (int i = 0; length > 1 && i < FORMAT_COUNT; i++) {
        for (const char *at = formats[i].suffixes; *at; at = strchr(at, ' ') + 1) {
            if (strncasecmp(at, dot, length) != 0 || at[length] != ' ')
                continue;
            *package = formats[i].package;
            return formats[i].decode ? IMAGE_SUFFIX_read : IMAGE_SUFFIX_left_out;
        }
    }
    return IMAGE_SUFFIX_unknown;
}

/* What is no picture, or none that is read; some are called by their name. */
static bool refuse(const char *path, const uint8_t *bytes, size_t size, Error *error) {
    static const struct {
        const char *name, *magic;
        size_t size;
    } known[] = {{"an AVIF picture", "????ftypavif", 12}, {"a HEIC picture", "????ftyphei", 11},
                 {"a HEIC picture", "????ftypmif1", 12},  {"a JPEG 2000 picture", "????jP  ", 8},
                 {"a JPEG XL picture", "\xff\x0a", 2},    {"a Photoshop picture", "8BPS", 4},
                 {"a TIFF file of 64 bits", "II+\0", 4},  {"an SVG, XML or HTML text", "<", 1},
                 {"a PNM picture of digits", "P3", 2},    {"a PNM picture of digits", "P2", 2},
                 {"a PNM picture of bits", "P4", 2},      {"a PDF document", "%PDF", 4}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (has_magic(known[i].magic, known[i].size, bytes, size))
            return error_set(error, ERROR_INPUT, "%s: %s, which is not read; read are %s", path, known[i].name,
                             image_formats());
    }
    FileKind kind = file_kind(bytes, size);
    if (kind != FILE_unknown)
        return error_set(error, ERROR_INPUT, "%s: %s, no picture: read are %s", path, file_kind_name(kind),
                         image_formats());
    return error_set(error, ERROR_INPUT, "%s: no picture: read are %s", path, image_formats());
}

/* Some libraries call a file broken for which they had no memory; what a failed allocation leaves behind tells. */
static bool try_decode(const ImageFormat *format, const char *path, const uint8_t *bytes, size_t size, Image *image,
                       Error *error) {
    Error verdict = {ERROR_NONE, ""};
    errno = 0;
    if (format->decode(path, bytes, size, image, &verdict))
        return true;
    bool memory = errno == ENOMEM && verdict.kind == ERROR_INPUT;
    image_free(image);
    return memory ? error_set(error, ERROR_MACHINE, "%s: no memory to read it", path)
                  : error_set(error, verdict.kind, "%s", verdict.message);
}

bool image_decode(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    *image = (Image){0};
    for (int i = 0; i < FORMAT_COUNT; i++) {
        const ImageFormat *format = &formats[i];
        if (!has_magic(format->magic, (size_t)format->magic_size, bytes, size))
            continue;
        if (!format->decode)
            return error_set(error, ERROR_INPUT, "%s: a %s picture; this ndarts was built without %s", path,
                             format->name, format->package);
        return try_decode(format, path, bytes, size, image, error);
    }
    return refuse(path, bytes, size, error);
}

bool image_read(const char *path, Image *image, Error *broken, Error *error) {
    Arena *arena = arena_create();
    Error verdict = {ERROR_NONE, ""};
    *image = (Image){0};
    const SourceFile *file = source_read(arena, path, error);
    bool good = file && image_decode(path, (const uint8_t *)file->text, file->size, image, &verdict);
    if (verdict.kind)
        error_set(verdict.kind == ERROR_INPUT ? broken : error, verdict.kind, "%s", verdict.message);
    arena_destroy(arena);
    return good;
}
