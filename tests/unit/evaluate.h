/* evaluate.h: what a graph of primitive operations computes, in double, one node after the other, as plainly as
 * possible. Tests compare with it: passes must not change values, and a graph's values must be the reference
 * implementation's. Symbolic extents become the bench's numbers; chunk k of K holds the images [k * N / K, (k + 1) * N
 * / K). */
#ifndef NDARTS_TESTS_EVALUATE_H
#define NDARTS_TESTS_EVALUATE_H

#include "ir/scalar_form.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Evaluator {
    int64_t n, k;
    /* Elements of an input, a parameter ("param"), a scalar or a draw. */
    double (*source)(void *data, const IrNode *node, const char *name, int64_t i);
    /* New value of a parameter. */
    void (*assign)(void *data, const char *name, const double *values, int64_t count);
    /* An output. */
    void (*output)(void *data, const char *name, const double *values, int64_t count);
    void *data;
} Evaluator;

typedef struct EvalShape {
    int rank;
    int64_t dim[IR_MAX_RANK], count;
} EvalShape;

static EvalShape eval_shape(const Evaluator *e, const IrType *type) {
    EvalShape s = {.rank = type->rank, .count = 1};
    for (int i = 0; i < type->rank; i++) {
        s.dim[i] = type->dim[i] == IR_DIM_N ? e->n : type->dim[i] == IR_DIM_K ? e->k : type->dim[i];
        s.count *= s.dim[i];
    }
    return s;
}

static void eval_unravel(const EvalShape *s, int64_t flat, int64_t *index) {
    for (int i = s->rank - 1; i >= 0; i--) {
        index[i] = flat % s->dim[i];
        flat /= s->dim[i];
    }
}

static int64_t eval_ravel(const EvalShape *s, const int64_t *index) {
    int64_t flat = 0;
    for (int i = 0; i < s->rank; i++)
        flat = flat * s->dim[i] + index[i];
    return flat;
}

/* Where an operand of shape s is read for the result's index, dimensions aligned at the right, 1 stretched. */
static int64_t eval_broadcast(const EvalShape *s, const EvalShape *result, const int64_t *index) {
    int64_t flat = 0;
    for (int i = 0; i < s->rank; i++)
        flat = flat * s->dim[i] + (s->dim[i] == 1 ? 0 : index[result->rank - s->rank + i]);
    return flat;
}

static double eval_elementwise(IrOp op, const double *x, int count) {
    double sum;
    switch (op) {
    case OP_add:
        return x[0] + x[1];
    case OP_sub:
        return x[0] - x[1];
    case OP_mul:
        return x[0] * x[1];
    case OP_div:
        return x[0] / x[1];
    case OP_max:
        return x[0] > x[1] ? x[0] : x[1];
    case OP_min:
        return x[0] < x[1] ? x[0] : x[1];
    case OP_gt:
        return x[0] > x[1];
    case OP_select:
        return x[0] != 0 ? x[1] : x[2];
    case OP_neg:
        return -x[0];
    case OP_relu:
        return x[0] > 0 ? x[0] : 0;
    case OP_exp:
        return exp(x[0]);
    case OP_log:
        return log(x[0]);
    case OP_sqrt:
        return sqrt(x[0]);
    case OP_tanh:
        return tanh(x[0]);
    case OP_sigmoid:
        return 1 / (1 + exp(-x[0]));
    case OP_sin:
        return sin(x[0]);
    case OP_cos:
        return cos(x[0]);
    case OP_abs:
        return fabs(x[0]);
    case OP_detach:
        return x[0];
    case OP_add_n:
        sum = x[0];
        for (int i = 1; i < count; i++)
            sum += x[i];
        return sum;
    default: /* tests/unit/codegen_evaluate.c holds it against the generated code */
        return ir_evaluate(op, count, x);
    }
}

typedef struct EvalNode {
    const Evaluator *e;
    const IrNode *n;
    EvalShape shape, in[2]; /* of the result and the first two operands */
    const double *x, *y;    /* the first two operands */
    double *out;
} EvalNode;

static void eval_all_elementwise(EvalNode *v, double *const *values) {
    double *x = malloc(sizeof(double) * (size_t)(v->n->input_count + 1));
    EvalShape *shapes = malloc(sizeof(EvalShape) * (size_t)(v->n->input_count + 1));
    for (int k = 0; k < v->n->input_count; k++)
        shapes[k] = eval_shape(v->e, &v->n->inputs[k]->type);
    int64_t index[IR_MAX_RANK];
    for (int64_t i = 0; i < v->shape.count; i++) {
        eval_unravel(&v->shape, i, index);
        for (int k = 0; k < v->n->input_count; k++)
            x[k] = values[v->n->inputs[k]->id][eval_broadcast(&shapes[k], &v->shape, index)];
        v->out[i] = eval_elementwise(v->n->op, x, v->n->input_count);
    }
    free(x);
    free(shapes);
}

