/* codegen_fast.c: the fast schedules give what the plain one gives, for every vector width and both precisions; sums
 * over an image have the same bits for every width. */
#include "base/hash.h"
#include "codegen_harness.h"

static int set_up(void **state) {
    *state = arena_create();
    return 0;
}

static int tear_down(void **state) {
    harness_end(*state);
    return 0;
}

/* The graph's stages as fuse makes them: everything over images up to the next sum in one stage. */
static void join_stages(IrGraph *graph) {
    int stage = 0;
    bool previous = false;
    for (IrNode *n = graph->first; n; n = n->next) {
        if (n->stage < 0)
            continue;
        bool images = ir_type_has_dim(&n->type, IR_DIM_N) || ir_type_has_dim(&n->type, IR_DIM_K);
        stage += !images || !previous;
        previous = images;
        n->stage = stage;
    }
}

static void fill_param(Harness *h, const IrParam *param) {
    void *values = harness_param(h, param->name);
    for (int64_t i = 0; i < ir_type_count(&param->type, 1, 1); i++)
        if (h->options.precision == PRECISION_f64)
            ((double *)values)[i] = harness_number(99, i);
        else
            ((float *)values)[i] = harness_number(99, i);
}

static Harness *run(Arena *arena, const char *text, int vector_bytes, CgPrecision precision, int inputs,
                    const int64_t *counts) {
    CgOptions options = harness_options(vector_bytes, precision);
    IrModule *module = harness_parse(arena, text);
    harness_annotate(module->graphs[0], &options);
    join_stages(module->graphs[0]);
    Harness *h = harness_generate(arena, module, module->graphs[0], options, "-march=native -ffp-contract=off");
    for (int i = 0; i < inputs; i++) {
        float *values = harness_floats(arena, counts[i], (uint64_t)i + 1);
        double *wide = ARENA_ARRAY(arena, double, counts[i]);
        for (int64_t j = 0; j < counts[i]; j++)
            wide[j] = values[j];
        h->inputs[i] = precision == PRECISION_f64 ? (void *)wide : values;
    }
    for (int i = 0; i < module->param_count; i++)
        fill_param(h, &module->params[i]);
    harness_run(h);
    return h;
}

/* Every output of every width against the plain schedule's; and the widths against each other, bit for bit. */
static void check_widths(Arena *arena, const char *text, int inputs, const int64_t *counts, const int64_t *outputs) {
    Harness *plain = run(arena, text, 0, PRECISION_f32, inputs, counts), *first = NULL;
    for (int bytes = 16; bytes <= 64; bytes *= 2) {
        Harness *fast = run(arena, text, bytes, PRECISION_f32, inputs, counts);
        for (int i = 0; i < plain->graph->output_count; i++) {
            const char *name = plain->graph->outputs[i].name;
            const float *found = harness_output(fast, name);
            harness_compare(arena_printf(arena, "%s at %d bytes", name, bytes), found, harness_output(plain, name),
                            outputs[i], 2e-6);
            if (first)
                assert_memory_equal(found, harness_output(first, name), sizeof *found * (size_t)outputs[i]);
        }
        first = first ? first : fast;
    }
    Harness *wide = run(arena, text, 64, PRECISION_f64, inputs, counts);
    for (int i = 0; i < plain->graph->output_count; i++) {
        const char *name = plain->graph->outputs[i].name;
        const double *values = harness_output(wide, name);
        float *narrow = ARENA_ARRAY(arena, float, outputs[i]);
        for (int64_t j = 0; j < outputs[i]; j++)
            narrow[j] = (float)values[j];
        harness_compare(arena_printf(arena, "%s in f64", name), harness_output(plain, name), narrow, outputs[i], 3e-6);
    }
}

