/* second_order.c: the gradient of the alphas of the weights that a training step would lead to (DARTS, Liu et al., 2019):
 * makes four passes of the one that a step graph search-second begins as.
 *     w'       = w - lr * (the optimiser's step with d train(w) / dw, unclipped)    1: training images at w
 *     loss     = valid(w') + penalty                                                2: validation images at w'
 *     epsilon  = 0.01 / |d loss / dw'|,   w+- = w +- epsilon * d loss / dw'
 *     implicit = (d train(w+) / da - d train(w-) / da) / (2 * epsilon)              3, 4: training images at w+ and w-
 *     gradient = d loss / da - lr * implicit                                        output grad/ALPHAS, which update takes
 * That d w' / da is -lr times a second derivative holds for a step that is its gradient and what does not depend on a:
 * sgd's. Passes are told apart by their tags ("pass2/cells.0._ops.3"; the first has none), and draw from streams of their
 * own ("noise.P.pass2"); with search.paired_draws the fourth makes the draws of the third, so that the difference is one
 * of a single function. Running statistics go through 1, 3 and 4; what 2 would make of them is gone with w'.
 * Changes nothing in graphs of other kinds. */
#include "passes/forward_copy.h"
#include "passes/gradients.h"
#include "passes/optimizer.h"
#include "passes/rewrite.h"

PassFunction pass_dce;

enum { TRAIN = 1, VALID, PLUS, MINUS }; /* the passes, as their draws are numbered */

static const double probe_distance = 0.01; /* of w+ and w- from w, all weights together */

/* Parameters of one kind that the forward pass reads. */
typedef struct Params {
    int count, capacity;
    IrParam *params;
} Params;

/* One of the four passes. */
typedef struct Probe {
    ForwardCopy copy;
    IrNode *loss;
} Probe;

typedef struct Second {
    PassContext *ctx;
    IrGraph *g;
    ForwardPass forward;
    Update update; /* of the weights */
    Params weights, alphas;
    StrMap statistics; /* as the passes so far have left them */
    IrNode *logits;    /* of the validation images */
} Second;

static IrNode *binary(Second *s, IrOp op, IrNode *x, IrNode *y) {
    return update_binary(&s->update, op, x, y);
}

static IrNode **new_nodes(const Second *s, const Params *params) {
    return ARENA_ARRAY(s->ctx->arena, IrNode *, params->count);
}

/* In the order of the table. It moves when the optimiser's states are entered, so they are copies. */
static Params find_params(Second *s, IrParamKind kind) {
    Params found = {0};
    StrMap read = str_map_create(s->ctx->arena);
    for (int i = 0; i < s->forward.count; i++)
        if (ir_param_read(s->forward.nodes[i]))
            str_map_set(&read, ir_param_read(s->forward.nodes[i]), s);
    for (int i = 0; i < s->g->module->param_count; i++) {
        const IrParam *param = &s->g->module->params[i];
        if (param->kind == kind && str_map_get(&read, param->name))
            ARENA_PUSH(s->ctx->arena, found.params, found.count, found.capacity, *param);
    }
    return found;
}

/* ---- passes ---- */

/* draws: the number of the pass whose draws it makes. at: the values of the weights; NULL: as they are. */
static Probe make_pass(Second *s, int number, int draws, IrNode *const *at) {
    Arena *arena = s->ctx->arena;
    ForwardCopy copy = {.arena = arena,
                        .g = s->g,
                        .pass = number > 1 ? arena_printf(arena, "pass%d", number) : "",
                        .images = number == VALID ? "_valid" : "",
                        .draws = draws > 1 ? arena_printf(arena, ".pass%d", draws) : "",
                        .params = str_map_create(arena),
                        .perturbed = str_map_create(arena),
                        .assigned = str_map_create(arena)};
    for (size_t i = 0; i < s->statistics.count; i++)
        str_map_set(&copy.params, s->statistics.entries[i].key, s->statistics.entries[i].value);
    for (int i = 0; at && i < s->weights.count; i++)
        str_map_set(&copy.params, s->weights.params[i].name, at[i]);
    forward_copy(&copy, &s->forward);
    if (number != VALID)
        s->statistics = copy.assigned;
    return (Probe){copy, ir_graph_find_output(s->g, "loss")->scratch};
}

/* The nodes that stand for parameters in a pass. */
static IrNode **nodes_of(const Second *s, const Probe *pass, const Params *params) {
    IrNode **nodes = new_nodes(s, params);
    for (int i = 0; i < params->count; i++)
        nodes[i] = str_map_get(&pass->copy.params, params->params[i].name);
    return nodes;
}

static IrNode **gradients(Second *s, const Probe *pass, const Params *params) {
    IrNode **results = new_nodes(s, params);
    gradients_of(s->ctx, pass->loss, nodes_of(s, pass, params), params->count, results);
    return results;
}

/* The pass that was made last. */
static void add_penalty(Second *s, Probe *pass) {
    IrNode *penalty = ir_graph_find_output(s->g, "penalty");
    IrBuilder b = {.graph = s->g, .span = pass->loss->span, .tag = pass->loss->tag};
    if (penalty)
        pass->loss = rewrite_binary(&b, OP_add, pass->loss, penalty->scratch);
}

/* ---- weights ---- */

static IrNode **step_ahead(Second *s, const Probe *train) {
    IrNode **w = nodes_of(s, train, &s->weights), **g = gradients(s, train, &s->weights);
    for (int i = 0; i < s->weights.count; i++) {
        s->update.b.span = s->weights.params[i].span;
        IrNode *step = update_step(&s->update, &s->weights.params[i], w[i], g[i]);
        w[i] = binary(s, OP_sub, w[i], binary(s, OP_mul, s->update.rate, step));
    }
    return w;
}

