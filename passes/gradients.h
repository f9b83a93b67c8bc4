/* gradients.h: what a gradient rule may use. Private to passes/.
 *
 * A rule grad_NAME (NAME as in ops.def) gets an operation y = f(x0, x1, ...) and dy, the gradient of the loss with
 * respect to y, which has y's type, and adds a contribution to the gradient of each input that wants one.
 *
 * What is computed where a choice falls on it (ir/conditions.h) contributes there only. To the gradient of something that is
 * needed elsewhere too, what the cases of a choice contribute comes as a choice again, with zeros for the other cases:
 *     %y = choose %c, %a, %b  (%a, %b made of %x)      =>      %dx = choose %c, (from %a), (from %b)
 */
#ifndef NDARTS_PASSES_GRADIENTS_H
#define NDARTS_PASSES_GRADIENTS_H

#include "ir/conditions.h"
#include "passes/pass.h"

/* What the cases of a choice contribute to the gradient of x. */
typedef struct GradientCases {
    IrNode *x, *choice;
    int count;
    IrNode *cases[IR_MAX_CASES]; /* NULL: nothing */
    const char *tag;
    Span span;
} GradientCases;

typedef struct Gradients {
    IrBuilder b;               /* at the end of the graph, with the tag and span of the node whose rule runs */
    IrNode **sum;              /* by id of the forward node: the contributions so far, NULL for none */
    bool *wanted;              /* by id of the forward node: on a path from a wanted parameter */
    bool *source;              /* likewise: wanted itself; what it is made of is not */
    bool *own;                 /* likewise: made of sums over this rank's images alone, and none of its own */
    const IrCondition *needed; /* by id of the forward node */
    IrCondition where;         /* the contributions of the rule that runs are right */
    int pending_count, pending_capacity;
    GradientCases *pending; /* not yet in a sum: more cases may come */
    Arena *arena;
} Gradients;

typedef void GradientRule(Gradients *g, IrNode *y, IrNode *dy);

/* ---- differentiate.c ---- */

/* Adds, at the end of its graph, the gradients of a loss with respect to values that it may depend on, which count as
 * independent of each other. Numbers the graph. */
void gradients_of(PassContext *ctx, IrNode *loss, IrNode *const *sources, int count, IrNode **results);

/* ---- gradients.c ---- */

/* Does the gradient of input i of y matter? */
bool gradients_want(const Gradients *g, const IrNode *y, int i);
/* Adds to the gradient of input i of y. A contribution of y's broadcast type is summed over the axes that were
 * stretched. */
void gradients_add(Gradients *g, IrNode *y, int i, IrNode *contribution);

/* Before the rule of n runs: what is pending for n, and what no further case can come for, goes into the sums. */
void gradients_settle(Gradients *g, const IrNode *n);
/* x where the condition holds, else zeros. */
IrNode *gradients_where(Gradients *g, IrNode *x, const IrCondition *condition);

/* Elementwise operations; products with the constant 1 are left out. */
IrNode *gradients_unary(Gradients *g, IrOp op, IrNode *x);
IrNode *gradients_binary(Gradients *g, IrOp op, IrNode *x, IrNode *y);
IrNode *gradients_select(Gradients *g, IrNode *condition, IrNode *x, IrNode *y);
IrNode *gradients_reshape(Gradients *g, IrNode *x, const IrType *type);
IrNode *gradients_broadcast(Gradients *g, IrNode *x, const IrType *type);

/* One declaration for each name in ops.def; a name without a rule does not link. */
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    GradientRule grad_##gradient;
#define AT_LEAST(n) (-1 - (n))
#include "ir/ops.def"
#undef AT_LEAST
#undef OP

#endif
