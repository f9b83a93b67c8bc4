/* emit_cuda.c: the CUDA dialect: one kernel a step, one thread an element of the result, images side by side; sums over
 * images are in cuda_sum.c.
 *
 * Arguments of a kernel: a table with a row for each of the calls that are launched together (its buffers in order, then
 * its constants), the run-time block on the device, and the distance between two images' private memories in bytes. Nothing is included: NVRTC may have no headers. */
#include "codegen/cuda.h"

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

/* What the tensor cores take. mma.sync multiplies 16 x 8 words by 8 x 8 words, a word being one tf32 or two bf16 (along
 * k), and adds to 16 x 8 floats; how they lie in the lanes of a warp is in the PTX manual, and in cuda_mma.c. Whoever
 * runs this source elsewhere defines ND_EMULATED and has these functions. */
static const char tensor_text[] =
    "typedef unsigned short uint16_t;\n"
    "#ifndef ND_EMULATED\n"
    "ND_FN uint32_t nd_to_tf32(float a) {\n"
    "    uint32_t r;\n"
    "    asm(\"cvt.rna.tf32.f32 %0, %1;\" : \"=r\"(r) : \"f\"(a));\n"
    "    return r;\n"
    "}\n"
    "ND_FN uint16_t nd_to_bf16(float a) {\n"
    "    uint16_t r;\n"
    "    asm(\"cvt.rn.bf16.f32 %0, %1;\" : \"=h\"(r) : \"f\"(a));\n"
    "    return r;\n"
    "}\n"
    "#define ND_MMA(name, shape) \\\n"
    "    ND_FN void name(float c[4], const uint32_t a[4], const uint32_t b[2]) { \\\n"
    "        asm volatile(\"mma.sync.aligned.\" shape \" {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\" \\\n"
    "            : \"+f\"(c[0]), \"+f\"(c[1]), \"+f\"(c[2]), \"+f\"(c[3]) \\\n"
    "            : \"r\"(a[0]), \"r\"(a[1]), \"r\"(a[2]), \"r\"(a[3]), \"r\"(b[0]), \"r\"(b[1])); \\\n"
    "    }\n"
    "ND_MMA(nd_mma_tf32, \"m16n8k8.row.col.f32.tf32.tf32.f32\")\n"
    "ND_MMA(nd_mma_bf16, \"m16n8k16.row.col.f32.bf16.bf16.f32\")\n"
    "#endif\n"
    "struct nd_bf16 {\n"
    "    uint16_t bits;\n"
    "    nd_bf16() = default;\n"
    "    __device__ __forceinline__ explicit nd_bf16(float a) : bits(nd_to_bf16(a)) {}\n"
    "    __device__ __forceinline__ operator float() const { return __uint_as_float((uint32_t)bits << 16); }\n"
    "};\n";

void cg_cuda_add_prelude(Str *out, const CgOptions *options) {
    bool f64 = options->precision == PRECISION_f64;
    str_add(out, f64 ? "typedef double T;\n" : "typedef float T;\n");
    str_addf(out, functions_text, f64 ? "" : "f");
    str_add(out, types_text);
    str_add(out, draws_text);
    if (options->precision >= PRECISION_tf32)
        str_add(out, tensor_text);
}

/* ---- kernels ---- */

/* A row of the table holds a call's buffers and constants; blockIdx.y says which call this block belongs to. */
static void add_parameters(const CgPrinter *p, const CgStep *step, Str *text) {
    str_add(text, "extern \"C\" __global__ void @(const int64_t *rows, const NdRun *run, int64_t private_bytes)\n{\n");
    str_addf(text, "    const int64_t *const call = rows + (int64_t)blockIdx.y * %d;\n", p->buffer_count + step->int_count);
    for (int i = 0; i < p->buffer_count; i++) {
        bool private_value = p->buffers[i]->place == PLACE_private;
        const char *constant = p->buffers[i] == step->out ? "" : "const ", *element = cg_c_element(p->buffers[i]);
        str_addf(text, "    %s%s *const %c%d = (%s%s *)call[%d];\n", constant, element, private_value ? 'p' : 'b', i, constant,
                 element, i);
    }
    if (step->int_count)
        str_addf(text, "    const int64_t *const ints = call + %d;\n", p->buffer_count);
}

void cuda_print_private_bases(CgPrinter *p, const CgStep *step) {
    for (int i = 0; i < p->buffer_count; i++) {
        const CgBuffer *buffer = p->buffers[i];
        const char *constant = buffer == step->out ? "" : "const ", *element = cg_c_element(buffer);
        if (buffer->place == PLACE_private)
            cg_c_line(p, "%s%s *const b%d = (%s%s *)((%schar *)p%d + image * private_bytes);", constant, element, i,
                      constant, element, constant, i);
    }
}

