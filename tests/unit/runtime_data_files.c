/* runtime_data_files.c: IDX and CIFAR files made here, whole and broken, and what data_open says about them. */
#include "runtime/data/data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

static char folder[] = "/tmp/ndarts-data-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static void write_file(const char *name, const void *bytes, size_t size, bool gzipped) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (gzipped) {
        gzFile file = gzopen(path, "wb");
        assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
        assert_int_equal(gzclose(file), Z_OK);
    } else {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
    }
}

static void remove_file(const char *name) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    unlink(path);
}

static void cut_file(const char *name, long bytes_off) {
    char path[256];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - bytes_off), 0);
}

static DataOptions options_of(const char *source, int side, int channels) {
    return (DataOptions){.source = source,
                         .path = folder,
                         .split = 0.5,
                         .height = side,
                         .width = side,
                         .channels = channels,
                         .classes = 10,
                         .std = {1, 1, 1, 1}};
}

static void expect_error(const DataOptions *options, DataPart part, const char *part_of_message) {
    Dataset data;
    Error error = {0};
    assert_false(data_open(options, part, &data, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    if (!strstr(error.message, part_of_message))
        fail_msg("expected \"%s\" in \"%s\"", part_of_message, error.message);
    assert_null(data.pixels);
}

/* ---- IDX: 3 images of 2 x 2, pixel = 10 * image + position + 1, label = image ---- */
enum { IDX_IMAGES = 3, IDX_IMAGE_BYTES = 16 + IDX_IMAGES * 4, IDX_LABEL_BYTES = 8 + IDX_IMAGES };

static void make_idx(uint8_t *images, uint8_t *labels) {
    memcpy(images, (uint8_t[16]){0, 0, 8, 3, 0, 0, 0, IDX_IMAGES, 0, 0, 0, 2, 0, 0, 0, 2}, 16);
    memcpy(labels, (uint8_t[8]){0, 0, 8, 1, 0, 0, 0, IDX_IMAGES}, 8);
    for (int i = 0; i < IDX_IMAGES; i++) {
        labels[8 + i] = (uint8_t)i;
        for (int p = 0; p < 4; p++)
            images[16 + 4 * i + p] = (uint8_t)(10 * i + p + 1);
    }
}

static void write_idx(bool gzipped) {
    uint8_t images[IDX_IMAGE_BYTES], labels[IDX_LABEL_BYTES];
    make_idx(images, labels);
    remove_file("train-images-idx3-ubyte");
    remove_file("train-labels-idx1-ubyte");
    remove_file("train-images-idx3-ubyte.gz");
    remove_file("train-labels-idx1-ubyte.gz");
    write_file(gzipped ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte", images, sizeof(images), gzipped);
    write_file(gzipped ? "train-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte", labels, sizeof(labels), gzipped);
}

static void test_idx_is_padded(void **state) {
    (void)state;
    for (int gzipped = 0; gzipped < 2; gzipped++) {
        write_idx(gzipped);
        DataOptions options = options_of("mnist", 6, 1);
        Dataset data;
        Error error = {0};
        assert_true(data_open(&options, DATA_train, &data, &error));
        assert_int_equal(data.count, 3);
        assert_int_equal(data.labels[2], 2);
        const uint8_t *image = data.pixels + 36;
        assert_int_equal(image[2 * 6 + 2], 11);
        assert_int_equal(image[3 * 6 + 3], 14);
        assert_int_equal(image[1 * 6 + 2], 0);
        data_close(&data);
    }
}

static void test_idx_limit(void **state) {
    (void)state;
    write_idx(true);
    DataOptions options = options_of("fashion_mnist", 2, 1);
    options.limit = 2;
    Dataset data;
    Error error = {0};
    assert_true(data_open(&options, DATA_train, &data, &error));
    assert_int_equal(data.count, 2);
    data_close(&data);
}

static void test_idx_mistakes(void **state) {
    (void)state;
    DataOptions options = options_of("mnist", 2, 1);
    expect_error(&options, DATA_test,
                 "no file t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz in '/tmp/ndarts-data-");
    write_idx(false);
    cut_file("train-images-idx3-ubyte", 3);
    expect_error(&options, DATA_train, "train-images-idx3-ubyte: truncated: image 2 of 3 needs 4 bytes, found 1");
    write_idx(false);
    cut_file("train-labels-idx1-ubyte", 1);
    expect_error(&options, DATA_train, "train-labels-idx1-ubyte: truncated: the labels needs 3 bytes, found 2");
    write_idx(true);
    cut_file("train-images-idx3-ubyte.gz", 12);
    expect_error(&options, DATA_train, "train-images-idx3-ubyte.gz: ");
    options.height = 1;
    write_idx(false);
    expect_error(&options, DATA_train, "images of 2 x 2 do not fit the network's input of 1 x 2");
    options = options_of("mnist", 2, 3);
    expect_error(&options, DATA_train, "images have one channel; the network takes 3");
    options = options_of("mnist", 2, 1);
    options.classes = 2;
    expect_error(&options, DATA_train, "image 2 has label 2; the network has 2 classes");
}

static void test_idx_wrong_headers(void **state) {
    (void)state;
    uint8_t images[IDX_IMAGE_BYTES], labels[IDX_LABEL_BYTES];
    DataOptions options = options_of("mnist", 2, 1);
    write_idx(false);
    make_idx(images, labels);
    images[3] = 1;
    write_file("train-images-idx3-ubyte", images, sizeof(images), false);
    expect_error(&options, DATA_train, "not an IDX file of images: expected the first bytes 00000803, found 00000801");
    make_idx(images, labels);
    labels[7] = 2;
    write_file("train-images-idx3-ubyte", images, sizeof(images), false);
    write_file("train-labels-idx1-ubyte", labels, sizeof(labels), false);
    expect_error(&options, DATA_train, "2 labels, but");
    images[7] = 2;
    write_file("train-images-idx3-ubyte", images, sizeof(images), false);
    expect_error(&options, DATA_train, "more bytes than its header announces");
}

/* ---- CIFAR: 2 images per file, red = image number, green = 100, blue = 200 + file ---- */
static void write_cifar(const char *name, int label_bytes, int images, int file) {
    size_t record = (size_t)label_bytes + 3072;
    uint8_t *bytes = calloc((size_t)images, record);
    for (int i = 0; i < images; i++) {
        uint8_t *r = bytes + (size_t)i * record;
        r[0] = 9;
        r[label_bytes - 1] = (uint8_t)(i + file);
        memset(r + label_bytes, i, 1024);
        memset(r + label_bytes + 1024, 100, 1024);
        memset(r + label_bytes + 2048, 200 + file, 1024);
    }
    write_file(name, bytes, (size_t)images * record, false);
    free(bytes);
}

static void write_cifar10(void) {
    for (int file = 0; file < 5; file++) {
        char name[32];
        snprintf(name, sizeof(name), "data_batch_%d.bin", file + 1);
        write_cifar(name, 1, 2, file);
    }
}

static void test_cifar10(void **state) {
    (void)state;
    write_cifar10();
    DataOptions options = options_of("cifar10", 32, 3);
    Dataset data;
    Error error = {0};
    assert_true(data_open(&options, DATA_train, &data, &error));
    assert_int_equal(data.count, 10);
    assert_int_equal(data.labels[9], 5);
    const uint8_t *image = data.pixels + 9 * 3072;
    assert_int_equal(image[3 * 1023], 1);
    assert_int_equal(image[3 * 1023 + 1], 100);
    assert_int_equal(image[3 * 1023 + 2], 204);
    data_close(&data);
}

static void test_cifar100_takes_the_fine_label(void **state) {
    (void)state;
    write_cifar("train.bin", 2, 3, 4);
    DataOptions options = options_of("cifar100", 32, 3);
    Dataset data;
    Error error = {0};
    assert_true(data_open(&options, DATA_train, &data, &error));
    assert_int_equal(data.count, 3);
    assert_int_equal(data.labels[0], 4);
    assert_int_equal(data.pixels[2], 204);
    data_close(&data);
}

static void test_cifar_mistakes(void **state) {
    (void)state;
    write_cifar10();
    DataOptions options = options_of("cifar10", 32, 3);
    expect_error(&options, DATA_test, "test_batch.bin: No such file or directory");
    cut_file("data_batch_3.bin", 5);
    expect_error(&options, DATA_train,
                 "data_batch_3.bin: truncated or no CIFAR file: expected a multiple of 3073 bytes, found 6141 bytes");
    write_cifar("data_batch_3.bin", 1, 1, 2);
    expect_error(&options, DATA_train, "data_batch_3.bin: truncated: expected 2 images as in");
    write_cifar("data_batch_3.bin", 1, 2, 99);
    expect_error(&options, DATA_train, "data_batch_3.bin: image 0 has label 99; the network has 10 classes");
    options.channels = 1;
    expect_error(&options, DATA_train, "images of cifar10 have 3 channels; the network takes 1");
    options.source = "cifar1O";
    expect_error(&options, DATA_train, "unknown data source 'cifar1O'; did you mean 'cifar10'?");
}

/* For a network that takes larger images they are made larger when a batch needs them. */
static void test_cifar_resized(void **state) {
    (void)state;
    write_cifar10();
    DataOptions options = options_of("cifar10", 48, 3), same = options_of("cifar10", 32, 3);
    Error error = {ERROR_NONE, ""};
    Dataset large, small;
    if (!data_open(&options, DATA_train, &large, &error) || !data_open(&same, DATA_train, &small, &error))
        fail_msg("%s", error.message);
    assert_int_equal(large.count, small.count);
    assert_memory_equal(large.labels, small.labels, sizeof(int32_t) * (size_t)small.count);
    Augment augment;
    double *image = malloc(48 * 48 * 3 * sizeof *image);
    augment_prepare(&options, false, &augment);
    assert_true(augment_image(&augment, &large, 1, 0, 0, true, image, &error));
    const uint8_t *from = small.pixels + 32 * 32 * 3;
    for (int corner = 0; corner < 4; corner++) {
        int y = corner / 2, x = corner % 2;
        for (int c = 0; c < 3; c++)
            assert_true(image[(47 * y * 48 + 47 * x) * 3 + c] ==
                        augment.table[c][from[(31 * y * 32 + 31 * x) * 3 + c]]);
    }
    free(image);
    options.resize = 40;
    expect_error(&options, DATA_train, "data.resize is 40, less than the network's 48 x 48");
    data_close(&large);
    data_close(&small);
}

static void test_synthetic(void **state) {
    (void)state;
    DataOptions options = options_of("synthetic", 8, 3);
    options.limit = 20;
    Dataset train, again, test;
    Error error = {0};
    assert_true(data_open(&options, DATA_train, &train, &error));
    assert_true(data_open(&options, DATA_train, &again, &error));
    assert_true(data_open(&options, DATA_test, &test, &error));
    assert_int_equal(train.labels[13], 3);
    assert_memory_equal(train.pixels, again.pixels, 20 * 192);
    assert_memory_not_equal(train.pixels, test.pixels, 20 * 192);
    data_close(&train);
    data_close(&again);
    data_close(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx_is_padded),  cmocka_unit_test(test_idx_limit),
        cmocka_unit_test(test_idx_mistakes),   cmocka_unit_test(test_idx_wrong_headers),
        cmocka_unit_test(test_cifar10),        cmocka_unit_test(test_cifar100_takes_the_fine_label),
        cmocka_unit_test(test_cifar_mistakes), cmocka_unit_test(test_cifar_resized),
        cmocka_unit_test(test_synthetic),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
