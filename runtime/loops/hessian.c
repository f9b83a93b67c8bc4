/* hessian.c: products with the Hessian of the architecture parameters, its dominant eigenvalue and its spectrum.
 * Lanczos: the matrix of the vectors v1, H v1, H^2 v1, ..., made orthonormal, is small, and its largest eigenvalue is soon
 * that of H. All of it is kept (v_i' H v_j, symmetrised), not only the three diagonals that count in exact arithmetic: the
 * products are differences, and with additive noise H is not quite symmetric. */
#include "runtime/loops/hessian.h"

#include "base/hash.h"
#include "base/symmetric.h"

#include <math.h>
#include <string.h>

enum { MOST_PRODUCTS = 60 };

double hessian_step(CgPrecision precision) {
    return precision == PRECISION_f64 ? 1e-6 : 1e-2;
}

static bool is_alpha(const RtProgram *program, int param) {
    return rt_param_info(program, param)->kind == PARAM_alpha;
}

/* Numbers of all architecture parameters, one after the other; with prefix "grad/" those of their gradients. */
static double *read_alphas(const Hessian *h, bool gradients, int *count) {
    double *values = NULL;
    int capacity = 0;
    *count = 0;
    for (int p = 0; p < rt_param_count(h->program); p++) {
        if (!is_alpha(h->program, p))
            continue;
        const char *name = rt_param_info(h->program, p)->name;
        Tensor t = gradients
                       ? rt_output_get(h->program, GRAPH_gradients, arena_printf(h->arena, "grad/%s", name), h->arena)
                       : rt_param_get(h->program, name, h->arena);
        for (int64_t i = 0; i < tensor_count(&t); i++)
            ARENA_PUSH(h->arena, values, *count, capacity, tensor_get(&t, i));
    }
    return values;
}

static bool write_alphas(const Hessian *h, const double *values, Error *error) {
    for (int p = 0; p < rt_param_count(h->program); p++) {
        const RtTensorInfo *info = rt_param_info(h->program, p);
        if (!is_alpha(h->program, p))
            continue;
        Tensor t = {.name = info->name, .type = TENSOR_f64, .rank = info->rank, .data = (void *)values};
        memcpy(t.shape, info->shape, sizeof t.shape);
        if (!rt_param_set(h->program, &t, error))
            return false;
        values += tensor_count(&t);
    }
    return true;
}

bool hessian_begin(Hessian *h, Error *error) {
    h->step = h->step > 0 ? h->step : hessian_step(rt_program_precision(h->program));
    for (int p = 0; p < rt_param_count(h->program); p++) {
        const RtTensorInfo *info = rt_param_info(h->program, p);
        if (info->kind == PARAM_alpha || info->kind == PARAM_statistic)
            tensor_file_add(h->arena, &h->kept, rt_param_get(h->program, info->name, h->arena));
    }
    h->at = read_alphas(h, false, &h->count);
    return h->count > 0 || error_set(error, ERROR_INPUT, "there are no architecture parameters to differentiate by");
}

bool hessian_end(Hessian *h, Error *error) {
    bool ok = true;
    for (size_t i = 0; i < h->kept.count; i++)
        ok = rt_param_set(h->program, &h->kept.tensors[i], error) && ok;
    return ok;
}

/* The gradient where the parameters are away by `part` of v. The arena of its own ends with it. */
static bool gradient_at(Hessian *h, double part, const double *v, double *out, Error *error) {
    if (h->stop && h->stop()) {
        error->kind = ERROR_INTERRUPTED;
        return false;
    }
    Hessian inner = *h;
    inner.arena = arena_create();
    double *values = ARENA_ARRAY(inner.arena, double, h->count);
    for (int i = 0; i < h->count; i++)
        values[i] = h->at[i] + part * v[i];
    bool ok = write_alphas(&inner, values, error) && h->pass(h->context, error);
    if (ok) {
        int count;
        memcpy(out, read_alphas(&inner, true, &count), sizeof(double) * (size_t)h->count);
        h->passes++;
    }
    arena_destroy(inner.arena);
    return ok;
}

static double dot(const double *x, const double *y, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += x[i] * y[i];
    return sum;
}

bool hessian_product(Hessian *h, const double *v, double *out, Error *error) {
    double length = sqrt(dot(v, v, h->count)), part = length > 0 ? h->step / length : 0;
    double *minus = ARENA_ARRAY(h->arena, double, h->count);
    if (!gradient_at(h, part, v, out, error) || !gradient_at(h, -part, v, minus, error))
        return false;
    for (int i = 0; i < h->count; i++)
        out[i] = part > 0 ? (out[i] - minus[i]) / (2 * part) : 0;
    return true;
}

