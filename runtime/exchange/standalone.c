/* standalone.c: the plan of an inference graph as straight C: weights as an array, arenas as static arrays, every step
 * of the plan a call. The kernels are the very text that modules are compiled from; the module is made for one image,
 * and the wrapper walks the images. */
#include "runtime/exchange/standalone.h"

#include "base/file.h"
#include "base/quote.h"
#include "base/str.h"
#include "codegen/stages/emit.h"
#include "runtime/driver/tensors.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

typedef struct Standalone {
    Arena *arena;
    const CgOutput *output;
    const Plan *plan;
    const PlanGraph *graph;
    const PlanTensor *input, *logits;
    const char *name, *capitals; /* what the functions' and the constants' names begin with */
    const char *header;          /* file name of the header */
    int64_t element;             /* bytes of a number */
} Standalone;

/* ---- names ---- */

/* models/net-1.c -> net_1 */
static const char *prefix_of_path(Arena *arena, const char *path, bool capitals) {
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    char *name = arena_printf(arena, "%s%.*s", isdigit((unsigned char)*file) ? "n" : "", (int)strcspn(file, "."), file);
    for (char *c = name; *c; c++) {
        *c = isalnum((unsigned char)*c) ? *c : '_';
        if (capitals)
            *c = (char)toupper((unsigned char)*c);
    }
    return *name ? name : capitals ? "NET" : "net";
}

static const char *header_of_path(Arena *arena, const char *path) {
    const char *end = str_ends_with(path, ".c") ? path + strlen(path) - 2 : path + strlen(path);
    return arena_printf(arena, "%.*s.h", (int)(end - path), path);
}

/* The source includes the header by its name, in which C knows no escapes. */
static bool check_path(const char *path, Error *error) {
    const char *slash = strrchr(path, '/');
    for (const char *c = slash ? slash + 1 : path; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '"' || *c == '\\')
            return error_set(error, ERROR_INPUT,
                             "%s: the name of a C file, and so of its header, cannot have quotes, backslashes or line "
                             "breaks",
                             path);
    return true;
}

/* ---- the header ---- */

static const char *make_header(const Standalone *s) {
    Str out = str_create(s->arena);
    const int64_t *d = s->input->type.dim;
    str_addf(
        &out,
        "/* Written by ndarts. A neural network with its weights.\n"
        " *\n"
        " * images: count images one after the other, each CHANNELS x HEIGHT x WIDTH (as PyTorch has them: a whole\n"
        " * plane for each channel), normalised as in training. logits: count times CLASSES numbers. Not for several\n"
        " * threads at once: values between the layers are in static memory, and nothing is allocated. */\n"
        "#ifndef %s_H\n#define %s_H\n\n",
        s->capitals, s->capitals);
    str_addf(&out,
             "enum { %s_CHANNELS = %" PRId64 ", %s_HEIGHT = %" PRId64 ", %s_WIDTH = %" PRId64 ", %s_CLASSES = %" PRId64
             " };\n\n",
             s->capitals, d[3], s->capitals, d[1], s->capitals, d[2], s->capitals, s->logits->type.dim[1]);
    str_addf(&out,
             "#ifdef __cplusplus\nextern \"C\" {\n#endif\n"
             "void %s_infer(const float *images, float *logits, int count);\n"
             "#ifdef __cplusplus\n}\n#endif\n\n#endif\n",
             s->name);
    return out.data;
}

/* ---- weights ---- */

static void fill_state(const Standalone *s, const TensorFile *weights, char *state) {
    for (int i = 0; i < s->plan->param_count; i++) {
        const PlanTensor *param = &s->plan->params[i];
        const Tensor *tensor = tensor_find(weights, param->name);
        if (tensor)
            rt_tensor_store(s->plan, param, 1, tensor, 0, state + param->offset);
    }
}

/* As strings of bytes: compilers read them ten times as fast as a list of numbers, and the bits are exact. In rows,
 * since C99 promises no longer strings; a row's last zero byte is not part of it. */
