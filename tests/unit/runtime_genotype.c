/* runtime_genotype.c: settings and alphas become a genotype's text and drawing; settings survive a checkpoint. */
#include "runtime/loops/checkpoint.h"
#include "runtime/loops/genotype.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const candidates[] = {"none", "skip_connect", "conv_1x1"};
static const char definitions[] =
    "op skip_connect(C, stride) = identity\nop conv_1x1(C, stride) = conv(C, 1, stride)\n";

/* One input, two nodes, one edge kept: edges 1<-0, 2<-0, 2<-1. */
static IrModule *make_settings(Arena *arena) {
    IrModule *m = ir_module_create(arena, "tiny");
    ir_module_set(m, "space.inputs", ir_attr_int("", 1), (Span){0});
    ir_module_set(m, "space.nodes", ir_attr_int("", 2), (Span){0});
    ir_module_set(m, "space.keep", ir_attr_int("", 1), (Span){0});
    ir_module_set(m, "space.candidates", ir_attr_symbols("", 3, candidates), (Span){0});
    ir_module_set(m, "space.definitions", ir_attr_string("", definitions), (Span){0});
    ir_module_set(m, "space.network", ir_attr_string("", ""), (Span){0});
    ir_module_set(m, "search.weights.lr", ir_attr_float("", 0.1), (Span){0});
    ir_module_set(m, "data.path", ir_attr_string("", "a \"b\""), (Span){0});
    return m;
}

static double values[] = {9, 1, 2, /**/ 0, 3, 1, /**/ 5, 0, 4};

static Tensor make_alphas(int64_t edges) {
    return (Tensor){.name = "alphas_normal", .type = TENSOR_f64, .rank = 2, .shape = {edges, 3}, .data = values};
}

static void test_text_and_drawing(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error = {0};
    Tensor alphas[] = {make_alphas(3), make_alphas(3)};
    alphas[1].name = "alphas_reduce";
    Genotype g;
    assert_true(genotype_build(arena, make_settings(arena), "my-first.try",
                               &(GenotypeValues){.tensors = alphas, .count = 2}, NULL, &g, &error));
    assert_string_equal(g.name, "my_first_try");
    assert_int_equal(strncmp(g.text, definitions, strlen(definitions)), 0);
    assert_false(g.has_network);
    assert_non_null(strstr(g.text, "genotype my_first_try {\n"));
    /* `none` never counts, though it is the heaviest on the first and the last edge. */
    assert_non_null(strstr(g.text, "s1 = conv_1x1(s0)\n        s2 = skip_connect(s0)\n"));
    const char *dot = genotype_dot(arena, "normal", &g.cells[0]);
    assert_non_null(strstr(dot, "digraph \"normal\""));
    assert_non_null(strstr(dot, "s0 -> s1 [label=<conv_1x1<br/>"));
    assert_non_null(strstr(dot, "s0 -> s2 [label=<skip_connect<br/>"));
    arena_destroy(arena);
}

static void test_wrong_shape(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error = {0};
    Tensor alphas = make_alphas(2);
    Genotype g;
    assert_false(genotype_build(arena, make_settings(arena), "x", &(GenotypeValues){.tensors = &alphas, .count = 1},
                                NULL, &g, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_string_equal(error.message, "'alphas_normal' has 2 x 3 values; the space has 3 edges with 3 candidates");
    arena_destroy(arena);
}

static void test_settings_as_text(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error = {0};
    const char *text = checkpoint_settings(arena, make_settings(arena));
    IrModule *back = checkpoint_parse_settings(arena, "c.safetensors", text, &error);
    assert_non_null(back);
    assert_string_equal(checkpoint_settings(arena, back), text);
    assert_true(ir_module_get_float(back, "search.weights.lr", 0) == 0.1);
    assert_string_equal(ir_module_get_string(back, "data.path", ""), "a \"b\"");
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_and_drawing),
        cmocka_unit_test(test_wrong_shape),
        cmocka_unit_test(test_settings_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