static void eval_concat(EvalNode *v, double *const *values) {
    int64_t axis = ir_attr_get_int(v->n, "axis", 0), at = 0, index[IR_MAX_RANK];
    for (int k = 0; k < v->n->input_count; k++) {
        EvalShape s = eval_shape(v->e, &v->n->inputs[k]->type);
        for (int64_t i = 0; i < s.count; i++) {
            eval_unravel(&s, i, index);
            index[axis] += at;
            v->out[eval_ravel(&v->shape, index)] = values[v->n->inputs[k]->id][i];
        }
        at += s.dim[axis];
    }
}

/* slice, pad, index, place, broadcast, dilate, shuffle: from where the element at index comes; false: it is zero. */
static bool eval_view_source(const EvalNode *v, int64_t *index, int64_t *from) {
    int64_t axis = ir_attr_get_int(v->n, "axis", 0), at = ir_attr_get_int(v->n, "at", 0),
            begin = ir_attr_get_int(v->n, "begin", 0);
    int rank = v->in[0].rank;
    switch (v->n->op) {
    case OP_slice:
        index[axis] += begin;
        break;
    case OP_pad:
        index[axis] -= begin;
        if (index[axis] < 0 || index[axis] >= v->in[0].dim[axis])
            return false;
        break;
    case OP_index:
        for (int i = rank - 1; i > axis; i--)
            index[i] = index[i - 1];
        index[axis] = at;
        break;
    case OP_place:
        if (index[axis] != at)
            return false;
        for (int i = (int)axis; i < rank; i++)
            index[i] = index[i + 1];
        break;
    case OP_broadcast:
        *from = eval_broadcast(&v->in[0], &v->shape, index);
        return true;
    case OP_dilate:
        for (int i = 0; i < 2; i++) {
            int64_t stride = ir_attr_get_ints(v->n, "stride")[i];
            if (index[1 + i] % stride || index[1 + i] / stride >= v->in[0].dim[1 + i])
                return false;
            index[1 + i] /= stride;
        }
        break;
    case OP_shuffle: {
        int64_t groups = ir_attr_get_int(v->n, "groups", 1), each = v->in[0].dim[rank - 1] / groups;
        index[rank - 1] = index[rank - 1] % groups * each + index[rank - 1] / groups;
        break;
    }
    case OP_flip_weight:
        index[2] = v->in[0].dim[2] - 1 - index[2];
        index[3] = v->in[0].dim[3] - 1 - index[3];
        if (ir_attr_get_int(v->n, "groups", 1) == 1) {
            int64_t first = index[0];
            index[0] = index[1];
            index[1] = first;
        }
        break;
    default:
        bug("no view: '%s'", ir_op_info[v->n->op].name);
    }
    *from = eval_ravel(&v->in[0], index);
    return true;
}

static void eval_view(EvalNode *v) {
    int64_t index[IR_MAX_RANK + 1], from;
    for (int64_t i = 0; i < v->shape.count; i++) {
        eval_unravel(&v->shape, i, index);
        v->out[i] = eval_view_source(v, index, &from) ? v->x[from] : 0;
    }
}

static int64_t eval_chunk(const Evaluator *e, int64_t image) {
    for (int64_t k = 0;; k++) {
        if (image < (k + 1) * e->n / e->k)
            return k;
    }
}

static void eval_reduce(EvalNode *v) {
    bool max = v->n->op == OP_reduce_max, partial = v->n->op == OP_reduce_partial;
    const IrAttr *axes = ir_attr(v->n, "axes");
    bool reduced[IR_MAX_RANK] = {false}, keep = ir_attr_get_int(v->n, "keep", 0);
    for (int i = 0; i < axes->count; i++)
        reduced[axes->ints[i]] = true;
    for (int64_t i = 0; i < v->shape.count; i++)
        v->out[i] = max ? -INFINITY : 0;
    int64_t index[IR_MAX_RANK], to[IR_MAX_RANK + 1];
    for (int64_t i = 0; i < v->in[0].count; i++) {
        eval_unravel(&v->in[0], i, index);
        int rank = 0;
        if (partial)
            to[rank++] = eval_chunk(v->e, index[0]);
        for (int k = 0; k < v->in[0].rank; k++) {
            if (!reduced[k] || keep)
                to[rank++] = reduced[k] ? 0 : index[k];
        }
        double *out = &v->out[eval_ravel(&v->shape, to)];
        *out = max ? fmax(*out, v->x[i]) : *out + v->x[i];
    }
}

