/* forward_copy.h: a forward pass made once more, with other parameters, images and draws: for methods whose step probes
 * the loss at several places. Private to passes/. */
#ifndef NDARTS_PASSES_FORWARD_COPY_H
#define NDARTS_PASSES_FORWARD_COPY_H

#include "passes/pass.h"

typedef struct ForwardCopy {
    Arena *arena;
    IrGraph *g;         /* the copy is added at its end */
    const char *pass;   /* whose nodes have the tags "PASS/TAG" (staging.h); "" for the graph's own */
    const char *images; /* stands behind the names of inputs: "_valid" */
    const char *draws;  /* stands behind the names of streams, also of those that are fed: ".pass2" */
    bool assigns;       /* the copy assigns what the pass assigns, else nothing */
    StrMap params;    /* by name: what is read in the place of a parameter; filled with the parameters that are read */
    StrMap assigned;  /* by name: what the pass assigns */
    StrMap perturbed; /* by name: what stands for a perturb; else its operand does */
} ForwardCopy;

/* The nodes of a forward pass, in order. */
typedef struct ForwardPass {
    int count, capacity;
    IrNode **nodes;
} ForwardPass;

/* All nodes of a graph. */
ForwardPass forward_pass_of(Arena *arena, IrGraph *g);
/* scratch of the pass's nodes is their copy; of assignments what they assign. */
void forward_copy(ForwardCopy *copy, const ForwardPass *pass);
/* Takes its nodes away but for the inputs, when nothing uses them any more. */
void forward_remove(const ForwardPass *pass);
/* The tag that a node without one has in the copy. */
const char *forward_copy_tag(const ForwardCopy *copy);

#endif