/* 32-bit divisions, where they are enough, are a quarter of the code. */
void cuda_print_chunk(CgPrinter *p, const char *first, int step) {
    const char *type = p->index_type;
    cg_c_line(p, "const %s images = (%s)run->batch, chunks = (%s)run->chunks, end = ((%s)chunk + 1) * images / chunks;", type,
              type, type, type);
    cg_c_open(p, "for (int64_t image = (%s)chunk * images / chunks%s; image < end; image += %d)", type, first, step);
}

void cuda_print_element(CgPrinter *p, const CgStep *step, const char *number) {
    cuda_print_axes(p, step->value, true, step->out->order, step->out->type.rank, number);
}

/* Elements of one image, of one chunk, or of all, as the launch is. */
static int64_t count_elements(const CgStep *step) {
    int64_t count = 1;
    for (int d = 0; d < step->out->type.rank; d++)
        count *= step->axes[d].extent > 0 ? step->axes[d].extent : 1;
    return count;
}

static CgLaunch choose_launch(const CgStep *step) {
    int64_t front = step->out->type.rank ? step->axes[0].extent : 1;
    return step->partial || front == IR_DIM_K ? LAUNCH_chunks : front == IR_DIM_N ? LAUNCH_images : LAUNCH_once;
}

/* Are numbers of threads, and of elements of an image or of what has no images, below 2^30? */
static bool is_narrow(const CgOptions *options, const CgStep *step, int64_t threads) {
    const int64_t most = INT64_C(1) << 30;
    for (int i = 0; i < step->buffer_count; i++)
        if (ir_type_count(&step->buffers[i]->type, 1, options->chunks) > most)
            return false;
    return threads * (options->batch + options->chunks) < most;
}

/* One thread an element. */
static void print_elements(CgPrinter *p, const CgStep *step, CgLaunch launch, int64_t count) {
    const char *outer = launch == LAUNCH_chunks ? "chunk" : launch == LAUNCH_images ? "image" : NULL;
    const char *times = launch == LAUNCH_chunks ? "run->chunks * " : launch == LAUNCH_images ? "run->batch * " : "";
    cg_c_open(p, "for (%s thread = (%s)blockIdx.x * blockDim.x + threadIdx.x; thread < %s%lld; thread += (%s)gridDim.x * blockDim.x)",
              p->index_type, p->index_type, times, (long long)count, p->index_type);
    if (outer) {
        cg_c_line(p, "const int64_t %s = thread / %lld;", outer, (long long)count);
        cg_c_line(p, "const %s element = thread %% %lld;", p->index_type, (long long)count);
        p->axis_name[0] = outer;
    }
    cuda_print_element(p, step, outer ? "element" : "thread");
    cuda_print_private_bases(p, step);
    cg_c_store(p, step->out, cg_c_result_offset(p), cg_c_print_scalar(p, step->value), false);
    cg_c_close(p);
}

static void emit_step(CgModule *module, const CgProgram *program, CgDomain domain, const CgStep *step, CgCallStage *calls) {
    Str body = str_create(module->arena), text = str_create(module->arena);
    CgPrinter *p = cg_printer_create(module->arena, &body, step);
    CgCall call = {.int_count = step->int_count, .ints = step->ints, .launch = choose_launch(step)};
    p->indent = 1;
    call.threads = count_elements(step);
    if (is_narrow(module->options, step, call.threads))
        p->index_type = "int";
    bool tiled = !module->options->plain && (cuda_print_window(p, program, step, &call.threads) ||
                                             cuda_print_window_grad(p, program, step, &call.threads) ||
                                             cuda_print_product(p, module->options->precision, step, call.launch, &call.threads));
    if (!tiled && !cuda_print_sum(p, step, call.threads, call.launch, &call.threads)) {
        if (step->partial)
            bug("partial sum %%%d of a number of terms that is not constant", step->node->id);
        print_elements(p, step, call.launch, call.threads);
    }
    add_parameters(p, step, &text);
    str_add_bytes(&text, body.data, body.length);
    str_add(&text, "}\n");
    call.buffer_count = p->buffer_count;
    call.buffers = p->buffers;
    call.kernel = cg_module_add_kernel(module, text.data, domain, &step, 1);
    CgConv conv;
    if (cuda_describe_conv(p, module->options->precision, step, &conv))
        module->kernels[call.kernel].conv = conv;
    cg_stage_add_call(module, calls, call);
}

void cg_cuda_emit_stage(CgModule *module, CgProgram *program, const CgStage *stage, CgCallStage *calls) {
    for (int i = 0; i < stage->step_count; i++)
        emit_step(module, program, stage->domain, stage->steps[i], calls);
}
