/* steps.c: how long one run of each step graph takes, on any device.
 *
 *     bench_steps TEXT GRAPH[,GRAPH...] [--device D] [--batch N] [--steps N] [--threads N] [--cpu-time]
 *                 [--precision f32|f64|tf32|bf16] [--mem-budget MEGABYTES] [--set NAME=VALUE]... [--profile TRACE|-] [--no-cudnn]
 *
 * Prints one line of JSON for each graph: the median and the best time of a run that copies its inputs to the device
 * and waits for its end, images per second, what opening took, the memory of the arenas and the most that the process
 * has had resident. The first three runs are not counted. --cpu-time counts the processor's time instead of the
 * clock's: for comparing on a busy machine, with one thread. --profile adds tables of kernels, on stderr; --no-cudnn
 * computes everything with our own kernels. */
#include "base/diag.h"
#include "base/str.h"
#include "runtime/device/cudnn.h"
#include "runtime/driver/runtime.h"
#include "runtime/driver/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MAX_SETS = 32, MAX_INPUTS = 4, WARM_UP = 3, MAX_STEPS = 10000 };

typedef struct Bench {
    RtProgramOptions options;
    GraphKind kinds[GRAPH_KIND_COUNT];
    const char *sets[MAX_SETS];
    int steps;
    const char *profile; /* where to write the trace, "-": nowhere; NULL: nothing is timed */
    RtProgram *program;
    double opened; /* seconds */
} Bench;

static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t count_elements(const RtTensorInfo *info, int64_t batch) {
    int64_t count = 1;
    for (int i = 0; i < info->rank; i++)
        count *= info->shape[i] == -1 ? batch : info->shape[i];
    return count;
}

/* Numbers in [-1, 1), or labels from 0 to 9. */
static void *make_input(const RtTensorInfo *info, int64_t batch) {
    int64_t count = count_elements(info, batch);
    char *data = malloc((size_t)count * 8);
    for (int64_t i = 0; data && i < count; i++) {
        double u = (double)((uint64_t)i * 2654435761u >> 8 & 0xffff) / 32768.0 - 1;
        if (info->type == TENSOR_i32)
            ((int32_t *)data)[i] = (int32_t)(i % 10);
        else if (info->type == TENSOR_f64)
            ((double *)data)[i] = u;
        else
            ((float *)data)[i] = (float)u;
    }
    return data;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool run_once(const Bench *b, GraphKind kind, int count, const RtInput *inputs, int64_t taken, Error *error) {
    const RtPosition at = {
        .epochs = 1, .step = taken, .steps = MAX_STEPS, .global_step = taken, .alphas_updates = taken};
    RtRun run = rt_step(kind, rt_program_settings(b->program), 10, &at);
    run.batch = rt_program_batch(b->program);
    run.input_count = count;
    run.inputs = inputs;
    return rt_run(b->program, &run, error);
}

static void print_line(const Bench *b, GraphKind kind, double *seconds) {
    qsort(seconds, (size_t)b->steps, sizeof *seconds, compare_doubles);
    double median = seconds[b->steps / 2];
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    int64_t batch = rt_program_batch(b->program);
    printf(
        "{\"text\": \"%s\", \"graph\": \"%s\", \"device\": \"%s\", \"precision\": \"%s\", \"batch\": %lld, "
        "\"median_s\": %.6g, \"best_s\": "
        "%.6g, "
        "\"images_per_s\": %.6g, \"memory_mb\": %.1f, \"resident_mb\": %.1f, \"open_s\": %.3f, \"module\": \"%s\"}\n",
        b->options.path, graph_kind_name(kind), b->options.device ? b->options.device : "cpu",
        cg_precision_name(b->options.precision), (long long)batch, median, seconds[0], (double)batch / median,
        (double)rt_program_memory(b->program) / 1e6, (double)usage.ru_maxrss * 1024e-6, b->opened,
        rt_program_identity(b->program));
    fflush(stdout);
}

static bool time_graph(const Bench *b, GraphKind kind, Error *error) {
    RtInput inputs[MAX_INPUTS];
    int count = rt_input_count(b->program, kind);
    bool ok = count <= MAX_INPUTS || error_set(error, ERROR_INPUT, "more inputs than this program makes");
    for (int i = 0; ok && i < count; i++) {
        const RtTensorInfo *info = rt_input_info_at(b->program, kind, i);
        inputs[i] = (RtInput){info->name, make_input(info, rt_program_batch(b->program))};
    }
    double *seconds = calloc((size_t)b->steps, sizeof *seconds);
    for (int s = -WARM_UP; ok && s < b->steps; s++) {
        double begin = now();
        ok = run_once(b, kind, count, inputs, s + WARM_UP, error);
        if (s >= 0)
            seconds[s] = now() - begin;
    }
    if (ok)
        print_line(b, kind, seconds);
    free(seconds);
    return ok;
}

static bool parse_kinds(Bench *b, char *list, Error *error) {
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
        if (b->options.kind_count == GRAPH_KIND_COUNT || !graph_kind_parse(name, &b->kinds[b->options.kind_count++]))
            return error_set(error, ERROR_INPUT, "unknown graph '%s'", name);
    }
    return true;
}

