/* codegen_plain.c: C from the plain schedule, compiled and run, against naive loops written here. */
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

typedef struct Conv {
    int h, w, c, o, k, stride, pad, dilation, groups, oh, ow;
} Conv;

static const char *conv_attrs(Arena *arena, const Conv *v) {
    return arena_printf(arena, "stride=[%d,%d], pad=[%d,%d,%d,%d], dilation=[%d,%d], groups=%d", v->stride, v->stride,
                        v->pad, v->pad, v->pad, v->pad, v->dilation, v->dilation, v->groups);
}

/* The weight lies HWIO. */
static void naive_conv(const Conv *v, const float *x, const float *w, float *y) {
    int in = v->c / v->groups, out = v->o / v->groups;
    for (int n = 0; n < HARNESS_BATCH; n++)
        for (int i = 0; i < v->oh * v->ow * v->o; i++) {
            int o = i % v->o, column = i / v->o % v->ow, row = i / v->o / v->ow;
            double sum = 0;
            for (int kh = 0; kh < v->k; kh++)
                for (int kw = 0; kw < v->k; kw++)
                    for (int c = 0; c < in; c++) {
                        int h = row * v->stride - v->pad + kh * v->dilation,
                            q = column * v->stride - v->pad + kw * v->dilation;
                        if (h >= 0 && h < v->h && q >= 0 && q < v->w)
                            sum += (double)x[((n * v->h + h) * v->w + q) * v->c + o / out * in + c] *
                                   w[((kh * v->k + kw) * in + c) * v->o + o];
                    }
            y[n * v->oh * v->ow * v->o + i] = (float)sum;
        }
}

/* The scalar product of y with conv(x, w) is linear in x and in w, so its gradients are found by unit vectors: slow,
 * but sure. */
static void naive_conv_grads(Arena *arena, const Conv *v, const float *x, const float *w, const float *dy, float *dx,
                             float *dw) {
    int in = v->c / v->groups, out = v->o / v->groups;
    (void)arena;
    memset(dx, 0, sizeof *dx * (size_t)(HARNESS_BATCH * v->h * v->w * v->c));
    memset(dw, 0, sizeof *dw * (size_t)(v->k * v->k * in * v->o));
    for (int n = 0; n < HARNESS_BATCH; n++)
        for (int i = 0; i < v->oh * v->ow * v->o; i++) {
            int o = i % v->o, column = i / v->o % v->ow, row = i / v->o / v->ow;
            float g = dy[n * v->oh * v->ow * v->o + i];
            for (int kh = 0; kh < v->k; kh++)
                for (int kw = 0; kw < v->k; kw++)
                    for (int c = 0; c < in; c++) {
                        int h = row * v->stride - v->pad + kh * v->dilation,
                            q = column * v->stride - v->pad + kw * v->dilation;
                        if (h < 0 || h >= v->h || q < 0 || q >= v->w)
                            continue;
                        int at_x = ((n * v->h + h) * v->w + q) * v->c + o / out * in + c,
                            at_w = ((kh * v->k + kw) * in + c) * v->o + o;
                        dx[at_x] += g * w[at_w];
                        dw[at_w] += g * x[at_x];
                    }
        }
}

static void check_conv(Arena *arena, Conv v, int vector_bytes) {
    v.oh = (v.h + 2 * v.pad - v.dilation * (v.k - 1) - 1) / v.stride + 1;
    v.ow = (v.w + 2 * v.pad - v.dilation * (v.k - 1) - 1) / v.stride + 1;
    const char *attrs = conv_attrs(arena, &v);
    int in = v.c / v.groups;
    const char *text = arena_printf(arena,
                                    "graph @infer(%%x: f32[N,%d,%d,%d], %%dy: f32[N,%d,%d,%d]) {\n"
                                    "  %%1 = param {name=\"w\"} : f32[%d,%d,%d,%d]\n"
                                    "  %%2 = conv2d %%x, %%1 {%s}\n"
                                    "  %%3 = conv2d_grad_input %%dy, %%1 {%s, size=[%d,%d]}\n"
                                    "  %%4 = conv2d_grad_weight %%dy, %%x {%s, kernel=[%d,%d], partial=true}\n"
                                    "  %%5 = reduce_merge %%4\n"
                                    "  %%6 = conv2d_grad_weight %%dy, %%x {%s, kernel=[%d,%d]}\n"
                                    "  return \"y\"=%%2, \"dx\"=%%3, \"dw\"=%%5, \"dw_all\"=%%6\n"
                                    "}\n",
                                    v.h, v.w, v.c, v.oh, v.ow, v.o, v.o, in, v.k, v.k, attrs, attrs, v.h, v.w, attrs,
                                    v.k, v.k, attrs, v.k, v.k);
    Harness *h = harness_create(arena, text, harness_options(vector_bytes, PRECISION_f32), "-march=native");
    int64_t x_count = HARNESS_BATCH * v.h * v.w * v.c, y_count = HARNESS_BATCH * v.oh * v.ow * v.o,
            w_count = v.k * v.k * in * v.o;
    float *x = h->inputs[0] = harness_floats(arena, x_count, 1), *dy = h->inputs[1] = harness_floats(arena, y_count, 2);
    float *w = harness_floats(arena, w_count, 3);
    memcpy(harness_param(h, "w"), w, sizeof *w * (size_t)w_count);
    harness_run(h);
    float *y = ARENA_ARRAY(arena, float, y_count), *dx = ARENA_ARRAY(arena, float, x_count),
          *dw = ARENA_ARRAY(arena, float, w_count);
    naive_conv(&v, x, w, y);
    naive_conv_grads(arena, &v, x, w, dy, dx, dw);
    harness_compare("y", harness_output(h, "y"), y, y_count, 1e-5);
    harness_compare("dx", harness_output(h, "dx"), dx, x_count, 1e-5);
    harness_compare("dw", harness_output(h, "dw"), dw, w_count, 1e-5);
    harness_compare("dw_all", harness_output(h, "dw_all"), dw, w_count, 1e-5);
}

