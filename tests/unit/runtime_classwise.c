/* Counts by class: against numbers worked out by hand, for any division into batches; what has no images, too many
 * classes for a matrix, numbers that are none; the worst classes; the printed lines. */
#include "runtime/loops/classwise.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

enum { IMAGES = 8, CLASSES = 4 };
/* The largest of each row is the class it is taken for; class 3 has no images. */
static float logits_of[IMAGES * CLASSES] = {9, 1, 2, 3, /**/ 0, 9, 0, 0, /**/ 1, 1, 1, 1, /**/ 0, 1,   2, 9,
                                            0, 9, 0, 0, /**/ 0, 0, 9, 0, /**/ 0, 0, 9, 0, /**/ 5, NAN, 9, 0};
static const int32_t labels_of[IMAGES] = {0, 0, 1, 1, 1, 2, 2, 2};

static void add(Classwise *c, int first, int count) {
    Tensor logits = {
        .type = TENSOR_f32, .rank = 2, .shape = {count, CLASSES}, .data = (char *)(logits_of + first * CLASSES)};
    classwise_add(c, &logits, labels_of + first);
}

static void expect_counts(const Classwise *c) {
    static const int64_t confusion[CLASSES * CLASSES] = {1, 1, 0, 0, 1, 1, 0, 1, 0, 1, 2, 0, 0, 0, 0, 0};
    for (int i = 0; i < CLASSES * CLASSES; i++)
        assert_int_equal(c->confusion[i], confusion[i]);
    assert_true(fabs(classwise_balanced(c) - (1 / 2.0 + 1 / 3.0 + 2 / 3.0) / 3) < 1e-15);
}

static void test_batches(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Classwise *c = classwise_create(arena, CLASSES, NULL);
    assert_true(isnan(classwise_balanced(c)));
    for (int size = 1; size <= IMAGES; size++) {
        classwise_clear(c);
        for (int first = 0; first < IMAGES; first += size)
            add(c, first, size < IMAGES - first ? size : IMAGES - first);
        expect_counts(c);
    }
    assert_int_equal(classwise_mistaken(c, 0), 1);
    assert_int_equal(classwise_mistaken(c, 1), 0); /* of equal ones the first */
    assert_int_equal(classwise_mistaken(c, 3), -1);
    arena_destroy(arena);
}

static void test_worst(void **state) {
    (void)state;
    int worst[CLASSES];
    Arena *arena = arena_create();
    Classwise *c = classwise_create(arena, CLASSES, NULL);
    add(c, 0, IMAGES);
    assert_int_equal(classwise_worst(c, CLASSES, worst), 3); /* not the one without images */
    assert_true(worst[0] == 1 && worst[1] == 0 && worst[2] == 2);
    assert_int_equal(classwise_worst(c, 1, worst), 1);
    assert_int_equal(worst[0], 1);
    arena_destroy(arena);
}

static void test_json(void **state) {
    (void)state;
    static const char *const names[] = {"a", "b\"", "\xC3\xA9", "d"};
    Arena *arena = arena_create();
    Classwise *c = classwise_create(arena, CLASSES, names);
    add(c, 0, IMAGES);
    json_t *object = json_object();
    classwise_to_json(c, object);
    char *text = json_dumps(object, 0);
    assert_non_null(strstr(text, "\"confusion\": [[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 2, 0], [0, 0, 0, 0]]"));
    assert_non_null(strstr(text, "{\"images\": 0, \"correct\": 0, \"accuracy\": null, \"name\": \"d\"}"));
    free(text);
    json_decref(object);
    arena_destroy(arena);
}

static char *printed(const Classwise *c) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    classwise_print(out, c);
    fclose(out);
    return text;
}

static void test_text(void **state) {
    (void)state;
    static const char *const names[] = {"circle", "\x1b[31mred", "\xC3\xA9toile", "none"};
    Arena *arena = arena_create();
    Classwise *c = classwise_create(arena, CLASSES, names);
    add(c, 0, IMAGES);
    char *text = printed(c);
    assert_string_equal(text, "class      images  accuracy  most often taken for\n"
                              "circle          2   50.00 %  ?[31mred (1)\n"
                              "?[31mred        3   33.33 %  circle (1)\n"
                              "\xC3\xA9toile          3   66.67 %  ?[31mred (1)\n"
                              "none            0         -\n");
    free(text);
    arena_destroy(arena);
}

static void test_many(void **state) {
    (void)state;
    enum { MANY = CLASSWISE_MOST + 1 };
    Arena *arena = arena_create();
    Classwise *c = classwise_create(arena, MANY, NULL);
    assert_null(c->confusion);
    float *values = ARENA_ARRAY(arena, float, 2 * MANY);
    values[700] = 1, values[MANY + 3] = 1;
    classwise_add(c, &(Tensor){.type = TENSOR_f32, .rank = 2, .shape = {2, MANY}, .data = values},
                  (int32_t[]){700, 900});
    char *text = printed(c);
    assert_string_equal(text, "the 2 worst of 1025 classes:\nclass      images  accuracy\n"
                              "class 900       1    0.00 %\nclass 700       1  100.00 %\n");
    json_t *object = json_object();
    classwise_to_json(c, object);
    assert_true(json_is_null(json_object_get(object, "confusion")));
    assert_int_equal(json_array_size(json_object_get(object, "classes")), MANY);
    json_decref(object);
    free(text);
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches), cmocka_unit_test(test_worst), cmocka_unit_test(test_json),
        cmocka_unit_test(test_text),    cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
