/* hessian_results.c: what is known of a Hessian, as tensors. */
#include "runtime/loops/hessian.h"

#include <string.h>

static void add(const Hessian *h, TensorFile *results, const char *name, int64_t count, const double *values) {
    double *copy = ARENA_ARRAY(h->arena, double, count);
    memcpy(copy, values, sizeof(double) * (size_t)count);
    tensor_file_add(h->arena, results,
                    (Tensor){.name = name, .type = TENSOR_f64, .rank = 1, .shape = {count}, .data = copy});
}

static bool add_product(Hessian *h, const Tensor *vector, TensorFile *results, Error *error) {
    if (tensor_count(vector) != h->count)
        return error_set(error, ERROR_INPUT, "%s has %lld numbers; there are %d architecture parameters", vector->name,
                         (long long)tensor_count(vector), h->count);
    double *v = ARENA_ARRAY(h->arena, double, h->count), *product = ARENA_ARRAY(h->arena, double, h->count);
    for (int i = 0; i < h->count; i++)
        v[i] = tensor_get(vector, i);
    if (!hessian_product(h, v, product, error))
        return false;
    add(h, results, "hessian/vector_product", h->count, product);
    return true;
}

static bool add_spectrum(Hessian *h, TensorFile *results, Error *error) {
    HessianSpectrum s;
    if (!hessian_spectrum(h, &s, error))
        return false;
    add(h, results, "hessian/eigenvalues", s.count, s.eigenvalues);
    add(h, results, "hessian/largest_absolute", 1, &s.largest_absolute);
    add(h, results, "hessian/trace", 1, &s.trace);
    add(h, results, "hessian/norm", 1, &s.norm);
    return true;
}

bool hessian_results(Hessian *h, const Tensor *vector, bool spectrum, TensorFile *results, Error *error) {
    double dominant;
    if (!hessian_begin(h, error))
        return false;
    bool ok = hessian_dominant(h, &dominant, error);
    if (ok)
        add(h, results, "hessian/dominant", 1, &dominant);
    ok = ok && (!vector || add_product(h, vector, results, error)) && (!spectrum || add_spectrum(h, results, error));
    return hessian_end(h, error) && ok;
}
