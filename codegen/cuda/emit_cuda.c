/* emit_cuda.c: the CUDA dialect: a kernel for each group of steps (cuda_group.c), as its schedule prints it (schedule_table.c).
 *
 * Arguments of a kernel: a table with a row for each of the calls that are launched together (its buffers in order, then
 * its constants), the run-time block on the device, and the distance between two images' private memories in bytes. Nothing is included: NVRTC may have no headers. */
#include "codegen/cuda/cuda.h"

#include <string.h>

/* Sums of at most 127 rows in the order of the C dialect (prelude_c.c). No index depends on data: the sums that wait are
 * registers. */
#define MERGE_TEXT                                                                                                     \
    "enum { ND_MERGE_SUMS = 7 };\n"                                                                                    \
    "ND_FN void nd_merge(double *sums, int row, double sum) {\n"                                                       \
    "    bool moves = true;\n"                                                                                         \
    "    _Pragma(\"unroll\")\n"                                                                                        \
    "    for (int l = 0; l < ND_MERGE_SUMS; l++) {\n"                                                                  \
    "        if (moves && row >> l & 1) {\n"                                                                           \
    "            sum = sums[l] + sum;\n"                                                                               \
    "        } else if (moves) {\n"                                                                                    \
    "            sums[l] = sum;\n"                                                                                     \
    "            moves = false;\n"                                                                                     \
    "        }\n"                                                                                                      \
    "    }\n"                                                                                                          \
    "}\n"                                                                                                              \
    "ND_FN double nd_merged(const double *sums, int rows) {\n"                                                         \
    "    double sum = 0;\n"                                                                                            \
    "    bool any = false;\n"                                                                                          \
    "    _Pragma(\"unroll\")\n"                                                                                        \
    "    for (int l = 0; l < ND_MERGE_SUMS; l++)\n"                                                                    \
    "        if (rows >> l & 1) {\n"                                                                                   \
    "            sum = any ? sums[l] + sum : sums[l];\n"                                                               \
    "            any = true;\n"                                                                                        \
    "        }\n"                                                                                                      \
    "    return sum;\n"                                                                                                \
    "}\n"

static const char types_text[] = "typedef signed char int8_t;\n"
                                 "typedef unsigned char uint8_t;\n"
                                 "typedef int int32_t;\n"
                                 "typedef unsigned int uint32_t;\n"
                                 "typedef long long int64_t;\n"
                                 "typedef unsigned long long uint64_t;\n" ND_RUN_TEXT ";\n"
                                 "#define ND_INFINITY ((T)__longlong_as_double(0x7ff0000000000000ll))\n"
                                 "#define ND_NAN ((T)__longlong_as_double(0x7ff8000000000000ll))\n"
                                 "#define ND_FN static __device__ __forceinline__\n"
                                 "ND_FN T nd_max(T a, T b) { return a > b ? a : b; }\n"
                                 "ND_FN T nd_min(T a, T b) { return a < b ? a : b; }\n"
                                 "ND_FN T nd_gt(T a, T b) { return a > b ? 1 : 0; }\n"
                                 "ND_FN T nd_select(T c, T a, T b) { return c != 0 ? a : b; }\n"
                                 "ND_FN T nd_select_gt(T l, T r, T a, T b) { return l > r ? a : b; }\n"
                                 "ND_FN double nd_widen(T a) { return a; }\n"
                                 "ND_FN T nd_narrow(double a) { return (T)a; }\n" MERGE_TEXT
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
#define FUNCTION(name) "static __device__ __forceinline__ T nd_" #name "(T a) { return " #name "%1$s(a); }\n"
#include "ir/functions.def"
#undef FUNCTION
    ;

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
 * runs this source elsewhere defines ND_EMULATED and has these functions. Before sm_80 there is none: lanes then tell
 * each other whole floats, which is as exact as FMA. */