static void test_maps_and_sums(void **state) {
    const char *text =
        "graph @infer(%x: f32[N,6,8,36], %y: f32[N,6,8,36]) {\n"
        "  %1 = param {name=\"scale\"} : f32[36]\n"
        "  %2 = mul %x, %1\n"
        "  %3 = relu %2\n"
        "  %4 = mul %3, %y\n"
        "  %5 = reduce_partial %4 {axes=[0,1,2]}\n"
        "  %6 = reduce_partial %3 {axes=[0,1,2], keep=true}\n"
        "  %7 = reduce_partial %4 {axes=[0,1,2,3]}\n"
        "  %8 = reduce_sum %y {axes=[1,2]}\n"
        "  %9 = reduce_sum %y {axes=[1,2,3], keep=true}\n"
        "  %10 = reduce_merge %5\n"
        "  %11 = reduce_merge %6\n"
        "  %12 = reduce_merge %7\n"
        "  %13 = add %4, %10\n"
        "  %14 = sub %13, %9\n"
        "  return \"relu\"=%3, \"c\"=%10, \"keep\"=%11, \"all\"=%12, \"pool\"=%8, \"image\"=%9, \"last\"=%14\n"
        "}\n";
    int64_t size = HARNESS_BATCH * 6 * 8 * 36;
    check_widths(*state, text, 2, (int64_t[]){size, size},
                 (int64_t[]){size, 36, 36, 1, HARNESS_BATCH * 36, HARNESS_BATCH, size});
}

static void test_views_and_pools(void **state) {
    const char *window = "kernel=[3,3], stride=[1,1], pad=[1,1,1,1]",
               *strided = "kernel=[3,3], stride=[2,2], pad=[1,1,1,1]";
    const char *text =
        arena_printf(*state,
                     "graph @infer(%%x: f32[N,7,8,12], %%y: f32[N,7,8,8]) {\n"
                     "  %%1 = concat %%x, %%y, %%x {axis=3}\n"
                     "  %%2 = slice %%1 {axis=3, begin=5, end=30}\n"
                     "  %%3 = pad %%2 {axis=3, begin=1, end=2}\n"
                     "  %%4 = max_pool %%1 {%s}\n"
                     "  %%5 = max_pool_index %%1 {%s}\n"
                     "  %%6 = max_pool_grad %%4, %%5 {%s, size=[7,8]}\n"
                     "  %%7 = avg_pool %%1 {%s}\n"
                     "  %%8 = avg_pool_grad %%7 {%s, size=[7,8]}\n"
                     "  %%9 = max_pool %%1 {%s}\n"
                     "  %%10 = max_pool_index %%1 {%s}\n"
                     "  %%11 = max_pool_grad %%9, %%10 {%s, size=[7,8]}\n"
                     "  %%12 = avg_pool %%1 {%s}\n"
                     "  %%13 = avg_pool_grad %%12 {%s, size=[7,8]}\n"
                     "  %%14 = pad %%x {axis=1, begin=2, end=1}\n"
                     "  %%15 = shuffle %%1 {groups=4}\n"
                     "  %%16 = shuffle %%1 {groups=16}\n"
                     "  return \"cat\"=%%1, \"pad\"=%%3, \"max\"=%%4, \"dmax\"=%%6, \"avg\"=%%7, \"davg\"=%%8, "
                     "\"dmax2\"=%%11, \"davg2\"=%%13, \"tall\"=%%14, \"few\"=%%15, \"many\"=%%16\n"
                     "}\n",
                     window, window, window, window, window, strided, strided, strided, strided, strided);
    int64_t pixels = HARNESS_BATCH * 56;
    check_widths(*state, text, 2, (int64_t[]){pixels * 12, pixels * 8},
                 (int64_t[]){pixels * 32, pixels * 28, pixels * 32, pixels * 32, pixels * 32, pixels * 32, pixels * 32,
                             pixels * 32, HARNESS_BATCH * 80 * 12, pixels * 32, pixels * 32});
}

