/* graphs.c: every kernel of a text's step graphs on the emulator, against the CPU target.
 *
 *     simt_graphs TEXT.nd KIND[,KIND...] [--orders N] [--fault NAME] [--precision f64|tf32|bf16]
 *
 * Each value of a graph gets memory of its own, with a gap around it, full of NaN; under the address sanitizer the gaps
 * may not be touched. The plan is walked as the runtime walks it, with the threads in several orders, once with fewer
 * blocks than there is work for: outputs and state must be near the CPU's, and the same bits every time. A batch is smaller than the largest, so kernels meet images
 * that are not there.
 *
 * A fault is planted into the source, to see that it is found (exit code 0 then): "store" leaves one element unwritten,
 * "write" and "read" use an index one too far, "barrier" removes the barriers, "barrier:K" only the K-th, "barrier:TEXT" the first behind that text. $SIMT_OPTIONS: more options for g++. */
#include "base/str.h"
#include "passes/pass.h"
#include "runtime/driver/runtime.h"
#include "runtime/driver/tensors.h"
#include "simt_host.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 4, IMAGES = 3, GAP = 256, NAN_BYTE = 0xff, MOST_KINDS = GRAPH_KIND_COUNT };

/* There when the program is linked with the address sanitizer. */
__attribute__((weak)) void __asan_poison_memory_region(void const volatile *, size_t);
__attribute__((weak)) void __asan_unpoison_memory_region(void const volatile *, size_t);

/* Memory of one place. */
typedef struct Place {
    char *bytes;
    size_t size;
} Place;

typedef struct Test {
    Arena *arena;
    const char *text, *fault;
    int kind_count, orders;
    unsigned work_of_block; /* how many times what is meant for it */
    CgPrecision precision;
    GraphKind kinds[MOST_KINDS];
    IrModule *ir;
    IrGraph *graphs[MOST_KINDS];
    int64_t prepared_base[MOST_KINDS + 1]; /* where each graph's part of the prepared memory begins */
    CgOptions options;
    const char *source;
    const Plan *plan;
    SimtModule *module;
    const char *path; /* of the module; the sanitizer looks into it for lines */
    SimtKernel **kernels;
    RtProgram *cpu;
    Place state, prepared, work, private_values;
    size_t private_bytes; /* of one image */
    void **inputs;
    NdRun run;
    void *run_address;
    int wrong;
    double largest[2]; /* relative errors met: of values, of gradients */
    double
        together[2]; /* squares of the errors and of what is expected, of all gradients and updates in tf32 and bf16 */
} Test;

static _Noreturn void die(const char *what, const char *detail) {
    fprintf(stderr, "simt_graphs: %s %s\n", what, detail);
    exit(3);
}

/* ---- compiling ---- */

static bool has_memory(const IrNode *n) {
    return !n->inlined && (n->place == PLACE_work || n->place == PLACE_private || n->place == PLACE_prepared);
}

static size_t element_bytes(const Test *t) {
    return t->precision == PRECISION_f64 ? 8 : 4;
}

static size_t value_bytes(const Test *t, const IrNode *n) {
    IrType type = n->type;
    if (n->place == PLACE_private)
        type.dim[0] = 1;
    size_t bytes = n->half ? 2 : n->type.dtype == DTYPE_u8 ? 1 : n->type.dtype == DTYPE_i32 ? 4 : element_bytes(t);
    return (size_t)ir_type_count(&type, t->options.batch, t->options.chunks) * bytes;
}

/* Instead of sharing memory over time: every value has its own, and a gap behind it. */
static void spread_values(Test *t, int index) {
    int64_t end[PLACE_prepared + 1] = {0}, prepared = 0;
    for (IrNode *n = t->graphs[index]->first; n; n = n->next) {
        if (!has_memory(n))
            continue;
        n->offset = end[n->place];
        end[n->place] += ((int64_t)value_bytes(t, n) + GAP + 63) / 64 * 64;
        if (n->place == PLACE_prepared)
            prepared = (n->offset + (int64_t)value_bytes(t, n) + 63) / 64 * 64;
    }
    t->prepared_base[index + 1] = t->prepared_base[index] + prepared;
}

