/* recompute.c: keeps the states of the cells for the backward and computes what lies inside an edge again.
 *     forward:   %d = conv2d %s, %w          (edge)         forward:   %d = conv2d %s, %w
 *                %y = mul %d, %scale         (edge)                    %y = mul %d, %scale
 *     backward:  %g = mul %dy, %d            (edge)    =>   backward:  %d' = conv2d %s, %w
 *                                                                      %g = mul %dy, %d'
 * A value of the forward that the backward reads is made again when it has images (N) and belongs to an edge. States,
 * and everything without images (statistics, scales), are kept; so a clone never waits for a reduction over the batch.
 * Each value is cloned once, right before its first use and with that user's tag: what several edges share is not
 * repeated. Draws are repeated too: they are functions of their counters. The forward ends with the output "loss"; in a
 * graph of several passes (staging.h) each has its own, as "plus_loss", and what was kept of one is free in the next.
 *
 * When there is memory to spare (ctx->keep_bytes) the values that cost most to make again, per byte, are kept in it.
 * Elementwise values never are: what they are made of is there, or is made again. Without a budget a training keeps
 * what is WORTHWHILE, pointwise products from 32 channels on: less work per byte is done again in the time that storing
 * and loading take (training step of noisy_darts_a, C = 36, batch 32, one thread: 0.85 s and 601 MB keeping nothing,
 * 0.70 s and 1096 MB this way, 0.78 s and 1.6 GB keeping all). */
#include "ir/stats.h"
#include "passes/plan_memory.h"
#include "passes/staging.h"

#include <stdlib.h>
#include <string.h>

/* Marks of nodes: FORWARD until it is found that the backward needs the value of an edge, which AGAIN says, and KEPT
 * that it is in memory. */
enum { BACKWARD = 0, FORWARD = 1, AGAIN = 2, KEPT = 3 };

enum { WORTHWHILE = 16 /* operations for a byte */ };

static bool is_state(const IrNode *n) {
    return ir_is(n, OP_GIVEN) || !staging_is_images(n) || !staging_is_edge(n->tag);
}

/* ---- what is worth keeping ---- */

typedef struct Candidate {
    IrNode *node;
    int64_t bytes;
    double worth; /* operations saved per byte */
    int position;
} Candidate;

typedef struct Choice {
    PassContext *ctx;
    int count, capacity;
    Candidate *candidates;
} Choice;

static int64_t bytes_of(const PassContext *ctx, const IrNode *n) {
    return ir_type_count(&n->type, ctx->batch, 1) * pass_element_size(ctx, n);
}

/* n would be cloned, and so would what it is made of. */
static void find_candidates(Choice *choice, IrNode *n) {
    if (n->mark != FORWARD || is_state(n))
        return;
    n->mark = AGAIN;
    for (int i = 0; i < n->input_count; i++)
        find_candidates(choice, n->inputs[i]);
    if (ir_is_light(n))
        return;
    int64_t bytes = bytes_of(choice->ctx, n);
    double worth = ir_count_operations(n, choice->ctx->batch) / (double)bytes;
    Candidate candidate = {n, bytes, worth, choice->count};
    ARENA_PUSH(choice->ctx->arena, choice->candidates, choice->count, choice->capacity, candidate);
}

static int compare_worth(const void *a, const void *b) {
    const Candidate *x = a, *y = b;
    if (x->worth != y->worth)
        return x->worth < y->worth ? 1 : -1;
    return x->position - y->position;
}

static void choose_kept(PassContext *ctx, IrNode *loss, const IrNode *end, int64_t left, double least_worth) {
    Choice choice = {.ctx = ctx};
    for (IrNode *n = loss->next; n != end; n = n->next)
        for (int i = 0; i < n->input_count; i++)
            find_candidates(&choice, n->inputs[i]);
    if (choice.count > 0)
        qsort(choice.candidates, (size_t)choice.count, sizeof *choice.candidates, compare_worth);
    for (int i = 0; i < choice.count && choice.candidates[i].worth >= least_worth; i++) {
        const Candidate *c = &choice.candidates[i];
        if (c->bytes > left) {
            ctx->left_out = true;
            continue;
        }
        c->node->mark = KEPT;
        left -= c->bytes;
    }
}

/* ---- clones ---- */

/* scratch is the clone. */
static IrNode *find_replacement(IrBuilder *b, IrNode *n) {
    if (n->mark == BACKWARD || n->mark == KEPT || is_state(n)) {
        return n;
    }
    if (!n->scratch) {
        IrNode **inputs = ARENA_ARRAY(b->graph->module->arena, IrNode *, n->input_count);
        for (int i = 0; i < n->input_count; i++) {
            inputs[i] = find_replacement(b, n->inputs[i]);
        }
        b->span = n->span;
        n->scratch = ir_build(b, n->op, &n->type, n->input_count, inputs, n->attr_count, n->attrs);
    }
    return n->scratch;
}

/* Of the pass that the loss belongs to. */
static bool recompute_pass(PassContext *ctx, IrGraph *g, IrNode *loss) {
    IrNode *end = loss->next;
    while (end && staging_same_pass(end->tag, loss->tag))
        end = end->next;
    ir_clear_scratch(g);
    for (IrNode *n = loss; n && staging_same_pass(n->tag, loss->tag); n = n->prev) {
        n->mark = FORWARD;
    }
    if (ctx->keep_bytes > 0)
        choose_kept(ctx, loss, end, ctx->keep_bytes, 0);
    else if (ctx->keep_bytes == PASS_KEEP_WORTHWHILE && ctx->kind == GRAPH_train)
        choose_kept(ctx, loss, end, INT64_MAX, WORTHWHILE);
    bool changed = false;
    for (IrNode *n = loss->next; n != end; n = n->next) {
        for (int i = 0; i < n->input_count; i++) {
            IrBuilder b = {.graph = g, .before = n, .diag = ctx->diag, .tag = n->tag};
            IrNode *replacement = find_replacement(&b, n->inputs[i]);
            changed = changed || replacement != n->inputs[i];
            n->inputs[i] = replacement;
        }
    }
    ir_clear_scratch(g);
    return changed;
}

bool pass_recompute(PassContext *ctx, IrGraph *g) {
    bool changed = false;
    if (!graph_kind_is_training(ctx->kind) || ctx->wide) {
        return false;
    }
    for (int i = 0; i < g->output_count; i++) {
        if (strstr(g->outputs[i].name, "loss")) {
            changed |= recompute_pass(ctx, g, g->outputs[i].value);
        }
    }
    return changed;
}
