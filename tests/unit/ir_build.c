/* ir_build.c: building, cloning and changing graphs; attributes, parameters and settings. */
#include "ir/ir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

typedef struct Fixture {
    Arena *arena;
    IrModule *module;
    IrGraph *graph;
    IrBuilder b;
    IrNode *x, *y, *sum, *last; /* last = relu(x + y) */
} Fixture;

static int set_up(void **state) {
    Arena *arena = arena_create();
    Fixture *f = ARENA_NEW(arena, Fixture);
    f->arena = arena;
    f->module = ir_module_create(arena, "m");
    f->graph = ir_graph_create(f->module, "g");
    f->b = (IrBuilder){.graph = f->graph, .tag = "cells.0"};
    IrType type = ir_type(DTYPE_f32, 2, (int64_t[]){IR_DIM_N, 8});
    f->x = ir_graph_add_arg(f->graph, "x", type, (Span){0});
    f->y = ir_graph_add_arg(f->graph, "y", type, (Span){0});
    f->sum = ir_build2(&f->b, OP_add, f->x, f->y, 0, NULL);
    f->last = ir_build1(&f->b, OP_relu, f->sum, 0, NULL);
    ir_graph_add_output(f->graph, "out", f->last);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    arena_destroy(((Fixture *)*state)->arena);
    return 0;
}

static void check(Fixture *f) {
    const char *message = ir_verify_module(f->module, f->arena);
    if (message)
        fail_msg("%s", message);
}

static const char *print_body(Arena *arena, const IrGraph *graph) {
    Str text = str_create(arena);
    ir_print_graph(graph, &text);
    return strchr(text.data, '('); /* without the name */
}

static void test_place(void **state) {
    Fixture *f = *state;
    f->b.before = f->last;
    IrNode *constant = ir_constant(&f->b, 2.0);
    IrNode *rate = ir_scalar(&f->b, "lr");
    assert_ptr_equal(constant->next, rate);
    assert_ptr_equal(rate->next, f->last);
    assert_string_equal(constant->tag, "cells.0");
    assert_int_equal(constant->stage, -1);
    IrAttr name = ir_attr_string("name", "z");
    IrNode *late = ir_build0(&f->b, OP_input, ir_type_scalar(), 1, &name);
    assert_ptr_equal(f->y->next, late);
    assert_ptr_equal(ir_graph_find_arg(f->graph, "z"), late);
    check(f);
    ir_node_remove(late);
    assert_int_equal(f->graph->arg_count, 2);
    assert_null(ir_graph_find_arg(f->graph, "z"));
    check(f);
}

static void test_build_reports(void **state) {
    Fixture *f = *state;
    char *messages;
    size_t size;
    FILE *out = open_memstream(&messages, &size);
    f->b.diag = diag_create(f->arena, out);
    int64_t axis = 5;
    IrAttr axes = ir_attr_ints("axes", 1, &axis);
    assert_null(ir_build1(&f->b, OP_reduce_sum, f->x, 1, &axes));
    fclose(out);
    assert_non_null(strstr(messages, "error: reduce_sum: axis 5 of a value of rank 2"));
    free(messages);
    check(f);
}

static void test_attributes_are_copied(void **state) {
    Fixture *f = *state;
    int64_t axis = 1;
    IrAttr attrs[] = {ir_attr_ints("axes", 1, &axis), ir_attr_bool("keep", true)};
    IrNode *node = ir_build1(&f->b, OP_reduce_sum, f->x, 2, attrs);
    axis = 0;
    assert_int_equal(ir_attr_get_ints(node, "axes")[0], 1);
    assert_int_equal(ir_attr_get_int(node, "keep", 0), 1);
    assert_int_equal(ir_attr_get_int(node, "absent", 7), 7);
    assert_null(ir_attr(node, "absent"));
    ir_attr_set(node, ir_attr_bool("keep", false));
    ir_attr_set(node, ir_attr_float("value", 0.5));
    assert_int_equal(ir_attr_get_int(node, "keep", 1), 0);
    assert_true(ir_attr_get_float(node, "value", 0) == 0.5);
    assert_int_equal(node->attr_count, 3);
    assert_string_equal(ir_attr_get_string(f->x, "name", ""), "x");
}

static void test_clone(void **state) {
    Fixture *f = *state;
    f->sum->inlined = true;
    f->last->stage = 2;
    f->last->place = PLACE_work;
    f->last->offset = 128;
    IrGraph *clone = ir_graph_clone(f->graph, "copy");
    assert_string_equal(print_body(f->arena, clone), print_body(f->arena, f->graph));
    assert_ptr_equal(f->last->scratch, clone->last);
    assert_ptr_not_equal(clone->last, f->last);
    ir_attr_set(clone->args[0], ir_attr_string("name", "other"));
    assert_string_equal(ir_attr_get_string(f->x, "name", ""), "x");
    check(f);
    ir_graph_remove(clone);
    assert_null(ir_graph_find(f->module, "copy"));
}

