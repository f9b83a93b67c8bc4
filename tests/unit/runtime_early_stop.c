/* runtime_early_stop.c: when a search ends, against the published rule on stored histories of eigenvalues, and by skips. */
#include "runtime/loops/early_stop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

static int64_t integer(const json_t *c, const char *key) {
    return (int64_t)json_integer_value(json_object_get(c, key));
}

/* Epoch after epoch, as a search asks. */
static EarlyStop walk(const json_t *c, const double *eigenvalues, int64_t *ended) {
    const EarlyStopSettings rules = {.eigenvalue = true,
                                     .window = integer(c, "window"),
                                     .delta = integer(c, "delta"),
                                     .factor = json_number_value(json_object_get(c, "factor")),
                                     .start = integer(c, "start")};
    int64_t every = integer(c, "every"), epochs = integer(c, "epochs"), count = 0;
    EarlyStop stop = {NULL, -1};
    for (*ended = 0; *ended < epochs; ++*ended) {
        if (!early_stop_has_eigenvalue(every, *ended, epochs))
            continue;
        stop = early_stop_by_eigenvalue(&rules, every, *ended, epochs, eigenvalues, ++count);
        if (stop.rule)
            return stop;
    }
    assert_int_equal(count, json_array_size(json_object_get(c, "eigenvalues")));
    return (EarlyStop){NULL, epochs - 1};
}

static void test_reference(void **state) {
    (void)state;
    json_t *cases = json_load_file(NDARTS_SOURCE_DIR "/tests/reference/early_stopping.json", 0, NULL);
    assert_int_equal(json_array_size(cases), 12);
    int stopped = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i), *list = json_object_get(c, "eigenvalues");
        double eigenvalues[64];
        int64_t ended;
        for (size_t k = 0; k < json_array_size(list); k++)
            eigenvalues[k] = json_number_value(json_array_get(list, k));
        EarlyStop stop = walk(c, eigenvalues, &ended);
        assert_int_equal(stop.genotype_of, integer(c, "returns_epoch"));
        if (json_is_integer(json_object_get(c, "stops_at_epoch")))
            assert_int_equal(ended, integer(c, "stops_at_epoch"));
        else
            assert_null(stop.rule);
        stopped += stop.rule != NULL;
    }
    assert_int_equal(stopped, 6);
    json_decref(cases);
}

static void test_skips(void **state) {
    (void)state;
    GenotypeEdge edges[] = {{.operation = "skip_connect"}, {.operation = "skip_connect_201"}, {.operation = "none"}};
    GenotypeNode node = {.edge_count = 3, .edges = edges};
    const GenotypeCell cell = {.inputs = 1, .node_count = 1, .nodes = &node};
    EarlyStopSettings rules = {.skips = 2};
    assert_int_equal(early_stop_by_skips(&rules, 7, 50, &cell).genotype_of, 7);
    assert_null(early_stop_by_skips(&rules, 49, 50, &cell).rule); /* which is the last anyway */
    rules.skips = 3;
    assert_null(early_stop_by_skips(&rules, 7, 50, &cell).rule);
    rules.skips = 0;
    assert_null(early_stop_by_skips(&rules, 7, 50, &cell).rule);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference), cmocka_unit_test(test_skips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
