/* ptx_count.c: counts what the kernels of a step do on a GPU, by running some blocks of each on the executor of PTX.
 *
 *     ptx_count TEXT GRAPH [BATCH [PRECISION]]
 *
 * The plan is walked as the runtime walks it; of each kernel and each number of blocks the first launch is run: a few
 * blocks, spread over the grid, in memory that is all zeros (where it is not touched it costs none). Prints a line of
 * JSON for each launch: what launches it waits for, by their numbers, its kernel, origin, calls, blocks and threads of all calls, the bytes and operations of
 * the plan, and what a block does on average: warp instructions by class, sectors of 32 bytes of global memory, turns of
 * shared memory. bench/ptx_count.py adds them up. */
#include "base/diag.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/device/nvrtc.h"
#include "runtime/driver/compilation.h"
#include "simt_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SAMPLES = 4, MOST_COUNTED = 4096, SKIPPED = 77 };

/* What a block of a kernel does, and of how many there are. */
typedef struct Counted {
    int kernel;
    unsigned blocks;
    SimtCount count;
} Counted;

typedef struct Counter {
    Arena *arena;
    const Plan *plan;
    const PlanGraph *graph;
    SimtModule *module;
    char *places[PLACE_prepared + 1], *inputs; /* by place; PLACE_input: NULL */
    NdRun run, *run_address;
    Counted counted[MOST_COUNTED];
    int counted_count;
} Counter;

static _Noreturn void die(const char *what, const char *detail) {
    fprintf(stderr, "ptx_count: %s %s\n", what, detail);
    exit(1);
}

/* ---- compiling ---- */

static const CgOutput *compile(Counter *c, int argc, char **argv, Compilation *text) {
    static GraphKind kind;
    static RtProgramOptions options;
    Error error = {ERROR_NONE, ""};
    if (argc < 3 || !graph_kind_parse(argv[2], &kind))
        die("usage:", "ptx_count TEXT GRAPH [BATCH [PRECISION]]");
    options =
        (RtProgramOptions){.path = argv[1], .kinds = &kind, .kind_count = 1, .batch = argc > 3 ? atoi(argv[3]) : 0};
    options.prefer = kind == GRAPH_search_alphas || kind == GRAPH_search_weights ? "search"
                     : kind == GRAPH_train                                       ? "train"
                                                                                 : "main";
    if (argc > 4 && !cg_precision_parse("PRECISION", argv[4], &options.precision, &error))
        die("usage:", error.message);
    *text = (Compilation){.arena = c->arena, .options = &options, .arch = "sm_90"};
    if (!compilation_load(text, &error) || !compilation_choose(text, &cg_target_cuda, &error))
        die("cannot compile", error.message);
    text->cg.unit_count = 1;
    if (!compilation_build(text, &error))
        die("cannot compile", error.message);
    return compilation_generate(text);
}

static void load_module(Counter *c, const char *source) {
    Error error = {ERROR_NONE, ""};
    char path[] = "/tmp/ptx-count-XXXXXX";
    void *ptx;
    size_t size;
    if (!cg_nvrtc_version(c->arena)) {
        fprintf(stderr, "ptx_count: there is no NVRTC\n");
        exit(SKIPPED);
    }
    close(mkstemp(path));
    if (!cg_nvrtc_compile(c->arena, source, "sm_90", NVRTC_ptx, &ptx, &size, &error) ||
        !file_write_atomic(path, ptx, size - 1, &error))
        die("no PTX:", error.message);
    c->module = simt_module_open(path);
    unlink(path);
    if (!c->module)
        die("cannot read the PTX:", simt_message());
}

/* ---- memory ---- */

