/* image.c: reading picture files, whatever their format. */
#include "runtime/image.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

bool image_allocate(const char *path, uint64_t height, uint64_t width, Image *image, Error *error) {
    if (height == 0 || width == 0 || height > IMAGE_MAX_PIXELS || width > IMAGE_MAX_PIXELS ||
        height * width > IMAGE_MAX_PIXELS)
        return error_set(error, ERROR_INPUT, "%s: %llu x %llu pixels; expected 1 to %d", path,
                         (unsigned long long)height, (unsigned long long)width, IMAGE_MAX_PIXELS);
    image->height = (int)height;
    image->width = (int)width;
    image->pixels = malloc((size_t)(height * width) * IMAGE_CHANNELS);
    return image->pixels ||
           error_set(error, ERROR_MACHINE, "%s: no memory for %d x %d pixels", path, image->height, image->width);
}

void image_free(Image *image) {
    free(image->pixels);
    *image = (Image){0};
}

bool image_decode(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff}, png[] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10};
    *image = (Image){0};
    bool good;
    if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
        good = image_decode_jpeg(path, bytes, size, image, error);
    else if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        good = image_decode_png(path, bytes, size, image, error);
    else
        good = error_set(error, ERROR_INPUT, "%s: neither a JPEG nor a PNG file", path);
    if (!good)
        image_free(image);
    return good;
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
