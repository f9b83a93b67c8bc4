/* ir_settings.c: settings read into structs: the table's defaults, what a module says, and the rules of defaults that
 * depend on other settings. */
#include "ir/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static IrModule *module_of(Arena *arena, const char *source) {
    IrModule *m = ir_module_create(arena, "test");
    if (source)
        ir_module_set(m, "data.source", ir_attr_string("", source), (Span){0});
    return m;
}

static void test_defaults(void **state) {
    (void)state;
    Arena *arena = arena_create();
    const Settings s = settings_read(module_of(arena, NULL));
    assert_int_equal(s.search.epochs, 50);
    assert_int_equal(s.train.epochs, 600);
    assert_true(s.search_alphas.beta1 == 0.5 && s.train_weights.beta1 == 0.9 && s.search_weights.decay == 3e-4);
    assert_string_equal(s.search_alphas.optimizer, "adam");
    assert_string_equal(s.train_weights.every, "epoch");
    assert_null(s.search_alphas.every); /* whose rate goes with the epoch */
    assert_null(s.noise.candidate);
    assert_null(s.space.candidates);
    assert_true(s.data.ratio_1 == 4.0 / 3.0);
    assert_true(settings_are_of(&s, "network"));
    for (int i = 0; i < SETTING_COUNT; i++)
        assert_false(s.given[i]);
    arena_destroy(arena);
}

static void test_given(void **state) {
    (void)state;
    Arena *arena = arena_create();
    IrModule *m = module_of(arena, NULL);
    ir_module_set(m, "kind", ir_attr_string("", "search"), (Span){0});
    ir_module_set(m, "search.batch", ir_attr_int("", 32), (Span){0});
    ir_module_set(m, "noise.std", ir_attr_int("", 1), (Span){0});             /* an integer may stand for a real */
    ir_module_set(m, "search.epochs", ir_attr_string("", "many"), (Span){0}); /* this is as if it were not there */
    const Settings s = settings_read(m);
    assert_true(settings_are_of(&s, "search") && settings_batch(&s) == 32 && settings_epochs(&s) == 50);
    assert_string_equal(settings_batch_key(&s), "search.batch");
    assert_true(s.noise.std == 1 && s.given[SETTING_noise_std] && !s.given[SETTING_search_epochs]);
    arena_destroy(arena);
}

static void test_schedule_and_noise(void **state) {
    (void)state;
    Arena *arena = arena_create();
    IrModule *m = module_of(arena, NULL);
    ir_module_set(m, "search.weights.lr_min", ir_attr_float("", 0), (Span){0});
    ir_module_set(m, "noise.mixture", ir_attr_string("", "multiplicative"), (Span){0});
    const Settings s = settings_read(m);
    assert_string_equal(s.search_weights.schedule, "cosine");
    assert_string_equal(s.train_weights.schedule, "constant");
    assert_false(s.noise.relative);
    assert_true(settings_read(module_of(arena, NULL)).noise.relative);
    arena_destroy(arena);
}

static void test_data(void **state) {
    (void)state;
    Arena *arena = arena_create();
    IrModule *m = module_of(arena, "cifar10");
    ir_module_set(m, "data.std", ir_attr_float("", 0.5), (Span){0}); /* of all channels, but for the second */
    ir_module_set(m, "data.std.1", ir_attr_float("", 0.25), (Span){0});
    ir_module_set(m, "data.area.1", ir_attr_float("", 0.5), (Span){0});
    const DataSettings d = settings_read(m).data;
    assert_true(d.crop == 4 && d.flip);
    assert_true(d.mean_0 == 0.49139968 && d.mean_2 == 0.44653124);
    assert_true(d.std_0 == 0.5 && d.std_1 == 0.25 && d.std_2 == 0.5);
    assert_true(d.area_0 == 0.08 && d.area_1 == 0.5);
    const DataSettings other = settings_read(module_of(arena, "svhn")).data;
    assert_true(other.crop == 0 && !other.flip && other.area_0 == 0 && other.area_1 == 0);
    arena_destroy(arena);
}

static void test_optimizers(void **state) {
    (void)state;
    assert_null(optimizer_find("adan"));
    const OptimizerRow *sgd = optimizer_find("sgd"), *adam = optimizer_find("adam");
    assert_true(optimizer_takes(sgd, "momentum") && !optimizer_takes(adam, "momentum"));
    assert_true(optimizer_takes(adam, "beta2") && !optimizer_takes(sgd, "beta2"));
    assert_true(optimizer_takes(adam, "clip")); /* is of none of them, so of all */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults), cmocka_unit_test(test_given),
                                       cmocka_unit_test(test_schedule_and_noise), cmocka_unit_test(test_data),
                                       cmocka_unit_test(test_optimizers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
