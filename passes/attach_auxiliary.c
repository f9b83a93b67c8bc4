/* attach_auxiliary.c: the auxiliary head is there where it is trained, and nowhere else.
 *     %9 = auxiliary %5 {callee=[@auxiliary_head], name="auxiliary_head", weight=0.4}
 *     output "logits_aux" = %9
 * stays in the graphs train and gradients of a network; in all others the output and the node go. */
#include "passes/rewrite.h"

static bool is_trained(const PassContext *ctx) {
    bool search = settings_are_of(&ctx->settings, "search");
    return ctx->kind == GRAPH_train || (ctx->kind == GRAPH_gradients && !search);
}

/* Drops the outputs of auxiliary heads; the others keep their order. */
static bool remove_outputs(IrGraph *g) {
    int kept = 0;
    for (int i = 0; i < g->output_count; i++) {
        if (g->outputs[i].value->op != OP_auxiliary)
            g->outputs[kept++] = g->outputs[i];
    }
    bool changed = kept < g->output_count;
    g->output_count = kept;
    return changed;
}

static void remove_unused_heads(PassContext *ctx, IrGraph *g) {
    ir_graph_number(g);
    int *uses = ir_count_uses(g, ctx->arena);
    for (IrNode *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op == OP_auxiliary && uses[n->id] == 0)
            ir_node_remove(n);
    }
}

bool pass_attach_auxiliary(PassContext *ctx, IrGraph *g) {
    if (is_trained(ctx) || !remove_outputs(g))
        return false;
    remove_unused_heads(ctx, g);
    return true;
}
