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

static bool is_kept(const IrNode *n) {
    return schedule_is_given(n) || !schedule_is_images(n) || !schedule_is_edge(n->tag);
}

/* Nodes of the forward have mark 1; scratch is the clone. */
static IrNode *find_replacement(IrBuilder *b, IrNode *n) {
    if (n->mark != 1 || is_kept(n)) {
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
    if (!loss || !graph_kind_is_training(ctx->kind)) {
        return false;
    }
    ir_clear_scratch(g);
    for (IrNode *n = g->first; n != loss->next; n = n->next) {
        n->mark = 1;
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
