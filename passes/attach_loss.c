/* attach_loss.c: adds what training and evaluation minimise.
 *     input labels: i32[N]
 *     %l = cross_entropy %logits, %labels
 *     %a = cross_entropy %logits_aux, %labels        with an auxiliary head only
 *     output "loss" = %l + weight * %a
 * A training that mixes images (train.mixup, train.cutmix) has targets, input targets: f32[N,classes], in the place of
 * labels.
 * In training graphs label smoothing (train.label_smoothing) applies, and weights of the classes where the settings
 * have some (train.class_weights, search.class_weights): a third operand, the parameter loss/class_weights, whose
 * values the runtime knows. With ctx->grad_output_loss the loss is sum(logits * grad_output), grad_output being an
 * input shaped like the logits, so that d loss / d logits = grad_output. Changes nothing in inference and in a forward pass alone, and in a graph
 * that has a loss. The output "penalty", which a search method makes of the alphas, is added to the loss of the graphs
 * that compute gradients of alphas, and taken away from the others; of search-second, where one pass has it and others
 * have not, second-order takes it. */
#include "passes/rewrite.h"

/* NULL: the classes have none. */
static IrNode *build_class_weights(PassContext *ctx, IrBuilder *b, int64_t classes) {
    if (!settings_class_weights(&ctx->settings) || !graph_kind_is_training(ctx->kind))
        return NULL;
    IrAttr attrs[] = {ir_attr_string("name", "loss/class_weights"), ir_attr_string("kind", "optimizer"),
                      ir_attr_string("init", "ones")};
    return ir_build0(b, OP_param, ir_type(DTYPE_f32, 1, &classes), 3, attrs);
}

/* What the logits should say: classes, or parts of them. */
static IrNode *build_targets(PassContext *ctx, IrBuilder *b, const IrNode *logits) {
    int64_t n = IR_DIM_N;
    if (settings_mix_images(&ctx->settings) && graph_kind_is_training(ctx->kind))
        return rewrite_add_input(b->graph, "targets", logits->type);
    return rewrite_add_input(b->graph, "labels", ir_type(DTYPE_i32, 1, &n));
}

static IrNode *build_cross_entropy(PassContext *ctx, IrBuilder *b, IrNode *logits, IrNode *targets) {
    double smoothing = ctx->settings.train.label_smoothing;
    IrAttr attrs[] = {ir_attr_float("smoothing", smoothing)};
    bool smooth = smoothing > 0 && graph_kind_is_training(ctx->kind);
    IrNode *inputs[] = {logits, targets, build_class_weights(ctx, b, logits->type.dim[1])};
    return ir_build(b, OP_cross_entropy, NULL, inputs[2] ? 3 : 2, inputs, smooth ? 1 : 0, attrs);
}

static IrNode *build_label_loss(PassContext *ctx, IrBuilder *b, IrNode *logits) {
    IrNode *targets = build_targets(ctx, b, logits);
    IrNode *loss = build_cross_entropy(ctx, b, logits, targets);
    IrNode *aux = ir_graph_find_output(b->graph, "logits_aux");
    if (!loss || !aux)
        return loss;
    double weight = ir_attr_get_float(aux, "weight", ctx->settings.network.auxiliary_weight);
    IrNode *aux_loss = build_cross_entropy(ctx, b, aux, targets);
    return rewrite_binary(b, OP_add, loss, rewrite_binary(b, OP_mul, ir_constant(b, weight), aux_loss));
}

static IrNode *build_product_loss(IrBuilder *b, IrNode *logits) {
    IrNode *grad = rewrite_add_input(b->graph, "grad_output", logits->type);
    return rewrite_reduce(b, OP_reduce_sum, rewrite_binary(b, OP_mul, logits, grad), 0, logits->type.rank, false);
}

/* The penalty, which is no output any more; NULL when there is none, or when it has no part in this graph. */
static IrNode *take_penalty(PassContext *ctx, IrGraph *g) {
    IrNode *penalty = ir_graph_find_output(g, "penalty");
    int kept = 0;
    if (ctx->kind == GRAPH_search_second)
        return NULL;
    for (int i = 0; i < g->output_count; i++)
        if (g->outputs[i].value != penalty)
            g->outputs[kept++] = g->outputs[i];
    g->output_count = kept;
    return ctx->kind == GRAPH_search_alphas || ctx->kind == GRAPH_gradients ? penalty : NULL;
}

bool pass_attach_loss(PassContext *ctx, IrGraph *g) {
    int outputs = g->output_count;
    IrNode *penalty = take_penalty(ctx, g);
    if (ctx->kind == GRAPH_infer || ctx->kind == GRAPH_train_forward || ir_graph_find_output(g, "loss"))
        return g->output_count < outputs;
    IrNode *logits = ir_graph_find_output(g, "logits");
    if (!logits) {
        diag_error(ctx->diag, g->span, "graph '@%s' has no output 'logits' to compute a loss of", g->name);
        return false;
    }
    IrBuilder b = {.graph = g, .span = logits->span, .diag = ctx->diag};
    IrNode *loss = ctx->grad_output_loss ? build_product_loss(&b, logits) : build_label_loss(ctx, &b, logits);
    if (loss && penalty)
        loss = rewrite_binary(&b, OP_add, loss, penalty);
    if (loss)
        ir_graph_add_output(g, "loss", loss);
    return true;
}
