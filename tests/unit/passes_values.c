/* passes_values.c: no pass changes a value. The graphs of a small search and of a small training are evaluated after
 * every pass behind expand; outputs and assigned parameters stay what they were when they first appeared. */
#include "base/hash.h"
#include "frontend/frontend.h"
#include "passes/pass.h"

#include "evaluate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Known {
    const char *pass;
    int64_t count;
    double *values;
} Known;

typedef struct Bench {
    PassContext ctx;
    StrMap known; /* Known, by "output NAME" or "assign NAME" */
    const char *pass;
    int compared;
} Bench;

/* In [0, 1), by name and index: the same in every evaluation. */
static double draw(const char *name, int64_t i) {
    return draw_uniform(7, draw_stream_hash(name), 0, 0, (uint32_t)i);
}

static double source(void *data, const IrNode *n, const char *name, int64_t i) {
    (void)data;
    double u = draw(name, i);
    if (n->op == OP_scalar) {
        static const struct {
            const char *name;
            double value;
        } scalars[] = {{"batch", 3}, {"drop_keep", 0.7}, {"adam_bias1", 0.5}, {"adam_bias2", 0.001}};
        for (size_t k = 0; k < sizeof scalars / sizeof scalars[0]; k++) {
            if (strcmp(scalars[k].name, name) == 0)
                return scalars[k].value;
        }
        return 0.1 + u;
    }
    if (n->op == OP_draw && strcmp(ir_attr_get_string(n, "distribution", ""), "bernoulli") == 0)
        return u < 0.7;
    if (n->type.dtype == DTYPE_i32)
        return floor(10 * u);
    return str_ends_with(name, "running_var") || str_starts_with(name, "adam_v") ? 1 + u : u - 0.5;
}

static void compare(Bench *t, const char *key, const double *values, int64_t count) {
    Known *known = str_map_get(&t->known, key);
    if (!known) {
        known = ARENA_NEW(t->ctx.arena, Known);
        *known = (Known){t->pass, count, ARENA_ARRAY(t->ctx.arena, double, count)};
        memcpy(known->values, values, sizeof(double) * (size_t)count);
        str_map_set(&t->known, arena_strdup(t->ctx.arena, key), known);
        return;
    }
    assert_int_equal(known->count, count);
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        difference += (values[i] - known->values[i]) * (values[i] - known->values[i]);
        norm += known->values[i] * known->values[i];
    }
    if (!(sqrt(difference) <= 1e-9 * sqrt(norm) + 1e-12))
        fail_msg("%s: %s differs by %g (norm %g) from what it was after %s", t->pass, key, sqrt(difference), sqrt(norm),
                 known->pass);
    t->compared++;
}

static void take_output(void *data, const char *name, const double *values, int64_t count) {
    Bench *t = data;
    compare(t, arena_printf(t->ctx.arena, "output %s", name), values, count);
}

static void take_assign(void *data, const char *name, const double *values, int64_t count) {
    Bench *t = data;
    compare(t, arena_printf(t->ctx.arena, "assign %s", name), values, count);
}

static const char *write_text(Arena *arena, const char *text) {
    char *path = arena_strdup(arena, "/tmp/ndarts-values-XXXXXX.nd");
    int fd = mkstemps(path, 3);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return path;
}

static Bench *open_bench(const char *text, GraphKind kind) {
    Bench *t = calloc(1, sizeof *t);
    Arena *arena = arena_create();
    Error error = {0};
    FrontendOptions options = {.library = NDARTS_SOURCE_DIR "/genotypes"};
    static const char *const sets[] = {"space.nodes=2"};
    if (strstr(text, "search {")) {
        options.sets = sets;
        options.set_count = 1;
    }
    t->ctx = (PassContext){.arena = arena, .kind = kind, .batch = 3, .chunks = 2, .element_size = 8, .out = stderr};
    t->ctx.diag = diag_create(arena, stderr);
    t->known = str_map_create(arena);
    const char *path = write_text(arena, text);
    t->ctx.module = frontend_load(arena, path, &options, t->ctx.diag, &error);
    unlink(path);
    assert_non_null(t->ctx.module);
    return t;
}

static void check(const char *text, GraphKind kind, int least_compared) {
    Bench *t = open_bench(text, kind);
    Evaluator e = {.n = 3, .k = 2, .source = source, .assign = take_assign, .output = take_output, .data = t};
    t->ctx.only = (const char *const[]){"none"};
    t->ctx.only_count = 0;
    IrGraph *g = pipeline_build_graph(&t->ctx);
    assert_non_null(g);
    bool primitive = false;
    for (int i = 0; i < pass_count; i++) {
        t->pass = pass_info[i].name;
        bool changed = pass_run(&t->ctx, &pass_info[i], g);
        assert_int_equal(diag_count_errors(t->ctx.diag), 0);
        primitive |= strcmp(t->pass, "expand") == 0;
        if (primitive && changed)
            evaluate_graph(&e, g, t->ctx.arena);
    }
    assert_true(t->compared >= least_compared);
    arena_destroy(t->ctx.arena);
    free(t);
}

static const char search[] = "import \"darts.nd\"\n"
                             "search {\n"
                             "    space darts  network cifar_search(C = 2, layers = 3)\n"
                             "    noise on skip_connect { gaussian additive std = 0.2 mean = 0.1 }\n"
                             "    drop_path on skip_connect { probability = 0.3 }\n"
                             "    data synthetic(\"\")  split 0.5\n"
                             "    epochs 50  batch 3  seed 10\n"
                             "    weights sgd(lr = 0.05, momentum = 0.9, decay = 3e-4, clip = 5)\n"
                             "    alphas adam(lr = 3e-4, betas = (0.5, 0.999), decay = 1e-3)  order first\n"
                             "}\n";

static const char training[] = "import \"noisy_darts_a.nd\"\n"
                               "train {\n"
                               "    network cifar(noisy_darts_a, C = 2, layers = 3, classes = 10, auxiliary = 0)\n"
                               "    data synthetic(\"\")\n"
                               "    epochs 600  batch 3\n"
                               "    weights sgd(lr = 0.025, momentum = 0.9, decay = 3e-4, clip = 5)\n"
                               "    drop_path 0.3\n"
                               "}\n";

static void test_search(void **state) {
    (void)state;
    check(search, GRAPH_search_alphas, 100);
    check(search, GRAPH_search_weights, 100);
}

static void test_gradients(void **state) {
    (void)state;
    if (getenv("NDARTS_SHORT")) /* what the weights are searched with has these gradients too */
        skip();
    check(search, GRAPH_gradients, 100);
}

static void test_training(void **state) {
    (void)state;
    check(training, GRAPH_train, 100);
}

static void test_inference(void **state) {
    (void)state;
    check(search, GRAPH_eval, 2);
    check(training, GRAPH_infer, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_inference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
