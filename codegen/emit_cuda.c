/* emit_cuda.c: the CUDA dialect, plain schedule: one kernel a step, one thread an element of the result, images side by
 * side. Partial sums: one thread for each (chunk, element) walks over the chunk's images in order, so the order of
 * additions is the one of the C dialect's plain schedule and does not depend on the launch.
 *
 * Arguments of a kernel: its buffers in order, its constants (long long), the run-time block on the device, and the
 * distance between two images' private memories in bytes. Nothing is included: NVRTC may have no headers. */
#include "codegen/emit.h"

static const char types_text[] = "typedef signed char int8_t;\n"
                                 "typedef unsigned char uint8_t;\n"
                                 "typedef int int32_t;\n"
                                 "typedef unsigned int uint32_t;\n"
                                 "typedef long long int64_t;\n"
                                 "typedef unsigned long long uint64_t;\n"
                                 "struct NdRun {\n"
                                 "    uint64_t seed, step, image_base;\n"
                                 "    int64_t batch, chunks;\n"
                                 "    double scalar[16];\n"
                                 "};\n"
                                 "#define ND_INFINITY ((T)__longlong_as_double(0x7ff0000000000000ll))\n"
                                 "#define ND_NAN ((T)__longlong_as_double(0x7ff8000000000000ll))\n"
                                 "#define ND_FN static __device__ __forceinline__\n"
                                 "ND_FN T nd_max(T a, T b) { return a > b ? a : b; }\n"
                                 "ND_FN T nd_min(T a, T b) { return a < b ? a : b; }\n"
                                 "ND_FN T nd_gt(T a, T b) { return a > b ? 1 : 0; }\n"
                                 "ND_FN T nd_select(T c, T a, T b) { return c != 0 ? a : b; }\n"
                                 "ND_FN T nd_select_gt(T l, T r, T a, T b) { return l > r ? a : b; }\n"
    "ND_FN double nd_widen(T a) { return a; }\n"
                                 "ND_FN T nd_narrow(double a) { return (T)a; }\n"
                                 "ND_FN T nd_sigmoid(T a) { return 1 / (1 + nd_exp(-a)); }\n"
                                 "ND_FN void nd_argmax(T *best, T *where, T x, T position) {\n"
                                 "    if (x > *best) {\n"
                                 "        *best = x;\n"
                                 "        *where = position;\n"
                                 "    }\n"
                                 "}\n";

static const char functions_text[] = "static __device__ __forceinline__ T nd_abs(T a) { return fabs%1$s(a); }\n"
                                     "static __device__ __forceinline__ T nd_exp(T a) { return exp%1$s(a); }\n"
                                     "static __device__ __forceinline__ T nd_log(T a) { return log%1$s(a); }\n"
                                     "static __device__ __forceinline__ T nd_sqrt(T a) { return sqrt%1$s(a); }\n"
                                     "static __device__ __forceinline__ T nd_tanh(T a) { return tanh%1$s(a); }\n"
                                     "static __device__ __forceinline__ T nd_sin(T a) { return sin%1$s(a); }\n"
                                     "static __device__ __forceinline__ T nd_cos(T a) { return cos%1$s(a); }\n";

/* Philox and Box-Muller as in base/hash.c; the functions of the device differ from the polynomials by less than 1e-6.
 */