static void check_convs(Arena *arena, int vector_bytes) {
    check_conv(arena,
               (Conv){.h = 7, .w = 6, .c = 3, .o = 20, .k = 3, .stride = 1, .pad = 1, .dilation = 1, .groups = 1},
               vector_bytes);
    check_conv(arena,
               (Conv){.h = 8, .w = 9, .c = 36, .o = 36, .k = 5, .stride = 2, .pad = 4, .dilation = 2, .groups = 36},
               vector_bytes);
    check_conv(arena,
               (Conv){.h = 6, .w = 6, .c = 6, .o = 12, .k = 2, .stride = 2, .pad = 0, .dilation = 1, .groups = 3},
               vector_bytes);
    check_conv(arena,
               (Conv){.h = 5, .w = 5, .c = 18, .o = 10, .k = 1, .stride = 1, .pad = 0, .dilation = 1, .groups = 1},
               vector_bytes);
}

static void test_convolutions(void **state) {
    check_convs(*state, 0);
}

static void test_batch_norm(void **state) {
    const char *text = "graph @infer(%x: f32[N,4,5,6]) {\n"
                       "  %1 = reduce_partial %x {axes=[0,1,2]}\n"
                       "  %2 = reduce_merge %1\n"
                       "  %3 = mul %x, %x\n"
                       "  %4 = reduce_partial %3 {axes=[0,1,2], keep=true}\n"
                       "  %5 = reduce_merge %4\n"
                       "  %6 = reshape %5 {shape=[6]}\n"
                       "  %7 = scalar {name=\"batch\"} : f32[]\n"
                       "  %8 = constant {value=20.0} : f32[]\n"
                       "  %9 = mul %7, %8\n"
                       "  %10 = div %2, %9\n"
                       "  %11 = div %6, %9\n"
                       "  %12 = mul %10, %10\n"
                       "  %13 = sub %11, %12\n"
                       "  %14 = sub %x, %10\n"
                       "  %15 = sqrt %13\n"
                       "  %16 = div %14, %15\n"
                       "  return \"y\"=%16\n"
                       "}\n";
    Harness *h = harness_create(*state, text, harness_options(0, PRECISION_f32), "-march=native");
    float *x = h->inputs[0] = harness_floats(*state, HARNESS_BATCH * 120, 1), y[HARNESS_BATCH * 120];
    harness_run(h);
    for (int c = 0; c < 6; c++) {
        double sum = 0, squares = 0, n = HARNESS_BATCH * 20;
        for (int i = c; i < HARNESS_BATCH * 120; i += 6) {
            sum += x[i];
            squares += x[i] * (double)x[i];
        }
        for (int i = c; i < HARNESS_BATCH * 120; i += 6)
            y[i] = (float)((x[i] - sum / n) / sqrt(squares / n - sum / n * (sum / n)));
    }
    harness_compare("y", harness_output(h, "y"), y, HARNESS_BATCH * 120, 1e-5);
}

static void test_small_batch(void **state) {
    const char *text = "graph @infer(%x: f32[N,2]) {\n"
                       "  %1 = reduce_partial %x {axes=[0]}\n"
                       "  %2 = reduce_merge %1\n"
                       "  return \"y\"=%2\n"
                       "}\n";
    Harness *h = harness_create(*state, text, harness_options(0, PRECISION_f32), "");
    float x[4] = {1, 2, 3, 4}, y[2] = {4, 6};
    h->inputs[0] = x;
    h->run.batch = 2;
    memset(h->work, 255, HARNESS_CHUNKS * 2 * sizeof(float));
    harness_run(h);
    harness_compare("y", harness_output(h, "y"), y, 2, 1e-7);
}

