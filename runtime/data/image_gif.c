/* image_gif.c: the first picture of a GIF by giflib. It may be smaller than the whole, or lie beside it: the whole
 * grows and the rest has colour 0, or the transparent one where there is one, as in Pillow. */
#include "runtime/data/image.h"

#ifdef NDARTS_HAVE_GIF

#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

enum { COLOURS = 256 };

typedef struct GifReader {
    const uint8_t *bytes;
    size_t size, at;
    GifFileType *gif;
    int transparent; /* colour, or -1 */
    uint8_t *row;
} GifReader;

static int take_bytes(GifFileType *gif, GifByteType *to, int count) {
    GifReader *r = gif->UserData;
    size_t left = r->size - r->at, taken = (size_t)count < left ? (size_t)count : left;
    memcpy(to, r->bytes + r->at, taken);
    r->at += taken;
    return (int)taken;
}

static bool fail(const char *path, int code, Error *error) {
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM)
        return error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
    const char *text =
        code == D_GIF_ERR_EOF_TOO_SOON || code == D_GIF_ERR_READ_FAILED ? "the file is cut off" : GifErrorString(code);
    return error_set(error, ERROR_INPUT, "%s: a broken GIF file: %s", path, text ? text : "its data is wrong");
}

static bool read_extension(GifReader *r) {
    GifByteType *block;
    int kind;
    if (DGifGetExtension(r->gif, &kind, &block) != GIF_OK)
        return false;
    while (block) {
        if (kind == GRAPHICS_EXT_FUNC_CODE && block[0] >= 4)
            r->transparent = block[1] & 1 ? block[4] : -1;
        if (DGifGetExtensionNext(r->gif, &block) != GIF_OK)
            return false;
    }
    return true;
}

/* Up to the first picture. */
static bool find_picture(GifReader *r, const char *path, Error *error) {
    for (;;) {
        GifRecordType kind;
        if (DGifGetRecordType(r->gif, &kind) != GIF_OK)
            return fail(path, r->gif->Error, error);
        if (kind == TERMINATE_RECORD_TYPE)
            return error_set(error, ERROR_INPUT, "%s: a GIF file without a picture", path);
        if (kind == EXTENSION_RECORD_TYPE && !read_extension(r))
            return fail(path, r->gif->Error, error);
        if (kind == IMAGE_DESC_RECORD_TYPE)
            return DGifGetImageDesc(r->gif) == GIF_OK || fail(path, r->gif->Error, error);
    }
}

/* Colours that the file does not give are black, as in Pillow. */
static void read_palette(const GifReader *r, uint8_t palette[COLOURS][IMAGE_CHANNELS]) {
    const ColorMapObject *map = r->gif->Image.ColorMap ? r->gif->Image.ColorMap : r->gif->SColorMap;
    for (int i = 0; i < COLOURS; i++) {
        const GifColorType *given = map && i < map->ColorCount ? &map->Colors[i] : NULL;
        palette[i][0] = given ? given->Red : 0;
        palette[i][1] = given ? given->Green : 0;
        palette[i][2] = given ? given->Blue : 0;
    }
}

static bool read_row(GifReader *r, uint8_t palette[COLOURS][IMAGE_CHANNELS], int y, Image *image) {
    const GifImageDesc *part = &r->gif->Image;
    if (DGifGetLine(r->gif, r->row, part->Width) != GIF_OK)
        return false;
    uint8_t *out =
        image->pixels + ((size_t)(part->Top + y) * (size_t)image->width + (size_t)part->Left) * IMAGE_CHANNELS;
    for (int x = 0; x < part->Width; x++, out += IMAGE_CHANNELS)
        memcpy(out, palette[r->row[x]], IMAGE_CHANNELS);
    return true;
}

static bool read_rows(GifReader *r, const char *path, Image *image, Error *error) {
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2}; /* of the four passes of an interlaced one */
    const GifImageDesc *part = &r->gif->Image;
    uint8_t palette[COLOURS][IMAGE_CHANNELS];
    read_palette(r, palette);
    for (size_t i = 0; i < (size_t)image->height * (size_t)image->width; i++)
        memcpy(image->pixels + i * IMAGE_CHANNELS, palette[r->transparent < 0 ? 0 : r->transparent], IMAGE_CHANNELS);
    for (int pass = 0; pass < (part->Interlace ? 4 : 1); pass++) {
        int by = part->Interlace ? step[pass] : 1;
        for (int y = first[pass]; y < part->Height; y += by) {
            if (!read_row(r, palette, y, image))
                return fail(path, r->gif->Error, error);
        }
    }
    return true;
}

static bool decode(GifReader *r, const char *path, Image *image, Error *error) {
    if (!find_picture(r, path, error))
        return false;
    const GifImageDesc *part = &r->gif->Image;
    int64_t right = (int64_t)part->Left + part->Width, bottom = (int64_t)part->Top + part->Height;
    int64_t width = right > r->gif->SWidth ? right : r->gif->SWidth;
    int64_t height = bottom > r->gif->SHeight ? bottom : r->gif->SHeight;
    if (!image_allocate(path, (uint64_t)height, (uint64_t)width, image, error))
        return false;
    r->row = malloc((size_t)part->Width + 1);
    if (!r->row)
        return error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
    return read_rows(r, path, image, error);
}

bool image_decode_gif(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    GifReader r = {.bytes = bytes, .size = size, .transparent = -1};
    int code = 0, ignored;
    r.gif = DGifOpen(&r, take_bytes, &code);
    if (!r.gif)
        return fail(path, code, error);
    bool good = decode(&r, path, image, error);
    DGifCloseFile(r.gif, &ignored);
    free(r.row);
    return good;
}

#endif