static void build_graphs(Test *t) {
    t->options = (CgOptions){
        .target = &cg_target_cuda, .precision = t->precision, .unit_count = 1, .batch = BATCH, .chunks = BATCH};
    Diag *diag = diag_create(t->arena, stderr);
    for (int i = 0; i < t->kind_count; i++) {
        PassContext ctx = {.arena = t->arena,
                           .diag = diag,
                           .module = t->ir,
                           .kind = t->kinds[i],
                           .batch = BATCH,
                           .chunks = BATCH,
                           .element_size = element_bytes(t),
                           .half = t->precision == PRECISION_bf16,
                           .wide = cg_target_cuda.wide,
                           .out = stderr};
        t->graphs[i] = pipeline_build_graph(&ctx);
        if (!t->graphs[i])
            die("no graph", graph_kind_name(t->kinds[i]));
        spread_values(t, i);
    }
    CgOutput *output = cg_generate(t->arena, t->ir, t->graphs, t->kind_count, &t->options);
    t->source = output->units[0];
    t->plan = output->plan;
}

/* ---- planted faults ---- */

static const char *replace_first(const Test *t, const char *from, const char *old, const char *new) {
    const char *at = strstr(t->source + (from - t->source), old);
    if (!at)
        die("nothing to plant a fault in:", old);
    return arena_printf(t->arena, "%.*s%s%s", (int)(at - t->source), t->source, new, at + strlen(old));
}

/* only: the number of the one to blank, from 1; 0: all. */
static void blank(char *text, const char *what, int only, const char **result) {
    int count = 0;
    *result = text;
    for (; (text = strstr(text, what)); text++)
        if (++count == only || !only)
            memset(text, ' ', strlen(what));
    if (count < (only ? only : 1))
        die("nothing to plant a fault in:", what);
}

/* In the first kernel of the last stage's graph the place is easy to find: the first that matches. */
static void plant_fault(Test *t) {
    const char *kernels = strstr(t->source, "__global__");
    if (!t->fault || !kernels)
        return;
    if (str_equal(t->fault, "store")) {
        t->source = replace_first(t, kernels, "    b0[", "    if (thread != 3) b0[");
    } else if (str_equal(t->fault, "write")) {
        t->source = replace_first(t, kernels, "    b0[", "    b0[1 + ");
    } else if (str_equal(t->fault, "read")) {
        t->source = replace_first(t, kernels, " b1[", " b1[1 + ");
    } else if (str_starts_with(t->fault, "barrier:") && atoi(t->fault + 8) == 0) {
        const char *behind = strstr(t->source, t->fault + 8);
        if (!behind)
            die("nothing to plant a fault behind:", t->fault + 8);
        t->source = replace_first(t, behind, "__syncthreads();", "");
    } else if (str_starts_with(t->fault, "barrier")) {
        int only = t->fault[7] == ':' ? atoi(t->fault + 8) : 0;
        blank(arena_strdup(t->arena, t->source), "__syncthreads();", only, &t->source);
    } else {
        die("unknown fault", t->fault);
    }
}

static void compile(Test *t) {
    const char *options = getenv("SIMT_OPTIONS"), *folder = getenv("TMPDIR");
    char *path = arena_printf(t->arena, "%s/simt-graphs-XXXXXX", folder ? folder : "/tmp"), log[8192];
    close(mkstemp(path));
    if (!simt_build(t->source, options ? options : "", path, log, sizeof log))
        die("the emitted source does not compile:\n", log);
    t->module = simt_module_open(path);
    t->path = path;
    if (!t->module)
        die("cannot load the module:", simt_message());
    t->kernels = ARENA_ARRAY(t->arena, SimtKernel *, t->plan->kernel_count);
    for (int i = 0; i < t->plan->kernel_count; i++) {
        t->kernels[i] = simt_module_kernel(t->module, t->plan->kernels[i].name);
        if (!t->kernels[i])
            die("no kernel", t->plan->kernels[i].name);
    }
}

/* ---- memory ---- */

