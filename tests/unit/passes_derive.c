/* passes_derive.c: derive_cell against the stored genotypes, and on ties, `none`, ragged candidates. */
#include "base/hash.h"
#include "passes/derive.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

enum { EDGES = 14, OPERATIONS = 7 };
static const char *const operations[OPERATIONS] = {"max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3",
                                                   "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"};

/* Element i of the tensor called name: the formula of the reference values. */
static double formula(const char *name, uint64_t i) {
    uint64_t z = hash_string(name) + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z = z ^ (z >> 31);
    return (double)(z >> 40) / 16777216.0;
}

/* The same candidates on all edges, and one operation on each of `keep` edges of a node. */
static DeriveSpace uniform_space(Arena *arena, int inputs, int nodes, int keep, int count, const char *const *names) {
    int edge_count = derive_count_edges(inputs, nodes);
    DeriveEdge *edges = ARENA_ARRAY(arena, DeriveEdge, edge_count);
    for (int i = 0; i < edge_count; i++)
        edges[i] = (DeriveEdge){.count = count, .operations = names};
    return (DeriveSpace){.inputs = inputs,
                         .nodes = nodes,
                         .keep = {.per_node = keep, .per_edge = 1},
                         .edge_count = edge_count,
                         .edges = edges};
}

/* From architecture parameters, weighed by their softmax. */
static GenotypeCell derive(Arena *arena, const DeriveSpace *space, const double *alphas, int stride) {
    const IrModule *plain = ir_module_create(arena, "plain");
    Error error = {0};
    const DeriveWeights weights = {.of_candidates = derive_weigh(arena, plain, space, alphas, stride, &error),
                                   .stride = stride};
    assert_non_null(weights.of_candidates);
    return derive_cell(arena, space, &weights);
}

static void check_cell(Arena *arena, const char *name, const json_t *expected) {
    double alphas[EDGES * OPERATIONS];
    for (int i = 0; i < EDGES * OPERATIONS; i++)
        alphas[i] = (float)(2 * formula(name, (uint64_t)i) - 1);
    DeriveSpace space = uniform_space(arena, 2, 4, 2, OPERATIONS, operations);
    GenotypeCell cell = derive(arena, &space, alphas, OPERATIONS);
    for (size_t i = 0; i < 8; i++) {
        const json_t *pair = json_array_get(expected, i);
        assert_int_equal(cell.nodes[i / 2].edge_count, 2);
        const GenotypeEdge *edge = &cell.nodes[i / 2].edges[i % 2];
        assert_string_equal(edge->operation, json_string_value(json_array_get(pair, 0)));
        assert_int_equal(edge->source, json_integer_value(json_array_get(pair, 1)));
    }
}

static void test_reference(void **state) {
    (void)state;
    Arena *arena = arena_create();
    json_t *cases = json_load_file(NDARTS_SOURCE_DIR "/tests/reference/derive.json", 0, NULL);
    assert_non_null(cases);
    assert_int_equal(json_array_size(cases), 24);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        check_cell(arena, json_string_value(json_object_get(c, "normal_name")), json_object_get(c, "normal"));
        check_cell(arena, json_string_value(json_object_get(c, "reduce_name")), json_object_get(c, "reduce"));
    }
    json_decref(cases);
    arena_destroy(arena);
}

/* Equal weights: the lower source, the first operation. `none` takes part in the softmax and is never chosen. */
static void test_ties_and_none(void **state) {
    (void)state;
    Arena *arena = arena_create();
    static const char *const names[] = {"none", "skip_connect", "sep_conv_3x3"};
    DeriveSpace space = uniform_space(arena, 1, 2, 1, 3, names);
    const double alphas[3][3] = {{9, 1, 1}, {0, 0, 0}, {0, 0, 0}};
    GenotypeCell cell = derive(arena, &space, &alphas[0][0], 3);
    assert_string_equal(cell.nodes[0].edges[0].operation, "skip_connect");
    assert_int_equal(cell.nodes[1].edges[0].source, 0);
    assert_string_equal(cell.nodes[1].edges[0].operation, "skip_connect");
    /* On the edge from state 1 `none` takes less of the whole: that edge is the heavier one. */
    const double lighter[3][3] = {{0, 0, 0}, {5, 1, 0}, {-5, 0, 1}};
    cell = derive(arena, &space, &lighter[0][0], 3);
    assert_int_equal(cell.nodes[1].edges[0].source, 1);
    assert_string_equal(cell.nodes[1].edges[0].operation, "sep_conv_3x3");
    arena_destroy(arena);
}

