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
#include <sys/wait.h>
#include <unistd.h>

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

static volatile int calls_go_on;

static void *use_until_told(void *net) {
    float logits[5];
    while (calls_go_on)
        run(net, 1, logits, NULL);
    return NULL;
}

/* In a child: computes, or says that it was forked in the middle of a call; either way nothing is waited for. */
static int use_copy(NdartsNet *net) {
    char *message = NULL;
    float logits[5];
    int status = run(net, 1, logits, &message);
    int good = status ? message && strstr(message, "was forked") : memcmp(logits, wanted, sizeof logits) == 0;
    ndarts_free(message);
    ndarts_close(net);
    return good;
}

static void in_child(NdartsNet *net) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        exit(use_copy(net) ? 0 : 1);
    }
    expect(waitpid(child, &status, 0) == child && status == 0, "a forked child uses the net");
}

static void check_forks(void) {
    NdartsOptions options = {.size = sizeof options, .threads = 3};
    NdartsNet *net = NULL;
    pthread_t thread;
    expect(!ndarts_open(path, &options, &net, NULL) && !ndarts_set_weights(net, weights, NULL), "a net of 3 threads");
    in_child(net);
    calls_go_on = 1;
    pthread_create(&thread, NULL, use_until_told, net);
    for (int i = 0; i < 10; i++)
        in_child(net);
    calls_go_on = 0;
    pthread_join(thread, NULL);
    expect_same(net, "after forks");
    ndarts_close(net);
}

/* What no array can be is told, and nothing is read or written by it. */
static void check_arrays(NdartsNet *net) {
    float numbers[192 * 2];
    NdartsArray in = {.type = NDARTS_f32, .rank = 4, .shape = {1, 3, 8, 8}, .data = numbers};
    NdartsArray out = {.type = NDARTS_f32, .rank = 2, .shape = {1, 5}, .data = numbers};
    NdartsArray wrong[4] = {in, in, in, in};
    char *message = NULL;
    wrong[0].type = (NdartsType)99;
    wrong[1].rank = 400;
    wrong[2].rank = -1;
    wrong[3].shape[1] = INT64_MAX;
    for (int i = 0; i < 4; i++)
        expect_failure("array", ndarts_run_arrays(net, &wrong[i], &out, &message), NDARTS_ERROR_INPUT, &message,
                       "the array 'input' has no name, type, shape or numbers that can be");
    wrong[0] = (NdartsArray){.type = (NdartsType)99, .data = numbers};
    expect_failure("output", ndarts_run_arrays(net, &in, wrong, &message), NDARTS_ERROR_INPUT, &message, "f32 or f64");
    expect_failure("NULL", ndarts_run_arrays(net, NULL, NULL, &message), NDARTS_ERROR_INPUT, &message, "NULL");
    expect_failure("3 arrays", ndarts_set_parameters(net, NULL, 3, &message), NDARTS_ERROR_INPUT, &message,
                   "3 arrays, and they are NULL");
    expect_failure("-3 arrays", ndarts_set_parameters(net, &in, -3, &message), NDARTS_ERROR_INPUT, &message,
                   "-3 arrays");
    expect_failure("no place", ndarts_get_parameter(net, 0, NULL, &message), NDARTS_ERROR_INPUT, &message, "NULL");
    expect_failure("no net", run(NULL, 1, numbers, &message), NDARTS_ERROR_INPUT, &message, "the net is NULL");
    expect(ndarts_parameter(net, 0, NULL) == NDARTS_ERROR_INPUT && ndarts_input_count(NULL) == 0, "no place, no net");
    expect_same(net, "after arrays that cannot be");
}

/* Several parameters at once are what each is, and all or none. */
static void check_parameters(NdartsNet *net) {
    float first[162], second[6], alone[162];
    NdartsArray places[] = {{"conv.weight", NDARTS_f32, 4, {6, 3, 3, 3}, first},
                            {"1.weight", NDARTS_f32, 1, {6}, second}};
    NdartsTensor tensor = {.name = ""};
    int index = 0;
    char *message = NULL;
    while (!ndarts_parameter(net, index, &tensor) && strcmp(tensor.name, "conv.weight") != 0)
        index++;
    expect(!ndarts_get_parameters(net, places, 2, NULL) && !ndarts_get_parameter(net, index, alone, NULL) &&
               memcmp(first, alone, sizeof first) == 0,
           "several parameters");
    memset(first, 0, sizeof first);
    places[1].shape[0] = 7;
    expect_failure("a place of another shape", ndarts_get_parameters(net, places, 2, &message), NDARTS_ERROR_INPUT,
                   &message, "'1.weight' should have its type and shape");
    places[1].name = "strange";
    expect_failure("no parameter", ndarts_get_parameters(net, places, 2, &message), NDARTS_ERROR_INPUT, &message,
                   "'strange'");
    expect(first[0] == 0, "nothing is copied then");
}

