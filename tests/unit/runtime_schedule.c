/* runtime_schedule.c: learning rates by epoch and by step, warm-up; how right answers are counted. */
#include "runtime/loops/evaluate.h"
#include "runtime/loops/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_near(double found, double expected) {
    if (fabs(found - expected) > 1e-15)
        fail_msg("found %.17g, expected %.17g", found, expected);
}

static void test_epoch_rates(void **state) {
    (void)state;
    LearningRate cosine = {.schedule = SCHEDULE_cosine, .max = 0.1, .min = 0.02};
    LearningRate linear = {.schedule = SCHEDULE_linear, .max = 0.1, .min = 0.02};
    LearningRate constant = {.schedule = SCHEDULE_constant, .max = 0.1, .min = 0.02};
    expect_near(schedule_lr(&cosine, 0, 10), 0.1);
    expect_near(schedule_lr(&cosine, 5, 10), 0.06);
    expect_near(schedule_lr(&linear, 5, 10), 0.06);
    expect_near(schedule_lr(&linear, 9, 10), 0.028);
    expect_near(schedule_lr(&constant, 9, 10), 0.1);
    /* By the epoch all steps of an epoch have the same rate. */
    expect_near(schedule_step_lr(&linear, 5, 10, 7, 8), 0.06);
}

static void test_step_rates(void **state) {
    (void)state;
    LearningRate rate = {.schedule = SCHEDULE_linear, .max = 1, .min = 0, .per_step = true};
    expect_near(schedule_step_lr(&rate, 0, 2, 0, 4), 1);
    expect_near(schedule_step_lr(&rate, 0, 2, 3, 4), 1 - 3.0 / 8);
    expect_near(schedule_step_lr(&rate, 1, 2, 3, 4), 1 - 7.0 / 8);
}

static void test_warm_up(void **state) {
    (void)state;
    LearningRate rate = {.schedule = SCHEDULE_constant, .max = 1, .warm_up = 5};
    for (int epoch = 0; epoch < 8; epoch++)
        expect_near(schedule_step_lr(&rate, epoch, 10, 3, 4), epoch < 5 ? (epoch + 1) / 5.0 : 1);
    rate.per_step = true;
    rate.warm_up = 2;
    expect_near(schedule_step_lr(&rate, 0, 10, 0, 4), 1.0 / 8);
    expect_near(schedule_step_lr(&rate, 1, 10, 2, 4), 7.0 / 8);
    expect_near(schedule_step_lr(&rate, 1, 10, 3, 4), 1);
    expect_near(schedule_step_lr(&rate, 2, 10, 0, 4), 1);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epoch_rates),
        cmocka_unit_test(test_step_rates),
        cmocka_unit_test(test_warm_up),
        cmocka_unit_test(test_count_correct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
