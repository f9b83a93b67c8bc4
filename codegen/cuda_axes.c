/* cuda_axes.c: from one number to the axes it stands for. Divisions are what costs, so neighbouring axes that all
 * accesses walk through as if they were one (rows and columns of an image in a map or a pointwise convolution) stay
 * one: the inner axis gets a number that counts through both, the outer one is called 0. */
#include "codegen/cuda.h"

typedef struct Pair {
    int outer, inner;
    int64_t extent; /* of inner */
} Pair;

static bool steps_alike(int64_t outer, int64_t inner, const Pair *pair) {
    return outer == inner * pair->extent;
}

static bool index_steps_alike(const CgIndex *index, const Pair *pair) {
    int64_t outer = index->coef[pair->outer], inner = index->coef[pair->inner];
    return index->divisor == 1 ? steps_alike(outer, inner, pair) : !outer && !inner;
}

static bool load_steps_alike(const CgScalar *s, const Pair *pair) {
    int64_t outer = 0, inner = 0;
    for (int d = 0; d < s->index_count; d++) {
        const CgIndex *index = &s->index[d];
        if (index->divisor != 1 && !index_steps_alike(index, pair))
            return false;
        outer += index->coef[pair->outer] * s->buffer->stride[d];
        inner += index->coef[pair->inner] * s->buffer->stride[d];
    }
    return steps_alike(outer, inner, pair);
}

/* What a guard tests must not depend on either axis: a number beyond its extent would change the outcome. */
static bool own_indices_alike(const CgScalar *s, const Pair *pair) {
    if (s->kind == SCALAR_load)
        return load_steps_alike(s, pair);
    for (int i = 0; i < s->index_count; i++) {
        const CgIndex *index = &s->index[i];
        bool free = !index->coef[pair->outer] && !index->coef[pair->inner];
        if (s->kind == SCALAR_guard ? !free : !index_steps_alike(index, pair))
            return false;
    }
    for (int i = 0; i < s->reduce_count; i++)
        if (s->reduce == REDUCE_argmax && (s->reduce_axes[i] == pair->outer || s->reduce_axes[i] == pair->inner))
            return false;
    return true;
}

/* Every scalar once: they are shared. */
static bool find_differing(CgScalar *s, const Pair *pair) {
    if (s->mark)
        return false;
    s->mark = 1;
    bool differs = !own_indices_alike(s, pair);
    for (int i = 0; i < s->arg_count && !differs; i++)
        differs = find_differing(s->args[i], pair);
    return differs;
}

static void clear_marks(CgScalar *s) {
    if (!s->mark)
        return;
    s->mark = 0;
    for (int i = 0; i < s->arg_count; i++)
        clear_marks(s->args[i]);
}

static bool is_result_axis(const CgStep *step, int axis) {
    return axis < step->out->type.rank;
}

static bool are_one(const CgStep *step, CgScalar *value, bool stored, int outer, int inner) {
    const int64_t *stride = step->out->stride;
    Pair pair = {outer, inner, step->axes[inner].extent};
    if (is_result_axis(step, outer) != is_result_axis(step, inner))
        return false;
    if (stored && is_result_axis(step, outer) && !steps_alike(stride[outer], stride[inner], &pair))
        return false;
    bool differs = value && find_differing(value, &pair);
    if (value)
        clear_marks(value);
    return !differs;
}

/* The axis before `at` that has an extent; -1: none. */
static int previous(const CgStep *step, const int *axes, int at) {
    while (--at >= 0 && step->axes[axes[at]].extent <= 1)
        continue;
    return at;
}

void cuda_print_axes(CgPrinter *p, CgScalar *value, bool stored, const int *axes, int count, const char *number) {
    const CgStep *step = p->step;
    for (int at = previous(step, axes, count), next; at >= 0; at = next) {
        int inner = axes[at];
        int64_t extent = step->axes[inner].extent;
        for (next = previous(step, axes, at); next >= 0 && are_one(step, value, stored, axes[next], axes[at]);
             next = previous(step, axes, at)) {
            p->axis_name[axes[next]] = "0";
            extent *= step->axes[axes[next]].extent;
            at = next;
        }
        if (next < 0) {
            p->axis_name[inner] = number;
            return;
        }
        p->axis_name[inner] = cg_c_name(p, "i");
        cg_c_line(p, "const %s %s = %s %% %lld;", p->index_type, p->axis_name[inner], number, (long long)extent);
        const char *rest = cg_c_name(p, "r");
        cg_c_line(p, "const %s %s = %s / %lld;", p->index_type, rest, number, (long long)extent);
        number = rest;
    }
}
