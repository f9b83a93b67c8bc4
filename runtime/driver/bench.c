/* bench.c: passes on inputs that are made up, timed one by one. */
#include "runtime/driver/bench.h"

#include "base/clock.h"

#include "runtime/driver/step.h"

#include <math.h>
#include <stdlib.h>

enum { FEWEST = 10, MOST = 1000, SEED = 10, LABELS = 2 };

static int64_t count_elements(const RtTensorInfo *info, int64_t batch) {
    int64_t count = 1;
    for (int i = 0; i < info->rank; i++)
        count *= info->shape[i] == -1 ? batch : info->shape[i];
    return count;
}

/* Numbers in [-1, 1), or the first labels in turn. */
static void *make_input(const RtTensorInfo *info, int64_t batch, Arena *arena) {
    int64_t count = count_elements(info, batch);
    double *doubles = ARENA_ARRAY(arena, double, count);
    float *floats = (float *)doubles;
    int32_t *labels = (int32_t *)doubles;
    for (int64_t i = 0; i < count; i++) {
        double u = (double)((uint64_t)i * 2654435761u >> 8 & 0xffff) / 32768.0 - 1;
        if (info->type == TENSOR_i32)
            labels[i] = (int32_t)(i % LABELS);
        else if (info->type == TENSOR_f64)
            doubles[i] = u;
        else
            floats[i] = (float)u;
    }
    return doubles;
}

static RtRun make_run(RtProgram *program, GraphKind kind, Arena *arena) {
    const RtPosition start = {.epochs = 1, .steps = MOST};
    RtRun run = rt_step(kind, rt_program_settings(program), SEED, &start);
    run.batch = rt_program_batch(program);
    run.input_count = rt_input_count(program, kind);
    RtInput *inputs = ARENA_ARRAY(arena, RtInput, run.input_count);
    for (int i = 0; i < run.input_count; i++) {
        const RtTensorInfo *info = rt_input_info_at(program, kind, i);
        inputs[i] = (RtInput){info->name, make_input(info, run.batch, arena)};
    }
    run.inputs = inputs;
    return run;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool bench_graph(RtProgram *program, GraphKind kind, const BenchOptions *options, Arena *arena, BenchResult *result,
                 Error *error) {
    const clockid_t clock = options->cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    RtRun run = make_run(program, kind, arena);
    int most = options->repeats ? options->repeats : MOST;
    *result = (BenchResult){.seconds = ARENA_ARRAY(arena, double, most)};
    double all = 0;
    for (int i = -options->warm_up; i < most && (options->repeats || i < FEWEST || all < options->seconds); i++) {
        double begin = clock_read(clock);
        if (!rt_run(program, &run, error))
            return false;
        if (i < 0)
            continue;
        result->seconds[result->count] = clock_read(clock) - begin;
        all += result->seconds[result->count++];
    }
    qsort(result->seconds, (size_t)result->count, sizeof *result->seconds, compare_doubles);
    return true;
}

double bench_quantile(const BenchResult *result, double share) {
    int at = (int)ceil(share * result->count) - 1;
    return result->seconds[at < 0 ? 0 : at];
}
