/* Pictures: decoding, resizing as Pillow does, trees of class folders as a data set. */
#include "base/str.h"
#include "runtime/data/data.h"
#include "runtime/data/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIDE = 48, CROP = 42 };

/* Errors of both kinds in one. */
static bool read_picture(const char *path, Image *image, Error *error) {
    return image_read(path, image, error, error);
}

static const char *picture(Arena *arena, const char *name) {
    return arena_printf(arena, "%s/tests/data/images/%s", NDARTS_SOURCE_DIR, name);
}

/* ---- against Pillow ---- */

static int largest_difference(const char *name, const char *expected_name, ImageFilter filter) {
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    Image image, expected;
    uint8_t out[CROP * CROP * 3];
    if (!read_picture(picture(arena, name), &image, &error) ||
        !read_picture(picture(arena, expected_name), &expected, &error))
        fail_msg("%s", error.message);
    assert_true(image_center(&image, SIDE, CROP, CROP, filter, out));
    assert_int_equal(expected.height, CROP);
    assert_int_equal(expected.width, CROP);
    int largest = 0;
    for (int i = 0; i < CROP * CROP * 3; i++) {
        int difference = abs(out[i] - expected.pixels[i]);
        largest = difference > largest ? difference : largest;
    }
    image_free(&image);
    image_free(&expected);
    arena_destroy(arena);
    return largest;
}

/* PNG is exact; another version of libjpeg may round differently, by one. */
static void test_same_as_pillow(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"rgb.png", "rgb.expected.png"},           {"palette.png", "palette.expected.png"},
        {"alpha.png", "alpha.expected.png"},       {"enlarged.png", "enlarged.expected.png"},
        {"baseline.jpg", "baseline.expected.png"}, {"progressive.jpeg", "progressive.expected.png"},
        {"grey.jpg", "grey.expected.png"},         {"ink.jpg", "ink.expected.png"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int largest = largest_difference(names[i][0], names[i][1], IMAGE_bilinear);
        if (largest > (str_ends_with(names[i][0], ".png") ? 0 : 1))
            fail_msg("%s: differs by %d grey levels", names[i][0], largest);
    }
}

static void test_bicubic(void **state) {
    (void)state;
    assert_int_equal(largest_difference("rgb.png", "rgb.cubic.expected.png", IMAGE_bicubic), 0);
    assert_int_equal(largest_difference("enlarged.png", "enlarged.cubic.expected.png", IMAGE_bicubic), 0);
}

typedef void Adjust(uint8_t *pixels, size_t count, double factor);

static void test_colours(void **state) {
    (void)state;
    static const struct {
        const char *expected;
        Adjust *adjust;
        double factor;
    } cases[] = {{"alpha.brightness.expected.png", image_adjust_brightness, 1.3},
                 {"alpha.contrast.expected.png", image_adjust_contrast, 0.6},
                 {"alpha.saturation.expected.png", image_adjust_saturation, 1.4},
                 {"alpha.hue.expected.png", image_adjust_hue, -0.15}};
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Image image, expected;
        assert_true(read_picture(picture(arena, "alpha.png"), &image, &error));
        assert_true(read_picture(picture(arena, cases[i].expected), &expected, &error));
        size_t count = (size_t)image.height * (size_t)image.width;
        cases[i].adjust(image.pixels, count, cases[i].factor);
        if (memcmp(image.pixels, expected.pixels, count * IMAGE_CHANNELS) != 0)
            fail_msg("%s is not what Pillow makes", cases[i].expected);
        image_free(&image);
        image_free(&expected);
    }
    arena_destroy(arena);
}

static void test_resize_a_part(void **state) {
    (void)state;
    uint8_t pixels[4 * 4 * 3];
    for (int i = 0; i < 16; i++)
        memset(pixels + 3 * i, 10 * i, 3);
    Image from = {4, 4, pixels}, to;
    assert_true(image_resize(&from, (ImageBox){1, 2, 2, 2}, 1, 1, IMAGE_bilinear, &to));
    /* Pixels 6, 7, 10 and 11: their mean. */
    assert_int_equal(to.pixels[0], 85);
    image_free(&to);
    assert_true(image_resize(&from, (ImageBox){0, 0, 4, 4}, 4, 4, IMAGE_bilinear, &to));
    assert_memory_equal(to.pixels, pixels, sizeof pixels);
    image_free(&to);
}