static const char tensor_text[] =
    "typedef unsigned short uint16_t;\n"
    "#ifdef ND_EMULATED\n"
    "#define ND_WHOLE_TF32 0\n"
    "#elif __CUDA_ARCH__ < 800\n"
    "#define ND_WHOLE_TF32 1\n"
    "ND_FN uint32_t nd_to_tf32(float a) { return __float_as_uint(a); }\n"
    "ND_FN void nd_mma_tf32(float c[4], const uint32_t a[4], const uint32_t b[2]) {\n"
    "    const int lane = threadIdx.x % 32, row = lane / 4 * 4, column = lane % 4 * 8;\n"
    "    for (int k = 0; k < 8; k++) {\n"
    "        const float low = __shfl_sync(~0u, __uint_as_float(a[k / 4 * 2]), row + k % 4),\n"
    "                    high = __shfl_sync(~0u, __uint_as_float(a[k / 4 * 2 + 1]), row + k % 4),\n"
    "                    left = __shfl_sync(~0u, __uint_as_float(b[k / 4]), column + k % 4),\n"
    "                    right = __shfl_sync(~0u, __uint_as_float(b[k / 4]), column + 4 + k % 4);\n"
    "        c[0] += low * left, c[1] += low * right, c[2] += high * left, c[3] += high * right;\n"
    "    }\n"
    "}\n"
    "#else\n"
    "#define ND_WHOLE_TF32 0\n"
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
    "        asm volatile(\"mma.sync.aligned.\" shape \" {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
    "%3};\" \\\n"
    "            : \"+f\"(c[0]), \"+f\"(c[1]), \"+f\"(c[2]), \"+f\"(c[3]) \\\n"
    "            : \"r\"(a[0]), \"r\"(a[1]), \"r\"(a[2]), \"r\"(a[3]), \"r\"(b[0]), \"r\"(b[1])); \\\n"
    "    }\n"
    "ND_MMA(nd_mma_tf32, \"m16n8k8.row.col.f32.tf32.tf32.f32\")\n"
    "ND_MMA(nd_mma_bf16, \"m16n8k16.row.col.f32.bf16.bf16.f32\")\n"
    "#endif\n";

/* Images in bf16. What a kernel goes on with is not rounded, only what it stores. */
static const char bf16_text[] =
    "struct nd_bf16 {\n"
    "    uint16_t bits;\n"
    "    nd_bf16() = default;\n"
    "    __device__ __forceinline__ explicit nd_bf16(float a) : bits(nd_to_bf16(a)) {}\n"
    "    __device__ __forceinline__ operator float() const { return __uint_as_float((uint32_t)bits << 16); }\n"
    "};\n"
    "#define nd_round_h1(a) (a)\n"
    "#define nd_load_h1(at) ((T)*(at))\n"
    "#define nd_store_h1(at, a) (*(at) = (nd_bf16)(a))\n";

void cg_cuda_add_prelude(Str *out, const CgOptions *options, const CgNames *names, int counters) {
    bool f64 = options->precision == PRECISION_f64;
    str_add(out, f64 ? "typedef double T;\n" : "typedef float T;\n");
    str_addf(out, functions_text, f64 ? "" : "f");
    str_add(out, types_text);
    str_add(out, draws_text);
    if (!f64)
        str_add(out, tensor_text);
    if (options->precision >= PRECISION_tf32)
        str_add(out, bf16_text);
    cuda_add_vectors(out, options);
    cuda_add_fragments(out, options);
    if (options->ranks > 1)
        cuda_add_chunks(out, options, names);
    if (counters)
        str_addf(out, "static __device__ unsigned nd_counters[%d];\n", counters);
}

/* ---- kernels ---- */

