/* runtime_augment.c: random resized crop, colour jitter and single pictures: torchvision's choices, from draws that
 * depend on seed, epoch and image only. */
#include "base/hash.h"
#include "runtime/data/data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, IMAGE = SIDE * SIDE * 3, IMAGES = 40 };

static DataOptions options_of(void) {
    return (DataOptions){.source = "synthetic",
                         .limit = IMAGES,
                         .split = 0.5,
                         .ratio = {3.0 / 4, 4.0 / 3},
                         .height = SIDE,
                         .width = SIDE,
                         .channels = 3,
                         .classes = 10,
                         .std = {1.0f, 1.0f, 1.0f}};
}

static Dataset open_synthetic(const DataOptions *options) {
    Dataset data;
    Error error = {0};
    assert_true(data_open(options, DATA_train, &data, &error));
    return data;
}

/* The bytes that augment_image makes, back from its numbers. */
static void augmented_bytes(const Augment *augment, const Dataset *data, int64_t index, uint8_t *out) {
    double numbers[IMAGE];
    Error error = {0};
    assert_true(augment_image(augment, data, index, 5, 2, true, numbers, &error));
    for (int i = 0; i < IMAGE; i++)
        out[i] = (uint8_t)lround(numbers[i] * 255);
}

/* ---- random resized crop ---- */

/* The means are those of 400,000 draws of torchvision's procedure (RandomResizedCrop.get_params) with its defaults. */
static void test_areas_are_torchvisions(void **state) {
    (void)state;
    enum { HEIGHT = 375, WIDTH = 500, DRAWS = 20000 };
    DataOptions o = options_of();
    o.area[0] = 0.08, o.area[1] = 1;
    double area = 0, ratio = 0, top = 0, left = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        ImageBox box = augment_area(&o, HEIGHT, WIDTH, 3, i / 100, i % 100);
        double part = (double)box.height * box.width / (HEIGHT * WIDTH), shape = (double)box.width / box.height;
        assert_true(box.top >= 0 && box.left >= 0 && box.top + box.height <= HEIGHT && box.left + box.width <= WIDTH);
        assert_true(part > 0.078 && part <= 1 && shape > 0.74 && shape < 1.35);
        area += part / DRAWS, ratio += log(shape) / DRAWS, top += (double)box.top / DRAWS,
            left += (double)box.left / DRAWS;
    }
    if (fabs(area - 0.4329) > 0.008 || fabs(ratio - 0.0304) > 0.006 || fabs(top - 52.3) > 2 || fabs(left - 109.1) > 4)
        fail_msg("mean area %g, log ratio %g, top %g, left %g", area, ratio, top, left);
}

/* Where nothing fits: the largest allowed part in the middle. */
static void test_narrow_pictures(void **state) {
    (void)state;
    DataOptions o = options_of();
    o.area[0] = 0.08, o.area[1] = 1;
    ImageBox wide = augment_area(&o, 10, 1000, 1, 0, 0), tall = augment_area(&o, 1000, 12, 1, 0, 0);
    assert_true(wide.top == 0 && wide.left == 493 && wide.height == 10 && wide.width == 13);
    assert_true(tall.top == 492 && tall.left == 0 && tall.height == 16 && tall.width == 12);
}

static void test_part_is_resized(void **state) {
    (void)state;
    DataOptions o = options_of();
    o.area[0] = 0.2, o.area[1] = 0.6;
    o.interpolation = IMAGE_bicubic;
    Dataset data = open_synthetic(&o);
    Augment augment, none;
    augment_prepare(&o, true, &augment);
    augment_prepare(&o, false, &none);
    for (uint32_t index = 0; index < 10; index++) {
        uint8_t out[IMAGE];
        Image whole = {SIDE, SIDE, data.pixels + index * IMAGE}, part;
        ImageBox box = augment_area(&o, SIDE, SIDE, 5, 2, index);
        assert_true(image_resize(&whole, box, SIDE, SIDE, IMAGE_bicubic, &part));
        augmented_bytes(&augment, &data, index, out);
        assert_memory_equal(out, part.pixels, IMAGE);
        augmented_bytes(&none, &data, index, out); /* evaluation sees the whole image */
        assert_memory_equal(out, whole.pixels, IMAGE);
        image_free(&part);
    }
    data_close(&data);
}

/* ---- colour jitter ---- */

static double factor_of(uint32_t element, double reach, uint32_t image) {
    return 1 - reach + 2 * reach * draw_uniform(5, draw_stream_hash("augment.color"), 2, image, element);
}

/* Brightness and contrast in one order or the other; both orders occur. */
static void test_jitter(void **state) {
    (void)state;
    DataOptions o = options_of();
    o.brightness = 0.4, o.contrast = 0.7;
    Dataset data = open_synthetic(&o);
    Augment augment;
    augment_prepare(&o, true, &augment);
    int brightness_first = 0, contrast_first = 0;
    for (uint32_t index = 0; index < IMAGES; index++) {
        uint8_t out[IMAGE], one[IMAGE], other[IMAGE];
        double brightness = factor_of(0, 0.4, index), contrast = factor_of(1, 0.7, index);
        memcpy(one, data.pixels + index * IMAGE, IMAGE);
        memcpy(other, one, IMAGE);
        image_adjust_brightness(one, SIDE * SIDE, brightness);
        image_adjust_contrast(one, SIDE * SIDE, contrast);
        image_adjust_contrast(other, SIDE * SIDE, contrast);
        image_adjust_brightness(other, SIDE * SIDE, brightness);
        augmented_bytes(&augment, &data, index, out);
        brightness_first += memcmp(out, one, IMAGE) == 0;
        contrast_first += memcmp(out, other, IMAGE) == 0;
        assert_true(memcmp(out, one, IMAGE) == 0 || memcmp(out, other, IMAGE) == 0);
    }
    assert_true(brightness_first > IMAGES / 5 && contrast_first > IMAGES / 5);
    data_close(&data);
}

