/* image_webp.c: WebP by libwebp. Of an animation libwebpdemux finds the first frame, which may be smaller than the
 * picture; what it does not cover is black, as the transparent canvas is in Pillow. */
#include "runtime/data/image.h"

#ifdef NDARTS_HAVE_WEBP

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

/* The part of a file that is one still picture, and where it lies in the whole. */
typedef struct Still {
    const uint8_t *bytes;
    size_t size;
    int left, top, width, height;
} Still;

static const char *status_text(VP8StatusCode status) {
    switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return "the file is cut off";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "an unknown feature";
    default:
        return "its data is wrong";
    }
}

static bool fail(const char *path, VP8StatusCode status, Error *error) {
    if (status == VP8_STATUS_OUT_OF_MEMORY)
        return error_set(error, ERROR_MACHINE, "%s: no memory to read it", path);
    return error_set(error, ERROR_INPUT, "%s: a broken WebP file: %s", path, status_text(status));
}

/* Decodes to its place; red, green and blue as they are, whatever the alpha. */
static bool decode_still(const char *path, const Still *still, Image *image, Error *error) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return error_set(error, ERROR_INPUT, "%s: libwebp is another one than ndarts was built with", path);
    size_t stride = (size_t)image->width * IMAGE_CHANNELS;
    size_t corner = (size_t)still->top * stride + (size_t)still->left * IMAGE_CHANNELS;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->pixels + corner;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = (size_t)image->height * stride - corner;
    VP8StatusCode status = WebPDecode(still->bytes, still->size, &config);
    return status == VP8_STATUS_OK || fail(path, status, error);
}

/* The first frame; its bytes are those of the file. */
static bool find_first(const char *path, const uint8_t *bytes, size_t size, Still *still, Error *error) {
    WebPData data = {bytes, size};
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer)
        return fail(path, VP8_STATUS_BITSTREAM_ERROR, error);
    WebPIterator frame;
    memset(&frame, 0, sizeof frame);
    bool found = WebPDemuxGetFrame(demuxer, 1, &frame) && frame.complete;
    *still =
        (Still){frame.fragment.bytes, frame.fragment.size, frame.x_offset, frame.y_offset, frame.width, frame.height};
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
    return found || fail(path, VP8_STATUS_NOT_ENOUGH_DATA, error);
}

bool image_decode_webp(const char *path, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    WebPBitstreamFeatures whole, part;
    VP8StatusCode status = WebPGetFeatures(bytes, size, &whole);
    if (status != VP8_STATUS_OK)
        return fail(path, status, error);
    if (!image_allocate(path, (uint64_t)whole.height, (uint64_t)whole.width, image, error))
        return false;
    Still still = {bytes, size, 0, 0, whole.width, whole.height};
    if (whole.has_animation) {
        if (!find_first(path, bytes, size, &still, error))
            return false;
        status = WebPGetFeatures(still.bytes, still.size, &part);
        bool fits = status == VP8_STATUS_OK && part.width == still.width && part.height == still.height &&
                    still.left + still.width <= whole.width && still.top + still.height <= whole.height;
        if (!fits)
            return fail(path, status == VP8_STATUS_OK ? VP8_STATUS_BITSTREAM_ERROR : status, error);
        memset(image->pixels, 0, (size_t)whole.height * (size_t)whole.width * IMAGE_CHANNELS);
    }
    return decode_still(path, &still, image, error);
}

#endif
