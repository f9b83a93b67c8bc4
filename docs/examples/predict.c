/* predict.c: classes of images by the C library (docs/library.md).
 *
 *     cc predict.c -o predict $(pkg-config --cflags --libs ndarts)
 *     ./predict net.nd weights.safetensors < images.f32
 *
 * images.f32: float32 numbers, N x C x H x W, normalised as in training. Prints a line per image: the class of the
 * largest logit, and that logit. A module with its weights inside is given alone: ./predict net.cubin */
#include <ndarts.h>

#include <stdio.h>
#include <stdlib.h>

/* All of stdin; count is rounded down to whole images. */
static float *read_images(size_t image_size, size_t *count) {
    size_t room = 64 * image_size, used = 0, got;
    float *numbers = malloc(room * sizeof *numbers);
    while (numbers && (got = fread(numbers + used, sizeof *numbers, room - used, stdin)) > 0) {
        used += got;
        if (used == room)
            numbers = realloc(numbers, (room *= 2) * sizeof *numbers);
    }
    *count = used / image_size;
    return numbers;
}

static void print_classes(const float *logits, size_t images, size_t classes) {
    for (size_t i = 0; i < images; i++, logits += classes) {
        size_t best = 0;
        for (size_t k = 1; k < classes; k++)
            best = logits[k] > logits[best] ? k : best;
        printf("%zu %.9g\n", best, logits[best]);
    }
}

int main(int argc, char **argv) {
    NdartsNet *net = NULL;
    NdartsTensor input, output;
    char *message = NULL;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: predict NET [WEIGHTS.safetensors] < images.f32\n");
        return 1;
    }
    int status = ndarts_open(argv[1], NULL, &net, &message);
    if (!status && argc == 3)
        status = ndarts_set_weights(net, argv[2], &message);
    if (!status && !ndarts_input(net, 0, &input) && !ndarts_output(net, 0, &output)) {
        size_t images = 0;
        float *numbers = read_images((size_t)input.size, &images);
        float *logits = malloc((images + 1) * (size_t)output.size * sizeof *logits);
        if (numbers && logits)
            status =
                ndarts_run(net, (int64_t)images, (const float *const[]){numbers}, (float *const[]){logits}, &message);
        if (numbers && logits && !status)
            print_classes(logits, images, (size_t)output.size);
        free(numbers);
        free(logits);
    }
    if (status)
        fprintf(stderr, "predict: %s\n", message);
    ndarts_free(message);
    ndarts_close(net);
    return status;
}
