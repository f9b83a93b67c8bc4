/* gradients.c: what the rules build gradients of; see gradients.h. */
#include "passes/gradients.h"

#include "passes/rewrite.h"

bool gradients_want(const Gradients *g, const IrNode *y, int i) {
    return g->wanted[y->inputs[i]->id];
}

IrNode *gradients_unary(Gradients *g, IrOp op, IrNode *x) {
    return ir_build1(&g->b, op, x, 0, NULL);
}

static bool is_one(const IrNode *n) {
    return n->type.rank == 0 && ir_is_constant(n, 1);
}

IrNode *gradients_binary(Gradients *g, IrOp op, IrNode *x, IrNode *y) {
    if (op == OP_mul && is_one(x)) {
        return y;
    }
    if (op == OP_mul && is_one(y)) {
        return x;
    }
    return ir_build2(&g->b, op, x, y, 0, NULL);
}

IrNode *gradients_select(Gradients *g, IrNode *condition, IrNode *x, IrNode *y) {
    return ir_build3(&g->b, OP_select, condition, x, y, 0, NULL);
}

IrNode *gradients_reshape(Gradients *g, IrNode *x, const IrType *type) {
    if (ir_type_equal(&x->type, type)) {
        return x;
    }
    IrAttr shape = ir_attr_ints("shape", type->rank, type->dim);
    return ir_build1(&g->b, OP_reshape, x, 1, &shape);
}

IrNode *gradients_broadcast(Gradients *g, IrNode *x, const IrType *type) {
    if (ir_type_equal(&x->type, type)) {
        return x;
    }
    IrAttr shape = ir_attr_ints("shape", type->rank, type->dim);
    return ir_build1(&g->b, OP_broadcast, x, 1, &shape);
}

/* The sum of x over the axes along which something of the target type was stretched to x's type. */
static IrNode *sum_stretched(Gradients *g, IrNode *x, const IrType *target, bool own) {
    int64_t axes[IR_MAX_RANK];
    int count = 0;
    int lead = x->type.rank - target->rank;
    for (int a = 0; a < x->type.rank; a++) {
        if (a < lead || (target->dim[a - lead] == 1 && x->type.dim[a] != 1)) {
            axes[count++] = a;
        }
    }
    if (count > 0) {
        IrAttr attrs[] = {ir_attr_ints("axes", count, axes), ir_attr_bool("own", true)};
        x = ir_build1(&g->b, OP_reduce_sum, x, own ? 2 : 1, attrs);
    }
    return gradients_reshape(g, x, target);
}

static void add_to_sum(Gradients *g, const IrNode *x, IrNode *contribution) {
    IrNode **sum = &g->sum[x->id];
    *sum = *sum ? gradients_binary(g, OP_add, *sum, contribution) : contribution;
}

/* ---- cases of a choice ---- */

static GradientCases *find_pending(Gradients *g, IrNode *x) {
    for (int i = 0; i < g->pending_count; i++)
        if (g->pending[i].x == x && g->pending[i].choice == g->where.choice)
            return &g->pending[i];
    GradientCases none = {.x = x, .choice = g->where.choice};
    ARENA_PUSH(g->arena, g->pending, g->pending_count, g->pending_capacity, none);
    return &g->pending[g->pending_count - 1];
}

/* A contribution that holds in several cases is added once to all that have the same so far. */
static void add_to_cases(Gradients *g, IrNode *x, IrNode *contribution) {
    GradientCases *p = find_pending(g, x);
    p->count = g->where.count > p->count ? g->where.count : p->count;
    p->tag = g->b.tag;
    p->span = g->b.span;
    IrNode *before = NULL, *sum = NULL;
    for (int c = 0; c < p->count; c++) {
        if (!(g->where.cases >> c & 1))
            continue;
        if (!sum || p->cases[c] != before) {
            before = p->cases[c];
            sum = before ? gradients_binary(g, OP_add, before, contribution) : contribution;
        }
        p->cases[c] = sum;
    }
}

void gradients_settle(Gradients *g, const IrNode *n) {
    const char *tag = g->b.tag;
    Span span = g->b.span;
    int left = 0;
    for (int i = 0; i < g->pending_count; i++) {
        const GradientCases *p = &g->pending[i];
        if (p->x != n && p->choice == g->needed[n->id].choice) {
            g->pending[left++] = *p;
            continue;
        }
        g->b.tag = p->tag;
        g->b.span = p->span;
        add_to_sum(g, p->x, rewrite_choose(&g->b, p->choice, p->count, p->cases, &p->x->type));
    }
    g->pending_count = left;
    g->b.tag = tag;
    g->b.span = span;
}

IrNode *gradients_where(Gradients *g, IrNode *x, const IrCondition *condition) {
    IrNode *cases[IR_MAX_CASES];
    for (int c = 0; c < condition->count; c++)
        cases[c] = condition->cases >> c & 1 ? x : NULL;
    return rewrite_choose(&g->b, condition->choice, condition->count, cases, &x->type);
}

void gradients_add(Gradients *g, IrNode *y, int i, IrNode *contribution) {
    IrNode *x = y->inputs[i];
    if (!g->wanted[x->id]) {
        return;
    }
    contribution = sum_stretched(g, contribution, &x->type, g->own[x->id]);
    if (ir_condition_implies(&g->needed[x->id], &g->where)) {
        add_to_sum(g, x, contribution);
    } else {
        add_to_cases(g, x, contribution);
    }
}
