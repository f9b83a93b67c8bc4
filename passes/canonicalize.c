/* canonicalize.c: folds constants and removes operations that do nothing.
 *     x * 1, x / 1, x + 0, x - 0  =>  x           op(constants)           =>  constant
 *     reshape(reshape(x))  =>  reshape(x)         slice of all, pad by 0, concat or sum of one  =>  x
 *     slice(concat(..., x, ...)) of exactly x  =>  x      index(place(x)) at the same place  =>  x
 *     neg(neg(x)) => x, relu(relu(x)) => relu(x), detach(detach(x)) => detach(x)
 * Every rule gives the same bits (up to the sign of a zero in x + 0). Additions are never reordered, and x * 0 stays: x
 * may be infinite. One walk in order of execution suffices, as operands are simplified before their users. */
#include "ir/scalar_form.h"
#include "passes/rewrite.h"

#include <math.h>

/* What n is equal to; n itself when nothing simpler. One for each name in the column simplify of ops.def. */
typedef IrNode *Rule(IrBuilder *b, IrNode *n);

/* x where it has n's type (it need not when the other operand stretched it). */
static IrNode *same_or(IrNode *n, IrNode *x) {
    return ir_type_equal(&n->type, &x->type) ? x : n;
}

static IrNode *fold_constants(IrBuilder *b, IrNode *n) {
    enum { MOST_OPERANDS = 3 };
    double operands[MOST_OPERANDS];
    if (!ir_is(n, OP_EXACT) || n->input_count > MOST_OPERANDS)
        return n;
    for (int i = 0; i < n->input_count; i++) {
        if (n->inputs[i]->op != OP_constant)
            return n;
        operands[i] = ir_attr_get_float(n->inputs[i], "value", 0);
    }
    double result = ir_evaluate(n->op, n->input_count, operands);
    if (!isfinite(result))
        return n;
    IrAttr attr = ir_attr_float("value", result);
    return ir_build0(b, OP_constant, n->type, 1, &attr);
}

static IrNode *simplify_none(IrBuilder *b, IrNode *n) {
    (void)b;
    return n;
}

static IrNode *simplify_add(IrBuilder *b, IrNode *n) {
    (void)b;
    if (ir_is_constant(n->inputs[1], 0))
        return same_or(n, n->inputs[0]);
    return ir_is_constant(n->inputs[0], 0) ? same_or(n, n->inputs[1]) : n;
}

static IrNode *simplify_sub(IrBuilder *b, IrNode *n) {
    (void)b;
    return ir_is_constant(n->inputs[1], 0) ? same_or(n, n->inputs[0]) : n;
}

static IrNode *simplify_mul(IrBuilder *b, IrNode *n) {
    (void)b;
    if (ir_is_constant(n->inputs[1], 1))
        return same_or(n, n->inputs[0]);
    return ir_is_constant(n->inputs[0], 1) ? same_or(n, n->inputs[1]) : n;
}

static IrNode *simplify_div(IrBuilder *b, IrNode *n) {
    (void)b;
    return ir_is_constant(n->inputs[1], 1) ? same_or(n, n->inputs[0]) : n;
}

static IrNode *simplify_neg(IrBuilder *b, IrNode *n) {
    (void)b;
    return n->inputs[0]->op == OP_neg ? n->inputs[0]->inputs[0] : n;
}

/* Doing it twice is doing it once. */
static IrNode *simplify_idempotent(IrBuilder *b, IrNode *n) {
    (void)b;
    return n->inputs[0]->op == n->op ? n->inputs[0] : n;
}

static IrNode *simplify_of_one(IrBuilder *b, IrNode *n) {
    (void)b;
    return n->input_count == 1 ? n->inputs[0] : n;
}

static IrNode *simplify_reshape(IrBuilder *b, IrNode *n) {
    IrNode *x = n->inputs[0];
    if (x->op == n->op) {
        n = ir_build(b, n->op, NULL, 1, x->inputs, n->attr_count, n->attrs);
        x = n->inputs[0];
    }
    return same_or(n, x);
}

static IrNode *simplify_broadcast(IrBuilder *b, IrNode *n) {
    (void)b;
    return same_or(n, n->inputs[0]);
}

static IrNode *simplify_pad(IrBuilder *b, IrNode *n) {
    (void)b;
    return ir_attr_get_int(n, "begin", 0) == 0 && ir_attr_get_int(n, "end", 0) == 0 ? n->inputs[0] : n;
}

static IrNode *simplify_slice(IrBuilder *b, IrNode *n) {
    (void)b;
    IrNode *x = n->inputs[0];
    int64_t axis = ir_attr_get_int(n, "axis", 0), begin = ir_attr_get_int(n, "begin", 0), at = 0;
    if (ir_type_equal(&n->type, &x->type))
        return x;
    if (x->op != OP_concat || ir_attr_get_int(x, "axis", -1) != axis)
        return n;
    for (int i = 0; i < x->input_count && at <= begin; at += x->inputs[i]->type.dim[axis], i++) {
        if (at == begin && ir_type_equal(&n->type, &x->inputs[i]->type))
            return x->inputs[i];
    }
    return n;
}

static IrNode *simplify_index(IrBuilder *b, IrNode *n) {
    (void)b;
    IrNode *x = n->inputs[0];
    bool same = x->op == OP_place && ir_attr_get_int(x, "axis", 0) == ir_attr_get_int(n, "axis", 0) &&
                ir_attr_get_int(x, "at", 0) == ir_attr_get_int(n, "at", 0);
    return same ? x->inputs[0] : n;
}

static Rule *const rules[OP_COUNT] = {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    simplify_##simplify,
#include "ir/ops.def"
#undef OP
};

bool pass_canonicalize(PassContext *ctx, IrGraph *g) {
    (void)ctx;
    bool changed = false;
    ir_clear_scratch(g);
    for (IrNode *n = g->first; n; n = n->next) {
        rewrite_forward_inputs(n);
        IrBuilder b = {.graph = g, .before = n, .span = n->span, .tag = n->tag};
        IrNode *simpler = fold_constants(&b, n);
        if (simpler == n)
            simpler = rules[n->op](&b, n);
        if (simpler == n)
            continue;
        n->scratch = simpler;
        n->mark = 1;
        changed = true;
    }
    ir_replace_uses_by_scratch(g);
    rewrite_remove_marked(g);
    return changed;
}