static void test_saturation_and_hue(void **state) {
    (void)state;
    DataOptions o = options_of();
    Dataset data = open_synthetic(&o);
    Augment augment;
    uint8_t out[IMAGE], expected[IMAGE];
    o.saturation = 1.5; /* factors of 0 to 2.5 */
    augment_prepare(&o, true, &augment);
    memcpy(expected, data.pixels + 7 * IMAGE, IMAGE);
    image_adjust_saturation(expected, SIDE * SIDE, 2.5 * draw_uniform(5, draw_stream_hash("augment.color"), 2, 7, 2));
    augmented_bytes(&augment, &data, 7, out);
    assert_memory_equal(out, expected, IMAGE);
    o.saturation = 0, o.hue = 0.2;
    augment_prepare(&o, true, &augment);
    memcpy(expected, data.pixels + 7 * IMAGE, IMAGE);
    image_adjust_hue(expected, SIDE * SIDE, factor_of(3, 0.2, 7) - 1);
    augmented_bytes(&augment, &data, 7, out);
    assert_memory_equal(out, expected, IMAGE);
    data_close(&data);
}

/* ---- any number of threads ---- */

static void collect(const Dataset *data, const Augment *augment, int threads, float *images) {
    Error error = {0};
    LoaderOptions o = {.data = data,
                       .count = IMAGES,
                       .batch = 7,
                       .augment = augment,
                       .shuffle_stream = "s",
                       .seed = 5,
                       .threads = threads};
    Loader *loader = loader_create(&o, &error);
    assert_non_null(loader);
    loader_start(loader, 1, 0, 0);
    int64_t count = 0;
    for (const Batch *batch; (batch = loader_next(loader, &error)); count += batch->count)
        memcpy(images + count * IMAGE, batch->images, (size_t)batch->count * IMAGE * sizeof(float));
    assert_int_equal(count, IMAGES);
    loader_destroy(loader);
}

static void test_threads_do_not_matter(void **state) {
    (void)state;
    static float one[IMAGES * IMAGE], many[IMAGES * IMAGE];
    DataOptions o = options_of();
    o.area[0] = 0.08, o.area[1] = 1;
    o.flip = true, o.crop = 1, o.cutout = 4;
    o.brightness = o.contrast = o.saturation = 0.4, o.hue = 0.2;
    Dataset data = open_synthetic(&o);
    Augment augment;
    augment_prepare(&o, true, &augment);
    collect(&data, &augment, 1, one);
    for (int threads = 2; threads < 17; threads += 7) {
        memset(many, 0, sizeof many);
        collect(&data, &augment, threads, many);
        assert_memory_equal(one, many, sizeof one);
    }
    data_close(&data);
}

/* ---- pictures that are of no data set ---- */

static Image make_picture(int height, int width) {
    Image picture = {height, width, malloc((size_t)height * (size_t)width * 3)};
    for (int i = 0; i < height * width * 3; i++)
        picture.pixels[i] = (uint8_t)(i * 7 % 256);
    return picture;
}

static void test_picture(void **state) {
    (void)state;
    DataOptions o = options_of();
    o.source = "image_folder";
    Augment augment;
    augment_prepare(&o, false, &augment);
    Image picture = make_picture(40, 61);
    uint8_t expected[IMAGE];
    double out[IMAGE];
    Error error = {0};
    assert_true(augment_picture(&augment, &picture, out, &error));
    assert_true(image_center(&picture, image_side_for(SIDE, SIDE), SIDE, SIDE, IMAGE_bilinear, expected));
    for (int i = 0; i < IMAGE; i++)
        assert_true(out[i] == expected[i] / 255.0);
    image_free(&picture);
}

/* As MNIST's files: 28 x 28, grey, in the middle of zeros. */
static void test_picture_as_mnist(void **state) {
    (void)state;
    DataOptions o = options_of();
    o.source = "fashion_mnist", o.height = o.width = 32, o.channels = 1, o.mean[0] = 0.5f;
    Augment augment;
    augment_prepare(&o, false, &augment);
    Image picture = make_picture(28, 28);
    double out[32 * 32];
    Error error = {0};
    assert_true(augment_picture(&augment, &picture, out, &error));
    for (int i = 0; i < 32 * 32; i++) {
        int y = i / 32 - 2, x = i % 32 - 2;
        bool inside = y >= 0 && y < 28 && x >= 0 && x < 28;
        double grey = inside ? image_grey(picture.pixels + 3 * (28 * y + x)) : 0;
        assert_true(out[i] == grey / 255.0 - 0.5);
    }
    image_free(&picture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_areas_are_torchvisions),
        cmocka_unit_test(test_narrow_pictures),
        cmocka_unit_test(test_part_is_resized),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_saturation_and_hue),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_picture),
        cmocka_unit_test(test_picture_as_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
