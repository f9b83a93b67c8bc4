/* rewrite.h: what several passes need to change a graph. Private to passes/. */
#ifndef NDARTS_PASSES_REWRITE_H
#define NDARTS_PASSES_REWRITE_H

#include "ir/conditions.h"
#include "passes/pass.h"

/* A new input of the graph, after the inputs it has; the same name twice is the same input. */
IrNode *rewrite_add_input(IrGraph *g, const char *name, IrType type);

/* Whether a function was made of the operation op: it is called "op", then its parameters ("op_16_1"), then what was
 * put around it ("op_16_1_after_drop"). A longer name among the candidates of the space (the settings
 * space.candidates) that fits takes precedence: "sep_conv_3x3_16_1" is no "sep_conv". */
bool rewrite_is_instance_of(const IrModule *module, const char *function, const char *op);

/* Adds a node after a value and returns the new one. */
typedef IrNode *RewriteWrap(IrBuilder *b, IrNode *x, const void *data);

/* The function CALLEE_SUFFIX, made if the module has none of that name: CALLEE, then after(result).
 *     graph @skip_connect_16_1_drop(%x: T) -> T {
 *       %1 = call %x {callee=[@skip_connect_16_1], name=""}
 *       %2 = drop_path %1 {...}
 *       return %2
 *     }
 * Returns its name. The function stands right after CALLEE in the module. */
const char *rewrite_wrap_function(PassContext *ctx, const char *callee, const char *suffix, RewriteWrap *after,
                                  const void *data);

/* Every mixed operation's candidates that are instances of op become what wrap_function makes of them; those that are
 * wrapped with this suffix already stay. True when something changed. A graph with mixed operations of which none has
 * the candidate is the user's mistake: "WHAT on 'op' ...". */
bool rewrite_wrap_candidates(PassContext *ctx, IrGraph *g, const char *what, const char *op, const char *suffix,
                             RewriteWrap *after, const void *data);
/* Elementwise operations without attributes. */
IrNode *rewrite_unary(IrBuilder *b, IrOp op, IrNode *x);
IrNode *rewrite_binary(IrBuilder *b, IrOp op, IrNode *x, IrNode *y);
/* Over the axes begin, ..., end - 1. */
IrNode *rewrite_reduce(IrBuilder *b, IrOp op, IrNode *x, int begin, int end, bool keep);

/* cases[c] where the choice is c, zeros of the type where that is NULL. */
IrNode *rewrite_choose(IrBuilder *b, IrNode *choice, int count, IrNode *const *cases, const IrType *type);
/* The parameter's new value, where the condition holds. */
void rewrite_assign(IrBuilder *b, const char *param, IrNode *value, const IrCondition *when);

/* Removes the nodes marked 1 and clears the marks; nothing that stays may use them. */
void rewrite_remove_marked(IrGraph *g);

/* For passes that walk the graph once and set scratch to what stands for a node: operand uses of replaced nodes become
 * uses of their replacements, so that rules see operands in their final form. */
void rewrite_forward_inputs(IrNode *n);

#endif
