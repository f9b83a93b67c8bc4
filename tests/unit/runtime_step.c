/* runtime_step.c: what passes are given: rates by epoch and by step, warm-up, draw numbers; how right answers are
 * counted. */
#include "runtime/driver/step.h"
#include "runtime/loops/evaluate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_near(double found, double expected) {
    if (fabs(found - expected) > 1e-15)
        fail_msg("found %.17g, expected %.17g", found, expected);
}

/* The settings of a search, or a training, as a text's are. */
static const Settings *settings_of(Arena *arena, const char *kind, const char *schedule, const char *every,
                                   int64_t warm_up) {
    IrModule *m = ir_module_create(arena, "test");
    const char *key[] = {arena_printf(arena, "%s.weights.lr", kind), arena_printf(arena, "%s.weights.lr_min", kind),
                         arena_printf(arena, "%s.weights.schedule", kind)};
    ir_module_set(m, "kind", ir_attr_string("", kind), (Span){0});
    ir_module_set(m, key[0], ir_attr_float("", 1), (Span){0});
    ir_module_set(m, key[1], ir_attr_float("", 0.2), (Span){0});
    ir_module_set(m, key[2], ir_attr_string("", schedule), (Span){0});
    ir_module_set(m, "train.weights.every", ir_attr_string("", every), (Span){0});
    ir_module_set(m, "train.warm_up", ir_attr_int("", warm_up), (Span){0});
    ir_module_set(m, "train.drop_path", ir_attr_float("", 0.5), (Span){0});
    ir_module_set(m, "drop_path.probability", ir_attr_float("", 0.25), (Span){0});
    Settings *settings = ARENA_NEW(arena, Settings);
    *settings = settings_read(m);
    return settings;
}

static double rate_at(const Settings *m, int64_t epoch, int64_t epochs, int64_t step, int64_t steps) {
    const RtPosition at = {.epoch = epoch, .epochs = epochs, .step = step, .steps = steps};
    return rt_step(GRAPH_train, m, 0, &at).scalars[RUN_lr];
}

static void test_epoch_rates(void **state) {
    Arena *arena = *state;
    static const char *const kinds[] = {"search", "train"};
    for (int i = 0; i < 2; i++) {
        const Settings *cosine = settings_of(arena, kinds[i], "cosine", "epoch", 0);
        const Settings *linear = settings_of(arena, kinds[i], "linear", "epoch", 0);
        expect_near(rate_at(cosine, 0, 10, 0, 8), 1);
        expect_near(rate_at(cosine, 5, 10, 0, 8), 0.6);
        expect_near(rate_at(linear, 5, 10, 0, 8), 0.6);
        expect_near(rate_at(linear, 9, 10, 0, 8), 0.28);
        expect_near(rate_at(settings_of(arena, kinds[i], "constant", "epoch", 0), 9, 10, 0, 8), 1);
        /* By the epoch all steps of an epoch have the same rate. */
        expect_near(rate_at(linear, 5, 10, 7, 8), 0.6);
    }
}

static void test_step_rates(void **state) {
    const Settings *linear = settings_of(*state, "train", "linear", "step", 0);
    expect_near(rate_at(linear, 0, 2, 0, 4), 1);
    expect_near(rate_at(linear, 0, 2, 3, 4), 1 - 0.8 * 3.0 / 8);
    expect_near(rate_at(linear, 1, 2, 3, 4), 1 - 0.8 * 7.0 / 8);
}

static void test_warm_up(void **state) {
    const Settings *by_epoch = settings_of(*state, "train", "constant", "epoch", 5);
    for (int epoch = 0; epoch < 8; epoch++)
        expect_near(rate_at(by_epoch, epoch, 10, 3, 4), epoch < 5 ? (epoch + 1) / 5.0 : 1);
    const Settings *by_step = settings_of(*state, "train", "constant", "step", 2);
    expect_near(rate_at(by_step, 0, 10, 0, 4), 1.0 / 8);
    expect_near(rate_at(by_step, 1, 10, 2, 4), 7.0 / 8);
    expect_near(rate_at(by_step, 1, 10, 3, 4), 1);
    expect_near(rate_at(by_step, 2, 10, 0, 4), 1);
}

static void test_the_rest(void **state) {
    const Settings *search = settings_of(*state, "search", "constant", "epoch", 0);
    const Settings *train = settings_of(*state, "train", "constant", "epoch", 0);
    const RtPosition at = {.epoch = 25, .epochs = 50, .step = 3, .steps = 4, .global_step = 103, .alphas_updates = 1};
    RtRun alphas = rt_step(GRAPH_search_alphas, search, 9, &at),
          weights = rt_step(GRAPH_search_weights, search, 9, &at), step = rt_step(GRAPH_train, train, 9, &at),
          alone = rt_step(GRAPH_gradients, search, 9, &at);
    assert_true(alphas.seed == 9 && alphas.step == 207 && weights.step == 208 && step.step == 104 && alone.step == 0);
    Settings turned = *search;
    turned.search.first = "weights";
    assert_true(rt_step(GRAPH_search_alphas, &turned, 9, &at).step == 208);
    assert_true(rt_step(GRAPH_search_weights, &turned, 9, &at).step == 207);
    expect_near(alphas.scalars[RUN_adam_bias1], 0.75);
    expect_near(alphas.scalars[RUN_alphas_lr], 3e-4);
    expect_near(weights.scalars[RUN_drop_keep], 0.75);
    expect_near(step.scalars[RUN_drop_keep], 0.75);
}

/* Evaluation is given what changes nothing; so is who has no settings. */
static void test_neutral(void **state) {
    const Settings *search = settings_of(*state, "search", "constant", "epoch", 0);
    const RtPosition at = {.epoch = 25, .epochs = 50, .steps = 4};
    const RtRun runs[] = {rt_step(GRAPH_eval, search, 0, &at), rt_step(GRAPH_infer, NULL, 0, NULL),
                          rt_step(GRAPH_train, NULL, 0, &at)};
    for (int i = 0; i < 3; i++) {
        const double *s = runs[i].scalars;
        assert_true(s[RUN_lr] == 0 && s[RUN_alphas_lr] == 0 && s[RUN_drop_keep] == 1);
    }
}

static void test_count_correct(void **state) {
    (void)state;
    float values[] = {0, 1, 2, 3, 4, 5, 6, /**/ 1, 1, 1, 1, 1, 1, 1, /**/ NAN, 0, 0, 0, 0, 0, 1};
    Tensor logits = {.type = TENSOR_f32, .rank = 2, .shape = {3, 7}, .data = values};
    assert_int_equal(evaluate_count_correct(&logits, (int32_t[]){6, 0, 6}, 1), 2);
    assert_int_equal(evaluate_count_correct(&logits, (int32_t[]){5, 1, 1}, 1), 0);
    /* What is no number counts as the largest. */
    assert_int_equal(evaluate_count_correct(&logits, (int32_t[]){0, 2, 0}, 1), 1);
    /* Of equal logits the first classes count as the largest. */
    assert_int_equal(evaluate_count_correct(&logits, (int32_t[]){2, 4, 5}, 5), 2);
    assert_int_equal(evaluate_count_correct(&logits, (int32_t[]){1, 5, 6}, 5), 1);
}

static int set_up(void **state) {
    *state = arena_create();
    return 0;
}

static int tear_down(void **state) {
    arena_destroy(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(epoch_rates), TEST(step_rates), TEST(warm_up),
        TEST(the_rest),    TEST(neutral),    cmocka_unit_test(test_count_correct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
