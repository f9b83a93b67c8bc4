/* card.c: what a card does by itself, without any module: how fast it copies, and what the launch of a kernel costs in a
 * captured graph: one after the other, in levels of which each launch waits for the whole level before, and with
 * programmatic launch, where the next kernel is brought while the one before it ends.
 *
 *     bench_card [--device cuda:N] [--bytes N] [--launches N]
 *
 * Prints one line of JSON for each. Bytes (8e9): of the copy; less when the card has not twice as much free.
 * Launches (600): of each graph. The best of several runs counts. */
#include "base/clock.h"
#include "base/diag.h"
#include "base/str.h"
#include "runtime/device/cuda_capture.h"
#include "runtime/device/cuda_empty.h"
#include "runtime/device/profile.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Card {
    CudaApi api;
    void *stream;
    CudaEmpty empty;
    int number, launches;
    size_t bytes;
} Card;

enum { TIMES = 5, WIDE = 8 };

/* ---- copying ---- */

static bool copy_once(const Card *c, void *to, const void *from, size_t bytes) {
    return c->api.MemcpyAsync(to, from, bytes, CUDA_ON_DEVICE, c->stream) == CUDA_SUCCESS &&
           c->api.StreamSynchronize(c->stream) == CUDA_SUCCESS;
}

static bool time_copy(const Card *c, void *to, const void *from, size_t bytes, Error *error) {
    double best = 1e9;
    for (int i = 0; i < TIMES; i++) {
        double begin = clock_now();
        if (!copy_once(c, to, from, bytes))
            return error_set(error, ERROR_MACHINE, "copying %zu bytes on the GPU failed", bytes);
        double seconds = clock_now() - begin;
        best = seconds < best ? seconds : best;
    }
    printf("{\"measure\": \"copy\", \"gb\": %.3f, \"ms\": %.4f, \"gb_per_s\": %.1f}\n", 1e-9 * (double)bytes,
           1e3 * best, 2e-9 * (double)bytes / best);
    return true;
}

/* Each byte is read and written. */
static bool measure_copy(const Card *c, Error *error) {
    size_t available = 0, total = 0, bytes = c->bytes;
    void *to = NULL, *from = NULL;
    c->api.MemGetInfo(&available, &total);
    bytes = bytes < available * 2 / 5 ? bytes : available * 2 / 5;
    bool ok = cuda_check(&c->api, c->api.Malloc(&to, bytes), "taking memory", error) &&
              cuda_check(&c->api, c->api.Malloc(&from, bytes), "taking memory", error) &&
              cuda_check(&c->api, c->api.MemsetAsync(from, 1, bytes, c->stream), "clearing memory", error) &&
              time_copy(c, to, from, bytes, error);
    c->api.Free(to);
    c->api.Free(from);
    return ok;
}

/* ---- launching ---- */

static bool launch(const Card *c, Error *error) {
    CudaDim one = {1, 1, 1};
    return cuda_check(&c->api, c->api.LaunchKernel(c->empty.kernel, one, one, NULL, 0, c->stream), "an empty kernel",
                      error);
}

static bool put_chain(const Card *c, int width, Error *error) {
    (void)width;
    bool ok = true;
    for (int i = 0; ok && i < c->launches; i++)
        ok = launch(c, error);
    return ok;
}

/* Levels of `width` launches each. */
static bool put_levels(const Card *c, int width, Error *error) {
    Arena *arena = arena_create();
    CudaNodes before = {0};
    bool ok = true;
    for (int i = 0; ok && i < c->launches / width; i++) {
        CudaNodes level = {0};
        for (int j = 0; ok && j < width; j++)
            ok = cuda_capture_after(&c->api, c->stream, &before, error) && launch(c, error) &&
                 cuda_capture_last(&c->api, c->stream, arena, &level, error);
        before = level;
    }
    arena_destroy(arena);
    return ok;
}

static bool put_programmatic(const Card *c, int width, Error *error) {
    CudaAttribute early = {.id = CUDA_PROGRAMMATIC_LAUNCH, .value = {1}};
    CudaLaunch how = {{1, 1, 1}, {1, 1, 1}, 0, c->stream, &early, (unsigned)width};
    bool ok = true;
    for (int i = 0; ok && i < c->launches; i++)
        ok = cuda_check(&c->api, c->api.LaunchKernelExC(&how, c->empty.early, NULL), "a programmatic launch", error);
    return ok;
}

typedef bool Put(const Card *c, int width, Error *error);