static void add_state(const Standalone *s, const TensorFile *weights, Str *out) {
    enum { ROW = 4032 };
    size_t rows = (size_t)(s->plan->state_bytes + ROW - 1) / ROW;
    rows = rows ? rows : 1;
    char *state = arena_alloc(s->arena, rows * ROW);
    fill_state(s, weights, state);
    str_addf(out,
             "\n/* The parameters, as the kernels want them. */\n"
             "#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__\n"
             "#error \"the weights below are little-endian\"\n#endif\n"
             "static const unsigned char nd_state[%zu][%d] ND_ALIGNED = {\n",
             rows, ROW);
    for (size_t i = 0; i < rows; i++) {
        cg_add_byte_string(out, (const unsigned char *)state + i * ROW, ROW);
        str_add(out, ",\n");
    }
    str_add(out, "};\n");
}

/* ---- calls ---- */

static void add_arena(const Standalone *s, Str *out, const char *name, int64_t bytes) {
    int64_t count = (bytes + s->element - 1) / s->element;
    str_addf(out, "static T nd_%s[%" PRId64 "] ND_ALIGNED;\n", name, count ? count : 1);
}

static void add_buffer(const Standalone *s, Str *out, const PlanBuffer *buffer) {
    if (buffer->place == PLACE_input)
        str_add(out, "nd_image");
    else if (buffer->offset % s->element)
        bug("a buffer at %" PRId64 ", between two numbers", buffer->offset);
    else if (buffer->place == PLACE_state)
        str_addf(out, "(char *)nd_state + %" PRId64, buffer->offset);
    else
        str_addf(out, "nd_%s + %" PRId64, ir_place_name(buffer->place), buffer->offset / s->element);
}

/* Before a call by choice. */
static void add_condition(const Standalone *s, Str *out, const PlanWhen *when) {
    if (!when->choice)
        return;
    str_addf(out, "    if (%" PRIu64 "ull >> (int)*(const T *)(", when->cases);
    add_buffer(s, out, &s->graph->choices[when->choice - 1]);
    str_add(out, ") & 1)\n    ");
}

static void add_step(const Standalone *s, Str *out, const PlanStep *step, bool images) {
    add_condition(s, out, &step->when);
    str_addf(out, "    %s((void *const[]){", s->plan->kernels[step->kernel].name);
    for (int i = 0; i < step->buffer_count; i++) {
        str_add(out, i ? ", " : "");
        add_buffer(s, out, &step->buffers[i]);
    }
    str_addf(out, "%s}, ", step->buffer_count ? "" : "0");
    if (step->int_count) {
        str_add(out, "(const int64_t[]){");
        for (int i = 0; i < step->int_count; i++)
            str_addf(out, "%s%" PRId64, i ? ", " : "", step->ints[i]);
        str_add(out, "}");
    } else {
        str_add(out, "0");
    }
    str_addf(out, ", &%s);\n", images ? "nd_per_image" : "nd_once");
}

static void add_stages(const Standalone *s, Str *out, const char *name, const PlanStage *stages, int count) {
    str_addf(out, "\nstatic void %s(void) {\n", name);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < stages[i].step_count; j++)
            add_step(s, out, &stages[i].steps[j], stages[i].domain == DOMAIN_images);
    }
    str_add(out, "}\n");
}

/* ---- what the calls use: an array that nothing uses would be warned of ---- */

typedef struct Uses {
    bool places[PLACE_prepared + 1];
    bool once, per_image;
} Uses;

static void note_uses(Uses *uses, const PlanStage *stages, int count) {
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < stages[i].step_count; j++) {
            const PlanStep *step = &stages[i].steps[j];
            bool images = stages[i].domain == DOMAIN_images;
            uses->per_image |= images;
            uses->once |= !images;
            for (int k = 0; k < step->buffer_count; k++)
                uses->places[step->buffers[k].place] = true;
        }
    }
}