/* Edges with candidates of their own, one of them with nothing but `none`; everything is kept. */
static void test_ragged(void **state) {
    (void)state;
    Arena *arena = arena_create();
    static const char *const two[] = {"skip_connect", "sep_conv_3x3"}, *const three[] = {"a", "b", "c"};
    static const char *const nothing[] = {"none"};
    const DeriveEdge edges[] = {{2, two}, {1, nothing}, {3, three}};
    DeriveSpace space = {.inputs = 1, .nodes = 2, .keep = {.per_edge = 1}, .edge_count = 3, .edges = edges};
    const double alphas[3][3] = {{0, 1, 99}, {3, 99, 99}, {0, 0, 2}};
    GenotypeCell cell = derive(arena, &space, &alphas[0][0], 3);
    assert_int_equal(cell.nodes[0].edge_count, 1);
    assert_string_equal(cell.nodes[0].edges[0].operation, "sep_conv_3x3");
    assert_true(fabs(cell.nodes[0].edges[0].weight - 0.7310585786300049) < 1e-15);
    assert_int_equal(cell.nodes[1].edge_count, 1);
    assert_int_equal(cell.nodes[1].edges[0].source, 1);
    assert_string_equal(cell.nodes[1].edges[0].operation, "c");
    arena_destroy(arena);
}

/* Candidates from the settings of a module: of the space, and of edges of their own. */
static void test_settings(void **state) {
    (void)state;
    Arena *arena = arena_create();
    IrModule *module = ir_module_create(arena, "settings");
    Error error = {0};
    DeriveSpace space;
    static const char *const all[] = {"skip_connect", "sep_conv_3x3"}, *const own[] = {"dil_conv_3x3"};
    assert_false(derive_space_from_module(arena, module, "alphas_normal", &space, &error));
    ir_module_set(module, "space.inputs", ir_attr_int("", 2), (Span){0});
    ir_module_set(module, "space.nodes", ir_attr_int("", 1), (Span){0});
    ir_module_set(module, "space.candidates", ir_attr_symbols("", 2, all), (Span){0});
    ir_module_set(module, "space.candidates.reduce.1", ir_attr_symbols("", 1, own), (Span){0});
    assert_true(derive_space_from_module(arena, module, "alphas_normal", &space, &error));
    assert_int_equal(space.edge_count, 2);
    assert_int_equal(space.edges[1].count, 2);
    assert_true(derive_space_from_module(arena, module, "alphas_reduce", &space, &error));
    assert_int_equal(space.edges[0].count, 2);
    assert_int_equal(space.edges[1].count, 1);
    assert_string_equal(space.edges[1].operations[0], "dil_conv_3x3");
    arena_destroy(arena);
}

/* Of four edges with a skip connection the lightest are given up until two are left: an edge comes back with its next
 * operation, or another edge takes its place. */
static void test_limit(void **state) {
    (void)state;
    Arena *arena = arena_create();
    static const char *const names[] = {"skip", "conv"};
    static const DeriveLimit limit = {"skip", 2};
    DeriveSpace space = uniform_space(arena, 2, 2, 2, 2, names);
    const double values[5][2] = {{0.9, 0.1}, {0.6, 0.5}, {0.8, 0.2}, {0.7, 0.1}, {0.1, 0.3}};
    const DeriveWeights weights = {.of_candidates = &values[0][0], .stride = 2};
    GenotypeCell cell = derive_cell(arena, &space, &weights);
    assert_int_equal(genotype_count(&cell, "skip"), 4);
    space.keep.limits = &limit;
    space.keep.limit_count = 1;
    cell = derive_cell(arena, &space, &weights);
    assert_int_equal(genotype_count(&cell, "skip"), 2);
    assert_string_equal(cell.nodes[0].edges[0].operation, "skip"); /* 0.9, and 0.6 became conv's 0.5 */
    assert_string_equal(cell.nodes[0].edges[1].operation, "conv");
    assert_string_equal(cell.nodes[1].edges[0].operation, "skip"); /* 0.8; 0.7 became 0.1, and that edge made room */
    assert_int_equal(cell.nodes[1].edges[1].source, 2);
    assert_string_equal(cell.nodes[1].edges[1].operation, "conv");
    arena_destroy(arena);
}