/* A row of the table holds a call's buffers and constants; blockIdx.y says which call this block belongs to. */
static void add_parameters(const CudaKernel *k, int int_count, Str *text) {
    const CgPrinter *p = k->p;
    str_add(text, "(const int64_t *rows, const NdRun *run, int64_t private_bytes)\n{\n");
    str_addf(text, "    const int64_t *const call = rows + (int64_t)blockIdx.y * %d;\n", p->buffer_count + int_count);
    for (int i = 0; i < k->body_buffers; i++)
        str_addf(text, "    %s\n", cuda_declare_buffer(k, i));
    if (int_count)
        str_addf(text, "    const int64_t *const ints = call + %d;\n", p->buffer_count);
}

/* Threads of a launch come from its first step, unless the schedule says otherwise. */
static CudaKernel begin_kernel(Arena *arena, CgProgram *program, const CudaGroup *group, Str *body) {
    CudaKernel k = {.p = cg_printer_create(arena, body, group->steps[0]), .program = program, .group = group};
    bool narrow = true;
    int ints = 0;
    for (int i = 0; i < group->step_count; i++) {
        k.int_base[i] = ints;
        ints += group->steps[i]->int_count;
        narrow = narrow && cuda_fits_int(program->options, group->steps[i]);
        cuda_set_step(&k, i);
        k.body_buffers = group->tail && i >= group->tail ? k.body_buffers : k.p->buffer_count;
    }
    cuda_set_step(&k, 0);
    k.p->indent = 1;
    k.p->of_ranks = program->options->ranks > 1;
    k.p->index_type = narrow ? "int" : "int64_t";
    k.launch = cuda_step_launch(group->steps[cuda_body(group).step_count - 1]);
    k.threads = cuda_count_elements(group->steps[0]);
    return k;
}

/* The steps' constants, one after the other; the number of the call's counter, when it has a tail. */
static int gather_ints(const CudaGroup *group, int counter, int64_t *ints) {
    int count = 0;
    for (int i = 0; i < group->step_count; i++)
        for (int j = 0; j < group->steps[i]->int_count; j++)
            ints[count++] = group->steps[i]->ints[j];
    if (group->tail)
        ints[count++] = counter;
    return count;
}

static void print_body(CudaKernel *k, int int_count) {
    const CudaGroup *group = k->group, body = cuda_body(group);
    k->group = &body;
    group->schedule->print(k);
    k->group = group;
    if (group->tail)
        cuda_print_tail(k, int_count - 1);
}

/* counters: of the program's calls so far. */
static void emit_group(CgModule *module, CgProgram *program, const CudaGroup *group, int *counters, PlanStage *calls) {
    Arena *arena = arena_create(); /* most texts turn out to be known already */
    Str body = str_create(arena), text = str_create(arena);
    CudaKernel k = begin_kernel(arena, program, group, &body);
    int64_t ints[CUDA_GROUP_STEPS * CG_MAX_INTS + 1];
    int int_count = gather_ints(group, *counters, ints);
    *counters += group->tail > 0;
    print_body(&k, int_count);
    add_parameters(&k, int_count, &text);
    str_add_bytes(&text, body.data, body.length);
    str_add(&text, "}\n");
    int number = cg_module_add_kernel(module, text.data, DOMAIN_parallel, (const CgStep *const *)group->steps,
                                      group->step_count);
    PlanKernel *kernel = &module->kernels[number].plan;
    kernel->tensor = k.tensor;
    if (k.resident > 0)
        module->kernels[number].attributes =
            arena_printf(module->arena, "__launch_bounds__(%d, %d) ", CUDA_BLOCK_THREADS, k.resident);
    if (group->step_count == 1)
        cuda_describe_conv(k.p, module->options->precision, group->steps[0], &kernel->conv);
    PlanStep *call = cg_add_call(module, calls, number, k.p->buffer_count, k.p->buffers, int_count, ints);
    call->launch = k.launch;
    call->threads = k.threads;
    call->when = group->steps[0]->when;
    arena_destroy(arena);
}

/* ---- a program ---- */

