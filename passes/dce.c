/* dce.c: removes what neither an output nor an effect needs.
 *     %3 = relu %1        (no user)       =>
 * Inputs of the graph stay: they are what its caller provides. */
#include "passes/rewrite.h"

static bool is_root(const IrNode *n) {
    return n->op == OP_input || ir_is(n, OP_EFFECT);
}

bool pass_dce(PassContext *ctx, IrGraph *g) {
    (void)ctx;
    bool changed = false;
    ir_clear_scratch(g);
    for (int i = 0; i < g->output_count; i++)
        g->outputs[i].value->mark = 1;
    /* Users come after their operands, so one walk from the end sees every user first. */
    for (IrNode *n = g->last, *before; n; n = before) {
        before = n->prev;
        if (!n->mark && !is_root(n)) {
            ir_node_remove(n);
            changed = true;
            continue;
        }
        for (int i = 0; i < n->input_count; i++)
            n->inputs[i]->mark = 1;
    }
    return changed;
}
