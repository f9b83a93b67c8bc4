/* ir_text.c: print -> parse -> print gives the same text, for every kind of thing a module can hold; mistakes in a text
 * are all found, each with its place. */
#include "ir/ir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

static int set_up(void **state) {
    *state = arena_create();
    return 0;
}

static int tear_down(void **state) {
    arena_destroy(*state);
    return 0;
}

/* NULL when refused; the messages are put in *messages when that is wanted, else they are unexpected. */
static IrModule *parse(Arena *arena, const char *text, const char **messages) {
    char *buffer;
    size_t size;
    FILE *out = open_memstream(&buffer, &size);
    SourceFile *source = ARENA_NEW(arena, SourceFile);
    *source = (SourceFile){"text.ir", text, strlen(text)};
    IrModule *module = ir_parse_module(arena, source, diag_create(arena, out));
    fclose(out);
    if (messages)
        *messages = arena_strdup(arena, buffer);
    else if (!module)
        fail_msg("%s", buffer);
    free(buffer);
    return module;
}

static const char *print(Arena *arena, const IrModule *module) {
    Str text = str_create(arena);
    ir_print_module(module, &text);
    return text.data ? text.data : "";
}

/* text is already in the printer's form. */
static void check_stable(Arena *arena, const char *text) {
    assert_string_equal(print(arena, parse(arena, text, NULL)), text);
}

static void test_empty(void **state) {
    check_stable(*state, "");
    check_stable(*state, "module \"nothing\"\n");
}

static void test_settings(void **state) {
    check_stable(*state, "module \"a \\\"b\\\" \\\\ c\"\n"
                         "set kind = \"search\"\n"
                         "set search.epochs = 50\n"
                         "set search.weights.lr = 0.025\n"
                         "set big = 1e+300\n"
                         "set whole = 3.0\n"
                         "set infinite = -inf\n"
                         "set data.flip = true\n"
                         "set noise.relative = false\n"
                         "set data.path = \"a\\tb\\nc\"\n"
                         "set space.candidates = [@max_pool_3x3, @\"odd name\"]\n"
                         "set space.one = @alone\n"
                         "set space.list = [1,-2,3]\n"
                         "set space.none = []\n"
                         "set \"odd key\" = 1\n");
}

static void test_params(void **state) {
    check_stable(*state,
                 "param \"stem.0.weight\": f32[48,3,3,3] {kind=\"weight\", init=\"uniform\", scale=0.125}\n"
                 "param \"alphas_normal\": f32[14,7] {kind=\"alpha\", init=\"normal\", scale=0.001}\n"
                 "param \"stem.1.running_var\": f32[48] {kind=\"statistic\", init=\"ones\"}\n"
                 "param \"momentum/auxiliary_head.classifier.bias\": f32[10] {kind=\"optimizer\", init=\"zeros\", "
                 "auxiliary=true}\n");
}

static void test_graphs(void **state) {
    check_stable(*state,
                 "graph @max_pool_3x3_16_1(%x: f32[N,32,32,16]) -> f32[N,32,32,16] {\n"
                 "  %1 = max_pool %x {kernel=[3,3], stride=[1,1], pad=[1,1,1,1]} : f32[N,32,32,16]\n"
                 "  %2 = batch_norm %1 {name=\"^bn1\", eps=1e-05, momentum=0.1, affine=false} : f32[N,32,32,16]\n"
                 "  return %2\n"
                 "}\n"
                 "\n"
                 "graph @identity(%x: f32[N,32,32,16]) -> f32[N,32,32,16] {\n"
                 "  return %x\n"
                 "}\n"
                 "\n"
                 "graph @edge(%x: f32[N,32,32,16], %w: f32[2]) -> f32[N,32,32,16] {\n"
                 "  %2 = mixed %x, %w {candidates=[@max_pool_3x3_16_1, @identity], name=\"cells.0._ops.0\"} : "
                 "f32[N,32,32,16]\n"
                 "  return %2\n"
                 "}\n"
                 "\n"
                 "graph @search-weights(%input: f32[N,32,32,16], %labels: i32[N]) {\n"
                 "  %2 = param {name=\"alphas_normal\", kind=\"alpha\", init=\"normal\", scale=0.001} : f32[2]\n"
                 "  %3 = call %input {callee=@identity, name=\"stem\", edge=true} : f32[N,32,32,16]\n"
                 "  %4 = reduce_sum %3 {axes=[1,2]} : f32[N,16]\n"
                 "  %5 = cross_entropy %4, %labels : f32[]\n"
                 "  %6 = assign %2 {param=\"alphas_normal\"} : f32[2]\n"
                 "  return \"logits\" = %4, \"loss\" = %5\n"
                 "}\n"
                 "\n"
                 "graph @nothing() {\n"
                 "  return\n"
                 "}\n");
}

