/* base_symmetric.c: eigenvalues that are known, and what they have in common with their matrix. */
#include "base/symmetric.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* 2 on the diagonal and -1 beside it: 2 - 2 cos(k pi / (n + 1)). */
static void test_chain(void **state) {
    (void)state;
    enum { N = 40 };
    static double a[N * N], values[N];
    for (int i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i)
            a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
    }
    symmetric_eigenvalues(a, N, values);
    for (int k = 1; k <= N; k++)
        assert_true(fabs(values[k - 1] - (2 - 2 * cos(k * acos(-1) / (N + 1)))) < 1e-13);
}

/* Their sum is the trace, the sum of their squares that of all elements. Sizes of elements differ much. */
static void test_invariants(void **state) {
    (void)state;
    enum { N = 60 };
    static double a[N * N], values[N];
    double trace = 0, squares = 0, sum = 0, sum_of_squares = 0;
    for (int i = 0; i < N; i++)
        for (int k = 0; k <= i; k++)
            a[i * N + k] = a[k * N + i] = sin(7 * i + 3 * k) * exp(-(i + k) / 10.0);
    for (int i = 0; i < N * N; i++)
        squares += a[i] * a[i];
    for (int i = 0; i < N; i++)
        trace += a[i * N + i];
    symmetric_eigenvalues(a, N, values);
    for (int i = 0; i < N; i++) {
        sum += values[i];
        sum_of_squares += values[i] * values[i];
        assert_true(i == 0 || values[i - 1] <= values[i]);
    }
    assert_true(fabs(sum - trace) < 1e-12 && fabs(sum_of_squares - squares) < 1e-11);
}

static void test_small(void **state) {
    (void)state;
    double one[] = {-3}, zero[] = {0, 0, 0, 0}, values[2];
    symmetric_eigenvalues(one, 1, values);
    assert_true(values[0] == -3);
    symmetric_eigenvalues(zero, 2, values);
    assert_true(values[0] == 0 && values[1] == 0);
    double turned[] = {0, 5, 5, 0};
    symmetric_eigenvalues(turned, 2, values);
    assert_true(fabs(values[0] + 5) < 1e-15 && fabs(values[1] - 5) < 1e-15);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain), cmocka_unit_test(test_invariants),
                                       cmocka_unit_test(test_small)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
