/* optimizer.h: what an optimiser is made of: passes/update.c asks a row of ir/optimizers.def and the function of its
 * file, passes/optimizer_NAME.c, for the step of each parameter. */
#ifndef NDARTS_PASSES_OPTIMIZER_H
#define NDARTS_PASSES_OPTIMIZER_H

#include "ir/conditions.h"
#include "passes/pass.h"

typedef struct Update {
    PassContext *ctx;
    IrGraph *g;
    IrBuilder b;
    const OptimizerSettings *settings;
    const OptimizerRow *row;
    IrNode *rate;
    IrCondition when;                        /* the parameter at hand is updated; choice NULL: always */
    IrNode *scalars[OPTIMIZER_MOST_SCALARS]; /* of the row */
    bool ahead;                              /* states are read, but not assigned */
} Update;

/* The step s of w = w - rate * s. param: whose; gradient: clipped. New states are assigned here. */
typedef IrNode *OptimizerStep(Update *u, const IrParam *param, IrNode *w, IrNode *gradient);
#define OPTIMIZER(name, ...) OptimizerStep optimizer_step_##name;
#include "ir/optimizers.def"
#undef OPTIMIZER

/* For steps that are tried: nothing is assigned. rate: the run-time scalar. */
Update update_look_ahead(PassContext *ctx, IrGraph *g, const OptimizerSettings *settings, const char *rate);
/* What the optimiser of the update makes of a gradient: an OptimizerStep. */
IrNode *update_step(Update *u, const IrParam *param, IrNode *w, IrNode *gradient);
/* The root of the sum of the squares of all elements. */
IrNode *update_norm(Update *u, IrNode *const *values, int count);
void update_assign(Update *u, const char *param, IrNode *value);
IrNode *update_binary(Update *u, IrOp op, IrNode *x, IrNode *y);
IrNode *update_scaled(Update *u, double factor, IrNode *x);
/* otherwise * x, or where a schedule says what the momentum is, that times x. */
IrNode *update_by_momentum(Update *u, double otherwise, IrNode *x);
/* gradient + decay * w */
IrNode *update_decayed(Update *u, IrNode *w, IrNode *gradient);
/* Reads state number `which` of the row's; it begins with zeros. */
IrNode *update_state(Update *u, int which, const IrParam *of);
/* Assigns a new value to a state, unless the step is only tried, and returns it. It is a value of its own, used by its assignment and by the
 * parameter's: each reads what the other writes. */
IrNode *update_assign_state(Update *u, IrNode *state, IrNode *value);

/* Adam's step without decay (optimizer_adam.c): states 0 and 1 are its means, scalars 0 and 1 its biases. */
IrNode *optimizer_adam_direction(Update *u, const IrParam *param, IrNode *gradient);

#endif
