/* codegen_simt.c: the emitted CUDA source, run on the CPU: compiled by g++ with the few built-ins it uses defined here. A
 * block's threads are threads, blocks run one after the other; the grid is small, so that a kernel's stride over its work
 * is exercised. What it gives must be what the C dialect gives; the plan's launches and memory are thereby checked
 * without a GPU. */
#include "codegen_harness.h"

static const char *const builtins =
    "#include <cmath>\n"
    "#include <cstring>\n"
    "#include <pthread.h>\n"
    "#include <cstdint>\n"
    "#include <thread>\n"
    "#include <vector>\n"
    "using std::fabs; using std::exp; using std::log; using std::sqrt; using std::tanh; using std::sin; using "
    "std::cos;\n"
    "#define __device__\n"
    "#define __global__\n"
    "#define __forceinline__ inline\n"
    "#define __shared__ static\n"
    "#define int8_t nd_int8_t\n"
    "#define int64_t nd_int64_t\n"
    "#define uint64_t nd_uint64_t\n"
    "struct Dim { unsigned x, y; };\n"
    "static thread_local Dim blockIdx, threadIdx;\n"
    "#define VECTOR4(name, type) struct alignas(4 * sizeof(type)) name { type x, y, z, w; }; \\\n"
    "    static inline name make_##name(type x, type y, type z, type w) { return {x, y, z, w}; }\n"
    "#define VECTOR2(name, type) struct alignas(2 * sizeof(type)) name { type x, y; }; \\\n"
    "    static inline name make_##name(type x, type y) { return {x, y}; }\n"
    "VECTOR4(float4, float) VECTOR4(uchar4, unsigned char) VECTOR2(double2, double) VECTOR2(uchar2, unsigned char)\n"
    "VECTOR2(float2, float) VECTOR2(uint2, unsigned) VECTOR4(uint4, unsigned)\n"
    "static Dim blockDim = {256}, gridDim = {3};\n"
    "static pthread_barrier_t barrier;\n"
    "static void __syncthreads() { pthread_barrier_wait(&barrier); }\n"
    "static pthread_barrier_t warps[8];\n"
    "static float lanes[256];\n"
    "static float __shfl_sync(unsigned, float a, int from) {\n"
    "    unsigned warp = threadIdx.x / 32;\n"
    "    lanes[threadIdx.x] = a;\n"
    "    pthread_barrier_wait(&warps[warp]);\n"
    "    a = lanes[warp * 32 + from];\n"
    "    pthread_barrier_wait(&warps[warp]);\n"
    "    return a;\n"
    "}\n"
    "static float __shfl_xor_sync(unsigned mask, float a, int bits) {\n"
    "    return __shfl_sync(mask, a, (threadIdx.x % 32) ^ bits);\n"
    "}\n"
    "typedef void Kernel(intptr_t, intptr_t, intptr_t);\n"
    "extern \"C\" void simt_launch(Kernel *k, const intptr_t *a) {\n"
    "    pthread_barrier_init(&barrier, nullptr, blockDim.x);\n"
    "    for (auto &warp : warps)\n"
    "        pthread_barrier_init(&warp, nullptr, 32);\n"
    "    for (unsigned b = 0; b < gridDim.x; b++) {\n"
    "        std::vector<std::thread> threads;\n"
    "        for (unsigned t = 0; t < blockDim.x; t++)\n"
    "            threads.emplace_back([=] {\n"
    "                blockIdx.x = b;\n"
    "                threadIdx.x = t;\n"
    "                k(a[0], a[1], a[2]);\n"
    "            });\n"
    "        for (auto &thread : threads)\n"
    "            thread.join();\n"
    "    }\n"
    "}\n"
    "static inline double __longlong_as_double(long long x) { double y; memcpy(&y, &x, 8); return y; }\n"
    "static inline float __uint_as_float(unsigned x) { float y; memcpy(&y, &x, 4); return y; }\n"
    "static inline unsigned __float_as_uint(float x) { unsigned y; memcpy(&y, &x, 4); return y; }\n"
    "static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }\n"
    "static inline float cospif(float x) { return (float)std::cos(3.14159265358979323846 * x); }\n";

