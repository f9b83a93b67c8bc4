/* base_tree_sum.c: the order of additions; and that ranks which add up what they have, and then each other's rows, get what
 * one gets who has all. */
#include "base/tree_sum.h"

#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_order(void **state) {
    (void)state;
    const double e = 0x1p-53, pairs[] = {1, e, e, e, -1, 0}, odd[] = {1, e, e};
    double sum;
    tree_sum(pairs, true, 5, 1, 1, &sum);
    assert_true(sum == 2 * e);
    tree_sum(odd, true, 3, 1, 1, &sum);
    assert_true(sum == 1);
    tree_sum(odd + 1, true, 1, 1, 1, &sum);
    assert_true(sum == e);
}

static void test_rows(void **state) {
    (void)state;
    static const int64_t rows[][2] = {{1, 1}, {2, 1}, {3, 3}, {4, 1}, {6, 3}, {8, 1}, {12, 3}, {16, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(tree_sum_rows(rows[i][0]), rows[i][1]);
}

enum { CHUNKS = 64, COLUMNS = 70 };

/* Numbers of very different sizes, so that hardly two orders give one sum. */
static void fill(float *numbers) {
    for (uint32_t i = 0; i < CHUNKS * COLUMNS; i++)
        numbers[i] = (float)((draw_uniform(1, 2, 3, 4, i) - 0.5) * (i % 7 ? 1 : 1e9));
}

static void sum_columns(const void *rows, bool f64, int64_t row_count, double *sums) {
    size_t element = f64 ? sizeof(double) : sizeof(float);
    for (int first = 0; first < COLUMNS; first += TREE_SUM_WIDTH) {
        int count = COLUMNS - first < TREE_SUM_WIDTH ? COLUMNS - first : TREE_SUM_WIDTH;
        tree_sum((const char *)rows + (size_t)first * element, f64, row_count, COLUMNS, count, sums + first);
    }
}

static void check_ranks(const float *numbers, int chunks, int ranks) {
    static double whole[COLUMNS], rows[CHUNKS * COLUMNS], sums[COLUMNS];
    int own = chunks / ranks, sent = (int)tree_sum_rows(own);
    sum_columns(numbers, false, chunks, whole);
    for (int row = 0; row < sent * ranks; row++)
        sum_columns(numbers + row * (own / sent) * COLUMNS, false, own / sent, rows + row * COLUMNS);
    sum_columns(rows, true, sent * ranks, sums);
    assert_memory_equal(sums, whole, sizeof whole);
}

static void test_ranks(void **state) {
    (void)state;
    static float numbers[CHUNKS * COLUMNS];
    fill(numbers);
    for (int chunks = 1; chunks <= CHUNKS; chunks++)
        for (int ranks = 1; ranks <= chunks; ranks++)
            if (chunks % ranks == 0)
                check_ranks(numbers, chunks, ranks);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_ranks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
