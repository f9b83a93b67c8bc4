/* hessian.h: the Hessian of a loss with respect to the architecture parameters, by differences of gradients:
 *
 *     H v = (grad(a + e v) - grad(a - e v)) / (2 e),   |v| = 1
 *
 * of the graph `gradients`: training mode, one batch, one set of draws. What the noise of a method holds constant for
 * differentiation (the deviation it is in units of) moves between the gradients, so that it counts here. */
#ifndef NDARTS_RUNTIME_LOOPS_HESSIAN_H
#define NDARTS_RUNTIME_LOOPS_HESSIAN_H

#include "runtime/driver/runtime.h"

/* Runs the graph `gradients` with the parameters that the program has, always in the same way. */
typedef bool HessianPass(void *context, Error *error);

typedef struct Hessian {
    Arena *arena;
    RtProgram *program;
    HessianPass *pass;
    void *context;
    bool (*stop)(void); /* or NULL: whether to give up, with ERROR_INTERRUPTED */
    double step;        /* e; 0: by the program's precision */
    int count;          /* of all architecture parameters, in the order of the program */
    const double *at;   /* their values */
    TensorFile kept;    /* parameters and statistics as they were */
    int64_t passes;     /* gradients so far */
} Hessian;

/* The step that suits the precision: below it rounding counts, above it kinks of relu and max pool. */
double hessian_step(CgPrecision precision);
/* Fills program, pass, context and stop are the caller's; the rest is made here. ERROR_INPUT when there is nothing to
 * differentiate by. */
bool hessian_begin(Hessian *h, Error *error);
/* Parameters and running statistics are again as they were at hessian_begin, bit by bit. */
bool hessian_end(Hessian *h, Error *error);

/* out = H v, count numbers each. */
bool hessian_product(Hessian *h, const double *v, double *out, Error *error);
/* The largest eigenvalue (not the largest absolute value), by Lanczos' method. */
bool hessian_dominant(Hessian *h, double *eigenvalue, Error *error);
/* What the whole matrix says, symmetrised: 2 count gradients. */
typedef struct HessianSpectrum {
    int count;
    const double *eigenvalues;            /* ascending */
    double largest_absolute, trace, norm; /* the first: with its sign */
} HessianSpectrum;
bool hessian_spectrum(Hessian *h, HessianSpectrum *spectrum, Error *error);
/* All of it, from hessian_begin to hessian_end, as tensors (hessian_results.c): hessian/dominant, hessian/vector_product
 * where there is a vector (or NULL), and of the whole matrix hessian/eigenvalues, largest_absolute, trace and norm. */
bool hessian_results(Hessian *h, const Tensor *vector, bool spectrum, TensorFile *results, Error *error);

#endif