/* Calls of one kernel become neighbours, in their old order, and so do their groups. */
static void sort_calls(CgModule *module, CudaLevel *level, PlanStage *stage) {
    PlanStep *calls = ARENA_ARRAY(module->arena, PlanStep, stage->step_count);
    CudaGroup **groups = ARENA_ARRAY(module->arena, CudaGroup *, stage->step_count);
    int *first = ARENA_ARRAY(module->arena, int, module->kernel_count);
    int *next = ARENA_ARRAY(module->arena, int, stage->step_count), at = 0;
    for (int i = stage->step_count - 1; i >= 0; i--) {
        next[i] = first[stage->steps[i].kernel];
        first[stage->steps[i].kernel] = i + 1;
    }
    for (int i = 0; i < stage->step_count; i++) {
        int kernel = stage->steps[i].kernel;
        for (int j = first[kernel]; j; j = next[j - 1], at++) {
            calls[at] = stage->steps[j - 1];
            groups[at] = level->groups[j - 1];
        }
        first[kernel] = 0;
    }
    stage->steps = calls;
    level->groups = groups;
}

/* The levels of a round. */
typedef struct Levels {
    int count;
    CudaLevel *levels;
} Levels;

static void choose_parts(CgProgram *program, const Levels levels[CUDA_ROUNDS]) {
    CudaParts parts = cuda_parts_begin(program);
    for (int round = 0; round < CUDA_ROUNDS; round++)
        for (int i = 0; i < levels[round].count; i++)
            for (int j = 0; j < levels[round].levels[i].group_count; j++)
                cuda_parts_choose(&parts, levels[round].levels[i].groups[j]);
    cuda_parts_end(&parts);
}

/* Where launches of the round at hand go. */
typedef struct Emission {
    CgModule *module;
    CgProgram *program;
    PlanGraph *calls;
    CudaEdges *edges;
    bool prepared;
    int counters;
} Emission;

static void emit_level(Emission *e, CudaLevel *level) {
    PlanStage stage = {.domain = DOMAIN_parallel};
    for (int j = 0; j < level->group_count; j++)
        emit_group(e->module, e->program, level->groups[j], &e->counters, &stage);
    if (!level->group_count)
        return;
    sort_calls(e->module, level, &stage);
    cuda_edges_add(e->edges, level, &stage);
    cg_add_stage(e->module, e->calls, e->prepared, stage);
}

/* Of several ranks: tails wait until the sums of all are there. */
static void emit_level_of_ranks(Emission *e, CudaLevel *level) {
    CudaLevel tails = cuda_split_tails(e->module->arena, e->program, level);
    PlanStage exchange = {.domain = DOMAIN_exchange};
    emit_level(e, level);
    cuda_exchange_sums(e->module, level, e->edges, &exchange);
    if (exchange.step_count)
        cg_add_stage(e->module, e->calls, e->prepared, exchange);
    emit_level(e, &tails);
}

void cg_cuda_emit_program(CgModule *module, CgProgram *program, PlanGraph *calls) {
    Levels levels[CUDA_ROUNDS];
    for (int round = 0; round < CUDA_ROUNDS; round++)
        levels[round].levels = cuda_group_steps(module->arena, program, (CudaRound)round, &levels[round].count);
    choose_parts(program, levels);
    CudaEdges *prepared = cuda_edges_create(module->arena), *rest = cuda_edges_create(module->arena);
    Emission e = {.module = module, .program = program, .calls = calls};
    for (int round = 0; round < CUDA_ROUNDS; round++) {
        e.prepared = round == CUDA_PREPARED;
        e.edges = e.prepared ? prepared : rest;
        for (int i = 0; i < levels[round].count; i++)
            (module->options->ranks > 1 ? emit_level_of_ranks : emit_level)(&e, &levels[round].levels[i]);
        if (round == CUDA_CHOOSING)
            calls->choosing_count = calls->stage_count;
    }
    module->counter_count = e.counters > module->counter_count ? e.counters : module->counter_count;
}