static void check_structures(void) {
    const char *sets[] = {NULL};
    NdartsOptions options = {.size = sizeof options, .set_count = 2};
    NdartsEvaluate evaluate = {.size = sizeof evaluate, .path = path, .options = {.size = sizeof options}};
    NdartsDerive derive = {.size = sizeof derive, .path = "absent", .keep_ops = -1};
    NdartsNet *none;
    char *message = NULL, *text = NULL;
    expect_failure("2 sets", ndarts_open(path, &options, &none, &message), NDARTS_ERROR_INPUT, &message,
                   "2 options.sets, and they are NULL");
    options = (NdartsOptions){.size = sizeof options, .set_count = 1, .sets = sets};
    expect_failure("a set", ndarts_open(path, &options, &none, &message), NDARTS_ERROR_INPUT, &message,
                   "options.sets[0] is NULL");
    expect_failure("no place", ndarts_open(path, NULL, NULL, &message), NDARTS_ERROR_INPUT, &message, "NULL");
    evaluate.array_count = 3;
    expect_failure("3 weights", ndarts_evaluate(&evaluate, &text, &message), NDARTS_ERROR_INPUT, &message,
                   "3 arrays, and they are NULL");
    expect_failure("keep_ops", ndarts_derive(&derive, &text, &message), NDARTS_ERROR_INPUT, &message, "keep_ops -1");
    derive.keep_ops = 0, derive.epoch = -2;
    expect_failure("epoch", ndarts_derive(&derive, &text, &message), NDARTS_ERROR_INPUT, &message, "epoch -2");
    expect_failure("nothing", ndarts_derive(NULL, &text, &message), NDARTS_ERROR_INPUT, &message, "NULL");
    expect_failure("nothing", ndarts_evaluate(NULL, &text, &message), NDARTS_ERROR_INPUT, &message, "NULL");
    expect_failure("nothing", ndarts_search(NULL, &text, &message), NDARTS_ERROR_INPUT, &message, "NULL");
}

static int pass(NdartsNet *net, NdartsArray *in, int inputs, NdartsArray *out, int outputs, char **message) {
    const NdartsPass pass = {.size = sizeof pass,
                             .graph = "train-forward",
                             .input_count = inputs,
                             .output_count = outputs,
                             .inputs = in,
                             .outputs = out};
    return ndarts_pass(net, &pass, message);
}

/* Passes in training mode, which a module for inference has not. */
static void check_passes(void) {
    static float x[192], y[5];
    NdartsOptions options = {.size = sizeof options, .kind = "train", .threads = 1};
    NdartsArray in[] = {{"input", NDARTS_f32, 4, {1, 3, 8, 8}, x}, {"strange", NDARTS_f32, 1, {1}, x}};
    NdartsArray out = {"logits", NDARTS_f32, 2, {1, 5}, y};
    NdartsNet *net = NULL;
    char *message = NULL;
    if (strstr(path, ".so")) {
        expect_failure("a module for inference", ndarts_open(path, &options, &net, &message), NDARTS_ERROR_INPUT,
                       &message, "only infers");
        return;
    }
    expect(!ndarts_open(path, &options, &net, NULL) && !ndarts_initialize(net, 0, NULL) &&
               !pass(net, in, 1, &out, 1, NULL),
           "a pass");
    expect_failure("NULL", pass(net, NULL, 1, &out, 1, &message), NDARTS_ERROR_INPUT, &message, "1 inputs");
    expect_failure("NULL", pass(net, in, 1, NULL, 1, &message), NDARTS_ERROR_INPUT, &message, "1 outputs");
    expect_failure("-1", pass(net, in, -1, &out, 1, &message), NDARTS_ERROR_INPUT, &message, "-1 inputs");
    expect_failure("strange", pass(net, in, 2, &out, 1, &message), NDARTS_ERROR_INPUT, &message, "no input 'strange'");
    in[0].rank = 400;
    expect_failure("rank", pass(net, in, 1, &out, 1, &message), NDARTS_ERROR_INPUT, &message, "the array 'input'");
    expect_failure("no pass", ndarts_pass(net, NULL, &message), NDARTS_ERROR_INPUT, &message, "NULL");
    ndarts_close(net);
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
    check_arrays(net);
    check_parameters(net);
    check_structures();
    check_passes();
    check_forks();
    check_memory(net);
    ndarts_close(net);
    expect(strcmp(localeconv()->decimal_point, point) == 0, "the locale is what it was");
    printf("decimal point '%s'\n", point);
    printf("%s, %d failures\n", ndarts_version(), failures);
    return failures != 0;
}