static void make_place(Place *place, int64_t size) {
    if (place->bytes)
        simt_forbid(place->bytes, place->size);
    free(place->bytes);
    place->size = (size_t)size + GAP;
    place->bytes = aligned_alloc(256, (place->size + 255) / 256 * 256);
    memset(place->bytes, NAN_BYTE, place->size);
    if (__asan_poison_memory_region)
        __asan_poison_memory_region(place->bytes, place->size);
}

static void allow(char *bytes, size_t size) {
    simt_allow(bytes, size);
    if (__asan_unpoison_memory_region)
        __asan_unpoison_memory_region(bytes, size);
}

/* Rows of partial sums lie behind all values, without gaps. */
static void allow_values(Test *t, int index, size_t work_bytes) {
    size_t end = 0;
    for (const IrNode *n = t->graphs[index]->first; n; n = n->next) {
        if (!has_memory(n))
            continue;
        size_t bytes = value_bytes(t, n);
        if (n->place == PLACE_work)
            allow(t->work.bytes + n->offset, bytes),
                end = (size_t)n->offset + bytes > end ? (size_t)n->offset + bytes : end;
        else if (n->place == PLACE_prepared)
            allow(t->prepared.bytes + t->prepared_base[index] + n->offset, bytes);
        for (int i = 0; n->place == PLACE_private && i < BATCH; i++)
            allow(t->private_values.bytes + (size_t)i * t->private_bytes + n->offset, bytes);
    }
    end = (end + 63) / 64 * 64;
    if (end < work_bytes)
        allow(t->work.bytes + end, work_bytes - end);
}

static void upload_state(Test *t) {
    make_place(&t->state, t->plan->state_bytes);
    for (int i = 0; i < t->plan->param_count; i++) {
        const PlanTensor *p = &t->plan->params[i];
        Tensor value = rt_param_get(t->cpu, p->name, t->arena);
        allow(t->state.bytes + p->offset, (size_t)plan_tensor_bytes(t->plan, p, 1));
        rt_tensor_store(t->plan, p, 1, &value, 0, t->state.bytes + p->offset);
    }
}

static void make_memory(Test *t, const PlanGraph *g, int index) {
    t->private_bytes = ((size_t)g->private_bytes + GAP + 63) / 64 * 64;
    make_place(&t->work, g->work_bytes);
    make_place(&t->prepared, t->plan->prepared_bytes);
    make_place(&t->private_values, (int64_t)t->private_bytes * BATCH);
    allow_values(t, index, (size_t)g->work_bytes);
    upload_state(t);
}

/* Numbers in (-2, 2), or labels. */
static void *make_input(Test *t, const PlanTensor *input, int number) {
    size_t bytes = (size_t)plan_tensor_bytes(t->plan, input, IMAGES);
    size_t each = input->type.dtype == DTYPE_i32 ? 4 : element_bytes(t);
    void *data = malloc(bytes);
    for (size_t i = 0; i < bytes / each; i++) {
        uint64_t z = ((uint64_t)number * 1000003 + i + 1) * 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        double u = (double)(z >> 40) / (1 << 24);
        if (input->type.dtype == DTYPE_i32)
            ((int32_t *)data)[i] = (int32_t)(u * 10);
        else if (each == 8)
            ((double *)data)[i] = 4 * u - 2;
        else
            ((float *)data)[i] = (float)(4 * u - 2);
    }
    simt_allow(data, bytes);
    return data;
}

/* ---- running ---- */

static RtRun run_values(const PlanGraph *g) {
    return (RtRun){.kind = g->kind,
                   .batch = IMAGES,
                   .seed = 7,
                   .step = 3,
                   .image_base = 100,
                   .scalars = {[RUN_lr] = 0.025,
                               [RUN_alphas_lr] = 3e-4,
                               [RUN_drop_keep] = 0.7,
                               [RUN_adam_bias1] = 0.5,
                               [RUN_adam_bias2] = 0.001,
                               [RUN_batch] = IMAGES}};
}

static void set_run_block(Test *t, const PlanGraph *g) {
    RtRun run = run_values(g);
    t->run = (NdRun){.seed = run.seed,
                     .step = run.step,
                     .image_base = run.image_base,
                     .batch = run.batch,
                     .chunks = t->plan->chunks};
    for (int i = 0; i < t->plan->scalar_count; i++)
        t->run.scalar[i] = run.scalars[run_scalar_find(t->plan->scalars[i])];
    t->run_address = &t->run;
    simt_allow(&t->run, sizeof t->run);
}

