/* insert_drop_path.c: drops whole images of an operation's result, and divides the survivors by the probability to
 * survive (the run-time scalar drop_keep), in training graphs.
 *
 * In a search, on the candidate drop_path.candidate, behind its noise; the mask is named by the mixed operation:
 *     %1 = mixed %x, %w {candidates=[@skip_connect_16_1_gaussian_noise, ...], ...}
 *  => %1 = mixed %x, %w {candidates=[@skip_connect_16_1_gaussian_noise_drop, ...], ...}
 *
 * In training (train.drop_path > 0), on every operation of a genotype that is not the identity; named by the call:
 *     %1 = call %x {callee=[@sep_conv_3x3_36_1], name="cells.0._ops.3", edge=true}
 *  => %1 = call %x {callee=[@sep_conv_3x3_36_1_drop], ...}
 *
 * Changes nothing in evaluation and inference. */
#include "passes/rewrite.h"

static IrNode *add_drop_path(IrBuilder *b, IrNode *x, const void *scope) {
    IrAttr attrs[] = {ir_attr_string("stream", "mask"), ir_attr_string("scope", scope)};
    return ir_build1(b, OP_drop_path, x, 2, attrs);
}

/* The function returns its argument, itself or by way of another identity. */
static bool is_identity(const IrModule *module, const char *name) {
    const IrGraph *f = ir_graph_find(module, name);
    if (!f || f->output_count != 1 || f->arg_count != 1)
        return false;
    const IrNode *value = f->outputs[0].value;
    while (value->op == OP_call && is_identity(module, ir_attr(value, "callee")->symbols[0]))
        value = value->inputs[0];
    return value == f->args[0];
}

static bool wrap_edges(PassContext *ctx, IrGraph *g) {
    bool changed = false;
    for (IrNode *n = g->first; n; n = n->next) {
        if (n->op != OP_call || !ir_attr_get_int(n, "edge", 0))
            continue;
        const char *callee = ir_attr(n, "callee")->symbols[0];
        if (is_identity(ctx->module, callee) || str_ends_with(callee, "_drop"))
            continue;
        callee = rewrite_wrap_function(ctx, callee, "drop", add_drop_path, "self");
        ir_attr_set(n, ir_attr_symbols("callee", 1, &callee));
        changed = true;
    }
    return changed;
}

bool pass_insert_drop_path(PassContext *ctx, IrGraph *g) {
    if (!graph_kind_is_training(ctx->kind))
        return false;
    const char *candidate = ctx->settings.drop_path.candidate;
    if (!candidate || ctx->kind == GRAPH_train)
        return ctx->settings.train.drop_path > 0 && wrap_edges(ctx, g);
    return rewrite_wrap_candidates(ctx, g, "drop path", candidate, "drop", add_drop_path, "parent");
}