typedef struct Simt {
    Harness *h;
    void *library;
    void (*launch)(void *kernel, const intptr_t *arguments);
    char *private; /* of all images */
} Simt;

static void *load(Arena *arena, const char *source) {
    char folder[] = "/tmp/ndarts-simt-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const char *path = arena_printf(arena, "%s/m.cc", folder);
    FILE *file = fopen(path, "w");
    fprintf(file, "%s%s", builtins, source);
    fclose(file);
    const char *command =
        arena_printf(arena, "g++ -w -O1 -std=c++17 -shared -fPIC -pthread -o %s/m.so %s", folder, path);
    if (system(command))
        fail_msg("%s failed", command);
    void *library = dlopen(arena_printf(arena, "%s/m.so", folder), RTLD_NOW);
    if (!library)
        fail_msg("%s", dlerror());
    if (system(arena_printf(arena, "rm -r %s", folder)))
        fail_msg("cannot remove %s", folder);
    return library;
}

/* One call: a table of one row. */
static void launch(Simt *s, const HarnessStep *step, int64_t private_bytes) {
    Harness *h = s->h;
    int64_t row[256];
    int count = 0;
    json_t *kernel = json_array_get(json_object_get(h->plan, "kernels"), (size_t)step->kernel);
    for (int i = 0; i < step->buffer_count; i++)
        row[count++] = (intptr_t)harness_address(h, step, i, s->private);
    for (int i = 0; i < step->int_count; i++)
        row[count++] = step->ints[i];
    void *address = dlsym(s->library, json_string_value(json_object_get(kernel, "name")));
    assert_non_null(address);
    s->launch(address, (intptr_t[]){(intptr_t)row, (intptr_t)&h->run, private_bytes});
}

static const char *const text =
    "graph @infer(%x: f32[N,6,5,4], %labels: i32[N]) {\n"
    "  %1 = param {name=\"w\"} : f32[8,4,3,3]\n"
    "  %2 = conv2d %x, %1 {stride=[2,2], pad=[1,1,1,1], dilation=[1,1], groups=1}\n"
    "  %3 = draw {stream=\"noise.a\", distribution=\"normal\"} : f32[N,3,3,8]\n"
    "  %4 = add %2, %3\n"
    "  %5 = max_pool %4 {kernel=[3,3], stride=[1,1], pad=[1,1,1,1]}\n"
    "  %6 = max_pool_index %4 {kernel=[3,3], stride=[1,1], pad=[1,1,1,1]}\n"
    "  %7 = max_pool_grad %5, %6 {kernel=[3,3], stride=[1,1], pad=[1,1,1,1], size=[3,3]}\n"
    "  %8 = conv2d_grad_input %7, %1 {stride=[2,2], pad=[1,1,1,1], dilation=[1,1], groups=1, size=[6,5]}\n"
    "  %9 = conv2d_grad_weight %7, %x {stride=[2,2], pad=[1,1,1,1], dilation=[1,1], groups=1, kernel=[3,3], "
    "partial=true}\n"
    "  %10 = reduce_merge %9\n"
    "  %11 = reduce_sum %8 {axes=[1,2]}\n"
    "  %12 = one_hot %labels {classes=4}\n"
    "  %13 = mul %11, %12\n"
    "  %14 = reduce_partial %13 {axes=[0,1]}\n"
    "  %15 = reduce_merge %14\n"
    "  %16 = scalar {name=\"lr\"} : f32[]\n"
    "  %17 = mul %10, %16\n"
    "  %18 = sub %1, %17\n"
    "  %19 = assign %18 {param=\"w\"}\n"
    "  %20 = tanh %11\n"
    "  %21 = mul %10, %10\n"
    "  %22 = reduce_sum %21 {axes=[0,1,2,3]}\n"
    "  return \"norm\"=%22, \"loss\"=%15, \"dx\"=%8, \"tanh\"=%20\n"
    "}\n";

