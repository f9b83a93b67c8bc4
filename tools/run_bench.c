/* run_bench.c: `ndarts-run bench`: how fast the graphs of a text or module are here, at each batch, and what memory they take. */
#include "tools/ndarts_run.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "runtime/driver/bench.h"
#include "runtime/driver/weights.h"
#include "runtime/loops/progress.h"

#include <sys/resource.h>

typedef struct Bench {
    const Options *o;
    RtProgramOptions program;
    BenchOptions options;
} Bench;

/* Of the whole process, at most so far. */
static double resident_mb(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024e-6;
}

static const char *device_of(const Options *o) {
    return o->device ? o->device : "cpu";
}

static void print_json(const Bench *b, const RtProgram *program, GraphKind kind, const BenchResult *r, double opened) {
    int64_t batch = rt_program_batch(program);
    double median = bench_quantile(r, 0.5);
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:I, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:s}",
                             "text", b->program.path, "graph", graph_kind_name(kind), "device", device_of(b->o),
                             "precision", cg_precision_name(rt_program_precision(program)), "batch", (json_int_t)batch,
                             "threads", rt_program_threads(program), "warm_up", b->options.warm_up, "repeats", r->count,
                             "best_s", bench_quantile(r, 0), "median_s", median, "p90_s", bench_quantile(r, 0.9),
                             "p99_s", bench_quantile(r, 0.99), "images_per_s", (double)batch / median, "memory_mb",
                             (double)rt_program_memory(program) / 1e6, "resident_mb", resident_mb(), "open_s", opened,
                             "module", rt_program_identity(program));
    puts(json_print(b->o->arena, json, 0));
    json_decref(json);
}

static void print_heading(const RtProgram *program, const Options *o) {
    printf("%s, %s, %d threads\n%-14s %6s %10s %10s %10s %10s %10s %7s %9s\n", device_of(o),
           cg_precision_name(rt_program_precision(program)), rt_program_threads(program), "graph", "batch", "images/s",
           "best ms", "median", "90 %", "99 %", "passes", "memory");
}

static void print_row(const RtProgram *program, GraphKind kind, const BenchResult *r) {
    double median = bench_quantile(r, 0.5);
    int64_t batch = rt_program_batch(program);
    printf("%-14s %6lld %10.1f %10.3f %10.3f %10.3f %10.3f %7d %6.1f MB\n", graph_kind_name(kind), (long long)batch,
           (double)batch / median, 1e3 * bench_quantile(r, 0), 1e3 * median, 1e3 * bench_quantile(r, 0.9),
           1e3 * bench_quantile(r, 0.99), r->count, (double)rt_program_memory(program) / 1e6);
}

static bool time_program(const Bench *b, RtProgram *program, double opened, bool first, Error *error) {
    const Options *o = b->o;
    if (o->profile)
        rt_profile_begin(program);
    if (first && !o->json)
        print_heading(program, o);
    for (GraphKind kind = 0; kind < GRAPH_KIND_COUNT; kind++) {
        BenchResult result;
        if (!rt_has_graph(program, kind))
            continue;
        if (!bench_graph(program, kind, &b->options, o->arena, &result, error))
            return false;
        if (o->json)
            print_json(b, program, kind, &result, opened);
        else
            print_row(program, kind, &result);
        fflush(stdout);
    }
    return !o->profile || rt_profile_end(program, stderr, *o->profile ? o->profile : NULL, error);
}

/* One batch; 0: the text's or module's own. */
static bool time_batch(Bench *b, int64_t batch, bool first, Error *error) {
    double begin = clock_now();
    b->program.batch = batch;
    RtProgram *program = rt_program_open(&b->program, error);
    bool ok = program && (!b->o->weights || weights_load(program, b->program.path, b->o->weights, error)) &&
              time_program(b, program, clock_now() - begin, first, error);
    rt_program_close(program);
    return ok;
}

static bool check(const Options *o, Error *error) {
    const char *net = options_input(o);
    if (!net)
        return error_set(error, ERROR_INPUT,
                         "bench needs a text or module, for example  ndarts-run bench genotypes/noisy_darts_a.nd");
    return !rt_is_module_file(net) || (!o->batches.items && !o->graphs.items) ||
           error_set(error, ERROR_INPUT, "--batch and --graph are for texts: %s was compiled for what it has", net);
}

bool run_bench(const Options *o, Error *error) {
    GraphKind kinds[GRAPH_KIND_COUNT];
    Bench b = {.o = o, .program = options_program(o), .options = {(int)o->warm_up, (int)o->repeats, 1, o->cpu_time}};
    b.program.kinds = kinds;
    b.program.memory_budget = o->memory_budget;
    if (!check(o, error) || !options_graph_kinds(o, kinds, &b.program.kind_count, error) ||
        !options_recipe(o, &b.program.recipe, error))
        return false;
    if (!o->batches.count)
        return time_batch(&b, 0, true, error);
    for (int i = 0; i < o->batches.count; i++) {
        int64_t batch;
        if (!options_parse_int("--batch", o->batches.items[i], 1, 1 << 20, &batch, error) ||
            !time_batch(&b, batch, i == 0, error))
            return false;
    }
    return true;
}
