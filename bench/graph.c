/* graph.c: how long one run of one graph takes: inference, a training step, evaluation.
 *
 *     bench_graph TEXT [--graph infer|eval|train|search-alphas|search-weights] [--batch N] [--threads N] [--runs N] [--cpu-time]
 *                 [--set NAME=VALUE]...
 *
 * Prints best and median in milliseconds, images per second and the memory of the process. --cpu-time counts the
 * processor's time instead of the clock's: for comparing on a busy machine, with one thread. */
#include "base/diag.h"
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MAX_SETS = 32, MAX_RUNS = 10000 };

static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Pixels in [-1, 1), labels 0, 1, ..., 9, 0, ...; storage layout. Returns the number of inputs. */
static int make_inputs(RtProgram *p, GraphKind kind, int64_t batch, RtInput inputs[2]) {
    const RtTensorInfo *image = rt_input_info(p, kind, "input");
    int64_t count = batch;
    for (int i = 1; i < image->rank; i++) count *= image->shape[i];
    float *pixels = malloc((size_t)count * sizeof *pixels);
    int32_t *labels = malloc((size_t)batch * sizeof *labels);
    for (int64_t i = 0; i < count; i++) pixels[i] = (float)((i * 2654435761u >> 8) % 65536) / 32768.0f - 1.0f;
    for (int64_t i = 0; i < batch; i++) labels[i] = (int32_t)(i % 10);
    inputs[0] = (RtInput){"input", pixels};
    inputs[1] = (RtInput){"labels", labels};
    return rt_input_info(p, kind, "labels") ? 2 : 1;
}

static int measure(RtProgramOptions *options, int runs) {
    static double seconds[MAX_RUNS];
    Error error = {0};
    RtProgram *p = rt_program_open(options, &error);
    if (!p) return error_report(&error);
    GraphKind kind = options->kinds[0];
    RtInput inputs[2];
    int64_t batch = rt_program_batch(p);
    RtRun run = {.kind = kind, .batch = batch, .seed = 10, .lr = 0.025, .alphas_lr = 3e-4, .drop_keep = 0.9, .noise_decay = 1, .adam_bias1 = 0.5,
                 .adam_bias2 = 0.001, .inputs = inputs, .input_count = make_inputs(p, kind, batch, inputs)};
    for (int i = -3; i < runs; i++) {
        run.step = (uint64_t)(i + 4);
        double start = now();
        if (!rt_run(p, &run, &error)) return error_report(&error);
        if (i >= 0) seconds[i] = now() - start;
    }
    qsort(seconds, (size_t)runs, sizeof *seconds, compare_doubles);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%s batch %ld, %d threads: best %.3f ms, median %.3f ms, %.1f images/s; arenas %.1f MB, process at most %.1f MB\n", graph_kind_name(kind),
           (long)batch, rt_program_threads(p), 1e3 * seconds[0], 1e3 * seconds[runs / 2], (double)batch / seconds[runs / 2],
           (double)rt_program_memory(p) * 1e-6, (double)usage.ru_maxrss * 1024e-6);
    rt_program_close(p);
    return 0;
}

int main(int argc, char **argv) {
    static const char *sets[MAX_SETS];
    GraphKind kind = GRAPH_infer;
    RtProgramOptions options = {.sets = sets, .seed = 10, .batch = 1, .kinds = &kind, .kind_count = 1, .vector_bytes = RT_VECTOR_HOST};
    int runs = 20;
    bool ok = argc > 1;
    for (int i = 1; ok && i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (argv[i][0] != '-') options.path = argv[i];
        else if (!strcmp(argv[i], "--cpu-time")) clock_used = CLOCK_PROCESS_CPUTIME_ID;
        else if (!strcmp(argv[i], "--graph")) ok = graph_kind_parse(value, &kind), i++;
        else if (!strcmp(argv[i], "--batch")) options.batch = atol(value), i++;
        else if (!strcmp(argv[i], "--threads")) options.threads = atoi(value), i++;
        else if (!strcmp(argv[i], "--runs")) runs = atoi(value), i++;
        else if (!strcmp(argv[i], "--set") && options.set_count < MAX_SETS) sets[options.set_count++] = value, i++;
        else ok = false;
    }
    if (!ok || !options.path || runs < 1 || runs > MAX_RUNS)
        return fprintf(stderr, "usage: bench_graph TEXT [--graph KIND] [--batch N] [--threads N] [--runs N] [--cpu-time] [--set NAME=VALUE]...\n"), 1;
    return measure(&options, runs);
}