/* Weights of edges count for which are taken, not for the threshold; what leads from a node without edges goes too. */
static void test_edge_weights(void **state) {
    (void)state;
    Arena *arena = arena_create();
    static const char *const names[] = {"a", "b"};
    DeriveSpace space = uniform_space(arena, 1, 3, 1, 2, names);
    const double values[6][2] = {{0.2, 0.1}, {0.6, 0.9}, {0.8, 0.1}, {0.7, 0.3}, {0.5, 0.9}, {0.4, 0.1}};
    const double edges[6] = {1, 0.5, 0.1, 0.6, 0.1, 0.9};
    DeriveWeights weights = {.of_candidates = &values[0][0], .of_edges = edges, .stride = 2};
    GenotypeCell cell = derive_cell(arena, &space, &weights);
    assert_int_equal(cell.nodes[1].edges[0].source, 0); /* 0.9 * 0.5 over 0.8 * 0.1 */
    assert_int_equal(cell.nodes[2].edges[0].source, 0); /* 0.7 * 0.6 over 0.4 * 0.9 */
    space.keep.has_threshold = true;
    space.keep.threshold = 0.75;
    weights.of_edges = NULL;
    cell = derive_cell(arena, &space, &weights);
    assert_int_equal(cell.nodes[0].edge_count, 0); /* 0.2 */
    assert_int_equal(cell.nodes[1].edges[0].source, 0);
    assert_int_equal(cell.nodes[2].edge_count, 0); /* its heaviest edge, 0.9, came from node 0 */
    arena_destroy(arena);
}

/* The functions of a clause `weights`: of all rows at once, and of rows as long as an edge has candidates. */
static void test_weigh(void **state) {
    (void)state;
    Arena *arena = arena_create();
    static const char *const two[] = {"a", "b"};
    DeriveSpace space = uniform_space(arena, 1, 1, 0, 2, two);
    IrModule *module = ir_module_create(arena, "settings");
    Error error = {0};
    const double alphas[2] = {0.5, -1};
    ir_module_set(module, "keep.weights",
                  ir_attr_string("", "graph @f(%alphas: f32[1,2]) -> f32[1,2] {\n"
                                     "  %1 = scalar {name=\"linear(10, 0.5, 0)\"} : f32[]\n"
                                     "  %2 = div %alphas, %1 : f32[1,2]\n"
                                     "  %3 = softmax %2 : f32[1,2]\n"
                                     "  %4 = reduce_max %3 {axes=[1], keep=true} : f32[1,1]\n"
                                     "  %5 = div %3, %4 : f32[1,2]\n"
                                     "  return %5\n}\n"),
                  (Span){0});
    const double *weights = derive_weigh(arena, module, &space, alphas, 2, &error);
    assert_non_null(weights);
    assert_true(weights[0] == 1 && fabs(weights[1] - exp(-3)) < 1e-15);
    ir_module_set(module, "keep.weights",
                  ir_attr_string("", "graph @f(%alphas: f32[2]) -> f32[2] {\n"
                                     "  %1 = reduce_sum %alphas {axes=[0]} : f32[]\n"
                                     "  %2 = sub %alphas, %1 : f32[2]\n"
                                     "  return %2\n}\n"),
                  (Span){0});
    weights = derive_weigh(arena, module, &space, alphas, 2, &error);
    assert_non_null(weights);
    assert_true(weights[0] == 1 && weights[1] == -0.5);
    ir_module_set(module, "keep.weights", ir_attr_string("", "graph"), (Span){0});
    assert_null(derive_weigh(arena, module, &space, alphas, 2, &error));
    assert_string_equal(error.message, "the setting keep.weights is no text of functions");
    arena_destroy(arena);
}

static void test_text(void **state) {
    (void)state;
    Arena *arena = arena_create();
    static const char *const names[] = {"skip_connect", "sep_conv_3x3"};
    DeriveSpace space = uniform_space(arena, 2, 2, 2, 2, names);
    const double alphas[5][2] = {{0, 1}, {2, 0}, {0, 1}, {0, 2}, {3, 0}};
    GenotypeCell cell = derive(arena, &space, &alphas[0][0], 2);
    cell.name = "normal";
    GenotypeText text = {.name = "found", .import = "darts.nd"};
    text.network = genotype_network(arena, "cifar", "found", 36, 20, 10, 0.4);
    assert_string_equal(genotype_print(arena, &text, 1, &cell),
                        "import \"darts.nd\"\n\n"
                        "genotype found {\n"
                        "    normal {\n"
                        "        s2 = skip_connect(s1) + sep_conv_3x3(s0)\n"
                        "        s3 = skip_connect(s2) + sep_conv_3x3(s1)\n"
                        "        return concat(s2, s3)\n"
                        "    }\n"
                        "}\n\n"
                        "network main = cifar(found, C=36, layers=20, classes=10, auxiliary=0.4)\n");
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference), cmocka_unit_test(test_ties_and_none), cmocka_unit_test(test_ragged),
        cmocka_unit_test(test_settings),  cmocka_unit_test(test_limit),         cmocka_unit_test(test_edge_weights),
        cmocka_unit_test(test_weigh),     cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