static Uses find_uses(const Standalone *s) {
    Uses uses = {0};
    note_uses(&uses, s->graph->prepare, s->graph->prepare_count);
    note_uses(&uses, s->graph->stages, s->graph->stage_count);
    uses.places[s->logits->place] = true;
    return uses;
}

static void add_memory(const Standalone *s, const Uses *uses, Str *out) {
    const int64_t *d = s->input->type.dim;
    str_addf(out, "static T nd_image[%" PRId64 "] ND_ALIGNED;\n", d[1] * d[2] * d[3]);
    if (uses->places[PLACE_prepared])
        add_arena(s, out, "prepared", s->plan->prepared_bytes);
    if (uses->places[PLACE_work])
        add_arena(s, out, "work", s->graph->work_bytes);
    if (uses->places[PLACE_private])
        add_arena(s, out, "private", s->graph->private_bytes);
    if (!uses->once && !uses->per_image)
        return;
    add_arena(s, out, "scratch", s->plan->scratch_bytes);
    /* One image: whatever a scalar of the run can be in inference is 1. */
    str_add(out, "static const NdRun nd_run = {0, 0, 0, 1, 1, {");
    for (int i = 0; i < ND_SCALAR_COUNT; i++)
        str_add(out, i ? ", 1" : "1");
    str_add(out, "}};\n");
    if (uses->per_image)
        str_add(out, "static const NdWork nd_per_image = {0, 0, 1, &nd_run, 0, 1, nd_scratch};\n");
    if (uses->once)
        str_add(out, "static const NdWork nd_once = {-1, 0, 1, &nd_run, 0, 1, nd_scratch};\n");
}

/* As machine_flush_subnormals (runtime/device/machine.h). */
static const char subnormals_text[] =
    "\n/* Numbers below the smallest normal one count as zero while bf16 is computed. */\n"
    "static unsigned nd_flush_subnormals(void) {\n"
    "    unsigned before = 0;\n"
    "#if defined(__x86_64__)\n"
    "    before = __builtin_ia32_stmxcsr();\n"
    "    __builtin_ia32_ldmxcsr(before | 0x8040);\n"
    "#elif defined(__aarch64__)\n"
    "    uint64_t word;\n"
    "    __asm__ volatile(\"mrs %0, fpcr\" : \"=r\"(word));\n"
    "    before = (unsigned)word;\n"
    "    __asm__ volatile(\"msr fpcr, %0\" : : \"r\"(word | 0x1000000));\n"
    "#endif\n"
    "    return before;\n"
    "}\n"
    "static void nd_restore_subnormals(unsigned before) {\n"
    "#if defined(__x86_64__)\n"
    "    __builtin_ia32_ldmxcsr(before);\n"
    "#elif defined(__aarch64__)\n"
    "    __asm__ volatile(\"msr fpcr, %0\" : : \"r\"((uint64_t)before));\n"
    "#endif\n"
    "    (void)before;\n"
    "}\n";

static void add_entry(const Standalone *s, Str *out) {
    const int64_t *d = s->input->type.dim;
    bool flush = s->plan->precision == PRECISION_bf16;
    if (flush)
        str_add(out, subnormals_text);
    str_addf(out,
             "\nvoid %s_infer(const float *images, float *logits, int count) {\n"
             "    enum { CHANNELS = %" PRId64 ", PIXELS = %" PRId64 ", CLASSES = %" PRId64 " };\n"
             "    static int prepared;\n"
             "%s"
             "    if (!prepared)\n"
             "        nd_prepare();\n"
             "    prepared = 1;\n"
             "    for (int i = 0; i < count; i++, images += CHANNELS * PIXELS, logits += CLASSES) {\n"
             "        for (int p = 0; p < PIXELS; p++) {\n"
             "            for (int c = 0; c < CHANNELS; c++)\n"
             "                nd_image[p * CHANNELS + c] = images[c * PIXELS + p];\n"
             "        }\n"
             "        nd_compute();\n"
             "        for (int k = 0; k < CLASSES; k++)\n"
             "            logits[k] = (float)",
             s->name, d[3], d[1] * d[2], s->logits->type.dim[1],
             flush ? "    const unsigned subnormals = nd_flush_subnormals();\n" : "");
    PlanBuffer buffer = {s->logits->place, s->logits->offset};
    Str from = str_create(s->arena);
    add_buffer(s, &from, &buffer);
    str_addf(out, "(%s)[k];\n    }\n%s}\n", from.data, flush ? "    nd_restore_subnormals(subnormals);\n" : "");
}