static void test_annotations(void **state) {
    check_stable(
        *state,
        "graph @infer(%input: f32[N,8] !{place=\"input\"}, %\"noise.cells.0._ops.1\": f32[N,8] !{place=\"input\", "
        "offset=1}) {\n"
        "  %2 = add %input, %\"noise.cells.0._ops.1\" : f32[N,8] !{inline, tag=\"cells.0._ops.1\"}\n"
        "  %3 = exp %2 : f32[N,8] !{stage=0, place=\"private\", offset=4096}\n"
        "  %4 = reduce_partial %3 {axes=[0]} : f32[K,8] !{stage=0, place=\"work\"}\n"
        "  %5 = reduce_merge %4 : f32[8] !{stage=1, place=\"work\", offset=64, tag=\"odd \\\"tag\\\"\"}\n"
        "  return \"sum\" = %5\n"
        "}\n");
}

static void test_annotations_are_kept(void **state) {
    IrModule *module = parse(*state,
                             "graph @g(%x: f32[N]) {\n"
                             "  %1 = exp %x : f32[N] !{inline, stage=1, place=\"work\", offset=4096, tag=\"t\"}\n"
                             "  %2 = log %1 : f32[N]\n"
                             "  return \"y\" = %2\n"
                             "}\n",
                             NULL);
    const IrNode *exp = module->graphs[0]->first->next, *log = exp->next;
    assert_true(exp->inlined && exp->stage == 1 && exp->place == PLACE_work && exp->offset == 4096);
    assert_string_equal(exp->tag, "t");
    assert_true(!log->inlined && log->stage == -1 && log->place == PLACE_none && log->offset == 0);
    assert_null(log->tag);
}

/* What a person may write shorter than it is printed. */
static void test_abbreviations(void **state) {
    const char *text = "# a comment\n"
                       "graph @g(%x: f32[N,8]) -> f32[N,8] { # types are inferred\n"
                       "  %scale = constant {value=2} : f32[]\n"
                       "  %7 = mul %x, %scale\n"
                       "  assign %scale {param=\"p\"}\n"
                       "  return %7\n"
                       "}";
    assert_string_equal(print(*state, parse(*state, text, NULL)), "graph @g(%x: f32[N,8]) -> f32[N,8] {\n"
                                                                  "  %1 = constant {value=2.0} : f32[]\n"
                                                                  "  %2 = mul %x, %1 : f32[N,8]\n"
                                                                  "  %3 = assign %1 {param=\"p\"} : f32[]\n"
                                                                  "  return %2\n"
                                                                  "}\n");
}

static void test_callee_may_come_later(void **state) {
    check_stable(*state, "graph @first(%x: f32[N]) -> f32[N] {\n"
                         "  %1 = call %x {callee=@second, name=\"\"} : f32[N]\n"
                         "  return %1\n"
                         "}\n"
                         "\n"
                         "graph @second(%x: f32[N]) -> f32[N] {\n"
                         "  return %x\n"
                         "}\n");
}

static void test_span(void **state) {
    IrModule *module = parse(*state, "graph @g(%x: f32[N]) {\n  %1 = exp %x : f32[N]\n  return\n}\n", NULL);
    Span span = module->graphs[0]->last->span;
    assert_int_equal(span.line, 2);
    assert_int_equal(span.col, 3);
    assert_int_equal(span.end_col, 23);
}

/* ---- mistakes ---- */

typedef struct Mistake {
    const char *text, *message;
} Mistake;

