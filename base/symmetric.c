/* symmetric.c: Jacobi's method. Rotations of two rows and columns make one off-diagonal element zero after the other, sweep by
 * sweep; the sum of their squares falls with each, at the end quadratically, until they do not count beside the diagonal.
 * n^3 a sweep, some ten sweeps: of 196 rows a tenth of a second, which is why no library is asked for. */
#include "base/symmetric.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Of the smaller angle: t = tan, by which a[p][q] becomes 0. */
static void rotate(double *a, int n, int p, int q) {
    double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < n; k++) {
        double x = a[k * n + p], y = a[k * n + q];
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for (int k = 0; k < n; k++) {
        double x = a[p * n + k], y = a[q * n + k];
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
    }
    a[p * n + q] = a[q * n + p] = 0;
}

/* All elements off the diagonal that count; false: there were none. */
static bool sweep(double *a, int n) {
    bool changed = false;
    for (int p = 0; p < n; p++)
        for (int q = p + 1; q < n; q++) {
            double small = fabs(a[p * n + q]);
            if (fabs(a[p * n + p]) + small == fabs(a[p * n + p]) && fabs(a[q * n + q]) + small == fabs(a[q * n + q]))
                continue;
            rotate(a, n, p, q);
            changed = true;
        }
    return changed;
}

static int compare(const void *left, const void *right) {
    double x = *(const double *)left, y = *(const double *)right;
    return (x > y) - (x < y);
}

void symmetric_eigenvalues(double *a, int n, double *values) {
    enum { MOST = 60 };
    for (int i = 0; i < MOST && sweep(a, n); i++)
        continue;
    for (int i = 0; i < n; i++)
        values[i] = a[i * n + i];
    qsort(values, (size_t)n, sizeof(double), compare);
}
