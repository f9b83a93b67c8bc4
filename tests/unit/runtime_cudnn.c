/* runtime_cudnn.c: which convolutions of networks are offered to cuDNN (docs/cuda.md has the table), and whether the
 * library, where it is installed, takes what it is told of each of them, in f32 and in bf16, by both of its interfaces.
 * That needs no card. */
#include "runtime/device/cudnn.h"

#include "base/str.h"
#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "passes/pass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 64 };

/* Kernels and their calls in a step. */
typedef struct Offers {
    int kernels, calls;
} Offers;

typedef struct Row {
    const char *text;
    GraphKind kind;
    CgPrecision precision;
    Offers forward, grad_input, grad_weight;
} Row;

static const Row rows[] = {
    {"nas_bench_201", GRAPH_infer, PRECISION_f32, {2, 27}, {0, 0}, {0, 0}},
    {"nas_bench_201", GRAPH_infer, PRECISION_bf16, {2, 27}, {0, 0}, {0, 0}},
    {"nas_bench_201", GRAPH_gradients, PRECISION_f32, {4, 106}, {3, 27}, {4, 54}},
    {"nas_bench_201", GRAPH_gradients, PRECISION_bf16, {4, 106}, {3, 27}, {0, 0}},
    {"amoebanet", GRAPH_infer, PRECISION_f32, {3, 3}, {0, 0}, {0, 0}},
    {"amoebanet", GRAPH_gradients, PRECISION_f32, {5, 5}, {5, 5}, {5, 5}},
    {"amoebanet", GRAPH_gradients, PRECISION_bf16, {5, 5}, {5, 5}, {0, 0}},
    {"imagenet", GRAPH_infer, PRECISION_f32, {1, 1}, {0, 0}, {0, 0}},
    {"imagenet", GRAPH_gradients, PRECISION_f32, {2, 2}, {3, 3}, {2, 2}},
    {"imagenet", GRAPH_gradients, PRECISION_bf16, {2, 2}, {3, 3}, {0, 0}},
    {"noisy_darts_a", GRAPH_gradients, PRECISION_f32, {2, 2}, {1, 1}, {2, 2}},
};

static const Plan *make_plan(Arena *arena, const Row *row) {
    Error error = {ERROR_NONE, ""};
    FrontendOptions options = {.library = NDARTS_SOURCE_DIR "/genotypes"};
    Diag *diag = diag_create(arena, stderr);
    IrModule *module = frontend_load(arena, arena_printf(arena, "%s/genotypes/%s.nd", NDARTS_SOURCE_DIR, row->text),
                                     &options, diag, &error);
    assert_non_null(module);
    CgOptions cg = {.target = &cg_target_cuda,
                    .precision = row->precision,
                    .unit_count = 1,
                    .batch = BATCH,
                    .chunks = cg_chunk_count(&cg_target_cuda, BATCH)};
    PassContext ctx = {.arena = arena,
                       .diag = diag,
                       .module = module,
                       .kind = row->kind,
                       .batch = cg.batch,
                       .chunks = cg.chunks,
                       .element_size = 4,
                       .half = row->precision == PRECISION_bf16,
                       .wide = cg_target_cuda.wide,
                       .out = stderr};
    IrGraph *graph = pipeline_build_graph(&ctx);
    assert_non_null(graph);
    return cg_plan(arena, module, &graph, 1, &cg);
}

static int count_calls(const Plan *plan, int kernel) {
    int calls = 0;
    for (int i = 0; i < plan->graphs[0].stage_count; i++) {
        const PlanStage *stage = &plan->graphs[0].stages[i];
        for (int j = 0; j < stage->step_count; j++)
            calls += stage->steps[j].kernel == kernel;
    }
    return calls;
}

static int taken; /* descriptions, by the library */

/* Taken; and refused with one number wrong. */
static void expect_description(const PlanConv *conv, const char *what) {
    PlanConv other = *conv;
    other.shape[CONV_OUTPUT]++;
    for (int i = 0; i < 2; i++) {
        CgPrecision precision = i ? PRECISION_bf16 : PRECISION_f32;
        CudnnAnswer answer = cudnn_check(conv, BATCH, precision);
        if (answer == CUDNN_refuses)
            fail_msg("%s: the library does not take it in %s", what, cg_precision_name(precision));
        if (answer == CUDNN_takes) {
            assert_int_equal(cudnn_check(&other, BATCH, precision), CUDNN_refuses);
            taken++;
        }
    }
}

static void try_row(const Row *row) {
    Arena *arena = arena_create();
    const Plan *plan = make_plan(arena, row);
    Offers found[CONV_grad_weight + 1] = {0};
    double flops = 0, offered = 0;
    for (int i = 0; i < plan->kernel_count; i++) {
        const PlanKernel *kernel = &plan->kernels[i];
        PlanConvKind kind = plan_conv_kind(&kernel->conv);
        int calls = count_calls(plan, i);
        found[kind].kernels++;
        found[kind].calls += calls;
        flops += (double)kernel->flops * calls;
        offered += kind == CONV_none ? 0 : (double)kernel->flops * calls;
        if (kind != CONV_none)
            expect_description(&kernel->conv, kernel->origin);
    }
    const Offers expected[] = {row->forward, row->grad_input, row->grad_weight};
    printf("%s %s %s: %d (%d), %d (%d), %d (%d); %.1f %% of the arithmetic\n", row->text, graph_kind_name(row->kind),
           cg_precision_name(row->precision), found[1].kernels, found[1].calls, found[2].kernels, found[2].calls,
           found[3].kernels, found[3].calls, 100 * offered / flops);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(found[CONV_forward + i].kernels, expected[i].kernels);
        assert_int_equal(found[CONV_forward + i].calls, expected[i].calls);
    }
    arena_destroy(arena);
}

static void test_offers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        try_row(&rows[i]);
    printf("%d descriptions taken by the library\n", taken);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_offers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
