/* symmetric.h: eigenvalues of symmetric matrices of a few hundred rows. */
#ifndef NDARTS_BASE_SYMMETRIC_H
#define NDARTS_BASE_SYMMETRIC_H

/* Ascending. a: n x n, symmetric; it is overwritten, and must hold finite numbers. */
void symmetric_eigenvalues(double *a, int n, double *values);

#endif
