/* search_step.c: how long one search step takes (alphas, then weights), beside the machine's peak in the same run.
 *
 *     search_step [SPEC] [--batch N] [--threads N] [--steps N] [--macs N] [--cpu-time] [--precision P]
 *                 [--set NAME=VALUE]...
 *
 * --cpu-time counts the processor's time instead of the clock's: for comparing on a busy machine, with one thread.
 *
 * Prints the time of the best and the median step, the time of each half, GFLOP/s of useful work (recomputation not counted: the
 * multiply-adds of the forward pass, times 2 for flops, times 2 for the alphas' half (forward, gradient of the data) and 3 for the weights'; of a search
 * of second order the alphas' half is two passes of each kind), the share of the peak, and the memory of the process. */
#include "base/clock.h"
#include "base/diag.h"
#include "runtime/device/machine.h"
#include "runtime/driver/runtime.h"
#include "runtime/driver/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_SETS = 32, MAX_STEPS = 1000 };

static clockid_t clock_used = CLOCK_MONOTONIC;

/* ---- the step ---- */
typedef struct Bench {
    RtProgram *program;
    int64_t batch;
    RtInput inputs[4];
    GraphKind alphas; /* search-alphas or search-second */
} Bench;

/* Uniform images in [-1, 1) and labels, storage layout. */
static void make_inputs(Bench *b) {
    const RtTensorInfo *image = rt_input_info(b->program, GRAPH_search_weights, "input");
    int64_t count = b->batch;
    for (int i = 1; i < image->rank; i++)
        count *= image->shape[i];
    float *pixels = malloc((size_t)count * sizeof *pixels);
    int32_t *labels = malloc((size_t)b->batch * sizeof *labels);
    for (int64_t i = 0; i < count; i++)
        pixels[i] = (float)((i * 2654435761u >> 8) % 65536) / 32768.0f - 1.0f;
    for (int64_t i = 0; i < b->batch; i++)
        labels[i] = (int32_t)(i % 10);
    b->inputs[0] = (RtInput){"input", pixels};
    b->inputs[1] = (RtInput){"labels", labels};
    b->inputs[2] = (RtInput){"input_valid", pixels};
    b->inputs[3] = (RtInput){"labels_valid", labels};
}

static double run_half(Bench *b, GraphKind kind, int64_t taken, Error *error) {
    const RtPosition at = {
        .epochs = 1, .step = taken, .steps = MAX_STEPS, .global_step = taken, .alphas_updates = taken};
    double start = clock_read(clock_used);
    RtRun run = rt_step(kind, rt_program_settings(b->program), 10, &at);
    run.batch = b->batch;
    run.input_count = kind == GRAPH_search_second ? 4 : 2;
    run.inputs = b->inputs;
    if (!rt_run(b->program, &run, error))
        return -1;
    return clock_read(clock_used) - start;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Multiply-adds of one image's forward pass, from the search space: given on the command line since the bench only times. */
static int run(const RtProgramOptions *options, int steps, double macs) {
    Error error = {0};
    double opened = clock_read(clock_used);
    Bench b = {.program = rt_program_open(options, &error), .batch = options->batch, .alphas = options->kinds[0]};
    if (!b.program)
        return error_report(&error);
    opened = clock_read(clock_used) - opened;
    make_inputs(&b);
    double alphas[MAX_STEPS], weights[MAX_STEPS], both[MAX_STEPS];
    for (int s = -2; s < steps; s++) {
        double a = run_half(&b, b.alphas, s + 2, &error);
        double w = a < 0 ? -1 : run_half(&b, GRAPH_search_weights, s + 2, &error);
        if (w < 0)
            return error_report(&error);
        if (s >= 0)
            alphas[s] = a, weights[s] = w, both[s] = a + w;
    }
    qsort(alphas, (size_t)steps, sizeof *alphas, compare_doubles);
    qsort(weights, (size_t)steps, sizeof *weights, compare_doubles);
    qsort(both, (size_t)steps, sizeof *both, compare_doubles);
    double peak = machine_measure_peak(rt_program_threads(b.program));
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double work = 2 * macs * (double)b.batch * (b.alphas == GRAPH_search_second ? 2 * (2 + 3) + 3 : 2 + 3);
    printf("module            %s\n", rt_program_identity(b.program));
    printf("open              %.2f s\n", opened);
    printf("search step       best %.3f s, median %.3f s (alphas %.3f s, weights %.3f s), batch %ld, %d threads\n",
           both[0], both[steps / 2], alphas[steps / 2], weights[steps / 2], (long)b.batch,
           rt_program_threads(b.program));
    printf("useful work       %.1f GFLOP, %.1f GFLOP/s; FMA peak %.0f GFLOP/s; share %.1f %%\n", work * 1e-9,
           work * 1e-9 / both[steps / 2], peak * 1e-9, 100 * work / both[steps / 2] / peak);
    printf("memory            state and arenas %.1f MB, process at most %.1f MB resident\n",
           (double)rt_program_memory(b.program) * 1e-6, (double)usage.ru_maxrss * 1024e-6);
    rt_program_close(b.program);
    return 0;
}

/* What moves the alphas of the text. */
static bool choose_alphas(const RtProgramOptions *options, GraphKind *kind) {
    Error error = {0};
    Arena *arena = arena_create();
    const IrModule *text = rt_text_load_options(arena, options, &error);
    const Settings settings = text ? settings_read(text) : (Settings){0};
    *kind = settings_alphas_graph(&settings);
    arena_destroy(arena);
    return text || error_report(&error) == 0;
}

int main(int argc, char **argv) {
    GraphKind kinds[] = {GRAPH_search_alphas, GRAPH_search_weights};
    const char *sets[MAX_SETS];
    RtProgramOptions options = {.path = "specs/noisy_darts_a.nd",
                                .sets = sets,
                                .seed = 10,
                                .batch = 16,
                                .kinds = kinds,
                                .kind_count = 2,
                                .vector_bytes = RT_VECTOR_HOST};
    int steps = 10;
    double macs = 300e6;
    Error error = {0};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (argv[i][0] != '-')
            options.path = argv[i];
        else if (!strcmp(argv[i], "--batch"))
            options.batch = atol(value), i++;
        else if (!strcmp(argv[i], "--threads"))
            options.threads = atoi(value), i++;
        else if (!strcmp(argv[i], "--steps"))
            steps = atoi(value), i++;
        else if (!strcmp(argv[i], "--macs"))
            macs = atof(value), i++;
        else if (!strcmp(argv[i], "--cpu-time"))
            clock_used = CLOCK_PROCESS_CPUTIME_ID;
        else if (!strcmp(argv[i], "--precision")) {
            if (!cg_precision_parse("--precision", value, &options.precision, &error))
                return error_report(&error);
            i++;
        } else if (!strcmp(argv[i], "--set") && options.set_count < MAX_SETS)
            sets[options.set_count++] = value, i++;
        else
            return fprintf(stderr, "usage: search_step [SPEC] [--batch N] [--threads N] [--steps N] [--macs N] "
                                   "[--cpu-time] [--precision P] [--set NAME=VALUE]...\n"),
                   1;
    }
    if (steps < 1 || steps > MAX_STEPS)
        steps = 10;
    return choose_alphas(&options, &kinds[0]) ? run(&options, steps, macs) : 1;
}