static char *zeros(int64_t bytes) {
    void *memory = mmap(NULL, (size_t)bytes + (1 << 20), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        die("no memory", "");
    return memory;
}

static void make_memory(Counter *c) {
    const Plan *plan = c->plan;
    c->places[PLACE_state] = zeros(plan->state_bytes);
    c->places[PLACE_prepared] = zeros(plan->prepared_bytes);
    c->places[PLACE_work] = zeros(c->graph->work_bytes);
    c->places[PLACE_private] = zeros(c->graph->private_bytes * plan->batch);
    int64_t most = 0;
    for (int i = 0; i < c->graph->input_count; i++) {
        int64_t bytes = plan_tensor_bytes(plan, &c->graph->inputs[i], plan->batch);
        most = bytes > most ? bytes : most;
    }
    c->inputs = zeros(most);
    c->run = (NdRun){.seed = 1, .step = 1, .batch = plan->batch, .chunks = plan->chunks};
    for (int i = 0; i < ND_SCALAR_COUNT; i++)
        c->run.scalar[i] = 0.5;
    c->run_address = &c->run;
}

static int64_t address(const Counter *c, const PlanBuffer *b) {
    return (int64_t)(uintptr_t)(c->places[b->place] ? c->places[b->place] + b->offset : c->inputs);
}

/* ---- counting ---- */

static const SimtCount *count_launch(Counter *c, const PlanStep *step, unsigned blocks) {
    for (int i = 0; i < c->counted_count; i++)
        if (c->counted[i].kernel == step->kernel && c->counted[i].blocks == blocks)
            return &c->counted[i].count;
    int64_t row[256], private_bytes = c->graph->private_bytes, *rows = row;
    int at = 0;
    if (step->buffer_count + step->int_count > 256 || c->counted_count == MOST_COUNTED)
        die("too many", "arguments or kernels");
    for (int i = 0; i < step->buffer_count; i++)
        row[at++] = address(c, &step->buffers[i]);
    for (int i = 0; i < step->int_count; i++)
        row[at++] = step->ints[i];
    const unsigned grid[3] = {blocks, 1, 1}, block[3] = {ND_BLOCK_THREADS, 1, 1};
    void *arguments[] = {&rows, &c->run_address, &private_bytes};
    Counted *made = &c->counted[c->counted_count++];
    *made = (Counted){.kernel = step->kernel, .blocks = blocks};
    SimtKernel *kernel = simt_module_kernel(c->module, c->plan->kernels[step->kernel].name);
    unsigned apart = blocks > SAMPLES ? blocks / SAMPLES : 1;
    if (!kernel || !simt_count(kernel, grid, block, arguments, 0, apart / 2, apart, &made->count))
        die("cannot count:", simt_message());
    return &made->count;
}

static void print_text(const char *text) {
    putchar('"');
    for (; *text; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    putchar('"');
}

static void print_launch(const Counter *c, const PlanStep *step, int calls, unsigned blocks, const SimtCount *n) {
    const PlanKernel *k = &c->plan->kernels[step->kernel];
    printf("{\"waits\":[");
    for (int i = 0; i < step->wait_count; i++)
        printf("%s%d", i ? "," : "", step->waits[i]);
    printf("],\"kernel\":\"%s\",\"origin\":", k->name);
    print_text(k->origin);
    printf(",\"calls\":%d,\"blocks\":%u,\"bytes\":%lld,\"flops\":%lld,\"tensor\":%s", calls, blocks * (unsigned)calls,
           (long long)k->bytes * calls, (long long)k->flops * calls, k->tensor ? "true" : "false");
    for (int i = 0; i < simt_class_count(); i++)
        if (n->warps[i] > 0)
            printf(",\"%s\":%.6g", simt_class_name(i), n->warps[i] / n->blocks);
    printf(",\"lanes\":%.6g,\"sectors\":%.6g,\"asked\":%.6g,\"wavefronts\":%.6g}\n", n->lanes / n->blocks,
           n->sectors / n->blocks, n->bytes / n->blocks, n->wavefronts / n->blocks);
}

/* As the runtime does: neighbours with one kernel are started together. */
static void count_stage(Counter *c, const PlanStage *stage) {
    for (int j = 0, calls; j < stage->step_count; j += calls) {
        const PlanStep *step = &stage->steps[j];
        calls = plan_count_together(stage, j);
        int64_t outer = step->launch == LAUNCH_images   ? c->plan->batch
                        : step->launch == LAUNCH_chunks ? c->plan->chunks
                                                        : 1;
        unsigned blocks = (unsigned)((step->threads * outer + ND_BLOCK_THREADS - 1) / ND_BLOCK_THREADS);
        blocks = blocks ? blocks : 1;
        print_launch(c, step, calls, blocks, count_launch(c, step, blocks));
    }
}

int main(int argc, char **argv) {
    static Counter c;
    Compilation text;
    c.arena = arena_create();
    const CgOutput *output = compile(&c, argc, argv, &text);
    c.plan = output->plan;
    c.graph = &c.plan->graphs[0];
    load_module(&c, output->units[0]);
    make_memory(&c);
    for (int i = 0; i < c.graph->stage_count; i++)
        count_stage(&c, &c.graph->stages[i]);
    return 0;
}