/* Five chunks of an image each: ((1 + e) + (e + e)) + -1 is 2 e; one after the other they would be 0. */
static void check_order(Arena *arena, int vector_bytes) {
    const char *text = "graph @infer(%x: f32[N,20]) {\n"
                       "  %1 = reduce_partial %x {axes=[0]}\n"
                       "  %2 = reduce_merge %1\n"
                       "  return \"y\"=%2\n"
                       "}\n";
    CgOptions options = harness_options(vector_bytes, PRECISION_f32);
    options.chunks = 5;
    Harness *h = harness_create(arena, text, options, "-march=native");
    const float e = 0x1p-53f, terms[] = {1, e, e, e, -1};
    float *x = h->inputs[0] = ARENA_ARRAY(arena, float, 5 * 20);
    for (int i = 0; i < 5 * 20; i++)
        x[i] = terms[i / 20];
    h->run.chunks = 5;
    harness_run(h);
    const float *y = harness_output(h, "y");
    for (int i = 0; i < 20; i++)
        assert_true(y[i] == 2 * e);
}

static void test_order(void **state) {
    check_order(*state, 0);
    check_order(*state, 64);
}

static void test_pools(void **state) {
    const char *window = "kernel=[3,3], stride=[2,2], pad=[1,1,1,1]";
    const char *text = arena_printf(*state,
                                    "graph @infer(%%x: f32[N,7,7,4], %%dy: f32[N,4,4,4]) {\n"
                                    "  %%1 = max_pool %%x {%s}\n"
                                    "  %%2 = max_pool_index %%x {%s}\n"
                                    "  %%3 = max_pool_grad %%dy, %%2 {%s, size=[7,7]}\n"
                                    "  %%4 = avg_pool %%x {%s}\n"
                                    "  %%5 = avg_pool_grad %%dy {%s, size=[7,7]}\n"
                                    "  return \"max\"=%%1, \"dmax\"=%%3, \"avg\"=%%4, \"davg\"=%%5\n"
                                    "}\n",
                                    window, window, window, window, window);
    Harness *h = harness_create(*state, text, harness_options(0, PRECISION_f32), "");
    float *x = h->inputs[0] = harness_floats(*state, HARNESS_BATCH * 196, 1),
          *dy = h->inputs[1] = harness_floats(*state, HARNESS_BATCH * 64, 2);
    for (int i = 0; i < HARNESS_BATCH * 196; i++)
        x[i] = roundf(x[i] * 4) / 4; /* ties */
    float max[HARNESS_BATCH * 64], avg[HARNESS_BATCH * 64], dmax[HARNESS_BATCH * 196] = {0},
                                                                                 davg[HARNESS_BATCH * 196] = {0};
    for (int i = 0; i < HARNESS_BATCH * 64; i++) {
        int c = i % 4, column = i / 4 % 4, row = i / 16 % 4, n = i / 64, best = -1, count = 0, inside[9];
        double sum = 0;
        for (int tap = 0; tap < 9; tap++) {
            int r = row * 2 - 1 + tap / 3, q = column * 2 - 1 + tap % 3, at = ((n * 7 + r) * 7 + q) * 4 + c;
            if (r < 0 || r >= 7 || q < 0 || q >= 7)
                continue;
            inside[count++] = at;
            sum += x[at];
            best = best < 0 || x[at] > x[best] ? at : best;
        }
        max[i] = x[best];
        avg[i] = (float)(sum / count);
        dmax[best] += dy[i];
        for (int j = 0; j < count; j++)
            davg[inside[j]] += dy[i] / (float)count;
    }
    harness_run(h);
    harness_compare("max", harness_output(h, "max"), max, HARNESS_BATCH * 64, 0);
    harness_compare("dmax", harness_output(h, "dmax"), dmax, HARNESS_BATCH * 196, 1e-6);
    harness_compare("avg", harness_output(h, "avg"), avg, HARNESS_BATCH * 64, 1e-6);
    harness_compare("davg", harness_output(h, "davg"), davg, HARNESS_BATCH * 196, 1e-6);
}