static const char parts_text[] = "module \"m\"\n"
                                 "set C = 4\n\n"
                                 "graph @inner(%x: f32[N]) -> f32[N] {\n  %1 = relu %x : f32[N]\n  return %1\n}\n\n"
                                 "graph @other(%x: f32[N]) -> f32[N] {\n  %1 = neg %x : f32[N]\n  return %1\n}\n\n"
                                 "graph @outer(%x: f32[N]) -> f32[N] {\n"
                                 "  %1 = call %x {callee=@inner, name=\"\"} : f32[N]\n  return %1\n}\n";

static const char *print_module(Arena *arena, const IrModule *module) {
    Str text = str_create(arena);
    ir_print_module(module, &text);
    return text.data;
}

static void test_split_and_join(void **state) {
    Fixture *f = *state;
    const SourceFile source = {"parts.ir", parts_text, sizeof parts_text - 1};
    IrModule *whole = ir_parse_module(f->arena, &source, diag_create(f->arena, stderr));
    IrModule *part = ir_module_split(arena_create_in(f->arena), ir_graph_find(whole, "outer"));
    assert_int_equal(part->graph_count, 2);
    assert_null(ir_graph_find(part, "other"));
    assert_int_equal(ir_module_get_int(part, "C", 0), 4);
    /* what is done to the part leaves the whole as it was, until it is joined */
    ir_graph_clone(ir_graph_find(part, "outer"), "copy");
    IrGraph *wrapper = ir_graph_clone(ir_graph_find(part, "inner"), "wrapper"), **graphs = part->graphs;
    memmove(graphs + 2, graphs + 1, 2 * sizeof *graphs); /* behind @inner */
    graphs[1] = wrapper;
    ir_attr_set(ir_graph_find(part, "outer")->last, ir_attr_string("name", "changed"));
    ir_module_set(part, "D", ir_attr_int("", 5), (Span){0});
    ir_module_add_param(part, (IrParam){.name = "p", .type = ir_type_scalar()});
    assert_string_equal(print_module(f->arena, whole), parts_text);
    ir_module_join(whole, part);
    assert_string_equal(ir_graph_find(whole, "copy")->module->name, "m");
    assert_ptr_equal(ir_graph_find(whole, "copy")->module, whole);
    const char *const order[] = {"inner", "wrapper", "other", "outer", "copy"};
    assert_int_equal(whole->graph_count, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(whole->graphs[i]->name, order[i]);
    assert_int_equal(ir_module_get_int(whole, "D", 0), 5);
    assert_non_null(ir_module_find_param(whole, "p"));
    assert_string_equal(ir_attr_get_string(ir_graph_find(whole, "outer")->last, "name", ""), "");
    assert_null(ir_verify_module(whole, f->arena));
}

static void test_compact(void **state) {
    Fixture *f = *state;
    f->b.before = f->sum;
    ir_build1(&f->b, OP_neg, f->x, 0, NULL); /* stands before what was made before it */
    ir_node_move_before(f->x, f->y);
    f->last->stage = 3;
    const char *before = print_body(f->arena, f->graph);
    ir_graph_compact(f->graph);
    assert_string_equal(print_body(f->arena, f->graph), before);
    assert_ptr_not_equal(f->graph->last, f->last);
    for (const IrNode *n = f->graph->first; n->next; n = n->next)
        assert_ptr_equal(n->next, n + 1);
    check(f);
    ir_attr_set(f->graph->args[0], ir_attr_string("name", "renamed"));
    assert_string_equal(ir_attr_get_string(f->graph->args[1], "name", ""), "y");
    ir_graph_compact(ir_graph_create(f->module, "empty"));
}

static void test_replace_uses(void **state) {
    Fixture *f = *state;
    ir_replace_uses(f->graph, f->last, f->sum);
    ir_replace_uses(f->graph, f->y, f->x);
    assert_ptr_equal(ir_graph_find_output(f->graph, "out"), f->sum);
    assert_ptr_equal(f->sum->inputs[1], f->x);
    ir_node_remove(f->last);
    check(f);
    assert_int_equal(f->graph->next_id, 3);
}

static void test_replace_uses_by_scratch(void **state) {
    Fixture *f = *state;
    ir_clear_scratch(f->graph);
    f->last->scratch = f->sum;
    f->sum->scratch = f->x;
    ir_replace_uses_by_scratch(f->graph);
    assert_ptr_equal(ir_graph_find_output(f->graph, "out"), f->x);
    assert_ptr_equal(f->last->inputs[0], f->x);
    check(f);
}

static void test_move_and_count(void **state) {
    Fixture *f = *state;
    IrNode *neg = ir_build1(&f->b, OP_neg, f->x, 0, NULL);
    ir_node_move_before(neg, f->sum);
    assert_ptr_equal(f->y->next, neg);
    assert_ptr_equal(f->graph->last, f->last);
    ir_graph_number(f->graph);
    int *uses = ir_count_uses(f->graph, f->arena);
    assert_int_equal(uses[f->x->id], 2);
    assert_int_equal(uses[neg->id], 0);
    assert_int_equal(uses[f->last->id], 1);
    ir_node_move_before(neg, NULL);
    assert_ptr_equal(f->graph->last, neg);
    check(f);
}

static void test_types(void **state) {
    Fixture *f = *state;
    IrType type = ir_type(DTYPE_f32, 3, (int64_t[]){IR_DIM_K, IR_DIM_N, 8});
    assert_string_equal(ir_type_string(f->arena, &type), "f32[K,N,8]");
    assert_int_equal(ir_type_count(&type, 5, 3), 120);
    assert_true(ir_type_has_dim(&type, IR_DIM_N) && ir_type_has_dim(&type, IR_DIM_K));
    IrType scalar = ir_type_scalar();
    assert_int_equal(ir_type_count(&scalar, 5, 3), 1);
    assert_false(ir_type_equal(&type, &scalar));
}

static void test_params(void **state) {
    Fixture *f = *state;
    for (int i = 0; i < 100; i++)
        ir_module_add_param(f->module, (IrParam){.name = arena_printf(f->arena, "w%d", i), .type = ir_type_scalar()});
    ir_module_add_param(f->module, (IrParam){.name = "w7", .type = ir_type_scalar(), .kind = PARAM_alpha});
    assert_int_equal(f->module->param_count, 100);
    assert_ptr_equal(ir_module_find_param(f->module, "w7"), &f->module->params[7]);
    assert_null(ir_module_find_param(f->module, "w100"));
    IrParamKind kind;
    IrInit init;
    assert_true(ir_param_kind_parse("statistic", &kind) && kind == PARAM_statistic);
    assert_true(ir_init_parse("uniform", &init) && init == INIT_uniform_fan_in);
    assert_false(ir_init_parse("random", &init));
}

static void test_settings(void **state) {
    Fixture *f = *state;
    ir_module_set(f->module, "search.epochs", ir_attr_int(NULL, 50), (Span){0});
    ir_module_set(f->module, "search.epochs", ir_attr_int(NULL, 60), (Span){0});
    ir_module_set(f->module, "search.weights.lr", ir_attr_float(NULL, 0.5), (Span){0});
    ir_module_set(f->module, "kind", ir_attr_string(NULL, "search"), (Span){0});
    assert_int_equal(f->module->setting_count, 3);
    assert_int_equal(ir_module_get_int(f->module, "search.epochs", 0), 60);
    assert_true(ir_module_get_float(f->module, "search.epochs", 0) == 60.0);
    assert_true(ir_module_get_float(f->module, "search.weights.lr", 0) == 0.5);
    assert_int_equal(ir_module_get_int(f->module, "absent", -1), -1);
    assert_string_equal(ir_module_get_string(f->module, "kind", ""), "search");
    assert_string_equal(ir_module_get_string(f->module, "search.epochs", "none"), "none");
}

static void test_schema(void **state) {
    (void)state;
    IrOp op;
    IrAttrKind kind;
    bool optional;
    assert_true(ir_op_find("reduce_sum", &op) && op == OP_reduce_sum);
    assert_false(ir_op_find("reduce", &op));
    assert_true(ir_op_attribute(OP_reduce_sum, "axes", &kind, &optional) && kind == ATTR_ints && !optional);
    assert_true(ir_op_attribute(OP_reduce_sum, "keep", &kind, &optional) && kind == ATTR_bool && optional);
    assert_false(ir_op_attribute(OP_reduce_sum, "axe", &kind, &optional));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(place),          TEST(build_reports), TEST(attributes_are_copied),
        TEST(clone),          TEST(replace_uses),  TEST(replace_uses_by_scratch),
        TEST(move_and_count), TEST(types),         TEST(params),
        TEST(settings),       TEST(schema),        TEST(split_and_join),
        TEST(compact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