static const char draws_text[] =
    "ND_FN void nd_philox(uint32_t word[2], const NdRun *run, uint32_t stream, int64_t image, int64_t element) {\n"
    "    uint32_t key0 = (uint32_t)run->seed, key1 = (uint32_t)(run->seed >> 32);\n"
    "    uint32_t c0 = (uint32_t)element, c1 = (uint32_t)(run->image_base + (uint64_t)image), c2 = stream, c3 = "
    "(uint32_t)run->step;\n"
    "    for (int round = 0; round < 10; round++) {\n"
    "        uint32_t h0 = __umulhi(c0, 0xD2511F53u), l0 = c0 * 0xD2511F53u, h2 = __umulhi(c2, 0xCD9E8D57u), l2 = c2 * "
    "0xCD9E8D57u;\n"
    "        c0 = h2 ^ c1 ^ key0;\n"
    "        c1 = l2;\n"
    "        c2 = h0 ^ c3 ^ key1;\n"
    "        c3 = l0;\n"
    "        key0 += 0x9E3779B9u;\n"
    "        key1 += 0xBB67AE85u;\n"
    "    }\n"
    "    word[0] = c0;\n"
    "    word[1] = c1;\n"
    "}\n"
    "ND_FN T nd_uniform(const NdRun *run, int64_t stream, int64_t image, int64_t element) {\n"
    "    uint32_t word[2];\n"
    "    nd_philox(word, run, (uint32_t)stream, image, element);\n"
    "    return (T)((float)(word[0] >> 8) * (1.0f / 16777216));\n"
    "}\n"
    "ND_FN T nd_normal(const NdRun *run, int64_t stream, int64_t image, int64_t element) {\n"
    "    uint32_t word[2];\n"
    "    nd_philox(word, run, (uint32_t)stream, image, element);\n"
    "    float u1 = (float)((word[0] >> 8) + 1) * (1.0f / 16777216), u2 = (float)(word[1] >> 8) * (1.0f / 16777216);\n"
    "    return (T)(sqrtf(-2.0f * logf(u1)) * cospif(2.0f * u2));\n"
    "}\n"
    "ND_FN T nd_bernoulli(const NdRun *run, int64_t stream, int64_t image, int64_t element, T keep) { return "
    "nd_uniform(run, stream, image, element) < keep ? 1 : 0; }\n";

void cg_cuda_add_prelude(Str *out, const CgOptions *options) {
    bool f64 = options->precision == PRECISION_f64;
    str_add(out, f64 ? "typedef double T;\n" : "typedef float T;\n");
    str_addf(out, functions_text, f64 ? "" : "f");
    str_add(out, types_text);
    str_add(out, draws_text);
}

/* ---- kernels ---- */

static void add_parameters(const CgPrinter *p, const CgStep *step, Str *text) {
    str_add(text, "extern \"C\" __global__ void @(");
    for (int i = 0; i < p->buffer_count; i++)
        str_addf(text, "%s%s *p%d, ", p->buffers[i] == step->out ? "" : "const ", cg_c_element(p->buffers[i]), i);
    for (int i = 0; i < step->int_count; i++)
        str_addf(text, "int64_t n%d, ", i);
    str_add(text, "const NdRun *run, int64_t private_bytes)\n{\n");
    for (int i = 0; i < p->buffer_count; i++)
        if (p->buffers[i]->place != PLACE_private)
            str_addf(text, "    %s%s *const b%d = p%d;\n", p->buffers[i] == step->out ? "" : "const ",
                     cg_c_element(p->buffers[i]), i, i);
    if (step->int_count) {
        str_addf(text, "    const int64_t ints[%d] = {", step->int_count);
        for (int i = 0; i < step->int_count; i++)
            str_addf(text, i ? ", n%d" : "n%d", i);
        str_add(text, "};\n");
    }
}

/* Private memory of the present image. */
static void add_private_bases(CgPrinter *p, const CgStep *step) {
    for (int i = 0; i < p->buffer_count; i++) {
        const CgBuffer *buffer = p->buffers[i];
        const char *constant = buffer == step->out ? "" : "const ", *element = cg_c_element(buffer);
        if (buffer->place == PLACE_private)
            cg_c_line(p, "%s%s *const b%d = (%s%s *)((%schar *)p%d + image * private_bytes);", constant, element, i,
                      constant, element, constant, i);
    }
}

/* The thread's element: axes from the innermost in memory outward. Returns the elements of one image (or of all). */
static int64_t count_threads(const CgStep *step) {
    int64_t count = 1;
    for (int d = 0; d < step->out->type.rank; d++)
        count *= step->axes[d].extent > 0 ? step->axes[d].extent : 1;
    return count;
}