static void test_views(void **state) {
    const char *text = "graph @infer(%x: f32[N,2,3]) {\n"
                       "  %1 = slice %x {axis=2, begin=1, end=3}\n"
                       "  %2 = pad %1 {axis=1, begin=1, end=0}\n"
                       "  %3 = concat %2, %2, %2 {axis=2}\n"
                       "  %4 = index %3 {axis=1, at=2}\n"
                       "  %5 = place %4 {axis=1, at=1, size=2}\n"
                       "  %6 = reshape %5 {shape=[-1,12]}\n"
                       "  return \"y\"=%6\n"
                       "}\n";
    Harness *h = harness_create(*state, text, harness_options(0, PRECISION_f32), "");
    float *x = h->inputs[0] = harness_floats(*state, HARNESS_BATCH * 6, 1);
    harness_run(h);
    const float *y = harness_output(h, "y");
    for (int i = 0; i < HARNESS_BATCH * 12; i++) {
        int n = i / 12, j = i % 12;
        assert_true(y[i] == (j < 6 ? 0 : x[n * 6 + 3 + 1 + (j - 6) % 2]));
    }
}

/* Draws are those of base/hash.c bit for bit; one_hot, softmax-like reductions and an assignment. */
static void test_draws(void **state) {
    const char *text = "graph @infer(%labels: i32[N]) {\n"
                       "  %1 = draw {stream=\"noise.a\", distribution=\"normal\"} : f32[N,3,5]\n"
                       "  %2 = draw {stream=\"noise.b\", distribution=\"uniform\"} : f32[N,7]\n"
                       "  %3 = scalar {name=\"drop_keep\"} : f32[]\n"
                       "  %4 = draw %3 {stream=\"mask\", distribution=\"bernoulli\"} : f32[N,1]\n"
                       "  %5 = one_hot %labels {classes=4}\n"
                       "  %6 = param {name=\"p\"} : f32[4]\n"
                       "  %7 = constant {value=2.0} : f32[]\n"
                       "  %8 = mul %6, %7\n"
                       "  %9 = assign %8 {param=\"p\"}\n"
                       "  return \"normal\"=%1, \"uniform\"=%2, \"mask\"=%4, \"hot\"=%5\n"
                       "}\n";
    Harness *h = harness_create(*state, text, harness_options(0, PRECISION_f32), "-march=native");
    int32_t labels[HARNESS_BATCH] = {3, 0, 1, 2, 3};
    h->inputs[0] = labels;
    h->run.scalar[0] = 0.5;
    float *p = harness_param(h, "p");
    p[2] = 1.5f;
    harness_run(h);
    const float *normal = harness_output(h, "normal"), *uniform = harness_output(h, "uniform"),
                *mask = harness_output(h, "mask");
    const float *hot = harness_output(h, "hot");
    for (uint32_t i = 0; i < HARNESS_BATCH * 15; i++)
        assert_true(normal[i] == draw_normal(7, draw_stream_hash("noise.a"), 3, 100 + i / 15, i % 15));
    for (uint32_t i = 0; i < HARNESS_BATCH * 7; i++)
        assert_true(uniform[i] == draw_uniform(7, draw_stream_hash("noise.b"), 3, 100 + i / 7, i % 7));
    for (uint32_t i = 0; i < HARNESS_BATCH; i++)
        assert_true(mask[i] == (draw_uniform(7, draw_stream_hash("mask"), 3, 100 + i, 0) < 0.5));
    for (int i = 0; i < HARNESS_BATCH * 4; i++)
        assert_true(hot[i] == (labels[i / 4] == i % 4));
    assert_true(p[2] == 3);
}

static void test_matmul(void **state) {
    const char *text = "graph @infer(%x: f32[N,7]) {\n"
                       "  %1 = param {name=\"w\"} : f32[3,7]\n"
                       "  %2 = matmul %x, %1 {tb=true}\n"
                       "  %3 = matmul %2, %x {ta=true, partial=true}\n"
                       "  %4 = reduce_merge %3\n"
                       "  return \"y\"=%2, \"dw\"=%4\n"
                       "}\n";
    Harness *h = harness_create(*state, text, harness_options(0, PRECISION_f32), "");
    float *x = h->inputs[0] = harness_floats(*state, HARNESS_BATCH * 7, 1), *w = harness_param(h, "w"),
          y[HARNESS_BATCH * 3], dw[21] = {0};
    memcpy(w, harness_floats(*state, 21, 2), 21 * sizeof *w);
    for (int i = 0; i < HARNESS_BATCH * 3; i++) {
        y[i] = 0;
        for (int l = 0; l < 7; l++)
            y[i] += x[i / 3 * 7 + l] * w[i % 3 * 7 + l];
        for (int l = 0; l < 7; l++)
            dw[i % 3 * 7 + l] += y[i] * x[i / 3 * 7 + l];
    }
    harness_run(h);
    harness_compare("y", harness_output(h, "y"), y, HARNESS_BATCH * 3, 1e-6);
    harness_compare("dw", harness_output(h, "dw"), dw, 21, 1e-6);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_convolutions, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_batch_norm, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_small_batch, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_pools, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_views, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_draws, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_matmul, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
