/* codegen_harness.h: for tests of codegen/: a graph from text, generated, compiled by gcc, loaded, and run by a walk
 * over the plan on one thread. Graphs come without annotations: here every value gets memory, a stage and an offset of
 * its own. */
#ifndef NDARTS_TESTS_CODEGEN_HARNESS_H
#define NDARTS_TESTS_CODEGEN_HARNESS_H

#include "base/str.h"
#include "codegen/codegen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HARNESS_BATCH = 5, HARNESS_CHUNKS = 3 };

typedef struct Harness {
    Arena *arena;
    CgOptions options;
    IrModule *module;
    IrGraph *graph;
    json_t *plan;
    NdKernel *const *kernels;
    char *state, *work, *private, *prepared, *scratch;
    void *inputs[16];
    NdRun run;
} Harness;

static inline CgOptions harness_options(int vector_bytes, CgPrecision precision) {
    return (CgOptions){.target = &cg_target_c,
                       .precision = precision,
                       .vector_bytes = vector_bytes,
                       .plain = vector_bytes == 0,
                       .unit_count = 2,
                       .batch = HARNESS_BATCH,
                       .chunks = HARNESS_CHUNKS};
}

static inline IrModule *harness_parse(Arena *arena, const char *text) {
    SourceFile *source = ARENA_NEW(arena, SourceFile);
    *source = (SourceFile){"test.ir", text, strlen(text)};
    IrModule *module = ir_parse_module(arena, source, diag_create(arena, stderr));
    assert_non_null(module);
    return module;
}

static inline void harness_add_param(IrModule *module, const IrNode *node) {
    const char *name = ir_attr_get_string(node, "name", "");
    if (!ir_module_find_param(module, name))
        ir_module_add_param(module, (IrParam){.name = name, .type = node->type});
}

/* Every node but constants and run-time scalars in memory, one stage each. */
static inline void harness_annotate(IrGraph *graph, const CgOptions *options) {
    int stage = 0;
    int64_t offset = 0;
    for (IrNode *n = graph->first; n; n = n->next) {
        n->inlined = n->op == OP_constant || n->op == OP_scalar;
        if (n->op == OP_param)
            harness_add_param(graph->module, n);
        if (n->inlined || n->op == OP_param || n->op == OP_input)
            continue;
        n->stage = stage++;
        n->place = PLACE_work;
        n->offset = offset;
        int64_t size = n->type.dtype == DTYPE_u8 ? 1 : options->precision == PRECISION_f64 ? 8 : 4;
        offset += (ir_type_count(&n->type, options->batch, options->chunks) * size + 63) / 64 * 64;
    }
}

static inline char *harness_memory(Arena *arena, int64_t size) {
    char *memory = arena_alloc(arena, (size_t)size + 128);
    return memory + (64 - (uintptr_t)memory % 64);
}

/* All plans that were read, until harness_end gives them back with the arena. */
static json_t *harness_plans;

static inline json_t *harness_keep(json_t *plan) {
    assert_non_null(plan);
    harness_plans = harness_plans ? harness_plans : json_array();
    assert_int_equal(json_array_append_new(harness_plans, plan), 0);
    return plan;
}

static inline void harness_end(Arena *arena) {
    json_decref(harness_plans);
    harness_plans = NULL;
    arena_destroy(arena);
}

static inline void harness_compile(Harness *h, const CgOutput *output, const char *flags) {
    char folder[] = "/tmp/ndarts-codegen-XXXXXX";
    assert_non_null(mkdtemp(folder));
    Str command = str_create(h->arena);
    str_addf(&command, "gcc -w -std=gnu11 -O1 -shared -fPIC %s -o %s/m.so", flags, folder);
    for (int i = 0; i < output->unit_count; i++) {
        const char *path = arena_printf(h->arena, "%s/u%d.c", folder, i);
        FILE *file = fopen(path, "w");
        fputs(output->units[i], file);
        fclose(file);
        str_addf(&command, " %s", path);
    }
    str_add(&command, " -lm");
    if (system(command.data))
        fail_msg("%s failed", command.data);
    void *library = dlopen(arena_printf(h->arena, "%s/m.so", folder), RTLD_NOW);
    if (!library)
        fail_msg("%s", dlerror());
    h->kernels = dlsym(library, "nd_kernels");
    const unsigned char *plan = dlsym(library, "nd_plan");
    assert_memory_equal(plan, "ndplan\0\1", 8);
    uint64_t length;
    memcpy(&length, plan + 8, 8);
    h->plan = harness_keep(json_loadb((const char *)plan + 16, length, 0, NULL));
    system(arena_printf(h->arena, "rm -r %s", folder));
}

