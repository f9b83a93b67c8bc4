/* runtime_data_batches.c: augmentation and the loader give the same batches for any number of threads and from any
 * start. */
#include "runtime/data/data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 8, CHANNELS = 3, IMAGE = SIDE * SIDE * CHANNELS, IMAGES = 23, BATCH = 4 };

static DataOptions options_with(int crop, bool flip, int cutout) {
    return (DataOptions){.source = "synthetic",
                         .limit = IMAGES,
                         .split = 0.5,
                         .crop = crop,
                         .flip = flip,
                         .cutout = cutout,
                         .height = SIDE,
                         .width = SIDE,
                         .channels = CHANNELS,
                         .classes = 10,
                         .mean = {0.1f, 0.2f, 0.3f},
                         .std = {0.5f, 0.25f, 0.125f}};
}

static Dataset open_synthetic(const DataOptions *options) {
    Dataset data;
    Error error = {0};
    assert_true(data_open(options, DATA_train, &data, &error));
    return data;
}

static void make_image(const Augment *augment, const Dataset *data, int64_t index, uint64_t seed, uint32_t epoch,
                       bool f64, void *out) {
    Error error = {0};
    assert_true(augment_image(augment, data, index, seed, epoch, f64, out, &error));
}

static void test_plain_is_scaled_and_normalised(void **state) {
    (void)state;
    DataOptions options = options_with(2, true, 4);
    Dataset data = open_synthetic(&options);
    Augment augment;
    double out[IMAGE];
    augment_prepare(&options, false, &augment);
    make_image(&augment, &data, 5, 1, 0, true, out);
    for (int i = 0; i < IMAGE; i++) {
        int c = i % CHANNELS;
        double expected = (data.pixels[5 * IMAGE + i] / 255.0 - (double)options.mean[c]) / (double)options.std[c];
        assert_true(fabs(out[i] - expected) < 1e-12);
    }
    data_close(&data);
}

/* Every crop is a shifted copy whose padding is a normalised zero byte; all shifts occur. */
static void test_crop_shifts(void **state) {
    (void)state;
    DataOptions options = options_with(1, false, 0);
    Dataset data = open_synthetic(&options);
    Augment augment;
    float out[IMAGE];
    int seen[9] = {0};
    augment_prepare(&options, true, &augment);
    for (uint32_t epoch = 0; epoch < 100; epoch++) {
        make_image(&augment, &data, 3, 7, epoch, false, out);
        int matches = 0;
        for (int shift = 0; shift < 9; shift++) {
            bool same = true;
            for (int i = 0; i < IMAGE && same; i++) {
                int c = i % CHANNELS, x = i / CHANNELS % SIDE + shift % 3 - 1, y = i / CHANNELS / SIDE + shift / 3 - 1;
                bool inside = x >= 0 && x < SIDE && y >= 0 && y < SIDE;
                int byte = inside ? data.pixels[3 * IMAGE + (y * SIDE + x) * CHANNELS + c] : 0;
                same = out[i] == (float)augment.table[c][byte];
            }
            seen[shift] += same;
            matches += same;
        }
        assert_int_equal(matches, 1);
    }
    for (int shift = 0; shift < 9; shift++)
        assert_true(seen[shift] > 0);
    data_close(&data);
}

static void test_flip_is_half_of_the_images(void **state) {
    (void)state;
    DataOptions options = options_with(0, true, 0);
    Dataset data = open_synthetic(&options);
    Augment augment;
    float out[IMAGE];
    int flipped = 0;
    augment_prepare(&options, true, &augment);
    for (uint32_t epoch = 0; epoch < 400; epoch++) {
        make_image(&augment, &data, 0, 7, epoch, false, out);
        bool straight = out[0] == (float)augment.table[0][data.pixels[0]];
        bool mirrored = out[0] == (float)augment.table[0][data.pixels[(SIDE - 1) * CHANNELS]];
        assert_true(straight != mirrored);
        flipped += mirrored;
    }
    assert_in_range(flipped, 160, 240);
    data_close(&data);
}

/* Each image of an epoch is flipped or not by itself. */
static void test_images_are_flipped_one_by_one(void **state) {
    (void)state;
    DataOptions options = options_with(0, true, 0);
    Dataset data = open_synthetic(&options);
    Augment augment;
    float out[IMAGE];
    int flipped = 0;
    augment_prepare(&options, true, &augment);
    for (int i = 0; i < IMAGES; i++) {
        make_image(&augment, &data, i, 7, 0, false, out);
        flipped += out[0] == (float)augment.table[0][data.pixels[i * IMAGE + (SIDE - 1) * CHANNELS]];
    }
    assert_in_range(flipped, 4, IMAGES - 4);
    data_close(&data);
}

static void test_cutout_is_a_clipped_square_of_zeros(void **state) {
    (void)state;
    DataOptions options = options_with(0, false, 4);
    Dataset data = open_synthetic(&options);
    memset(data.pixels, 255, IMAGE); /* normalised: not zero anywhere */
    Augment augment;
    float out[IMAGE];
    augment_prepare(&options, true, &augment);
    for (uint32_t epoch = 0; epoch < 50; epoch++) {
        make_image(&augment, &data, 0, 9, epoch, false, out);
        int top = SIDE, bottom = -1, left = SIDE, right = -1, zeros = 0;
        for (int i = 0; i < SIDE * SIDE; i++) {
            if (out[CHANNELS * i] != 0)
                continue;
            int y = i / SIDE, x = i % SIDE;
            zeros++;
            top = y < top ? y : top;
            bottom = y > bottom ? y : bottom;
            left = x < left ? x : left;
            right = x > right ? x : right;
        }
        assert_int_equal(zeros, (bottom - top + 1) * (right - left + 1));
        assert_in_range(bottom - top + 1, 2, 4);
        assert_in_range(right - left + 1, 2, 4);
    }
    data_close(&data);
}