static IrModule *annotated(Arena *arena, const CgOptions *options) {
    IrModule *module = harness_parse(arena, text);
    harness_annotate(module->graphs[0], options);
    int64_t offset = 0;
    for (IrNode *n = module->graphs[0]->first; n; n = n->next)
        if (n->op == OP_draw || n->op == OP_max_pool || n->op == OP_max_pool_index) {
            n->place = PLACE_private;
            n->stage = module->graphs[0]->first->next->next->next->stage; /* that of the convolution */
            n->offset = offset;
            offset += 512;
        } else if (n->op == OP_add || n->op == OP_max_pool_grad) {
            n->stage = module->graphs[0]->first->next->next->next->stage;
        }
    return module;
}

static void set_inputs(Harness *h) {
    int32_t *labels = ARENA_ARRAY(h->arena, int32_t, HARNESS_BATCH);
    for (int i = 0; i < HARNESS_BATCH; i++)
        labels[i] = i % 4;
    h->inputs[0] = harness_floats(h->arena, HARNESS_BATCH * 120, 1);
    h->inputs[1] = labels;
    h->run.scalar[0] = 0.25;
    memcpy(h->state, harness_floats(h->arena, 288, 2), 288 * sizeof(float));
}

static Harness *run_cuda(Arena *arena, int64_t batch) {
    CgOptions options = harness_options(0, PRECISION_f32);
    options.target = &cg_target_cuda;
    options.unit_count = 1;
    IrModule *module = annotated(arena, &options);
    CgOutput *output = cg_generate(arena, module, module->graphs, 1, &options);
    Harness *h = ARENA_NEW(arena, Harness);
    *h = (Harness){.arena = arena, .options = options, .module = module, .graph = module->graphs[0]};
    h->plan = harness_keep(json_loads(plan_print(arena, output->plan), 0, NULL));
    json_t *g = json_array_get(json_object_get(h->plan, "graphs"), 0), *stage;
    int64_t private_bytes = harness_int(g, "private_bytes");
    h->state = harness_memory(arena, harness_int(h->plan, "state_bytes"));
    h->work = harness_memory(arena, harness_int(g, "work_bytes"));
    h->run = (NdRun){.seed = 7, .step = 3, .image_base = 100, .batch = batch, .chunks = HARNESS_CHUNKS};
    set_inputs(h);
    Simt s = {
        .h = h, .library = load(arena, output->units[0]), .private = harness_memory(arena, private_bytes * batch)};
    void *launcher = dlsym(s.library, "simt_launch");
    memcpy(&s.launch, &launcher, sizeof launcher);
    size_t i;
    json_array_foreach(json_object_get(g, "stages"), i, stage) {
        const char *steps = json_string_value(json_object_get(stage, "steps"));
        HarnessStep step;
        while (harness_take_step(&steps, &step))
            launch(&s, &step, private_bytes);
    }
    return h;
}

static void check_batch(Arena *arena, int64_t batch) {
    CgOptions options = harness_options(0, PRECISION_f32);
    IrModule *module = annotated(arena, &options);
    Harness *c = harness_generate(arena, module, module->graphs[0], options, ""), *cuda = run_cuda(arena, batch);
    c->run.batch = batch;
    set_inputs(c);
    harness_run(c);
    harness_compare("loss", harness_output(cuda, "loss"), harness_output(c, "loss"), 1, 1e-5);
    harness_compare("norm", harness_output(cuda, "norm"), harness_output(c, "norm"), 1, 1e-5);
    harness_compare("dx", harness_output(cuda, "dx"), harness_output(c, "dx"), batch * 120, 1e-5);
    harness_compare("tanh", harness_output(cuda, "tanh"), harness_output(c, "tanh"), batch * 4, 1e-5);
    harness_compare("w", harness_param(cuda, "w"), harness_param(c, "w"), 288, 1e-5);
}

static void test_same_as_c(void **state) {
    Arena *arena = *state = arena_create();
    check_batch(arena, HARNESS_BATCH);
    check_batch(arena, 2);
    harness_end(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_as_c)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
