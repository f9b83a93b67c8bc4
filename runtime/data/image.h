/* image.h: pictures from files, as a network wants them: decoded, resized, cut out and recoloured as Pillow and
 * torchvision do it. Pixels are bytes, red, green, blue, row by row. */
#ifndef NDARTS_RUNTIME_DATA_IMAGE_H
#define NDARTS_RUNTIME_DATA_IMAGE_H

#include "base/diag.h"

#include <stddef.h>
#include <stdint.h>

enum { IMAGE_CHANNELS = 3, IMAGE_MAX_PIXELS = 1 << 27 };

typedef struct Image {
    int height, width;
    uint8_t *pixels; /* height x width x 3, from malloc */
} Image;

/* A picture of one of the formats below, by what is in it and not by its name: grey, palette and CMYK become RGB, 16
 * bits the upper 8, alpha is dropped; of several pictures the first. broken gets a decoder's verdict on the file: the
 * picture may be left out. error gets whatever else stood in the way: no file, no memory, a failing disk. */
bool image_read(const char *path, Image *image, Error *broken, Error *error);
/* A broken or truncated file is ERROR_INPUT and named; ERROR_MACHINE says nothing about the file. */
bool image_decode(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error);
const char *image_formats(void); /* "JPEG, PNG, ...": for messages */
void image_free(Image *image);   /* a zeroed Image is allowed */

/* What the end of a file's name, in any case, says of it. */
typedef enum ImageSuffix {
    IMAGE_SUFFIX_unknown,
    IMAGE_SUFFIX_read,
    IMAGE_SUFFIX_left_out /* this build lacks the library, whose Debian package is set */
} ImageSuffix;
ImageSuffix image_suffix(const char *name, const char **package);

/* ---- for the files of the formats; pixels are the caller's to free, also after a failure ---- */
bool image_allocate(const char *path, uint64_t height, uint64_t width, Image *image, Error *error);
bool image_decode_jpeg(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error);
bool image_decode_png(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error);
bool image_decode_webp(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error);
bool image_decode_gif(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error);
bool image_decode_tiff(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error);
bool image_decode_bmp(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error);
bool image_decode_pnm(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error);
/* Ink to light, by Pillow's rule, for a pixel of cyan, magenta, yellow and black. */
void image_ink_to_light(const uint8_t *ink, uint8_t *pixel);

typedef struct ImageBox {
    int top, left, height, width;
} ImageBox;

typedef enum ImageFilter { IMAGE_bilinear, IMAGE_bicubic } ImageFilter;

/* The part of from in box (which lies inside), resized to height x width, antialiased when it shrinks: the same bytes
 * as Pillow's Image.crop(box).resize((width, height), BILINEAR or BICUBIC). False: no memory. */
bool image_resize(const Image *from, ImageBox box, int height, int width, ImageFilter filter, Image *to);
/* Resizes so that the short side has `side` pixels, then cuts height x width out of the middle, as torchvision's
 * Resize(side) and CenterCrop do; height and width are at most side, and from is not too long. out: height x width x 3
 * bytes. False: no memory. */
bool image_center(const Image *from, int side, int height, int width, ImageFilter filter, uint8_t *out);
/* Whether the picture, resized so that the short side has `side` pixels, would have too many. */
bool image_is_too_long(const Image *image, int side);
/* The side that belongs to a network for images of this size: 256 for 224. */
int image_side_for(int height, int width);

/* ---- colours (image_color.c), in place; count pixels; the bytes of torchvision's adjust_* on Pillow's images ---- */
void image_adjust_brightness(uint8_t *pixels, size_t count, double factor); /* factors: at least 0; 1 changes nothing */
void image_adjust_contrast(uint8_t *pixels, size_t count, double factor);
void image_adjust_saturation(uint8_t *pixels, size_t count, double factor);
void image_adjust_hue(uint8_t *pixels, size_t count, double turn); /* -0.5 to 0.5 of the whole circle */
/* The grey of a pixel: Pillow's convert("L"). */
uint8_t image_grey(const uint8_t *pixel);

#endif