/* ---- the dominant eigenvalue ---- */

typedef struct Lanczos {
    int size;
    double *vectors[MOST_PRODUCTS + 1], *products[MOST_PRODUCTS];
} Lanczos;

/* Takes out what the vectors before have of it, twice, and makes its length 1; false: nothing is left. */
static bool orthonormalise(const Lanczos *l, double *v, int count) {
    double before = sqrt(dot(v, v, count));
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < l->size; k++) {
            double part = dot(v, l->vectors[k], count);
            for (int i = 0; i < count; i++)
                v[i] -= part * l->vectors[k][i];
        }
    double length = sqrt(dot(v, v, count));
    for (int i = 0; i < count && length > 0; i++)
        v[i] /= length;
    return length > 1e-10 * before;
}

/* Of the matrix of the products with the vectors, symmetrised. */
static double largest_of(const Hessian *h, const Lanczos *l) {
    int n = l->size;
    double *matrix = ARENA_ARRAY(h->arena, double, n *n), *values = ARENA_ARRAY(h->arena, double, n);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            matrix[i * n + k] =
                (dot(l->vectors[i], l->products[k], h->count) + dot(l->vectors[k], l->products[i], h->count)) / 2;
    symmetric_eigenvalues(matrix, n, values);
    return values[n - 1];
}

/* Any direction, always the same. */
static double *first_vector(const Hessian *h) {
    double *v = ARENA_ARRAY(h->arena, double, h->count);
    for (int i = 0; i < h->count; i++)
        v[i] = draw_normal(0, draw_stream_hash("hessian"), 0, 0, (uint32_t)i);
    return v;
}

bool hessian_dominant(Hessian *h, double *eigenvalue, Error *error) {
    Lanczos l = {0};
    double tolerance = rt_program_precision(h->program) == PRECISION_f64 ? 1e-7 : 1e-4;
    int most = h->count < MOST_PRODUCTS ? h->count : MOST_PRODUCTS, quiet = 0;
    double *v = first_vector(h);
    *eigenvalue = 0;
    while (l.size < most && quiet < 2 && orthonormalise(&l, v, h->count)) {
        double *product = ARENA_ARRAY(h->arena, double, h->count);
        if (!hessian_product(h, v, product, error))
            return false;
        l.vectors[l.size] = v;
        l.products[l.size++] = product;
        double before = *eigenvalue;
        *eigenvalue = largest_of(h, &l);
        quiet = fabs(*eigenvalue - before) <= tolerance * fabs(*eigenvalue) ? quiet + 1 : 0;
        v = ARENA_ARRAY(h->arena, double, h->count);
        memcpy(v, product, sizeof(double) * (size_t)h->count);
    }
    return isfinite(*eigenvalue) ||
           error_set(error, ERROR_INPUT, "the Hessian of the architecture parameters is not finite");
}

/* ---- the spectrum ---- */

bool hessian_spectrum(Hessian *h, HessianSpectrum *spectrum, Error *error) {
    int n = h->count;
    double *matrix = ARENA_ARRAY(h->arena, double, (size_t)n *(size_t)n), *unit = ARENA_ARRAY(h->arena, double, n);
    for (int i = 0; i < n; i++) {
        memset(unit, 0, sizeof(double) * (size_t)n);
        unit[i] = 1;
        if (!hessian_product(h, unit, matrix + (size_t)i * (size_t)n, error))
            return false;
    }
    double *values = ARENA_ARRAY(h->arena, double, n);
    *spectrum = (HessianSpectrum){.count = n, .eigenvalues = values};
    for (int i = 0; i < n; i++)
        for (int k = 0; k <= i; k++)
            matrix[i * n + k] = matrix[k * n + i] = (matrix[i * n + k] + matrix[k * n + i]) / 2;
    for (int i = 0; i < n; i++)
        spectrum->trace += matrix[i * n + i];
    spectrum->norm = sqrt(dot(matrix, matrix, n * n));
    if (!isfinite(spectrum->norm))
        return error_set(error, ERROR_INPUT, "the Hessian of the architecture parameters is not finite");
    symmetric_eigenvalues(matrix, n, values);
    spectrum->largest_absolute = fabs(values[0]) > fabs(values[n - 1]) ? values[0] : values[n - 1];
    return true;
}
