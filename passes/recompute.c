/* recompute.c: keeps the states of the cells for the backward and computes what lies inside an edge again.
 *     forward:   %d = conv2d %s, %w          (edge)         forward:   %d = conv2d %s, %w
 *                %y = mul %d, %scale         (edge)                    %y = mul %d, %scale
 *     backward:  %g = mul %dy, %d            (edge)    =>   backward:  %d' = conv2d %s, %w
 *                                                                      %g = mul %dy, %d'
 * A value of the forward that the backward reads is made again when it has images (N) and belongs to an edge. States,
 * and everything without images (statistics, scales), are kept; so a clone never waits for a reduction over the batch.
 * Each value is cloned once, right before its first use and with that user's tag: what several edges share is not
 * repeated. Draws are repeated too: they are functions of their counters. The forward ends with the output "loss". */
#include "passes/schedule.h"

typedef struct Recompute {
    PassContext *ctx;
    IrGraph *g;
    int64_t left; /* bytes of the memory budget that kept values may still take */
} Recompute;

/* Marks of nodes. */
enum { BACKWARD = 0, FORWARD = 1, KEPT = 2 };

static bool is_state(const IrNode *n) {
    return schedule_is_given(n) || !schedule_is_images(n) || !schedule_is_edge(n->tag);
}

/* ---- what fits into the budget ---- */

static bool is_cheap(const IrNode *n) {
    return ir_op_info[n->op].flags & (OP_ELEMENTWISE | OP_VIEW);
}

static int64_t bytes_of(const Recompute *r, const IrNode *n) {
    int64_t element = n->type.dtype == DTYPE_u8 ? 1 : n->type.dtype == DTYPE_i32 ? 4 : (int64_t)r->ctx->element_size;
    return ir_type_count(&n->type, r->ctx->batch, 1) * element;
}

/* n, which the backward reads, is in memory, or what it is cheaply made of is. */
static void keep(Recompute *r, IrNode *n) {
    if (n->mark != FORWARD || schedule_is_given(n) || !schedule_is_images(n)) {
        return;
    }
    if (is_cheap(n)) {
        for (int i = 0; i < n->input_count; i++) {
            keep(r, n->inputs[i]);
        }
    } else if (is_state(n) || bytes_of(r, n) <= r->left) {
        r->left -= bytes_of(r, n);
        n->mark = KEPT;
    }
}

/* The states come off the budget first. Then the backward's reads are served in its order: what is needed soonest is
 * kept for the shortest time. */
static void spend_budget(Recompute *r, IrNode *loss) {
    for (IrNode *n = r->g->first; n != loss->next; n = n->next) {
        if (!schedule_is_given(n) && schedule_is_images(n) && is_state(n) && !is_cheap(n)) {
            keep(r, n);
        }
    }
    for (IrNode *n = loss->next; n; n = n->next) {
        for (int i = 0; i < n->input_count && r->left > 0; i++) {
            keep(r, n->inputs[i]);
        }
    }
}

/* ---- clones ---- */

/* scratch is the clone. */
static IrNode *find_replacement(IrBuilder *b, IrNode *n) {
    if (n->mark != FORWARD || is_state(n)) {
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

bool pass_recompute(PassContext *ctx, IrGraph *g) {
    IrNode *loss = ir_graph_find_output(g, "loss");
    if (!loss || !graph_kind_is_training(ctx->kind) || ctx->wide) {
        return false;
    }
    Recompute r = {.ctx = ctx, .g = g, .left = ctx->memory_budget};
    ir_clear_scratch(g);
    for (IrNode *n = g->first; n != loss->next; n = n->next) {
        n->mark = FORWARD;
    }
    if (r.left > 0) {
        spend_budget(&r, loss);
    }
    bool changed = false;
    for (IrNode *n = loss->next; n; n = n->next) {
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
