/* fuzz_image.c: any bytes at all as a picture. */
#include "runtime/data/image.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Error error = {ERROR_NONE, ""};
    Image image;
    uint8_t out[8 * 8 * IMAGE_CHANNELS];
    if (image_decode("fuzz", data, size, &image, &error)) {
        image_center(&image, 9, 8, 8, size % 2 ? IMAGE_bilinear : IMAGE_bicubic, out);
        image_adjust_hue(image.pixels, (size_t)image.height * (size_t)image.width, 0.3);
        image_free(&image);
    }
    return 0;
}