/* Seconds of a run; negative when it failed. */
static double time_graph(const Card *c, void *graph) {
    double best = -1;
    for (int i = 0; i <= TIMES; i++) { /* the first brings the graph to the GPU */
        double begin = clock_now();
        if (c->api.GraphLaunch(graph, c->stream) != CUDA_SUCCESS || c->api.StreamSynchronize(c->stream) != CUDA_SUCCESS)
            return -1;
        double seconds = clock_now() - begin;
        best = i == 1 || seconds < best ? seconds : best;
    }
    return best;
}

/* What cannot be done here is said in the line. */
static void measure_graph(Card *c, const char *name, Put *put, int width, int levels) {
    Error error = {ERROR_NONE, ""};
    void *graph = NULL;
    bool ok = cuda_capture_begin(&c->api, c->stream, &error);
    ok = ok && cuda_capture_end(&c->api, c->stream, put(c, width, &error), &graph, &error);
    double seconds = ok ? time_graph(c, graph) : -1;
    if (seconds >= 0)
        printf("{\"measure\": \"%s\", \"launches\": %d, \"levels\": %d, \"ms\": %.4f, \"us_per_level\": %.3f}\n", name,
               c->launches, levels, 1e3 * seconds, 1e6 * seconds / levels);
    else
        printf("{\"measure\": \"%s\", \"failed\": \"%s\"}\n", name, *error.message ? error.message : "it does not run");
    fflush(stdout);
    if (graph)
        c->api.GraphExecDestroy(graph);
    if (!ok)
        cuda_stream_renew(&c->api, &c->stream, &error);
}

static void measure_launches(Card *c) {
    int one = c->launches, wide = c->launches / WIDE, two = c->launches / 2;
    measure_graph(c, "chain", put_chain, 1, one);
    measure_graph(c, "levels of 2 launches", put_levels, 2, two);
    measure_graph(c, "levels of 8 launches", put_levels, WIDE, wide);
    if (c->empty.early && c->api.LaunchKernelExC) {
        measure_graph(c, "chain of kernels that may begin early, launched plainly", put_programmatic, 0, one);
        measure_graph(c, "programmatic launch", put_programmatic, 1, one);
    }
}

/* ---- the program ---- */

static bool open_card(Card *c, Error *error) {
    int count;
    const char *arch;
    Arena *arena = arena_create();
    bool ok = cuda_api_load(&c->api, error) && cuda_api_count_devices(&c->api, &count, error) &&
              cuda_check(&c->api, c->api.SetDevice(c->number), "opening the GPU", error) &&
              cuda_api_arch(&c->api, c->number, arena, &arch, error) && cuda_stream_open(&c->api, &c->stream, error) &&
              cuda_empty_open(&c->api, arch, &c->empty, error);
    if (ok)
        printf("{\"measure\": \"card\", \"name\": \"%s\", \"arch\": \"%s\", \"launch_us\": %.3f}\n",
               cuda_api_device_name(&c->api, c->number, arena), arch,
               1e6 * cuda_empty_seconds(&c->api, &c->empty, c->stream));
    arena_destroy(arena);
    return ok &&
           (cuda_api_has_graphs(&c->api) || error_set(error, ERROR_MACHINE, "this runtime cannot capture graphs"));
}

static bool parse(Card *c, int argc, char **argv, Error *error) {
    bool ok = true;
    for (int i = 1; ok && i < argc; i += 2) {
        ok = i + 1 < argc;
        if (ok && str_equal(argv[i], "--device"))
            c->number = str_starts_with(argv[i + 1], "cuda:") ? atoi(argv[i + 1] + 5) : 0;
        else if (ok && str_equal(argv[i], "--bytes"))
            c->bytes = (size_t)atof(argv[i + 1]);
        else if (ok && str_equal(argv[i], "--launches"))
            c->launches = atoi(argv[i + 1]);
        else
            ok = false;
    }
    return (ok && c->launches >= WIDE && c->bytes > 0) ||
           error_set(error, ERROR_INPUT, "usage: bench_card [--device cuda:N] [--bytes N] [--launches N]");
}

int main(int argc, char **argv) {
    Card c = {.launches = 600, .bytes = 8000000000};
    Error error = {ERROR_NONE, ""};
    bool ok = parse(&c, argc, argv, &error) && open_card(&c, &error) && measure_copy(&c, &error);
    fflush(stdout);
    if (ok)
        measure_launches(&c);
    if (c.api.library) {
        cuda_empty_close(&c.api, &c.empty);
        cuda_stream_close(&c.api, &c.stream);
    }
    return ok ? 0 : error_report(&error);
}