static void *resolve(const Test *t, const PlanBuffer *b) {
    switch (b->place) {
    case PLACE_state:
        return t->state.bytes + b->offset;
    case PLACE_prepared:
        return t->prepared.bytes + b->offset;
    case PLACE_work:
        return t->work.bytes + b->offset;
    case PLACE_private:
        return t->private_values.bytes + b->offset;
    default:
        return t->inputs[b->offset];
    }
}

/* As the runtime does: neighbours with one kernel are started together, each with its row of the table. */
static bool launch(Test *t, const PlanStep *steps, int count) {
    int length = steps->buffer_count + steps->int_count, at = 0;
    int64_t *rows = malloc(sizeof *rows * (size_t)(length * count)), private_bytes = (int64_t)t->private_bytes;
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < steps[k].buffer_count; i++)
            rows[at++] = (int64_t)(uintptr_t)resolve(t, &steps[k].buffers[i]);
        for (int i = 0; i < steps[k].int_count; i++)
            rows[at++] = steps[k].ints[i];
    }
    int64_t outer = steps->launch == LAUNCH_images ? BATCH : steps->launch == LAUNCH_chunks ? t->plan->chunks : 1;
    unsigned blocks = (unsigned)((steps->threads * outer + ND_BLOCK_THREADS - 1) / ND_BLOCK_THREADS) / t->work_of_block;
    const unsigned grid[3] = {blocks ? blocks : 1, (unsigned)count, 1}, block[3] = {ND_BLOCK_THREADS, 1, 1};
    void *arguments[] = {&rows, &t->run_address, &private_bytes};
    simt_allow(rows, sizeof *rows * (size_t)(length * count));
    bool ok = simt_launch(t->kernels[steps->kernel], grid, block, arguments, 0);
    simt_forbid(rows, 1);
    free(rows);
    return ok;
}

static bool is_chosen(Test *t, const PlanGraph *g, const PlanWhen *when) {
    return !when->choice || (when->cases & plan_case(*(float *)resolve(t, &g->choices[when->choice - 1])));
}

static bool run_stages(Test *t, const PlanGraph *g, const PlanStage *stages, int count) {
    for (int i = 0; i < count; i++) {
        for (int j = 0, together; j < stages[i].step_count; j += together) {
            const PlanStep *steps = &stages[i].steps[j];
            together = plan_count_together(&stages[i], j);
            if (is_chosen(t, g, &steps->when) && !launch(t, steps, together))
                return false;
        }
    }
    return true;
}

/* ---- comparing ---- */

static double norm(const Tensor *t, const Tensor *minus) {
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(t); i++) {
        double d = tensor_get(t, i) - (minus ? tensor_get(minus, i) : 0);
        sum += d * d;
    }
    return sqrt(sum);
}

static Tensor fetch(Test *t, const PlanTensor *from, int64_t n, const Tensor *like, const void *storage) {
    Tensor found = *like;
    found.data = arena_alloc(t->arena, sizeof(double) * (size_t)tensor_count(like) + 8);
    rt_tensor_fetch(t->plan, from, n, storage, &found);
    return found;
}

/* Relative errors that are allowed: of values and running statistics; of gradients, updates and what follows from them,
 * where a relu within rounding of its kink makes a difference: in tf32 and bf16 of all of a graph's together. In f64
 * normal draws are what differs most. */
typedef struct Tolerance {
    double value, gradient;
} Tolerance;
static const Tolerance tolerances[PRECISION_COUNT] = {[PRECISION_f32] = {1e-5, 5e-3},
                                                      [PRECISION_f64] = {1e-8, 1e-7},
                                                      [PRECISION_tf32] = {2e-3, 2e-2},
                                                      [PRECISION_bf16] = {2e-2, 1e-1}};