static void open_threads(CgPrinter *p, const CgStep *step, const char *outer, const char *outer_count, int64_t count) {
    const char *total = outer ? arena_printf(p->arena, "%s * %lld", outer_count, (long long)count)
                              : arena_printf(p->arena, "%lld", (long long)count);
    cg_c_open(p,
              "for (int64_t thread = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; thread < %s; thread += "
              "(int64_t)gridDim.x * blockDim.x)",
              total);
    cg_c_line(p, "int64_t rest = thread;");
    for (int i = step->out->type.rank - 1; i >= 0; i--) {
        int axis = step->out->order[i];
        int64_t extent = step->axes[axis].extent;
        if (extent <= 1)
            continue;
        p->axis_name[axis] = cg_c_name(p, "i");
        cg_c_line(p, "const int64_t %s = rest %% %lld;", p->axis_name[axis], (long long)extent);
        cg_c_line(p, "rest /= %lld;", (long long)extent);
    }
    if (outer)
        cg_c_line(p, "const int64_t %s = rest;", outer);
}

static void emit_element(CgPrinter *p, const CgStep *step) {
    add_private_bases(p, step);
    cg_c_store(p, step->out, cg_c_result_offset(p), cg_c_print_scalar(p, step->value), false);
}

/* Images of chunk k are [k * batch / K, (k + 1) * batch / K). */
static void emit_chunk(CgPrinter *p, const CgStep *step) {
    cg_c_line(p, "T total = 0;");
    cg_c_open(p, "for (int64_t image = chunk * run->batch / run->chunks; image < (chunk + 1) * run->batch / "
                 "run->chunks; image++)");
    add_private_bases(p, step);
    cg_c_line(p, "total += %s;", cg_c_print_scalar(p, step->value));
    cg_c_close(p);
    cg_c_store(p, step->out, cg_c_result_offset(p), "total", false);
}

static CgLaunch print_kernel(CgPrinter *p, const CgStep *step, int64_t count) {
    int64_t front = step->out->type.rank ? step->axes[0].extent : 1;
    CgLaunch launch = step->partial || front == IR_DIM_K ? LAUNCH_chunks
                      : front == IR_DIM_N                ? LAUNCH_images
                                                         : LAUNCH_once;
    const char *outer = launch == LAUNCH_chunks ? "chunk" : launch == LAUNCH_images ? "image" : NULL;
    p->indent = 1;
    open_threads(p, step, outer, launch == LAUNCH_chunks ? "run->chunks" : "run->batch", count);
    if (step->partial) {
        p->axis_name[0] = "image";
        emit_chunk(p, step);
    } else {
        if (outer)
            p->axis_name[0] = outer;
        emit_element(p, step);
    }
    cg_c_close(p);
    return launch;
}

static void emit_step(CgModule *module, const CgStep *step, CgCallStage *calls) {
    Str body = str_create(module->arena), text = str_create(module->arena);
    CgPrinter *p = cg_printer_create(module->arena, &body, step);
    int64_t count = count_threads(step);
    CgLaunch launch = print_kernel(p, step, count);
    add_parameters(p, step, &text);
    str_add_bytes(&text, body.data, body.length);
    str_add(&text, "}\n");
    CgCall call = {.buffer_count = p->buffer_count,
                   .buffers = p->buffers,
                   .int_count = step->int_count,
                   .ints = step->ints,
                   .launch = launch,
                   .threads = count};
    call.kernel = cg_module_add_kernel(module, text.data, step->node);
    cg_stage_add_call(module, calls, call);
}

void cg_cuda_emit_stage(CgModule *module, CgProgram *program, const CgStage *stage, CgCallStage *calls) {
    (void)program;
    for (int i = 0; i < stage->step_count; i++)
        emit_step(module, stage->steps[i], calls);
}
