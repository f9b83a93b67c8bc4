/* fuzz_data.c: any bytes at all as the files of data sets: CIFAR-10 and CIFAR-100, SVHN, and images and labels of the
 * MNIST family, whose other file is right. */
#include "runtime/data/data.h"

#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static char folder[] = "/tmp/ndarts-fuzz-XXXXXX";
static const char *const names[] = {"test_batch.bin", "test.bin", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
                                    "test_32x32.mat"};

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void remove_folder(void) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(path_of(names[i]));
    rmdir(folder);
}

static void open_data(const char *source, int channels, int side) {
    DataOptions options = {.source = source,
                           .path = folder,
                           .split = 0.5,
                           .height = side,
                           .width = side,
                           .channels = channels,
                           .classes = 10};
    Dataset data = {0};
    Error error = {ERROR_NONE, ""};
    if (data_open(&options, DATA_test, &data, &error)) {
        volatile int64_t sum = 0;
        for (int64_t i = 0; data.pixels && i < data.count * data.height * data.width * data.channels; i++)
            sum = sum + data.pixels[i];
        for (int64_t i = 0; i < data.count; i++)
            sum = sum + data.labels[i];
    }
    data_close(&data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Two images of 2 x 2, and their labels. */
    static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 9, 0};
    static bool made;
    if (!made)
        made = mkdtemp(folder) && atexit(remove_folder) == 0;
    for (int i = 0; i < 2; i++) {
        fuzz_write(path_of(names[i]), data, size);
        open_data(i ? "cifar100" : "cifar10", 3, 32);
    }
    fuzz_write(path_of(names[4]), data, size);
    open_data("svhn", 3, 32);
    fuzz_write(path_of(names[2]), data, size);
    fuzz_write(path_of(names[3]), labels, sizeof labels);
    open_data("mnist", 1, 4);
    fuzz_write(path_of(names[2]), images, sizeof images);
    fuzz_write(path_of(names[3]), data, size);
    open_data("mnist", 1, 4);
    return 0;
}
