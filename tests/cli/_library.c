/* _library.c: what library.py wants of the C library, in a program that links nothing else and has the locale of its
 * environment:
 *
 *     library NET WEIGHTS OTHER_WEIGHTS IMAGES.f32 COUNT LOGITS.f32 */
#include <ndarts.h>

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { THREADS = 4, ROUNDS = 3 };

static const float *images;
static float *wanted;
static int64_t count;
static NdartsTensor input, output;
static int failures;

static void expect(int condition, const char *what) {
    if (condition)
        return;
    failures++;
    printf("FAILED %s\n", what);
}

/* The call failed as expected, and its message has these words. */
static void expect_failure(const char *what, int status, int expected, char **message, const char *words) {
    if (status != expected || !*message || !strstr(*message, words)) {
        failures++;
        printf("FAILED %s: status %d, message: %s\n", what, status, *message ? *message : "none");
    }
    ndarts_free(*message);
    *message = NULL;
}

static int run(NdartsNet *net, int64_t number, float *logits, char **message) {
    return ndarts_run(net, number, (const float *const[]){images}, (float *const[]){logits}, message);
}

static void expect_same(NdartsNet *net, const char *what) {
    size_t size = (size_t)(count * output.size) * sizeof(float);
    float *logits = calloc(1, size);
    char *message = NULL;
    if (run(net, count, logits, &message))
        printf("%s: %s\n", what, message);
    expect(!message && memcmp(logits, wanted, size) == 0, what);
    ndarts_free(message);
    free(logits);
}

static void *use_shared(void *net) {
    for (int i = 0; i < ROUNDS; i++)
        expect_same(net, "one net, several threads");
    return NULL;
}

static const char *path, *weights;

static void *use_own(void *unused) {
    NdartsOptions options = {.size = sizeof options, .threads = 1, .batch = 2};
    NdartsNet *net = NULL;
    char *message = NULL;
    expect(!ndarts_open(path, &options, &net, &message) && !ndarts_set_weights(net, weights, &message),
           "a net of each thread");
    if (net && !message)
        expect_same(net, "a net of each thread");
    ndarts_free(message);
    ndarts_close(net);
    return unused;
}

static void in_threads(void *(*body)(void *), void *argument) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, body, argument);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void check_mistakes(NdartsNet *net, const char *other) {
    NdartsNet *none = net;
    NdartsOptions options = {.size = sizeof options, .device = "tpu"};
    const char *sets[] = {"nothing=1"};
    NdartsTensor tensor;
    char *message = NULL;
    expect_failure("no file", ndarts_open("absent.nd", NULL, &none, &message), NDARTS_ERROR_INPUT, &message,
                   "absent.nd");
    expect(none == NULL, "no net after a failure");
    expect_failure("no module", ndarts_open("absent.so", NULL, &none, &message), NDARTS_ERROR_INPUT, &message,
                   "absent.so");
    expect_failure("mistakes", ndarts_open("wrong.nd", NULL, &none, &message), NDARTS_ERROR_INPUT, &message,
                   "wrong.nd:2:");
    expect_failure("every mistake", ndarts_open("wrong.nd", NULL, &none, &message), NDARTS_ERROR_INPUT, &message,
                   "wrong.nd:3:");
    expect_failure("device", ndarts_open(path, &options, &none, &message), NDARTS_ERROR_INPUT, &message, "tpu");
    options = (NdartsOptions){.size = sizeof options, .sets = sets, .set_count = 1};
    expect_failure("set", ndarts_open(path, &options, &none, &message), NDARTS_ERROR_INPUT, &message,
                   strstr(path, ".so") ? "not for a module" : "nothing");
    options.size = 3;
    expect_failure("size", ndarts_open(path, &options, &none, &message), NDARTS_ERROR_INPUT, &message,
                   "options.size is 3");
    expect_failure("no weights file", ndarts_set_weights(net, "absent.safetensors", &message), NDARTS_ERROR_INPUT,
                   &message, "absent");
    expect_failure("missing", ndarts_set_weights(net, other, &message), NDARTS_ERROR_INPUT, &message,
                   "  missing: classifier.bias [5]\n");
    expect_failure("shape", ndarts_set_weights(net, other, &message), NDARTS_ERROR_INPUT, &message,
                   "  conv.weight: expected [6, 3, 3, 3], found [2]\n");
    expect_failure("left over", ndarts_set_weights(net, other, &message), NDARTS_ERROR_INPUT, &message,
                   "  left over: strange [1]\n");
    expect_failure("counts", ndarts_set_weights(net, other, &message), NDARTS_ERROR_INPUT, &message,
                   "1 missing, 1 of another shape, 1 left over");
    expect_same(net, "after weights that do not fit");
    expect_failure("no images", run(net, 0, wanted, &message), NDARTS_ERROR_INPUT, &message, "0 images");
    expect_failure("no input", ndarts_run(net, 1, NULL, NULL, &message), NDARTS_ERROR_INPUT, &message,
                   "'input' is NULL");
    expect(ndarts_input(net, 1, &tensor) == NDARTS_ERROR_INPUT && ndarts_output(net, -1, &tensor) == NDARTS_ERROR_INPUT,
           "index");
    expect(ndarts_run(net, 0, NULL, NULL, NULL) == NDARTS_ERROR_INPUT, "without a message");
    ndarts_close(NULL);
}

