/* saturate.h: sums and products of counts that stay at the largest number instead of overflowing, so that what is
 * absurdly large is found by a comparison. For numbers that are not negative. */
#ifndef NDARTS_BASE_SATURATE_H
#define NDARTS_BASE_SATURATE_H

#include <stdint.h>

static inline int64_t saturating_add(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static inline int64_t saturating_multiply(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

#endif
