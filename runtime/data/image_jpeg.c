/* image_jpeg.c: JPEG by libjpeg, with its defaults, which are Pillow's. libjpeg leaves by longjmp when a file is
 * broken; a file that merely ends too early it would fill up with grey, which is refused here. */
#include "runtime/data/image.h"

#ifdef NDARTS_HAVE_JPEG

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

typedef struct JpegReader {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr manager;
    jmp_buf leave;
    char message[JMSG_LENGTH_MAX];
} JpegReader;

static void leave_on_error(j_common_ptr info) {
    JpegReader *r = info->client_data;
    info->err->format_message(info, r->message);
    longjmp(r->leave, 1);
}

/* Warnings: data that ends too early is an error; stray bytes between segments are common and harmless. */
static void take_message(j_common_ptr info, int level) {
    int code = info->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
        leave_on_error(info);
}

/* Adobe's files have the ink inverted. */
static void convert_ink(uint8_t *ink, int width, bool inverted, uint8_t *out) {
    for (int x = 0; x < width; x++, ink += 4, out += IMAGE_CHANNELS) {
        for (int c = 0; inverted && c < 4; c++)
            ink[c] = (uint8_t)(255 - ink[c]);
        image_ink_to_light(ink, out);
    }
}

static bool read_rows(JpegReader *r, Image *image, uint8_t *ink) {
    while (r->info.output_scanline < r->info.output_height) {
        uint8_t *row = image->pixels + (size_t)r->info.output_scanline * (size_t)image->width * IMAGE_CHANNELS;
        JSAMPROW to = ink ? ink : row;
        if (jpeg_read_scanlines(&r->info, &to, 1) != 1)
            return false;
        if (ink)
            convert_ink(ink, image->width, r->info.saw_Adobe_marker, row);
    }
    return true;
}

/* Between setjmp and the end nothing is kept in locals that change: image and ink are the caller's. */
static bool decode(JpegReader *r, const char *path, const uint8_t *bytes, size_t size, Image *image, uint8_t **ink,
                   Error *error) {
    if (setjmp(r->leave)) {
        if (r->manager.msg_code == JERR_OUT_OF_MEMORY)
            return error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
        return error_set(error, ERROR_INPUT, "%s: a broken JPEG file: %s", path, r->message);
    }
    jpeg_create_decompress(&r->info);
    jpeg_mem_src(&r->info, bytes, (unsigned long)size);
    jpeg_read_header(&r->info, TRUE);
    if (!image_allocate(path, r->info.image_height, r->info.image_width, image, error))
        return false;
    bool four = r->info.jpeg_color_space == JCS_CMYK || r->info.jpeg_color_space == JCS_YCCK;
    r->info.out_color_space = four ? JCS_CMYK : JCS_RGB;
    if (four && !(*ink = malloc((size_t)image->width * 4)))
        return error_set(error, ERROR_MACHINE, "%s: no memory for a row of pixels", path);
    jpeg_start_decompress(&r->info);
    if (!read_rows(r, image, *ink))
        return error_set(error, ERROR_INPUT, "%s: a broken JPEG file", path);
    jpeg_finish_decompress(&r->info);
    return true;
}

bool image_decode_jpeg(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    JpegReader *r = calloc(1, sizeof *r);
    uint8_t *ink = NULL;
    if (!r)
        return error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
    r->info.err = jpeg_std_error(&r->manager);
    r->manager.error_exit = leave_on_error;
    r->manager.emit_message = take_message;
    r->info.client_data = r;
    bool good = decode(r, path, bytes, size, image, &ink, error);
    jpeg_destroy_decompress(&r->info);
    free(ink);
    free(r);
    return good;
}

#endif