static bool parse_option(Bench *b, const char *name, const char *value) {
    if (str_equal(name, "--device"))
        b->options.device = value;
    else if (str_equal(name, "--batch"))
        b->options.batch = atol(value);
    else if (str_equal(name, "--steps"))
        b->steps = atoi(value);
    else if (str_equal(name, "--threads"))
        b->options.threads = atoi(value);
    else if (str_equal(name, "--precision"))
        return cg_precision_parse(name, value, &b->options.precision, &(Error){ERROR_NONE, ""});
    else if (str_equal(name, "--mem-budget"))
        b->options.memory_budget = atol(value) * 1000000;
    else if (str_equal(name, "--profile"))
        b->profile = value;
    else if (str_equal(name, "--set") && b->options.set_count < MAX_SETS)
        b->sets[b->options.set_count++] = value;
    else
        return false;
    return true;
}

static bool parse(Bench *b, int argc, char **argv, Error *error) {
    if (argc < 3)
        return error_set(error, ERROR_INPUT,
                         "usage: bench_steps TEXT GRAPH[,GRAPH...] [--device D] [--batch N] [--steps N] ...");
    b->options.path = argv[1];
    for (int i = 3; i < argc; i += 2) {
        if (str_equal(argv[i], "--cpu-time")) {
            clock_used = CLOCK_PROCESS_CPUTIME_ID;
            i--;
        } else if (str_equal(argv[i], "--no-cudnn")) {
            cudnn_forbid();
            i--;
        } else if (i + 1 == argc || !parse_option(b, argv[i], argv[i + 1]))
            return error_set(error, ERROR_INPUT, "unknown option '%s', or one without a value", argv[i]);
    }
    b->steps = b->steps < 1 || b->steps > MAX_STEPS ? 20 : b->steps;
    return parse_kinds(b, argv[2], error);
}

int main(int argc, char **argv) {
    Bench b = {.steps = 20, .options = {.seed = 10, .batch = 64, .vector_bytes = RT_VECTOR_HOST}};
    Error error = {ERROR_NONE, ""};
    b.options.kinds = b.kinds;
    b.options.sets = b.sets;
    bool ok = parse(&b, argc, argv, &error);
    double begin = now();
    ok = ok && (b.program = rt_program_open(&b.options, &error));
    b.opened = now() - begin;
    if (ok && b.profile)
        rt_profile_begin(b.program);
    for (int i = 0; ok && i < b.options.kind_count; i++)
        ok = time_graph(&b, b.kinds[i], &error);
    if (ok && b.profile)
        ok = rt_profile_end(b.program, stderr, str_equal(b.profile, "-") ? NULL : b.profile, &error);
    rt_program_close(b.program);
    return ok ? 0 : error_report(&error);
}
