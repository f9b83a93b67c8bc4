/* expand.h: what the files of the pass expand share. Private to passes/. */
#ifndef NDARTS_PASSES_EXPAND_H
#define NDARTS_PASSES_EXPAND_H

#include "passes/rewrite.h"

/* Where in the nest of calls a node is lowered. */
typedef struct ExpandFrame {
    const char *prefix; /* of relative parameter and stream names; "" at the top */
    const char
        *parent;      /* of those that begin with '^', and of streams with scope="parent": the mixed operation's name */
    const char *tag;  /* of the nodes made here; NULL: none */
    bool auxiliary;   /* inside the auxiliary head */
    IrCondition when; /* where a candidate is chosen: what is assigned there, is assigned then; choice NULL: always */
} ExpandFrame;

typedef struct Expander {
    PassContext *ctx;
    IrGraph *graph;
    IrBuilder b; /* span and tag are those of the node being lowered */
    int depth;   /* calls within calls */
} Expander;

/* Lowers one HIGH node, whose operands are already lowered. One function for each name in the column "expand" of
 * ops.def. */
typedef IrNode *ExpandFunction(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs);
ExpandFunction expand_call, expand_mixed, expand_auxiliary, expand_in_training, expand_deviation, expand_gumbel,
    expand_drop_path, expand_dropout, expand_batch_norm, expand_softmax, expand_cross_entropy;

/* prefix.name; '^' at the beginning of name: parent.name. */
const char *expand_resolve_name(Expander *e, const ExpandFrame *frame, const char *name);
/* Enters a param node in the module's table, unless it is there. */
void expand_enter_parameter(PassContext *ctx, const IrNode *n);
/* A parameter by its full name, entered in the module's table at its first mention. */
IrNode *expand_parameter(Expander *e, const ExpandFrame *frame, const char *name, IrType type, const char *kind,
                         const char *init, double scale);
/* Does the caller give what the stream would draw? */
bool expand_is_fed(const PassContext *ctx, const char *stream);
/* Random numbers of n's stream (attributes stream and scope), or the input that replaces them. keep: the probability of
 * a bernoulli draw, else NULL. */
IrNode *expand_draw(Expander *e, const ExpandFrame *frame, const IrNode *n, const char *distribution, IrType type,
                    IrNode *keep);

/* Likewise of the stream of that name. */
IrNode *expand_stream(Expander *e, const char *stream, const char *distribution, IrType type, IrNode *keep);

/* How many elements share one statistic: batch * positions, as a run-time f32[]; own: of several ranks, in this one. */
IrNode *expand_element_count(Expander *e, double positions, bool own);
/* Mean and variance over the leading axes of x, of this rank's images or of all, from one pass over it:
 *     mean = sum(x) / n, variance = max(sum(x * x) / n - mean * mean, 0) */
typedef struct ExpandMoments {
    IrNode *n, *mean, *variance;
    IrNode *unbiased; /* variance * n / max(n - 1, 1) */
} ExpandMoments;
ExpandMoments expand_moments(Expander *e, IrNode *x, int axes, bool own);

#endif
