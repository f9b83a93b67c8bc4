/* normal.h: the numbers of the normal draw, shared by base/hash.c and by the sources that codegen/ emits: both must
 * compute the same bits, so both take the formula and the coefficients from here. All arithmetic is f32.
 *
 *     u1 = ((word0 >> 8) + 1) / 2^24 in (0, 1], u2 = (word1 >> 8) / 2^24 in [0, 1); both exact
 *     z  = sqrt(-2 log(u1)) * cos(2 pi u2)
 *
 * log(u1): b = bits(u1) + NORMAL_LOG_BIAS; e = (b >> 23) - 127; m = float((b & 0x7fffff) + NORMAL_LOG_HALF), so that
 * u1 = 2^e m with sqrt(1/2) <= m < sqrt(2); f = m - 1 (exact); p = Horner of NORMAL_LOG_COEFFICIENTS in f with fma;
 * log = fma(e, NORMAL_LN2, fma(f * f, p, f)).
 * cos(2 pi u2): w = |u2 - 0.5| - 0.25 (exact, in [-1/4, 1/4]); cos(2 pi u2) = sin(2 pi w) = w * Q(w * w), Q = Horner of
 * NORMAL_SIN_COEFFICIENTS with fma.
 * z = sqrt(log * -2) * (w * Q).
 *
 * The polynomials are Chebyshev interpolants: (log(1 + f) - f) / f^2 on [sqrt(1/2) - 1, sqrt(2) - 1], off by 3.4e-8 in
 * the logarithm, and sin(2 pi sqrt(x)) / sqrt(x) on [0, 1/16], off by 6.8e-9 in the sine. */
#ifndef NDARTS_BASE_NORMAL_H
#define NDARTS_BASE_NORMAL_H

#define NORMAL_LOG_HALF 0x3f3504f3u                     /* the bits of sqrt(1/2) */
#define NORMAL_LOG_BIAS (0x3f800000u - NORMAL_LOG_HALF) /* moves the exponent's step from 1 to sqrt(2) */
#define NORMAL_LN2 0.693147182f

/* X(coefficient), the highest power first. */
#define NORMAL_LOG_COEFFICIENTS(X)                                                                                     \
    X(0.0878726542f)                                                                                                   \
    X(-0.141596466f)                                                                                                   \
    X(0.148347870f)                                                                                                    \
    X(-0.165884882f)                                                                                                   \
    X(0.199720502f)                                                                                                    \
    X(-0.250011474f)                                                                                                   \
    X(0.333336711f)                                                                                                    \
    X(-0.499999970f)

#define NORMAL_SIN_COEFFICIENTS(X)                                                                                     \
    X(39.7598267f)                                                                                                     \
    X(-76.5811691f)                                                                                                    \
    X(81.6024780f)                                                                                                     \
    X(-41.3416824f)                                                                                                    \
    X(6.28318548f)

#endif