static void test_side(void **state) {
    (void)state;
    assert_int_equal(image_side_for(224, 224), 256);
    assert_int_equal(image_side_for(32, 32), 37);
    assert_int_equal(image_side_for(96, 64), 110);
}

/* ---- bad files ---- */

static void expect_refused(const char *name, const char *said) {
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    Image image;
    const char *path = name[0] == '/' ? name : picture(arena, name);
    assert_false(read_picture(path, &image, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    if (!strstr(error.message, said) || !strstr(error.message, name))
        fail_msg("%s: expected \"%s\", found \"%s\"", name, said, error.message);
    assert_null(image.pixels);
    arena_destroy(arena);
}

static void test_broken_files(void **state) {
    (void)state;
    expect_refused("truncated.jpg", "broken JPEG");
    expect_refused("truncated.png", "the file is cut off");
    expect_refused("garbled.png", "broken PNG");
    expect_refused("make.py", "no picture: read are JPEG, PNG");
    expect_refused("/there/is/none.png", "cannot open");
}

/* The header of a JPEG that claims the largest size there is. */
static void test_claimed_size(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    Image image;
    SourceFile *file = source_read(arena, picture(arena, "baseline.jpg"), &error);
    uint8_t *bytes = (uint8_t *)(uintptr_t)file->text;
    size_t at = 2;
    while (at + 9 < file->size && bytes[at + 1] != 0xc0)
        at += 2u + (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
    memset(bytes + at + 5, 0xff, 4);
    assert_false(image_decode("huge.jpg", bytes, file->size, &image, &error));
    assert_non_null(strstr(error.message, "huge.jpg"));
    arena_destroy(arena);
}

/* ---- a tree ---- */

typedef struct Tree {
    Arena *arena;
    const char *path;
} Tree;

static void put(Tree *t, const char *folder, const char *name, const char *source) {
    Error error = {ERROR_NONE, ""};
    SourceFile *file = source_read(t->arena, picture(t->arena, source), &error);
    char *path = arena_printf(t->arena, "%s/%s", t->path, folder);
    for (char *slash = path + strlen(t->path) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0777);
    }
    mkdir(path, 0777);
    FILE *out = fopen(arena_printf(t->arena, "%s/%s", path, name), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(file->text, 1, file->size, out), file->size);
    fclose(out);
}

static int make_tree(void **state) {
    Arena *arena = arena_create();
    Tree *t = ARENA_NEW(arena, Tree);
    char *path = arena_strdup(arena, "/tmp/ndarts-images-XXXXXX");
    *t = (Tree){arena, mkdtemp(path)};
    put(t, "train/dog", "b.PNG", "rgb.png");
    put(t, "train/dog", "a.jpg", "baseline.jpg");
    put(t, "train/dog/more", "c.jpeg", "progressive.jpeg");
    put(t, "train/cat", "z.png", "palette.png");
    put(t, "train/cat", "y.png", "truncated.png");
    put(t, "train/cat", "notes.txt", "make.py");
    put(t, "val/dog", "1.png", "truncated.png");
    put(t, "val/cat", "2.png", "alpha.png");
    *state = t;
    return 0;
}

static int remove_tree(void **state) {
    Tree *t = *state;
    int status = system(arena_printf(t->arena, "rm -r '%s'", t->path));
    arena_destroy(t->arena);
    return status;
}

static DataOptions options_of(const Tree *t) {
    return (DataOptions){.source = "image_folder",
                         .path = t->path,
                         .split = 1,
                         .resize = SIDE,
                         .height = CROP,
                         .width = CROP,
                         .channels = 3,
                         .classes = 2,
                         .mean = {0.5f, 0.5f, 0.5f},
                         .std = {0.25f, 0.25f, 0.25f}};
}

/* The pictures of train/, in the order of their names: as a tree to be tested with. */
static Dataset open_sorted(Tree *t, DataOptions *options) {
    Error error = {ERROR_NONE, ""};
    Dataset data;
    *options = options_of(t);
    options->path = arena_printf(t->arena, "%s/train", t->path);
    if (!data_open(options, DATA_test, &data, &error))
        fail_msg("%s", error.message);
    return data;
}

/* Broken pictures are left out of the batches; order and labels are those of the sorted names. */
static void test_tree(void **state) {
    Error error = {ERROR_NONE, ""};
    DataOptions options;
    Dataset data = open_sorted(*state, &options);
    Augment augment;
    assert_int_equal(data.count, 5);
    const int32_t labels[] = {0, 0, 1, 1, 1};
    assert_memory_equal(data.labels, labels, sizeof labels);
    augment_prepare(&options, false, &augment);
    for (int threads = 1; threads < 9; threads += 3) {
        LoaderOptions loading = {.data = &data, .count = 5, .batch = 2, .augment = &augment, .threads = threads};
        Loader *loader = loader_create(&loading, &error);
        assert_non_null(loader);
        for (uint32_t epoch = 0; epoch < 2; epoch++) {
            const int64_t counts[] = {1, 2, 1};
            loader_start(loader, epoch, 0, 0);
            for (int i = 0; i < 3; i++) {
                const Batch *batch = loader_next(loader, &error);
                assert_non_null(batch);
                assert_int_equal(batch->count, counts[i]);
                assert_int_equal(batch->labels[0], i > 0);
            }
            assert_null(loader_next(loader, &error));
        }
        loader_destroy(loader);
    }
    assert_string_equal(data.class_names[0], "cat");
    assert_string_equal(data.class_names[1], "dog");
    data_close(&data);
}

/* Training pictures come in an order of their own, always the same, so that parts of them have all classes. */
static void test_classes_are_mixed(void **state) {
    Tree *t = *state;
    for (int i = 0; i < 40; i++) {
        put(t, "mixed/train/a", arena_printf(t->arena, "%d.png", i), "alpha.png");
        put(t, "mixed/train/b", arena_printf(t->arena, "%d.png", i), "alpha.png");
    }
    Error error = {ERROR_NONE, ""};
    DataOptions options = options_of(t);
    options.path = arena_printf(t->arena, "%s/mixed", t->path);
    Dataset data, again;
    assert_true(data_open(&options, DATA_train, &data, &error) && data_open(&options, DATA_train, &again, &error));
    int of_first_half = 0, all = 0;
    for (int i = 0; i < 80; i++) {
        all += data.labels[i];
        of_first_half += i < 40 ? data.labels[i] : 0;
    }
    assert_true(data.count == 80 && all == 40 && of_first_half > 12 && of_first_half < 28);
    assert_memory_equal(data.labels, again.labels, 80 * sizeof(int32_t));
    data_close(&data);
    data_close(&again);
}

/* A folder of classes without parts is both of them, and the training one is mixed. */
static void test_classes_alone(void **state) {
    Tree *t = *state;
    for (int i = 0; i < 30; i++) {
        put(t, "alone/a", arena_printf(t->arena, "%d.png", i), "alpha.png");
        put(t, "alone/b", arena_printf(t->arena, "%d.png", i), "alpha.png");
    }
    Error error = {ERROR_NONE, ""};
    DataOptions options = options_of(t);
    options.path = arena_printf(t->arena, "%s/alone", t->path);
    assert_false(data_has_test(&options));
    Dataset train, test;
    assert_true(data_open(&options, DATA_train, &train, &error) && data_open(&options, DATA_test, &test, &error));
    int of_first_half = 0;
    for (int i = 0; i < 30; i++)
        of_first_half += train.labels[i];
    assert_true(train.count == 60 && test.count == 60 && of_first_half > 7 && of_first_half < 23);
    assert_string_equal(test.names[59], arena_printf(t->arena, "%s/b/9.png", options.path));
    assert_int_equal(test.labels[29], 0);
    assert_int_equal(test.labels[30], 1);
    data_close(&train);
    data_close(&test);
}

/* What is left of a batch moves together: the images are those of the labels. */
static void test_gaps_are_closed(void **state) {
    Error error = {ERROR_NONE, ""};
    DataOptions options;
    Dataset data = open_sorted(*state, &options);
    Augment augment;
    augment_prepare(&options, false, &augment);
    LoaderOptions loading = {.data = &data, .count = 5, .batch = 5, .augment = &augment, .threads = 2};
    Loader *loader = loader_create(&loading, &error);
    loader_start(loader, 0, 0, 0);
    const Batch *batch = loader_next(loader, &error);
    const int32_t labels[] = {0, 1, 1, 1};
    assert_int_equal(batch->count, 4);
    assert_memory_equal(batch->labels, labels, sizeof labels);
    float out[CROP * CROP * 3];
    for (int i = 0; i < 4; i++) {
        assert_true(augment_image(&augment, &data, i + 1, 0, 0, false, out, &error)); /* 0 is broken */
        assert_memory_equal((const float *)batch->images + i * CROP * CROP * 3, out, sizeof out);
    }
    loader_destroy(loader);
    data_close(&data);
}

static void test_pixels(void **state) {
    Tree *t = *state;
    Error error = {ERROR_NONE, ""};
    DataOptions options;
    Dataset data = open_sorted(t, &options);
    Augment augment;
    Image expected;
    augment_prepare(&options, false, &augment);
    float out[CROP * CROP * 3];
    assert_false(augment_image(&augment, &data, 0, 1, 0, false, out, &error)); /* cat/y.png */
    assert_true(augment_image(&augment, &data, 3, 1, 0, false, out, &error));  /* dog/b.PNG */
    assert_true(read_picture(picture(t->arena, "rgb.expected.png"), &expected, &error));
    for (int i = 0; i < CROP * CROP * 3; i++)
        assert_true(fabs((double)out[i] - (expected.pixels[i] / 255.0 - 0.5) / 0.25) < 1e-6);
    image_free(&expected);
    data_close(&data);
}

/* A batch of broken pictures only is passed over. */
static void test_validation_part(void **state) {
    Tree *t = *state;
    Error error = {ERROR_NONE, ""};
    DataOptions options = options_of(t);
    Dataset data;
    Augment augment;
    assert_true(data_open(&options, DATA_test, &data, &error));
    assert_int_equal(data.count, 2);
    augment_prepare(&options, false, &augment);
    LoaderOptions loading = {.data = &data, .count = 2, .batch = 1, .augment = &augment, .threads = 1};
    Loader *loader = loader_create(&loading, &error);
    loader_start(loader, 0, 0, 0);
    assert_non_null(loader_next(loader, &error));
    assert_null(loader_next(loader, &error));
    loader_destroy(loader);
    data_close(&data);
}

static void expect_data_error(DataOptions options, const char *said) {
    Error error = {ERROR_NONE, ""};
    Dataset data;
    assert_false(data_open(&options, DATA_train, &data, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    if (!strstr(error.message, said))
        fail_msg("expected \"%s\", found \"%s\"", said, error.message);
}

static void test_wrong_trees(void **state) {
    Tree *t = *state;
    DataOptions options = options_of(t);
    options.classes = 3;
    expect_data_error(options, "found 2 folders of classes (cat, dog); the network has 3 classes (--set classes=2)");
    options = options_of(t);
    options.path = "/there/is/none";
    expect_data_error(options, "there is no folder '/there/is/none'");
    put(t, "parts/val/cat", "1.png", "alpha.png");
    options.path = arena_printf(t->arena, "%s/parts", t->path);
    expect_data_error(options, "expected a folder 'train' in it, beside 'val'");
    options = options_of(t);
    options.resize = 40;
    expect_data_error(options, "data.resize is 40, less than the network's 42 x 42");
    options = options_of(t);
    options.channels = 2;
    expect_data_error(options, "pictures have 3 channels, or 1 when they are made grey; the network takes 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_pillow),
        cmocka_unit_test(test_bicubic),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_resize_a_part),
        cmocka_unit_test(test_side),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_claimed_size),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_classes_are_mixed),
        cmocka_unit_test(test_classes_alone),
        cmocka_unit_test(test_gaps_are_closed),
        cmocka_unit_test(test_pixels),
        cmocka_unit_test(test_validation_part),
        cmocka_unit_test(test_wrong_trees),
    };
#if !defined(NDARTS_HAVE_JPEG) || !defined(NDARTS_HAVE_PNG)
    printf("built without libjpeg or libpng\n");
    return 0;
#endif
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
