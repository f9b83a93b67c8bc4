/* cuda_axes.c: from one number to the axes it stands for. Divisions are what costs, so neighbouring axes that all
 * accesses walk through as if they were one (rows and columns of an image in a map or a pointwise convolution) stay
 * one: the inner axis gets a number that counts through both, the outer one is called 0. */
#include "codegen/cuda/cuda.h"

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

void cuda_clear_marks(CgScalar *s) {
    if (!s->mark)
        return;
    s->mark = 0;
    for (int i = 0; i < s->arg_count; i++)
        cuda_clear_marks(s->args[i]);
}

static bool is_result_axis(const CgStep *step, int axis) {
    return axis < step->out->type.rank;
}

static bool are_one(const CudaUse *use, int outer_position, int inner_position) {
    const CgStep *step = use->step;
    const int64_t *stride = step->out->stride;
    int outer = use->axes[outer_position], inner = use->axes[inner_position];
    Pair pair = {outer, inner, step->axes[inner].extent};
    if (is_result_axis(step, outer) != is_result_axis(step, inner))
        return false;
    if (use->stored && is_result_axis(step, outer) && !steps_alike(stride[outer], stride[inner], &pair))
        return false;
    bool differs = use->value && find_differing(use->value, &pair);
    if (use->value)
        cuda_clear_marks(use->value);
    return !differs;
}

static bool are_one_to_all(const CudaUse *uses, int use_count, int outer, int inner) {
    for (int i = 0; i < use_count; i++)
        if (!are_one(&uses[i], outer, inner))
            return false;
    return true;
}

/* The position before `at` whose axis has an extent; -1: none. */
static int previous(const CudaUse *use, int at) {
    while (--at >= 0 && use->step->axes[use->axes[at]].extent <= 1)
        continue;
    return at;
}

void cuda_name_axes(CgPrinter *p, const CudaUse *uses, int use_count, int count, const char *number,
                    const char **names) {
    for (int i = 0; i < count; i++)
        names[i] = NULL;
    for (int at = previous(uses, count), next; at >= 0; at = next) {
        int inner = at;
        int64_t extent = uses->step->axes[uses->axes[at]].extent;
        for (next = previous(uses, at); next >= 0 && are_one_to_all(uses, use_count, next, at);
             next = previous(uses, at)) {
            names[next] = "0";
            extent *= uses->step->axes[uses->axes[next]].extent;
            at = next;
        }
        if (next < 0) {
            names[inner] = number;
            return;
        }
        names[inner] = cg_c_name(p, "i");
        cg_c_line(p, "const %s %s = %s %% %lld;", p->index_type, names[inner], number, (long long)extent);
        const char *rest = cg_c_name(p, "r");
        cg_c_line(p, "const %s %s = %s / %lld;", p->index_type, rest, number, (long long)extent);
        number = rest;
    }
}

void cuda_use_names(CgPrinter *p, const int *axes, int count, const char *const *names) {
    for (int i = 0; i < count; i++)
        if (names[i])
            p->axis_name[axes[i]] = names[i];
}

void cuda_print_axes(CgPrinter *p, CgScalar *value, bool stored, const int *axes, int count, const char *number) {
    const char *names[CG_MAX_AXES];
    CudaUse use = {p->step, value, axes, stored};
    cuda_name_axes(p, &use, 1, count, number, names);
    cuda_use_names(p, axes, count, names);
}
