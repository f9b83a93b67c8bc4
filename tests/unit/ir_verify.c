/* ir_verify.c: graphs broken on purpose, one way each, and the message the verifier must find. */
#include "ir/ir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const char module_text[] = "param \"w\": f32[8] {kind=\"weight\", init=\"ones\"}\n"
                                  "graph @step(%input: f32[N,8], %labels: i32[N]) {\n"
                                  "  %2 = param {name=\"w\"} : f32[8]\n"
                                  "  %3 = mul %input, %2 : f32[N,8]\n"
                                  "  %4 = relu %3 : f32[N,8]\n"
                                  "  %5 = assign %2 {param=\"w\"} : f32[8]\n"
                                  "  return \"logits\" = %4, \"scaled\" = %3\n"
                                  "}\n"
                                  "graph @inner(%x: f32[N,8]) -> f32[N,8] {\n"
                                  "  return %x\n"
                                  "}\n"
                                  "graph @outer(%x: f32[N,8]) -> f32[N,8] {\n"
                                  "  %1 = call %x {callee=@inner, name=\"\"} : f32[N,8]\n"
                                  "  return %1\n"
                                  "}\n";

typedef struct Fixture {
    Arena *arena;
    IrModule *module;
    IrGraph *step;
    IrNode *node[6]; /* of step, by id */
} Fixture;

static int set_up(void **state) {
    Arena *arena = arena_create();
    Fixture *f = ARENA_NEW(arena, Fixture);
    SourceFile *source = ARENA_NEW(arena, SourceFile);
    *source = (SourceFile){"verify.ir", module_text, strlen(module_text)};
    f->arena = arena;
    f->module = ir_parse_module(arena, source, diag_create(arena, stderr));
    assert_non_null(f->module);
    f->step = ir_graph_find(f->module, "step");
    int id = 0;
    for (IrNode *node = f->step->first; node; node = node->next)
        f->node[id++] = node;
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    arena_destroy(((Fixture *)*state)->arena);
    return 0;
}

static void expect(Fixture *f, const char *message) {
    const char *found = ir_verify_module(f->module, f->arena);
    if (!found || !strstr(found, message))
        fail_msg("expected '%s', got '%s'", message, found ? found : "nothing");
}

static void test_good(void **state) {
    Fixture *f = *state;
    assert_null(ir_verify_module(f->module, f->arena));
}

static void test_order(void **state) {
    Fixture *f = *state;
    ir_node_move_before(f->node[4], f->node[3]);
    expect(f, "graph @step: %3 = relu: operand 0 (%4) comes later");
}

static void test_removed_operand(void **state) {
    Fixture *f = *state;
    ir_node_remove(f->node[3]);
    expect(f, "graph @step: %3 = relu: operand 0 (mul) is not in the graph");
}

static void test_missing_operand(void **state) {
    Fixture *f = *state;
    f->node[3]->inputs[1] = NULL;
    expect(f, "%3 = mul: operand 1 is missing");
}

static void test_foreign_operand(void **state) {
    Fixture *f = *state;
    f->node[4]->inputs[0] = ir_graph_find(f->module, "inner")->args[0];
    expect(f, "%4 = relu: operand 0 (input) is not in the graph");
}

static void test_effect_as_operand(void **state) {
    Fixture *f = *state;
    ir_node_move_before(f->node[5], f->node[3]);
    f->node[3]->inputs[1] = f->node[5];
    expect(f, "%4 = mul: operand 1 (%3 = assign) is no value");
}

static void test_type(void **state) {
    Fixture *f = *state;
    f->node[4]->type.dim[1] = 9;
    expect(f, "%4 = relu: its type is f32[N,9]; the shape rule says f32[N,8]");
}

static void test_operand_count(void **state) {
    Fixture *f = *state;
    f->node[3]->input_count = 1;
    expect(f, "%3 = mul: 1 operands; it takes 2");
}

static void test_attribute(void **state) {
    Fixture *f = *state;
    ir_attr_set(f->node[4], ir_attr_int("slope", 1));
    expect(f, "%4 = relu: unknown attribute 'slope'");
}

static void test_attribute_kind(void **state) {
    Fixture *f = *state;
    ir_attr_set(f->node[2], ir_attr_int("scale", 1));
    expect(f, "%2 = param: attribute scale is an integer; it must be a float");
}

static void test_param_table(void **state) {
    Fixture *f = *state;
    f->module->params[0].type.dim[0] = 7;
    expect(f, "%2 = param: parameter w is f32[7], not f32[8]");
}

static void test_unknown_scalar(void **state) {
    Fixture *f = *state;
    IrBuilder b = {.graph = f->step};
    ir_scalar(&b, "drop_keap");
    expect(f, "there is no run-time scalar 'drop_keap'; did you mean 'drop_keep'?");
}

static void test_output_outside(void **state) {
    Fixture *f = *state;
    f->step->outputs[0].value = ir_graph_find(f->module, "inner")->args[0];
    expect(f, "graph @step: output \"logits\" is not in the graph");
}

static void test_output_effect(void **state) {
    Fixture *f = *state;
    f->step->outputs[1].value = f->node[5];
    expect(f, "%5 = assign: output \"scaled\" is no value");
}

static void test_output_twice(void **state) {
    Fixture *f = *state;
    f->step->outputs[1].name = "logits";
    expect(f, "graph @step: two outputs are called \"logits\"");
}

static void test_argument_order(void **state) {
    Fixture *f = *state;
    ir_node_move_before(f->node[2], f->node[0]);
    expect(f, "%1 = input: argument 0 is not node 0 of the graph");
}

static void test_argument_unlisted(void **state) {
    Fixture *f = *state;
    f->step->arg_count = 1;
    expect(f, "graph @step: 1 arguments but 2 input nodes");
}

static void test_argument_twice(void **state) {
    Fixture *f = *state;
    ir_attr_set(f->node[1], ir_attr_string("name", "input"));
    expect(f, "%1 = input: there are two arguments input");
}

static void test_annotation(void **state) {
    Fixture *f = *state;
    f->node[4]->offset = -4;
    expect(f, "%4 = relu: stage -1, offset -4");
}

static void test_links(void **state) {
    Fixture *f = *state;
    f->node[4]->prev = f->node[2];
    expect(f, "graph @step: %4 = relu: the links of the order are broken");
}

static void test_callee_missing(void **state) {
    Fixture *f = *state;
    ir_graph_remove(ir_graph_find(f->module, "inner"));
    expect(f, "graph @outer: %1 = call: there is no graph @inner");
}

static void test_recursion(void **state) {
    Fixture *f = *state;
    const char *self = "outer";
    ir_attr_set(ir_graph_find(f->module, "outer")->last, ir_attr_symbols("callee", 1, &self));
    expect(f, "graph @outer calls itself");
}

static void test_graph_name_twice(void **state) {
    Fixture *f = *state;
    ir_graph_find(f->module, "outer")->name = "inner";
    expect(f, "there are two graphs @inner");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(good),
        TEST(order),
        TEST(removed_operand),
        TEST(missing_operand),
        TEST(foreign_operand),
        TEST(effect_as_operand),
        TEST(type),
        TEST(operand_count),
        TEST(attribute),
        TEST(attribute_kind),
        TEST(param_table),
        TEST(unknown_scalar),
        TEST(output_outside),
        TEST(output_effect),
        TEST(output_twice),
        TEST(argument_order),
        TEST(argument_unlisted),
        TEST(argument_twice),
        TEST(annotation),
        TEST(links),
        TEST(callee_missing),
        TEST(recursion),
        TEST(graph_name_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