static inline int64_t harness_int(json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static inline Harness *harness_generate(Arena *arena, IrModule *module, IrGraph *graph, CgOptions options,
                                        const char *flags) {
    Harness *h = ARENA_NEW(arena, Harness);
    *h = (Harness){.arena = arena, .options = options, .module = module, .graph = graph};
    CgOutput *output = cg_generate(arena, module, &graph, 1, &h->options);
    harness_compile(h, output, flags);
    json_t *g = json_array_get(json_object_get(h->plan, "graphs"), 0);
    h->state = harness_memory(arena, harness_int(h->plan, "state_bytes"));
    h->prepared = harness_memory(arena, harness_int(h->plan, "prepared_bytes"));
    h->scratch = harness_memory(arena, harness_int(h->plan, "scratch_bytes"));
    h->work = harness_memory(arena, harness_int(g, "work_bytes"));
    h->private = harness_memory(arena, harness_int(g, "private_bytes"));
    h->run = (NdRun){.seed = 7, .step = 3, .image_base = 100, .batch = options.batch, .chunks = options.chunks};
    return h;
}

/* A graph text with one graph; every node in memory. */
static inline Harness *harness_create(Arena *arena, const char *text, CgOptions options, const char *flags) {
    IrModule *module = harness_parse(arena, text);
    harness_annotate(module->graphs[0], &options);
    return harness_generate(arena, module, module->graphs[0], options, flags);
}

/* A step of the plan: "3 i0 s256 #77". */
typedef struct HarnessStep {
    long kernel;
    int buffer_count, int_count;
    char places[128];
    int64_t offsets[128], ints[128];
} HarnessStep;

/* The next of "STEP;STEP"; false behind the last. */
static inline bool harness_take_step(const char **steps, HarnessStep *step) {
    char *at = (char *)*steps;
    if (!*at)
        return false;
    *step = (HarnessStep){.kernel = strtol(at, &at, 10)};
    while (*at == ' ' && at[1] != '*') {
        char place = at[1];
        int64_t number = strtoll(at + 2, &at, 10);
        if (place == '#') {
            step->ints[step->int_count++] = number;
        } else {
            step->places[step->buffer_count] = place;
            step->offsets[step->buffer_count++] = number;
        }
    }
    at += strcspn(at, ";");
    *steps = at + (*at == ';');
    return true;
}

static inline void *harness_address(Harness *h, const HarnessStep *step, int i, char *private) {
    int64_t offset = step->offsets[i];
    switch (step->places[i]) {
    case 'i':
        return h->inputs[offset];
    case 's':
        return h->state + offset;
    case 'w':
        return h->work + offset;
    case 'p':
        return private + offset;
    default:
        return h->prepared + offset;
    }
}

static inline void harness_call(Harness *h, const HarnessStep *step, int64_t image, int64_t chunk, int64_t first) {
    void *buffers[128];
    for (int i = 0; i < step->buffer_count; i++)
        buffers[i] = harness_address(h, step, i, h->private);
    NdWork work = {.image = image, .chunk = chunk, .first = first, .run = &h->run, .scratch = h->scratch};
    h->kernels[step->kernel](buffers, step->ints, &work);
}

static inline void harness_run_steps(Harness *h, const char *steps, int64_t image, int64_t chunk, int64_t first) {
    HarnessStep step;
    while (harness_take_step(&steps, &step))
        harness_call(h, &step, image, chunk, first);
}

static inline void harness_run_images(Harness *h, const char *steps) {
    for (int64_t k = 0; k < h->run.chunks; k++) {
        int64_t begin = k * h->run.batch / h->run.chunks, end = (k + 1) * h->run.batch / h->run.chunks;
        for (int64_t image = begin; image < end; image++)
            harness_run_steps(h, steps, image, k, image == begin);
        if (begin == end)
            harness_run_steps(h, steps, -1, k, 1);
    }
}

static inline void harness_run_stages(Harness *h, json_t *stages) {
    size_t i;
    json_t *stage;
    json_array_foreach(stages, i, stage) {
        const char *steps = json_string_value(json_object_get(stage, "steps"));
        if (str_equal(json_string_value(json_object_get(stage, "domain")), "images"))
            harness_run_images(h, steps);
        else
            harness_run_steps(h, steps, -1, 0, 1);
    }
}

static inline void harness_run(Harness *h) {
    json_t *g = json_array_get(json_object_get(h->plan, "graphs"), 0);
    harness_run_stages(h, json_object_get(g, "prepare"));
    harness_run_stages(h, json_object_get(g, "stages"));
}

/* The memory of an output. */
static inline void *harness_output(Harness *h, const char *name) {
    json_t *g = json_array_get(json_object_get(h->plan, "graphs"), 0), *output;
    size_t i;
    json_array_foreach(json_object_get(g, "outputs"), i,
                       output) if (str_equal(json_string_value(json_object_get(output, "name")), name)) {
        const char *place = json_string_value(json_object_get(output, "place"));
        return (*place == 's' ? h->state : *place == 'w' ? h->work : h->prepared) + harness_int(output, "offset");
    }
    fail_msg("no output %s", name);
    return NULL;
}

static inline void *harness_param(Harness *h, const char *name) {
    json_t *param;
    size_t i;
    json_array_foreach(json_object_get(h->plan, "params"), i,
                       param) if (str_equal(json_string_value(json_object_get(param, "name")), name)) return h->state +
        harness_int(param, "offset");
    fail_msg("no parameter %s", name);
    return NULL;
}

/* Numbers in (-1, 1) that depend on the seed. */
static inline float harness_number(uint64_t seed, int64_t i) {
    uint64_t z = seed * 1000003u + (uint64_t)(i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    return (float)((double)(z >> 40) / (1 << 23) - 1);
}

static inline float *harness_floats(Arena *arena, int64_t count, uint64_t seed) {
    float *values = ARENA_ARRAY(arena, float, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = harness_number(seed, i);
    return values;
}

static inline void harness_compare(const char *what, const float *found, const float *expected, int64_t count,
                                   double tolerance) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        difference += (found[i] - expected[i]) * (double)(found[i] - expected[i]);
        size += expected[i] * (double)expected[i];
    }
    if (!(sqrt(difference) <= tolerance * (sqrt(size) + 1e-30)))
        fail_msg("%s: relative error %g", what, sqrt(difference / size));
}

#endif
