/* pass.h: passes rewrite one step graph; the pipeline makes the step graphs of a module out of its graph @forward. */
#ifndef NDARTS_PASSES_PASS_H
#define NDARTS_PASSES_PASS_H

#include "ir/graph_kind.h"
#include "ir/settings.h"
#include "ir/wide_device.h"

#include <stdio.h>

typedef struct PassContext PassContext;
/* In a training, what costs more to compute again than to store and load; in a search nothing: its bar is memory. */
enum { PASS_KEEP_WORTHWHILE = -1 };

struct PassContext {
    Arena *arena;
    Diag *diag;
    IrModule *module;
    Settings settings; /* of the module, as each pass finds them */
    GraphKind kind;
    int64_t batch;          /* largest number of images */
    int chunks;             /* K; 0: min(batch, 16) */
    int ranks;              /* of which each has so many chunks and images; 0: 1 */
    size_t element_size;    /* 4, or 8 under f64: for recompute and plan-memory */
    bool half;              /* plan-memory: images are stored as bf16 */
    int64_t keep_bytes;     /* for recompute: values inside edges may take so much to be kept for the backward; or
                             PASS_KEEP_WORTHWHILE */
    bool left_out;          /* set by recompute: not all of them could be */
    bool fits;              /* set by the pipeline: no pass has changed the graph since its size was checked */
    const WideDevice *wide; /* NULL, or for a wide device: no memory is shared over time, nothing recomputed */
    /* Draws to be fed by the caller instead: stream names become graph inputs of the same name ("noise.P", "mask.P"). NULL: none. */
    const char *const *fed_streams;
    int fed_stream_count;
    bool
        grad_output_loss; /* attach-loss: loss = sum(logits * grad_output), an input shaped like the logits; no labels (tests of one operation) */
    bool input_gradient; /* differentiate, graph gradients: the output grad/input too */
    /* printing and choosing, from the command line */
    const char *const *only; /* --passes: NULL means all of the pipeline */
    int only_count;
    const char *const *disabled; /* --disable-pass */
    int disabled_count;
    unsigned without;                       /* passes with one of these flags are left out */
    const char *print_before, *print_after; /* names separated by commas, or NULL */
    bool print_after_all, print_after_change, timing, statistics;
    bool remarks;        /* fuse: what is stored, and why */
    const char *dump_to; /* directory, or NULL: GRAPH.NN-PASS.ir, NN the pass's place in the pipeline */
    FILE *out;           /* where the above is printed */
};

typedef bool PassFunction(PassContext *ctx, IrGraph *g); /* true: something changed */
enum { PASS_PRIMITIVE = 1, PASS_FOLDING = 2, PASS_EXECUTION = 4, PASS_SCATTERS = 8 };
typedef struct PassInfo {
    const char *name; /* "insert-drop-path" */
    PassFunction *run;
    unsigned flags; /* as in passes.def */
    const char *summary;
} PassInfo;
#define PASS(identifier, name, flags, summary) PassFunction pass_##identifier;
#include "passes/passes.def"
#undef PASS
extern const PassInfo pass_info[];
extern const int pass_count;
const PassInfo *pass_find(const char *name);

/* Runs one pass, verifies, prints what was asked for: the settings, the functions that g calls, and g. */
bool pass_run(PassContext *ctx, const PassInfo *pass, IrGraph *g);

/* Are the passes to be seen at work, or others than usual? */
bool passes_are_watched(const PassContext *ctx);
/* Clones module's @forward into a graph named graph_kind_name(ctx->kind), attaches the loss, runs the pipeline on it.
 * Fills module->params. NULL when diag has errors (for example search-alphas of a text without alphas). */
IrGraph *pipeline_build_graph(PassContext *ctx);
/* Runs the passes of ctx->only, in that order (or all of the pipeline), on a graph as it is (ndarts-opt). Enters its parameters
 * in module->params. False when diag has errors. */
bool pipeline_run(PassContext *ctx, IrGraph *g);

#endif