/* When memory runs out the program goes on; the net in whose call it did says so from then on. */
static void check_memory(NdartsNet *net) {
    struct rlimit before;
    char *message = NULL;
    NdartsNet *other = NULL;
    getrlimit(RLIMIT_AS, &before);
    setrlimit(RLIMIT_AS, &(struct rlimit){0, before.rlim_max});
    int status = ndarts_set_weights(net, "huge.safetensors", &message), opened = ndarts_open(path, NULL, &other, NULL);
    setrlimit(RLIMIT_AS, &before);
    expect_failure("no memory", status, NDARTS_ERROR_MACHINE, &message, "out of memory");
    expect(opened == NDARTS_ERROR_MACHINE && !other, "no memory for another net");
    expect_failure("no memory before", run(net, count, wanted, &message), NDARTS_ERROR_MACHINE, &message, "close it");
}

static float *read_numbers(const char *name, size_t *numbers) {
    FILE *file = fopen(name, "rb");
    float *data = malloc(1 << 20);
    *numbers = file && data ? fread(data, sizeof *data, (1 << 20) / sizeof *data, file) : 0;
    if (file)
        fclose(file);
    return data;
}

int main(int argc, char **argv) {
    NdartsNet *net = NULL;
    char *message = NULL;
    size_t numbers;
    if (argc != 7)
        return 1;
    setlocale(LC_ALL, "");
    const char *point = strdup(localeconv()->decimal_point);
    path = argv[1], weights = argv[2], count = atoi(argv[5]);
    images = read_numbers(argv[4], &numbers);
    wanted = read_numbers(argv[6], &numbers);
    if (ndarts_open(path, NULL, &net, &message) || ndarts_input(net, 0, &input) || ndarts_output(net, 0, &output)) {
        printf("%s\n", message ? message : "no input or output");
        return 1;
    }
    expect(strcmp(input.name, "input") == 0 && input.rank == 4 && input.shape[0] == -1 && input.shape[1] == 3 &&
               input.size == 192,
           "input");
    expect(strcmp(output.name, "logits") == 0 && output.rank == 2 && output.shape[1] == 5 && output.size == 5,
           "output");
    expect(ndarts_input_count(net) == 1 && ndarts_output_count(net) == 1 && ndarts_batch(net) == 16, "counts");
    expect((int64_t)numbers == count * output.size, "numbers");
    if (!ndarts_has_weights(net)) {
        float logits[5];
        expect_failure("no weights", run(net, 1, logits, &message), NDARTS_ERROR_INPUT, &message, "no weights yet");
    }
    expect(!ndarts_set_weights(net, weights, NULL), "weights");
    expect_same(net, "the logits of infer");
    check_mistakes(net, argv[3]);
    in_threads(use_shared, net);
    in_threads(use_own, NULL);
    check_memory(net);
    ndarts_close(net);
    expect(strcmp(localeconv()->decimal_point, point) == 0, "the locale is what it was");
    printf("decimal point '%s'\n", point);
    printf("%s, %d failures\n", ndarts_version(), failures);
    return failures != 0;
}