static void compare(Test *t, const char *name, const Tensor *found, const Tensor *expected, double floor, bool loose) {
    const Tolerance *allowed = &tolerances[t->precision];
    double scale = fmax(norm(expected, NULL), floor), error = norm(found, expected) / (scale > 0 ? scale : 1);
    double tolerance = loose ? allowed->gradient : allowed->value;
    if (loose && (t->precision == PRECISION_tf32 || t->precision == PRECISION_bf16)) {
        t->together[0] += error * error * scale * scale;
        t->together[1] += scale * scale;
        return;
    }
    t->largest[loose] = fmax(t->largest[loose], error);
    if (error <= tolerance)
        return;
    t->wrong++;
    if (t->wrong <= 10)
        printf("  %s: relative error %g\n", name, error);
}

static void compare_together(Test *t) {
    double error = t->together[1] > 0 ? sqrt(t->together[0] / t->together[1]) : 0;
    t->largest[1] = fmax(t->largest[1], error);
    if (error > tolerances[t->precision].gradient) {
        t->wrong++;
        printf("  gradients and updates together: relative error %g\n", error);
    }
    t->together[0] = t->together[1] = 0;
}

static const PlanTensor *find_output(const PlanGraph *g, const char *name) {
    for (int i = 0; i < g->output_count; i++)
        if (str_equal(g->outputs[i].name, name))
            return &g->outputs[i];
    die("no output", name);
}

static bool is_gradient(const char *name) {
    return str_starts_with(name, "grad") || str_starts_with(name, "implicit/") || str_starts_with(name, "unrolled/");
}

static double gradient_norm(Test *t, const PlanGraph *g) {
    double sum = 0;
    for (int i = 0; i < g->output_count; i++) {
        if (!is_gradient(g->outputs[i].name))
            continue;
        Tensor value = rt_output_get(t->cpu, g->kind, g->outputs[i].name, t->arena);
        double n = norm(&value, NULL);
        sum += n * n;
    }
    return sqrt(sum);
}

static void compare_outputs(Test *t, const PlanGraph *g) {
    double gradients = gradient_norm(t, g);
    for (int i = 0; i < g->output_count; i++) {
        const PlanTensor *output = find_output(g, g->outputs[i].name);
        Tensor expected = rt_output_get(t->cpu, g->kind, output->name, t->arena);
        PlanBuffer at = {output->place, output->offset};
        Tensor found = fetch(t, output, IMAGES, &expected, resolve(t, &at));
        bool loose = is_gradient(output->name);
        compare(t, output->name, &found, &expected, loose ? 1e-3 * gradients : 0, loose);
    }
}

static void compare_state(Test *t) {
    for (int i = 0; i < t->plan->param_count; i++) {
        const PlanTensor *p = &t->plan->params[i];
        Tensor expected = rt_param_get(t->cpu, p->name, t->arena);
        Tensor found = fetch(t, p, 1, &expected, t->state.bytes + p->offset);
        bool statistic = p->kind == PARAM_statistic; /* a mean may be next to nothing beside its variance */
        double floor = statistic ? 1e-2 * sqrt((double)tensor_count(&expected)) : p->kind == PARAM_optimizer ? 1e-3 : 0;
        compare(t, p->name, &found, &expected, floor, !statistic);
    }
}

/* ---- a graph ---- */

static bool run_cpu(Test *t, const PlanGraph *g) {
    RtInput inputs[8];
    RtRun run = run_values(g);
    Error error = {ERROR_NONE, ""};
    run.input_count = g->input_count;
    run.inputs = inputs;
    for (int i = 0; i < g->input_count; i++)
        inputs[i] = (RtInput){g->inputs[i].name, t->inputs[i]};
    return rt_run(t->cpu, &run, &error) || (die("the CPU target:", error.message), false);
}

/* Where the results lie, as bytes: those of work, and the state. Values of private memory of images that are not there
 * stay NaN. */
static char *copy_results(Test *t, const PlanGraph *g, size_t *size) {
    size_t at = 0;
    char *copy = NULL;
    for (int pass = 0; pass < 2; pass++) {
        at = 0;
        for (int i = 0; i < g->output_count + t->plan->param_count; i++) {
            const PlanTensor *p = i < g->output_count ? &g->outputs[i] : &t->plan->params[i - g->output_count];
            PlanBuffer from = {p->place, p->offset};
            size_t bytes = (size_t)plan_tensor_bytes(t->plan, p, IMAGES);
            if (pass)
                memcpy(copy + at, resolve(t, &from), bytes);
            at += bytes;
        }
        copy = pass ? copy : arena_alloc(t->arena, at + 1);
    }
    *size = at;
    return copy;
}