/* w + epsilon * direction, or w - epsilon * direction */
static IrNode **move(Second *s, const Probe *train, IrOp op, IrNode *epsilon, IrNode *const *direction) {
    IrNode **w = nodes_of(s, train, &s->weights);
    for (int i = 0; i < s->weights.count; i++)
        w[i] = binary(s, op, w[i], binary(s, OP_mul, epsilon, direction[i]));
    return w;
}

/* ---- the gradient ---- */

static void add_output_of_alphas(Second *s, const char *name, int i, IrNode *value) {
    ir_graph_add_output(s->g, arena_printf(s->ctx->arena, "%s/%s", name, s->alphas.params[i].name), value);
}

static void combine(Second *s, IrNode *const *valid, IrNode *const *plus, IrNode *const *minus, IrNode *epsilon) {
    IrNode *twice = update_scaled(&s->update, 2, epsilon);
    for (int i = 0; i < s->alphas.count; i++) {
        IrNode *implicit = binary(s, OP_div, binary(s, OP_sub, plus[i], minus[i]), twice);
        IrNode *gradient = binary(s, OP_sub, valid[i], binary(s, OP_mul, s->update.rate, implicit));
        add_output_of_alphas(s, "grad_valid", i, valid[i]);
        add_output_of_alphas(s, "implicit", i, implicit);
        add_output_of_alphas(s, "unrolled/grad", i, gradient);
        add_output_of_alphas(s, "grad", i, gradient);
    }
}

/* Validation images at w': the gradients of the weights, and behind them those of the alphas. */
static IrNode **look_ahead(Second *s, const Probe *train, Probe *valid) {
    Params all = {0};
    *valid = make_pass(s, VALID, VALID, step_ahead(s, train));
    s->logits = ir_graph_find_output(s->g, "logits")->scratch;
    add_penalty(s, valid);
    for (int i = 0; i < s->weights.count; i++)
        ARENA_PUSH(s->ctx->arena, all.params, all.count, all.capacity, s->weights.params[i]);
    for (int i = 0; i < s->alphas.count; i++)
        ARENA_PUSH(s->ctx->arena, all.params, all.count, all.capacity, s->alphas.params[i]);
    return gradients(s, valid, &all);
}

static void add_losses(Second *s, const Probe *train, const Probe *valid, const Probe *plus, const Probe *minus) {
    s->g->output_count = 0;
    ir_graph_add_output(s->g, "logits", s->logits);
    ir_graph_add_output(s->g, "loss", valid->loss);
    ir_graph_add_output(s->g, "train_loss_before", train->loss);
    ir_graph_add_output(s->g, "plus_loss", plus->loss);
    ir_graph_add_output(s->g, "minus_loss", minus->loss);
}

static void build(Second *s) {
    Probe train = make_pass(s, TRAIN, TRAIN, NULL), valid;
    IrNode **ahead = look_ahead(s, &train, &valid), **of_valid = ahead + s->weights.count;
    IrNode *norm = update_norm(&s->update, ahead, s->weights.count);
    IrNode *epsilon = binary(s, OP_div, ir_constant(&s->update.b, probe_distance), norm);
    Probe plus = make_pass(s, PLUS, PLUS, move(s, &train, OP_add, epsilon, ahead));
    IrNode **of_plus = gradients(s, &plus, &s->alphas);
    int draws = s->ctx->settings.search.paired_draws ? PLUS : MINUS;
    Probe minus = make_pass(s, MINUS, draws, move(s, &train, OP_sub, epsilon, ahead));
    IrNode **of_minus = gradients(s, &minus, &s->alphas);
    add_losses(s, &train, &valid, &plus, &minus);
    ir_graph_add_output(s->g, "epsilon", epsilon);
    combine(s, of_valid, of_plus, of_minus, epsilon);
    for (size_t i = 0; i < s->statistics.count; i++)
        update_assign(&s->update, s->statistics.entries[i].key, s->statistics.entries[i].value);
}

/* ---- the pass ---- */

static bool is_defined(PassContext *ctx, const IrGraph *g) {
    const char *optimizer = ctx->settings.search_weights.optimizer;
    if (!str_equal(optimizer, "sgd")) {
        diag_error(
            ctx->diag, ir_module_get_span(ctx->module, "search.weights.optimizer"),
            "the second order of the alphas' gradient looks one step of sgd ahead; the weights are updated by %s",
            optimizer);
        return false;
    }
    for (const IrNode *n = g->first; n; n = n->next)
        if (ir_is(n, OP_LAZY)) {
            diag_error(ctx->diag, ir_module_get_span(ctx->module, "search.order"),
                       "the second order of the alphas' gradient needs all candidates; the method runs only those that "
                       "are chosen");
            return false;
        }
    return true;
}

bool pass_second_order(PassContext *ctx, IrGraph *g) {
    if (ctx->kind != GRAPH_search_second || !is_defined(ctx, g))
        return false;
    Second s = {
        .ctx = ctx, .g = g, .forward = forward_pass_of(ctx->arena, g), .statistics = str_map_create(ctx->arena)};
    OptimizerSettings plain = ctx->settings.search_weights;
    plain.nesterov = false; /* published steps ahead have momentum as it is */
    s.update = update_look_ahead(ctx, g, &plain, "lr");
    s.weights = find_params(&s, PARAM_weight);
    s.alphas = find_params(&s, PARAM_alpha);
    build(&s);
    forward_remove(&s.forward);
    pass_dce(ctx, g);
    return true;
}