static const Mistake mistakes[] = {
    {"grph @x\n", "text.ir:1:1: error: expected module, set, param or graph, found 'grph'\n"},
    {"set a.b =\nset c = 1\n", "text.ir:2:1: error: expected a value, found 'set'\n"},
    {"set a = [1, 2.5]\n", "text.ir:1:13: error: expected an integer, found '2.5'\n"},
    {"set a = [@f, 1]\n", "text.ir:1:14: error: expected a symbol like @name, found '1'\n"},
    {"set a = 99999999999999999999\n", "text.ir:1:9: error: integer out of range\n"},
    {"set a = 1x\n", "text.ir:1:9: error: malformed number\n"},
    {"set a = 1\nset a = 2\n", "text.ir:2:5: error: setting a is given twice\n"},
    {"set a = \"b\n", "text.ir:1:9: error: string without an end\n"},
    {"set a = \"\\q\"\n", "text.ir:1:9: error: unknown escape in a string\n"},
    {"set a = $\n", "text.ir:1:9: error: stray character '$'\n"},
    {"module name\n", "text.ir:1:8: error: expected the module's name in quotes, found 'name'\n"},
    {"param w: f32[]\n", "text.ir:1:7: error: expected the parameter's name in quotes, found 'w'\n"},
    {"param \"w\": f64[]\n", "text.ir:1:12: error: expected a type (f32, i32 or u8), found 'f64'\n"},
    {"param \"w\": f32[0]\n", "text.ir:1:16: error: expected an extent (a positive integer, N or K), found '0'\n"},
    {"param \"w\": f32[1,2,3,4,5,6,7]\n", "text.ir:1:28: error: a type has at most 6 extents\n"},
    {"param \"w\": f32[] {kind=\"wait\"}\n", "text.ir:1:19: error: a parameter has no such kind; see docs/ir.md\n"},
    {"param \"w\": f32[]\nparam \"w\": f32[]\n", "text.ir:2:7: error: parameter w is given twice\n"},
    {"graph g() {\n  return\n}\n", "text.ir:1:7: error: expected a name like @infer, found 'g'\n"},
    {"graph @g() {\n  return\n}\ngraph @g() {\n  return\n}\n", "text.ir:4:7: error: there is a graph @g already\n"},
    {"graph @g(%x: f32[N], %x: f32[N]) {\n  return\n}\n", "text.ir:1:22: error: value %x is defined twice\n"},
    {"graph @g(%x: f32[N]) {\n}\n", "text.ir:2:1: error: expected return, found '}'\n"},
    {"graph @g(%x: f32[N]) {\n  return %y\n}\n",
     "text.ir:2:10: error: unknown value %y; a value is defined before it is used\n"},
    {"graph @g(%x: f32[N]) {\n  %1 = relus %x\n  return %1\n}\n",
     "text.ir:2:8: error: unknown operation 'relus'; did you mean 'relu'?\n"},
    {"graph @g(%x: f32[N]) {\n  %1 = relu %x {slope=1}\n  return %1\n}\n",
     "text.ir:2:17: error: relu has no attribute 'slope'\n"},
    {"graph @g(%x: f32[N]) {\n  %1 = relu %x %x\n  return %1\n}\n",
     "text.ir:2:16: error: expected the end of the line, found '%x'\n"},
    {"graph @g(%x: f32[N]) {\n  %1 = relu %x : f32[N,1]\n  return %1\n}\n",
     "text.ir:2:3: error: relu: the stated type is f32[N,1], but the result is f32[N]\n"},
    {"graph @g(%x: f32[N]) {\n  %1 = relu %x !{stge=1}\n  return %1\n}\n",
     "text.ir:2:18: error: unknown annotation 'stge'\n"},
    {"graph @g(%x: f32[N]) {\n  %1 = relu %x !{place=\"heap\"}\n  return %1\n}\n",
     "text.ir:2:18: error: annotation place must be one of none, state, input, work, private, prepared\n"},
    {"graph @g(%x: f32[N]) -> f32[K] {\n  return %x\n}\n", "text.ir:1:22: error: @g returns f32[N], not f32[K]\n"},
    {"graph @g(%x: f32[N]) {\n  %1 = input {name=\"y\"} : f32[N]\n  return %1\n}\n",
     "text.ir:2:3: error: an input is written as an argument of the graph\n"},
    {"graph @g(%x: f32[N]) {\n  %1 = call %x {callee=@h, name=\"\"}\n  return %1\n}\n",
     "text.ir:2:3: error: call: there is no graph @h before this one (if it comes later, state the type of the "
     "call)\n"},
    {"graph @g(%x: f32[N]) {\n  return \"a\" = %x, \"a\" = %x\n}\n",
     "text.ir:1:1: error: graph @g: two outputs are called \"a\"\n"},
};

static void test_mistakes(void **state) {
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        const char *messages;
        assert_null(parse(*state, mistakes[i].text, &messages));
        if (strncmp(messages, mistakes[i].message, strlen(mistakes[i].message)) || strstr(messages + 1, "text.ir:"))
            fail_msg("%s: expected %s, got %s", mistakes[i].text, mistakes[i].message, messages);
    }
}

static int count(const char *text, const char *part) {
    int found = 0;
    for (text = strstr(text, part); text; text = strstr(text + 1, part))
        found++;
    return found;
}

/* All mistakes of a text are reported, and uses of a wrong value only once, where it is defined. */
static void test_goes_on(void **state) {
    const char *messages;
    assert_null(parse(*state,
                      "set a =\n"
                      "param \"w\" f32[]\n"
                      "graph @g(%x: f32[N]) {\n"
                      "  %1 = relus %x\n"
                      "  %2 = add %1, %x\n"
                      "  %3 = add %2, %9\n"
                      "  return %3\n"
                      "}\n"
                      "graph @h(%x: f32[Q]) {\n"
                      "  %1 = sine %1\n"
                      "  return %1\n"
                      "}\n",
                      &messages));
    assert_int_equal(count(messages, "error:"), 6);
}

static void test_dot(void **state) {
    IrModule *module = parse(*state,
                             "graph @g(%x: f32[N]) {\n"
                             "  %1 = exp %x : f32[N] !{tag=\"a \\\"b\\\"\"}\n"
                             "  return \"y\" = %1\n"
                             "}\n",
                             NULL);
    Str text = str_create(*state);
    ir_print_dot(module->graphs[0], &text);
    assert_non_null(strstr(text.data, "n1 [label=\"%1 exp\\nf32[N]\", fillcolor=lightgrey];"));
    assert_non_null(strstr(text.data, "label=\"a \\\"b\\\"\";"));
    assert_non_null(strstr(text.data, "n0 -> n1;"));
    assert_non_null(strstr(text.data, "n1 -> out0;"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(empty),         TEST(settings),
        TEST(params),        TEST(graphs),
        TEST(annotations),   TEST(annotations_are_kept),
        TEST(abbreviations), TEST(callee_may_come_later),
        TEST(span),          TEST(mistakes),
        TEST(goes_on),       TEST(dot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
