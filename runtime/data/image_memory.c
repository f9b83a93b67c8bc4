/* image_memory.c: the pixels of a picture. */
#include "runtime/data/image.h"

#include <stdlib.h>

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
