/* image_png.c: PNG by libpng, any depth and colour type to 8 bits of red, green and blue. libpng leaves by longjmp when
 * a file is broken. */
#include "runtime/data/image.h"

#ifdef NDARTS_HAVE_PNG

#include <stdlib.h>
#include <string.h>

#include <png.h>

typedef struct PngReader {
    const uint8_t *bytes;
    size_t size, at;
    png_structp png;
    png_infop info;
    uint8_t **rows;
    char message[256];
    bool no_memory;
} PngReader;

/* libpng's own message does not tell a file that asks for too much from a machine that has too little. */
static png_voidp allocate(png_structp png, png_alloc_size_t size) {
    PngReader *r = png_get_mem_ptr(png);
    void *memory = malloc(size);
    if (!memory)
        r->no_memory = true;
    return memory;
}

static void release(png_structp png, png_voidp memory) {
    (void)png;
    free(memory);
}

static void leave_on_error(png_structp png, png_const_charp message) {
    PngReader *r = png_get_error_ptr(png);
    strncpy(r->message, message, sizeof r->message - 1);
    png_longjmp(png, 1);
}

static bool fail(const PngReader *r, const char *path, Error *error) {
    if (r->no_memory)
        return error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
    return error_set(error, ERROR_INPUT, "%s: a broken PNG file: %s", path, r->message);
}

static void ignore_warning(png_structp png, png_const_charp message) {
    (void)png, (void)message;
}

static void take_bytes(png_structp png, png_bytep to, size_t count) {
    PngReader *r = png_get_io_ptr(png);
    if (count > r->size - r->at)
        png_error(png, "the file is cut off");
    memcpy(to, r->bytes + r->at, count);
    r->at += count;
}

static void ask_for_rgb(PngReader *r) {
    png_set_expand(r->png);
    png_set_strip_16(r->png);
    png_set_strip_alpha(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
}

static bool decode(PngReader *r, const char *path, Image *image, Error *error) {
    if (setjmp(png_jmpbuf(r->png)))
        return fail(r, path, error);
    png_set_read_fn(r->png, r, take_bytes);
    png_read_info(r->png, r->info);
    if (!image_allocate(path, png_get_image_height(r->png, r->info), png_get_image_width(r->png, r->info), image,
                        error))
        return false;
    ask_for_rgb(r);
    if (png_get_rowbytes(r->png, r->info) != (size_t)image->width * IMAGE_CHANNELS)
        return error_set(error, ERROR_INPUT, "%s: a PNG file of an unknown kind", path);
    r->rows = malloc(sizeof(*r->rows) * (size_t)image->height);
    if (!r->rows)
        return error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
    for (int y = 0; y < image->height; y++)
        r->rows[y] = image->pixels + (size_t)y * (size_t)image->width * IMAGE_CHANNELS;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return true;
}

bool image_decode_png(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    PngReader r = {.bytes = bytes, .size = size};
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, leave_on_error, ignore_warning, &r, allocate, release);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info) {
        png_destroy_read_struct(&r.png, NULL, NULL);
        return error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
    }
    png_set_user_limits(r.png, IMAGE_MAX_PIXELS, IMAGE_MAX_PIXELS);
    png_set_chunk_malloc_max(r.png, 1 << 24);
    bool good = decode(&r, path, image, error);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    return good;
}

#endif