/* All batches of a round from first_batch on, one after the other. */
static size_t collect(const Dataset *data, const Augment *augment, int threads, int64_t first_batch, float *images,
                      int32_t *labels) {
    Error error = {0};
    LoaderOptions o = {.data = data,
                       .first = 2,
                       .count = IMAGES - 2,
                       .batch = BATCH,
                       .augment = augment,
                       .shuffle_stream = "shuffle.test",
                       .seed = 3,
                       .threads = threads};
    Loader *loader = loader_create(&o, &error);
    assert_non_null(loader);
    assert_int_equal(loader_batch_count(loader), 6);
    loader_start(loader, 1, 0, 0); /* a round that is given up */
    assert_non_null(loader_next(loader, &error));
    loader_start(loader, 2, 0, first_batch);
    size_t count = 0;
    const Batch *batch;
    while ((batch = loader_next(loader, &error))) {
        assert_int_equal(batch->position, first_batch * BATCH + (int64_t)count);
        memcpy(images + count * IMAGE, batch->images, (size_t)batch->count * IMAGE * sizeof(float));
        memcpy(labels + count, batch->labels, (size_t)batch->count * sizeof(int32_t));
        count += (size_t)batch->count;
    }
    assert_null(loader_next(loader, &error));
    loader_destroy(loader);
    return count;
}

static void test_batches_do_not_depend_on_threads_or_start(void **state) {
    (void)state;
    DataOptions options = options_with(2, true, 3);
    Dataset data = open_synthetic(&options);
    Augment augment;
    augment_prepare(&options, true, &augment);
    static float one[IMAGES * IMAGE], many[IMAGES * IMAGE];
    int32_t one_labels[IMAGES], many_labels[IMAGES];
    assert_int_equal(collect(&data, &augment, 1, 0, one, one_labels), IMAGES - 2);
    assert_int_equal(collect(&data, &augment, 5, 0, many, many_labels), IMAGES - 2);
    assert_memory_equal(one, many, (IMAGES - 2) * IMAGE * sizeof(float));
    assert_memory_equal(one_labels, many_labels, (IMAGES - 2) * sizeof(int32_t));
    assert_int_equal(collect(&data, &augment, 3, 4, many, many_labels), IMAGES - 2 - 16);
    assert_memory_equal(one + 16 * IMAGE, many, (IMAGES - 2 - 16) * IMAGE * sizeof(float));
    int histogram[10] = {0}, expected[10] = {0};
    bool in_order = true;
    for (int i = 2; i < IMAGES; i++) {
        expected[data.labels[i]]++;
        histogram[one_labels[i - 2]]++;
        in_order = in_order && one_labels[i - 2] == data.labels[i];
    }
    assert_memory_equal(histogram, expected, sizeof(expected)); /* every image once */
    assert_false(in_order);
    data_close(&data);
}

/* ---- pictures that are broken, and those that only cannot be had ---- */

/* Picture 3 of a set is broken (BROKEN) or fails for want of descriptors; the others are black. */
enum { BROKEN, FAILING };

static bool load_most(const Dataset *data, int64_t index, Image *image, Error *error) {
    if (index == 3)
        return *(const int *)data->source == FAILING && error_set(error, ERROR_MACHINE, "cannot open '3.png'");
    if (!image_allocate("black", SIDE, SIDE, image, error))
        return false;
    memset(image->pixels, 0, SIDE * SIDE * CHANNELS);
    return true;
}

/* The images of a round in batches of two, and the error that ended it. */
static int64_t count_images(int fault, int threads, Error *error) {
    DataOptions options = options_with(0, false, 0);
    Dataset data = open_synthetic(&options);
    options.resize = SIDE;
    data.load = load_most, data.source = &fault;
    Augment augment;
    augment_prepare(&options, false, &augment);
    LoaderOptions o = {.data = &data, .count = 6, .batch = 2, .augment = &augment, .threads = threads};
    Loader *loader = loader_create(&o, error);
    assert_non_null(loader);
    loader_start(loader, 0, 0, 0);
    int64_t count = 0;
    for (const Batch *batch; (batch = loader_next(loader, error));)
        count += batch->count;
    assert_null(loader_next(loader, error));
    loader_destroy(loader);
    data_close(&data);
    return count;
}

static void test_only_broken_pictures_are_left_out(void **state) {
    (void)state;
    for (int threads = 1; threads <= 4; threads += 3) {
        Error error = {0};
        assert_int_equal(count_images(BROKEN, threads, &error), 5);
        assert_int_equal(error.kind, ERROR_NONE);
        assert_in_range(count_images(FAILING, threads, &error), 0, 2);
        assert_int_equal(error.kind, ERROR_MACHINE);
        assert_string_equal(error.message, "cannot open '3.png'");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_is_scaled_and_normalised),
        cmocka_unit_test(test_crop_shifts),
        cmocka_unit_test(test_flip_is_half_of_the_images),
        cmocka_unit_test(test_images_are_flipped_one_by_one),
        cmocka_unit_test(test_cutout_is_a_clipped_square_of_zeros),
        cmocka_unit_test(test_batches_do_not_depend_on_threads_or_start),
        cmocka_unit_test(test_only_broken_pictures_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