/* The position of the largest along the last axis, the first of equals. */
static void eval_argmax(EvalNode *v) {
    int64_t last = v->in[0].dim[v->in[0].rank - 1];
    for (int64_t i = 0; i < v->shape.count; i++) {
        int64_t best = 0;
        for (int64_t k = 1; k < last; k++)
            best = v->x[i * last + k] > v->x[i * last + best] ? k : best;
        v->out[i] = (double)best;
    }
}

static void eval_choose(EvalNode *v, double *const *values) {
    memcpy(v->out, values[v->n->inputs[1 + (int)v->x[0]]->id], sizeof(double) * (size_t)v->shape.count);
}

static bool eval_is_assigned(const IrNode *n, double *const *values) {
    const IrAttr *cases = ir_attr(n, "cases");
    bool found = !cases;
    for (int i = 0; cases && i < cases->count; i++)
        found = found || values[n->inputs[1]->id][0] == (double)cases->ints[i];
    return found;
}

static void eval_merge(EvalNode *v) {
    for (int64_t i = 0; i < v->shape.count; i++) {
        v->out[i] = 0;
        for (int64_t k = 0; k < v->e->k; k++)
            v->out[i] += v->x[k * v->shape.count + i];
    }
}

static void eval_matmul(EvalNode *v) {
    bool ta = ir_attr_get_int(v->n, "ta", 0), tb = ir_attr_get_int(v->n, "tb", 0),
         partial = ir_attr_get_int(v->n, "partial", 0);
    int64_t m = v->in[0].dim[ta ? 1 : 0], l = v->in[0].dim[ta ? 0 : 1], p = v->in[1].dim[tb ? 0 : 1];
    memset(v->out, 0, sizeof(double) * (size_t)v->shape.count);
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < l; k++)
            for (int64_t j = 0; j < p; j++)
                v->out[((partial ? eval_chunk(v->e, k) : 0) * m + i) * p + j] +=
                    v->x[ta ? k * m + i : i * l + k] * v->y[tb ? j * l + k : k * p + j];
}

/* Windows: visit every pair of an element of the large image (h, w) and one of the small one (oh, ow) at (kh, kw). */
typedef struct EvalWindow {
    int64_t kernel[2], stride[2], pad[2], dilation[2], large[2], small[2];
} EvalWindow;

static EvalWindow eval_window(const EvalNode *v, const EvalShape *large, const EvalShape *small,
                              const int64_t *kernel) {
    EvalWindow w;
    const IrAttr *dilation = ir_attr(v->n, "dilation");
    for (int i = 0; i < 2; i++) {
        w.kernel[i] = kernel[i];
        w.stride[i] = ir_attr_get_ints(v->n, "stride")[i];
        w.pad[i] = ir_attr_get_ints(v->n, "pad")[i];
        w.dilation[i] = dilation ? dilation->ints[i] : 1;
        w.large[i] = large->dim[1 + i];
        w.small[i] = small->dim[1 + i];
    }
    return w;
}

typedef void EvalVisit(EvalNode *v, int64_t image, const int64_t at[2], const int64_t out[2], const int64_t k[2]);

static void eval_visit_window(EvalNode *v, const EvalWindow *w, int64_t images, EvalVisit *visit) {
    for (int64_t image = 0; image < images; image++)
        for (int64_t oh = 0; oh < w->small[0]; oh++)
            for (int64_t ow = 0; ow < w->small[1]; ow++)
                for (int64_t kh = 0; kh < w->kernel[0]; kh++)
                    for (int64_t kw = 0; kw < w->kernel[1]; kw++) {
                        int64_t at[2] = {oh * w->stride[0] - w->pad[0] + kh * w->dilation[0],
                                         ow * w->stride[1] - w->pad[1] + kw * w->dilation[1]};
                        if (at[0] >= 0 && at[1] >= 0 && at[0] < w->large[0] && at[1] < w->large[1])
                            visit(v, image, at, (int64_t[]){oh, ow}, (int64_t[]){kh, kw});
                    }
}

static int64_t eval_at(const EvalShape *s, int64_t image, const int64_t *hw, int64_t c) {
    return ((image * s->dim[1] + hw[0]) * s->dim[2] + hw[1]) * s->dim[3] + c;
}