static void test_functions(void **state) {
    const char *text =
        "graph @infer(%x: f32[N,3,23]) {\n"
        "  %1 = exp %x\n"
        "  %2 = log %1\n"
        "  %3 = tanh %x\n"
        "  %4 = sigmoid %x\n"
        "  %5 = abs %x\n"
        "  %6 = sqrt %5\n"
        "  %7 = gt %x, %6\n"
        "  %8 = select %7, %x, %4\n"
        "  %9 = sin %x\n"
        "  %10 = cos %x\n"
        "  %11 = div %9, %1\n"
        "  %12 = min %11, %10\n"
        "  %13 = draw {stream=\"n\", distribution=\"normal\"} : f32[N,3,23]\n"
        "  %14 = draw {stream=\"u\", distribution=\"uniform\"} : f32[N,3,23]\n"
        "  %15 = neg %14\n"
        "  %16 = max %15, %13\n"
        "  return \"exp\"=%1, \"log\"=%2, \"tanh\"=%3, \"sigmoid\"=%4, \"select\"=%8, \"min\"=%12, \"max\"=%16\n"
        "}\n";
    int64_t size = HARNESS_BATCH * 69;
    check_widths(*state, text, 1, &size, (int64_t[]){size, size, size, size, size, size, size});
}

/* Vectors of every width draw what base/hash.c draws. */
static void test_draws(void **state) {
    const char *text = "graph @infer(%x: f32[N,23]) {\n"
                       "  %1 = draw {stream=\"n\", distribution=\"normal\"} : f32[N,23]\n"
                       "  %2 = draw {stream=\"u\", distribution=\"uniform\"} : f32[N,23]\n"
                       "  return \"n\"=%1, \"u\"=%2\n"
                       "}\n";
    int64_t size = HARNESS_BATCH * 23;
    for (int bytes = 16; bytes <= 64; bytes *= 2) {
        Harness *h = run(*state, text, bytes, PRECISION_f32, 1, &size);
        const float *normal = harness_output(h, "n"), *uniform = harness_output(h, "u");
        for (uint32_t i = 0; i < HARNESS_BATCH * 23; i++) {
            assert_true(normal[i] == draw_normal(7, draw_stream_hash("n"), 3, 100 + i / 23, i % 23));
            assert_true(uniform[i] == draw_uniform(7, draw_stream_hash("u"), 3, 100 + i / 23, i % 23));
        }
    }
}

/* Convolutions whose schedules are not this file's business still must agree. */
static void test_convolutions(void **state) {
    const char *depthwise = "stride=[2,2], pad=[2,2,2,2], dilation=[2,2], groups=20",
               *dense = "stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=1";
    const char *text = arena_printf(
        *state,
        "graph @infer(%%x: f32[N,9,8,20]) {\n"
        "  %%1 = param {name=\"d\"} : f32[20,1,3,3]\n"
        "  %%2 = param {name=\"w\"} : f32[12,20,3,3]\n"
        "  %%3 = conv2d %%x, %%1 {%s}\n"
        "  %%4 = conv2d_grad_input %%3, %%1 {%s, size=[9,8]}\n"
        "  %%5 = conv2d_grad_weight %%3, %%x {%s, kernel=[3,3], partial=true}\n"
        "  %%6 = conv2d %%x, %%2 {%s}\n"
        "  %%7 = conv2d_grad_input %%6, %%2 {%s, size=[9,8]}\n"
        "  %%8 = conv2d_grad_weight %%6, %%x {%s, kernel=[3,3], partial=true}\n"
        "  %%9 = reduce_merge %%5\n"
        "  %%10 = reduce_merge %%8\n"
        "  %%11 = mul %%10, %%10\n"
        "  %%12 = reduce_sum %%11 {axes=[0,1,2,3]}\n"
        "  return \"y\"=%%3, \"dx\"=%%4, \"dw\"=%%9, \"y2\"=%%6, \"dx2\"=%%7, \"dw2\"=%%10, \"norm\"=%%12\n"
        "}\n",
        depthwise, depthwise, depthwise, dense, dense, dense);
    int64_t size = HARNESS_BATCH * 72 * 20;
    check_widths(*state, text, 1, &size,
                 (int64_t[]){HARNESS_BATCH * 400, size, 180, HARNESS_BATCH * 72 * 12, size, 2160, 1});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_maps_and_sums, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_views_and_pools, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_draws, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_functions, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_convolutions, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