static const char *make_source(const Standalone *s, const TensorFile *weights) {
    Str out = str_create(s->arena);
    const char *slash = strrchr(s->header, '/'), *header = slash ? slash + 1 : s->header;
    int vector = s->plan->vector_bytes;
    str_add(&out, "/* Written by ndarts: a network with its weights, see ");
    quote_comment(&out, header);
    str_addf(&out,
             ". C99 for gcc and clang.\n *     cc -std=c99 -O2 -ffp-contract=off%s -c FILE.c\n"
             " * The options keep the bits what ndarts itself computes. */\n",
             vector == 64   ? " -march=x86-64-v4"
             : vector == 32 ? " -march=x86-64-v3"
                            : "");
    if (vector >= 32)
        str_addf(&out, "#if defined(__x86_64__) && !defined(%s)\n#error \"compile with %s\"\n#endif\n",
                 vector == 64 ? "__AVX512F__" : "__FMA__", vector == 64 ? "-march=x86-64-v4" : "-march=x86-64-v3");
    str_addf(&out, "#include \"%s\"\n\n", header);
    str_add(&out, s->output->units[0]);
    str_add(&out, "\n#define ND_ALIGNED __attribute__((aligned(64)))\n");
    Uses uses = find_uses(s);
    if (uses.places[PLACE_state])
        add_state(s, weights, &out);
    add_memory(s, &uses, &out);
    add_stages(s, &out, "nd_prepare", s->graph->prepare, s->graph->prepare_count);
    add_stages(s, &out, "nd_compute", s->graph->stages, s->graph->stage_count);
    add_entry(s, &out);
    return out.data;
}

/* ---- files ---- */

static const PlanTensor *find_tensor(const PlanTensor *tensors, int count, const char *name) {
    for (int i = 0; i < count; i++) {
        if (str_equal(tensors[i].name, name))
            return &tensors[i];
    }
    return NULL;
}

static bool is_classifier(const Standalone *s) {
    return s->graph->input_count == 1 && s->input && s->input->type.rank == 4 && s->logits && s->logits->type.rank == 2;
}

bool rt_standalone_write(Arena *arena, const char *path, const CgOutput *output, const TensorFile *weights,
                         Error *error) {
    const Plan *plan = output->plan;
    if (!check_path(path, error))
        return false;
    Standalone s = {.arena = arena,
                    .output = output,
                    .plan = plan,
                    .graph = plan_find_graph(plan, GRAPH_infer),
                    .name = prefix_of_path(arena, path, false),
                    .capitals = prefix_of_path(arena, path, true),
                    .header = header_of_path(arena, path),
                    .element = plan_element_bytes(plan->precision, DTYPE_f32)};
    if (!s.graph)
        bug("a stand-alone file of a module without the graph infer");
    s.input = find_tensor(s.graph->inputs, s.graph->input_count, "input");
    s.logits = find_tensor(s.graph->outputs, s.graph->output_count, "logits");
    if (!is_classifier(&s))
        return error_set(error, ERROR_INPUT,
                         "a stand-alone file is of a network from images to logits; this one has "
                         "other inputs or outputs");
    const char *header = make_header(&s), *source = make_source(&s, weights);
    return file_write_atomic(s.header, header, strlen(header), error) &&
           file_write_atomic(path, source, strlen(source), error);
}