/* conv2d: x image, y weight, out result; grad_input: x dy, y weight, out image; grad_weight: x dy, y image, out weight.
 */
static void eval_visit_conv(EvalNode *v, int64_t image, const int64_t at[2], const int64_t out[2], const int64_t k[2]) {
    IrOp op = v->n->op;
    EvalShape weight = op == OP_conv2d_grad_weight ? v->shape : v->in[1];
    double *chunk = v->out;
    if (op == OP_conv2d_grad_weight && ir_attr_get_int(v->n, "partial", 0)) {
        memmove(weight.dim, weight.dim + 1, sizeof(int64_t) * 4);
        chunk += eval_chunk(v->e, image) * (v->shape.count / v->e->k);
    }
    int64_t groups = ir_attr_get_int(v->n, "groups", 1), per_out = weight.dim[0] / groups, per_in = weight.dim[1];
    for (int64_t o = 0; o < weight.dim[0]; o++)
        for (int64_t i = 0; i < per_in; i++) {
            int64_t w = ((o * per_in + i) * weight.dim[2] + k[0]) * weight.dim[3] + k[1], c = o / per_out * per_in + i;
            if (op == OP_conv2d)
                v->out[eval_at(&v->shape, image, out, o)] += v->x[eval_at(&v->in[0], image, at, c)] * v->y[w];
            else if (op == OP_conv2d_grad_input)
                v->out[eval_at(&v->shape, image, at, c)] += v->x[eval_at(&v->in[0], image, out, o)] * v->y[w];
            else
                chunk[w] += v->x[eval_at(&v->in[0], image, out, o)] * v->y[eval_at(&v->in[1], image, at, c)];
        }
}

static void eval_conv(EvalNode *v) {
    memset(v->out, 0, sizeof(double) * (size_t)v->shape.count);
    IrOp op = v->n->op;
    const EvalShape *large = op == OP_conv2d ? &v->in[0] : op == OP_conv2d_grad_input ? &v->shape : &v->in[1];
    const EvalShape *small = op == OP_conv2d ? &v->shape : &v->in[0];
    EvalWindow w =
        eval_window(v, large, small, op == OP_conv2d_grad_weight ? ir_attr_get_ints(v->n, "kernel") : v->in[1].dim + 2);
    eval_visit_window(v, &w, large->dim[0], eval_visit_conv);
}

/* out is the sum of a window beside its count in the scratch behind it. */
static void eval_visit_pool(EvalNode *v, int64_t image, const int64_t at[2], const int64_t out[2], const int64_t k[2]) {
    const int64_t *kernel = ir_attr_get_ints(v->n, "kernel");
    for (int64_t c = 0; c < v->in[0].dim[3]; c++) {
        bool backward = v->n->op == OP_max_pool_grad || v->n->op == OP_avg_pool_grad;
        int64_t small = eval_at(backward ? &v->in[0] : &v->shape, image, out, c);
        int64_t large = eval_at(backward ? &v->shape : &v->in[0], image, at, c);
        double *scratch = v->out + v->shape.count;
        switch (v->n->op) {
        case OP_avg_pool:
            v->out[small] += v->x[large];
            scratch[small] += 1;
            break;
        case OP_max_pool:
            v->out[small] = fmax(v->out[small], v->x[large]);
            break;
        case OP_max_pool_index:
            if (v->x[large] > scratch[small]) {
                scratch[small] = v->x[large];
                v->out[small] = (double)(k[0] * kernel[1] + k[1]);
            }
            break;
        case OP_max_pool_grad:
            if (v->y[small] == (double)(k[0] * kernel[1] + k[1]))
                v->out[large] += v->x[small];
            break;
        default: /* avg_pool_grad: the scratch holds the counts of the windows */
            v->out[large] += v->x[small] / scratch[small];
        }
    }
}

static void eval_visit_count(EvalNode *v, int64_t image, const int64_t at[2], const int64_t out[2],
                             const int64_t k[2]) {
    (void)at;
    (void)k;
    for (int64_t c = 0; c < v->in[0].dim[3]; c++)
        v->out[v->shape.count + eval_at(&v->in[0], image, out, c)] += 1;
}