static void test_graph(Test *t, const PlanGraph *g, int index) {
    char *first = NULL;
    size_t size = 0;
    int before = t->wrong;
    t->inputs = ARENA_ARRAY(t->arena, void *, g->input_count);
    for (int i = 0; i < g->input_count; i++)
        t->inputs[i] = make_input(t, &g->inputs[i], i + 1);
    set_run_block(t, g);
    for (int order = 0; order < t->orders; order++) {
        simt_set_order((SimtOrder)order);
        t->work_of_block = order == 1 ? 3 : 1;
        make_memory(t, g, index);
        if (!run_stages(t, g, g->prepare, g->prepare_count) || !run_stages(t, g, g->stages, g->stage_count)) {
            printf("  %s\n", simt_message());
            t->wrong++;
            break;
        }
        char *results = copy_results(t, g, &size);
        if (order == 0)
            first = results;
        else if (memcmp(first, results, size) != 0) {
            printf("  other bits in another order of the threads\n");
            t->wrong++;
        }
    }
    run_cpu(t, g); /* now, as it changes the state that the emulated runs begin with */
    compare_outputs(t, g);
    compare_together(t);
    compare_state(t);
    compare_together(t);
    printf("%s: %d stages, %d wrong; relative errors up to %.2g, of gradients %.2g\n", graph_kind_name(g->kind),
           g->stage_count, t->wrong - before, t->largest[0], t->largest[1]);
    for (int i = 0; i < g->input_count; i++) {
        simt_forbid(t->inputs[i], 1);
        free(t->inputs[i]);
    }
}

static void parse_kinds(Test *t, const char *list) {
    char *copy = arena_strdup(t->arena, list);
    for (char *name = strtok(copy, ","); name; name = strtok(NULL, ","))
        if (t->kind_count == MOST_KINDS || !graph_kind_parse(name, &t->kinds[t->kind_count++]))
            die("unknown graph", name);
}

static void open_all(Test *t) {
    Error error = {ERROR_NONE, ""};
    RtProgramOptions options = {.path = t->text,
                                .seed = 5,
                                .threads = 1,
                                .batch = BATCH,
                                .precision = t->precision == PRECISION_f64 ? PRECISION_f64 : PRECISION_f32,
                                .kinds = t->kinds,
                                .kind_count = t->kind_count,
                                .vector_bytes = RT_VECTOR_HOST};
    t->cpu = rt_program_open(&options, &error);
    t->ir = rt_text_load(t->arena, t->text, NULL, 0, &error);
    if (!t->cpu || !t->ir)
        die("cannot open", error.message);
    build_graphs(t);
    plant_fault(t);
    compile(t);
}

int main(int argc, char **argv) {
    Test t = {.arena = arena_create(), .orders = SIMT_ORDER_COUNT};
    if (argc < 3)
        die("usage:", "simt_graphs TEXT.nd KIND[,KIND...] [--orders N] [--fault NAME]");
    t.text = argv[1];
    parse_kinds(&t, argv[2]);
    for (int i = 3; i + 1 < argc; i += 2) {
        if (str_equal(argv[i], "--fault"))
            t.fault = argv[i + 1];
        else if (str_equal(argv[i], "--precision")) {
            Error error = {ERROR_NONE, ""};
            if (!cg_precision_parse(argv[i], argv[i + 1], &t.precision, &error))
                die("usage:", error.message);
        } else
            t.orders = atoi(argv[i + 1]);
    }
    open_all(&t);
    for (int i = 0; i < t.kind_count; i++)
        test_graph(&t, plan_find_graph(t.plan, t.kinds[i]), i);
    rt_program_close(t.cpu);
    unlink(t.path);
    if (t.fault) {
        printf("the planted fault was %s\n", t.wrong ? "found" : "NOT found");
        return t.wrong == 0;
    }
    return t.wrong != 0;
}
