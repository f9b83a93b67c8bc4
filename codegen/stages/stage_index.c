/* stage_index.c: arithmetic on affine indices. An index with a divisor stands for an exact quotient: whoever uses it
 * has tested with a guard that the division leaves nothing, so sums and multiples of quotients stay exact. */
#include "codegen/stages/stage.h"

static int64_t gcd(int64_t a, int64_t b) {
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

CgIndex cg_index_axis(int axis) {
    CgIndex index = {.divisor = 1};
    index.coef[axis] = 1;
    return index;
}

CgIndex cg_index_constant(int64_t value) {
    return (CgIndex){.constant = value, .divisor = 1};
}

/* Numerator and divisor lose their common factor. */
static CgIndex reduce_fraction(CgIndex index) {
    int64_t common = gcd(index.divisor, index.constant);
    for (int a = 0; a < CG_MAX_AXES; a++)
        common = gcd(common, index.coef[a]);
    if (common <= 1)
        return index;
    index.divisor /= common;
    index.constant /= common;
    for (int a = 0; a < CG_MAX_AXES; a++)
        index.coef[a] /= common;
    return index;
}

CgIndex cg_index_scale(CgIndex a, int64_t factor) {
    a.constant *= factor;
    for (int i = 0; i < CG_MAX_AXES; i++)
        a.coef[i] *= factor;
    return a.divisor == 1 ? a : reduce_fraction(a);
}

CgIndex cg_index_add(CgIndex a, CgIndex b) {
    int64_t common = gcd(a.divisor, b.divisor);
    int64_t scale_a = b.divisor / common, scale_b = a.divisor / common;
    CgIndex sum = {.constant = a.constant * scale_a + b.constant * scale_b, .divisor = a.divisor * scale_a};
    for (int i = 0; i < CG_MAX_AXES; i++)
        sum.coef[i] = a.coef[i] * scale_a + b.coef[i] * scale_b;
    return sum.divisor == 1 ? sum : reduce_fraction(sum);
}

CgIndex cg_index_shift(CgIndex a, int64_t distance) {
    a.constant += distance * a.divisor;
    return a;
}

CgIndex cg_index_divide(CgIndex a, int64_t divisor) {
    a.divisor *= divisor;
    return reduce_fraction(a);
}

bool cg_index_equal(const CgIndex *a, const CgIndex *b) {
    if (a->constant != b->constant || a->divisor != b->divisor)
        return false;
    for (int i = 0; i < CG_MAX_AXES; i++)
        if (a->coef[i] != b->coef[i])
            return false;
    return true;
}

bool cg_index_range(const CgStep *step, const CgIndex *index, int64_t *least, int64_t *most) {
    *least = *most = index->constant;
    for (int a = 0; a < step->axis_count; a++) {
        int64_t coef = index->coef[a], extent = step->axes[a].extent;
        if (!coef)
            continue;
        if (extent < 0)
            return false;
        *(coef > 0 ? most : least) += coef * (extent - 1);
    }
    return true;
}

uint32_t cg_index_axes(const CgIndex *index) {
    uint32_t axes = 0;
    for (int a = 0; a < CG_MAX_AXES; a++)
        if (index->coef[a])
            axes |= UINT32_C(1) << a;
    return axes;
}

bool cg_index_is_aligned(const CgStep *step, const CgIndex *index, int axis, int width) {
    if (index->divisor != 1 || index->coef[axis] != 1 || index->constant % width)
        return false;
    for (int a = 0; a < step->axis_count; a++)
        if (a != axis && step->axes[a].extent != 1 && index->coef[a] % width)
            return false;
    return true;
}