static void eval_pool(EvalNode *v) {
    IrOp op = v->n->op;
    bool backward = op == OP_max_pool_grad || op == OP_avg_pool_grad;
    EvalWindow w = eval_window(v, backward ? &v->shape : &v->in[0], backward ? &v->in[0] : &v->shape,
                               ir_attr_get_ints(v->n, "kernel"));
    int64_t scratch = v->shape.count > v->in[0].count ? v->shape.count : v->in[0].count;
    for (int64_t i = 0; i < v->shape.count; i++)
        v->out[i] = op == OP_max_pool ? -INFINITY : 0;
    for (int64_t i = 0; i < scratch; i++)
        v->out[v->shape.count + i] = op == OP_max_pool_index ? -INFINITY : 0;
    if (op == OP_avg_pool_grad)
        eval_visit_window(v, &w, v->shape.dim[0], eval_visit_count);
    eval_visit_window(v, &w, v->shape.dim[0], eval_visit_pool);
    for (int64_t i = 0; op == OP_avg_pool && i < v->shape.count; i++)
        v->out[i] /= v->out[v->shape.count + i];
}

static void eval_source(EvalNode *v) {
    const char *attribute = v->n->op == OP_draw ? "stream" : "name";
    const char *name = ir_attr_get_string(v->n, attribute, "");
    for (int64_t i = 0; i < v->shape.count; i++)
        v->out[i] =
            v->n->op == OP_constant ? ir_attr_get_float(v->n, "value", 0) : v->e->source(v->e->data, v->n, name, i);
}

static void eval_one_hot(EvalNode *v) {
    int64_t classes = ir_attr_get_int(v->n, "classes", 1);
    for (int64_t i = 0; i < v->shape.count; i++)
        v->out[i] = v->x[i / classes] == (double)(i % classes);
}

static void eval_node(EvalNode *v, double *const *values) {
    switch (v->n->op) {
    case OP_param:
    case OP_input:
    case OP_scalar:
    case OP_draw:
    case OP_constant:
        eval_source(v);
        return;
    case OP_one_hot:
        eval_one_hot(v);
        return;
    case OP_concat:
        eval_concat(v, values);
        return;
    case OP_reshape:
    case OP_assign:
        memcpy(v->out, v->x, sizeof(double) * (size_t)v->shape.count);
        return;
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_partial:
        eval_reduce(v);
        return;
    case OP_reduce_merge:
    case OP_exchange: /* of one rank */
        eval_merge(v);
        return;
    case OP_argmax:
        eval_argmax(v);
        return;
    case OP_choose:
        eval_choose(v, values);
        return;
    case OP_matmul:
        eval_matmul(v);
        return;
    case OP_conv2d:
    case OP_conv2d_grad_input:
    case OP_conv2d_grad_weight:
        eval_conv(v);
        return;
    case OP_max_pool:
    case OP_max_pool_index:
    case OP_max_pool_grad:
    case OP_avg_pool:
    case OP_avg_pool_grad:
        eval_pool(v);
        return;
    default:
        if (ir_op_info[v->n->op].flags & OP_ELEMENTWISE)
            eval_all_elementwise(v, values);
        else
            eval_view(v);
    }
}

/* Runs the graph. A value is freed behind its last use. */
static void evaluate_graph(const Evaluator *e, IrGraph *g, Arena *arena) {
    ir_graph_number(g);
    int *uses = ir_count_uses(g, arena);
    double **values = calloc((size_t)g->next_id + 1, sizeof(double *));
    for (IrNode *n = g->first; n; n = n->next) {
        EvalNode v = {.e = e, .n = n, .shape = eval_shape(e, &n->type)};
        for (int i = 0; i < n->input_count && i < 2; i++)
            v.in[i] = eval_shape(e, &n->inputs[i]->type);
        v.x = n->input_count > 0 ? values[n->inputs[0]->id] : NULL;
        v.y = n->input_count > 1 ? values[n->inputs[1]->id] : NULL;
        int64_t room = v.shape.count + (v.shape.count > v.in[0].count ? v.shape.count : v.in[0].count);
        v.out = values[n->id] = malloc(sizeof(double) * (size_t)(room + 1));
        eval_node(&v, values);
        if (n->op == OP_assign && eval_is_assigned(n, values))
            e->assign(e->data, ir_attr_get_string(n, "param", ""), v.out, v.shape.count);
        for (int i = 0; i < n->input_count; i++) {
            int id = n->inputs[i]->id;
            if (--uses[id] == 0) {
                free(values[id]);
                values[id] = NULL;
            }
        }
    }
    for (int i = 0; i < g->output_count; i++) {
        IrNode *n = g->outputs[i].value;
        e->output(e->data, g->outputs[i].name, values[n->id], eval_shape(e, &n->type).count);
    }
    for (int i = 0; i < g->next_id; i++)
        free(values[i]);
    free(values);
}

#endif
