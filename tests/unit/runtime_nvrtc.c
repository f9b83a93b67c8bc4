/* runtime_nvrtc.c: the emitted CUDA source compiles with NVRTC, where that is installed, to PTX and to machine code that
 * carries the plan. */
#include "runtime/device/nvrtc.h"

#include "codegen_harness.h"

static const char *const text =
    "graph @infer(%x: f32[N,8,8,4], %labels: i32[N]) {\n"
    "  %1 = param {name=\"w\"} : f32[4,4,3,3]\n"
    "  %2 = conv2d %x, %1 {stride=[2,2], pad=[1,1,1,1], dilation=[1,1], groups=1}\n"
    "  %3 = conv2d_grad_input %2, %1 {stride=[2,2], pad=[1,1,1,1], dilation=[1,1], groups=1, size=[8,8]}\n"
    "  %4 = conv2d_grad_weight %2, %x {stride=[2,2], pad=[1,1,1,1], dilation=[1,1], groups=1, kernel=[3,3], "
    "partial=true}\n"
    "  %5 = reduce_merge %4\n"
    "  %6 = max_pool %x {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]}\n"
    "  %7 = max_pool_index %x {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]}\n"
    "  %8 = max_pool_grad %6, %7 {kernel=[3,3], stride=[2,2], pad=[1,1,1,1], size=[8,8]}\n"
    "  %9 = draw {stream=\"noise.a\", distribution=\"normal\"} : f32[N,8,8,4]\n"
    "  %10 = add %8, %9\n"
    "  %11 = reduce_sum %10 {axes=[1,2]}\n"
    "  %12 = exp %11\n"
    "  %13 = one_hot %labels {classes=4}\n"
    "  %14 = mul %12, %13\n"
    "  %15 = reduce_partial %14 {axes=[0,1]}\n"
    "  %16 = reduce_merge %15\n"
    "  %17 = scalar {name=\"lr\"} : f32[]\n"
    "  %18 = mul %5, %17\n"
    "  %19 = sub %1, %18\n"
    "  %20 = assign %19 {param=\"w\"}\n"
    "  return \"loss\"=%16, \"dx\"=%3, \"noisy\"=%10\n"
    "}\n";

static const char *cuda_source(Arena *arena, CgPrecision precision) {
    CgOptions options = {.target = &cg_target_cuda, .precision = precision, .unit_count = 1, .batch = 8, .chunks = 4};
    IrModule *module = harness_parse(arena, text);
    harness_annotate(module->graphs[0], &options);
    return cg_generate(arena, module, module->graphs, 1, &options)->units[0];
}

static void check_compiles(Arena *arena, const char *source, const char *arch, NvrtcKind kind, const char *contains) {
    void *bytes;
    size_t size;
    Error error = {0};
    if (!cg_nvrtc_compile(arena, source, arch, kind, &bytes, &size, &error))
        fail_msg("%s", error.message);
    assert_non_null(memmem(bytes, size, contains, strlen(contains)));
}

static void test_compile(void **state) {
    Arena *arena = *state = arena_create();
    check_compiles(arena, cuda_source(arena, PRECISION_f32), "compute_80", NVRTC_ptx, "nd_k0");
    check_compiles(arena, cuda_source(arena, PRECISION_f32), "sm_90", NVRTC_cubin, "ndplan");
    check_compiles(arena, cuda_source(arena, PRECISION_f64), "sm_80", NVRTC_cubin, "ndplan");
    arena_destroy(arena);
}

static void test_error(void **state) {
    Arena *arena = *state = arena_create();
    void *bytes;
    size_t size;
    Error error = {0};
    assert_false(
        cg_nvrtc_compile(arena,
                         "/* of another kernel */\nextern \"C\" __global__ void e() {\n}\n/* infer: %7 = conv2d */\n"
                         "extern \"C\" __global__ void f() {\n nonsense; }\n",
                         "sm_80", NVRTC_cubin, &bytes, &size, &error));
    assert_int_equal(error.kind, ERROR_MACHINE);
    assert_non_null(strstr(error.message, "/* infer: %7 = conv2d */\n nonsense; }\nndarts.cu(6): error"));
    assert_null(strstr(error.message, "of another kernel"));
    arena_destroy(arena);
}

int main(void) {
    enum { SKIPPED = 77 }; /* what CTest takes for it */
    Arena *arena = arena_create();
    bool there = cg_nvrtc_version(arena) != NULL;
    arena_destroy(arena);
    if (!there) {
        puts("skipped: NVRTC is not installed");
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_compile), cmocka_unit_test(test_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
