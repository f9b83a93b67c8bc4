/* update.c: from gradients to new parameters. Takes the outputs grad/NAME away and adds assignments.
 * Weights: SGD with momentum as PyTorch's; decay is added after clipping.
 *     norm   = sqrt(sum of squares of all gradients)              (output grad_norm: before clipping)
 *     factor = min(1, clip / (norm + 1e-6))
 *     g      = factor * grad + decay * w
 *     buf    = momentum * buf + g                                 (state momentum/NAME)
 *     w      = w - lr * buf
 * Alphas: Adam, decay added to the gradient (not decoupled).
 *     g = grad + decay * w
 *     m = beta1 * m + (1 - beta1) * g                             (state adam_m/NAME)
 *     v = beta2 * v + (1 - beta2) * g * g                         (state adam_v/NAME)
 *     w = w - alphas_lr * (m / adam_bias1) / (sqrt(v / adam_bias2) + eps)
 * lr, alphas_lr, adam_bias1 = 1 - beta1^t and adam_bias2 = 1 - beta2^t are run-time scalars, the other numbers
 * settings. */
#include "passes/pass.h"

#include <math.h>

enum { SUM_WIDTH = 64 /* operands of one add_n */ };

typedef struct Update {
    PassContext *ctx;
    IrGraph *g;
    IrBuilder b;
    double momentum, decay, clip; /* weights */
    double beta1, beta2, eps;     /* alphas */
    IrNode *rate, *factor, *bias1, *bias2;
} Update;

static IrNode *binary(Update *u, IrOp op, IrNode *x, IrNode *y) {
    return ir_build2(&u->b, op, x, y, 0, NULL);
}

static IrNode *scaled(Update *u, double factor, IrNode *x) {
    return binary(u, OP_mul, ir_constant(&u->b, factor), x);
}

static void assign(Update *u, const char *param, IrNode *value) {
    IrAttr attr = ir_attr_string("param", param);
    ir_build1(&u->b, OP_assign, value, 1, &attr);
}

/* A node that reads the optimiser's state KIND/NAME of a parameter, entered in the module when it is new. */
static IrNode *state_node(Update *u, const char *kind, const IrParam *of) {
    IrParam state = {.name = arena_printf(u->ctx->arena, "%s/%s", kind, of->name),
                     .type = of->type,
                     .kind = PARAM_optimizer,
                     .init = INIT_zeros,
                     .auxiliary = of->auxiliary,
                     .span = of->span};
    ir_module_add_param(u->g->module, state);
    return ir_param_node(&u->b, state.name, state.type);
}

static IrNode *assign_state(Update *u, IrNode *state, IrNode *value) {
    assign(u, ir_attr_get_string(state, "name", ""), value);
    return value;
}

/* The new state is a value of its own, used by its assignment and by the parameter's: each reads what the other writes.
 */
static void add_sgd(Update *u, const IrParam *param, IrNode *w, IrNode *gradient) {
    IrNode *g = u->factor ? binary(u, OP_mul, gradient, u->factor) : gradient;
    if (u->decay != 0) {
        g = binary(u, OP_add, g, scaled(u, u->decay, w));
    }
    if (u->momentum != 0) {
        IrNode *buffer = state_node(u, "momentum", param);
        g = assign_state(u, buffer, binary(u, OP_add, scaled(u, u->momentum, buffer), g));
    }
    assign(u, param->name, binary(u, OP_sub, w, binary(u, OP_mul, u->rate, g)));
}

static void add_adam(Update *u, const IrParam *param, IrNode *w, IrNode *gradient) {
    IrNode *g = u->decay != 0 ? binary(u, OP_add, gradient, scaled(u, u->decay, w)) : gradient;
    IrNode *m = state_node(u, "adam_m", param), *v = state_node(u, "adam_v", param);
    m = assign_state(u, m, binary(u, OP_add, scaled(u, u->beta1, m), scaled(u, 1 - u->beta1, g)));
    IrNode *square = binary(u, OP_mul, scaled(u, 1 - u->beta2, g), g);
    v = assign_state(u, v, binary(u, OP_add, scaled(u, u->beta2, v), square));
    IrNode *root = ir_build1(&u->b, OP_sqrt, binary(u, OP_div, v, u->bias2), 0, NULL);
    IrNode *divisor = binary(u, OP_add, root, ir_constant(&u->b, u->eps));
    IrNode *step = binary(u, OP_div, binary(u, OP_div, m, u->bias1), divisor);
    assign(u, param->name, binary(u, OP_sub, w, binary(u, OP_mul, u->rate, step)));
}

/* ((a + b + ...) + (c + d + ...)) + ...: at most SUM_WIDTH operands at a time, in order. */
static IrNode *sum_of(Update *u, IrNode **parts, int count) {
    while (count > 1) {
        int groups = 0;
        for (int first = 0; first < count; first += SUM_WIDTH) {
            int size = count - first < SUM_WIDTH ? count - first : SUM_WIDTH;
            parts[groups++] = size == 1 ? parts[first] : ir_build(&u->b, OP_add_n, NULL, size, &parts[first], 0, NULL);
        }
        count = groups;
    }
    return parts[0];
}

static IrNode *sum_of_squares(Update *u, IrNode *x) {
    int64_t axes[IR_MAX_RANK];
    for (int a = 0; a < x->type.rank; a++) {
        axes[a] = a;
    }
    IrNode *square = binary(u, OP_mul, x, x);
    IrAttr attr = ir_attr_ints("axes", x->type.rank, axes);
    return x->type.rank ? ir_build1(&u->b, OP_reduce_sum, square, 1, &attr) : square;
}

static void add_clipping(Update *u, IrNode *const *gradients, int count) {
    IrNode **squares = ARENA_ARRAY(u->ctx->arena, IrNode *, count);
    for (int i = 0; i < count; i++) {
        squares[i] = sum_of_squares(u, gradients[i]);
    }
    IrNode *norm = ir_build1(&u->b, OP_sqrt, sum_of(u, squares, count), 0, NULL);
    ir_graph_add_output(u->g, "grad_norm", norm);
    if (u->clip > 0) {
        IrNode *divisor = binary(u, OP_add, norm, ir_constant(&u->b, 1e-6));
        IrNode *ratio = binary(u, OP_div, ir_constant(&u->b, u->clip), divisor);
        u->factor = binary(u, OP_min, ir_constant(&u->b, 1), ratio);
    }
}

static void read_weight_settings(Update *u, const OptimizerSettings *s) {
    u->momentum = s->momentum;
    u->decay = s->decay;
    u->clip = s->clip;
    u->rate = ir_scalar(&u->b, "lr");
}

static void read_alpha_settings(Update *u, const AlphasSettings *s) {
    u->beta1 = s->beta1;
    u->beta2 = s->beta2;
    u->eps = s->eps;
    u->decay = s->decay;
    u->rate = ir_scalar(&u->b, "alphas_lr");
    u->bias1 = ir_scalar(&u->b, "adam_bias1");
    u->bias2 = ir_scalar(&u->b, "adam_bias2");
}

/* The first node that reads each parameter. */
static StrMap find_param_nodes(Update *u) {
    StrMap nodes = str_map_create(u->ctx->arena);
    for (IrNode *n = u->g->first; n; n = n->next) {
        const char *name = ir_param_read(n);
        if (name && !str_map_get(&nodes, name)) {
            str_map_set(&nodes, name, n);
        }
    }
    return nodes;
}

static void add_updates(Update *u, const char *const *names, IrNode *const *gradients, int count) {
    StrMap nodes = find_param_nodes(u);
    for (int i = 0; i < count; i++) {
        const IrParam *found = ir_module_find_param(u->g->module, names[i]);
        if (!found) {
            bug("gradient of the unknown parameter '%s'", names[i]);
        }
        const IrParam param = *found; /* the table may move when states are added */
        IrNode *w = str_map_get(&nodes, param.name);
        u->b.span = param.span;
        u->b.tag = NULL;
        if (!w) {
            w = ir_param_node(&u->b, param.name, param.type);
        }
        (param.kind == PARAM_alpha ? add_adam : add_sgd)(u, &param, w, gradients[i]);
    }
}

/* Moves the outputs grad/NAME out of the graph's list. */
static int take_gradients(Update *u, const char **names, IrNode **gradients) {
    int taken = 0, kept = 0;
    for (int i = 0; i < u->g->output_count; i++) {
        IrOutput output = u->g->outputs[i];
        if (str_starts_with(output.name, "grad/")) {
            names[taken] = output.name + 5;
            gradients[taken++] = output.value;
        } else {
            u->g->outputs[kept++] = output;
        }
    }
    u->g->output_count = kept;
    return taken;
}

bool pass_update(PassContext *ctx, IrGraph *g) {
    bool weights = ctx->kind == GRAPH_search_weights || ctx->kind == GRAPH_train;
    if (!weights && ctx->kind != GRAPH_search_alphas) {
        return false;
    }
    Update u = {.ctx = ctx, .g = g, .b = {.graph = g, .diag = ctx->diag}};
    const char **names = ARENA_ARRAY(ctx->arena, const char *, g->output_count);
    IrNode **gradients = ARENA_ARRAY(ctx->arena, IrNode *, g->output_count);
    int count = take_gradients(&u, names, gradients);
    if (count == 0) {
        return false;
    }
    if (weights) {
        read_weight_settings(&u,
                             ctx->kind == GRAPH_train ? &ctx->settings.train_weights : &ctx->settings.search_weights);
        add_clipping(&u, gradients, count);
    } else {
        read_alpha_settings(&u, &ctx->settings.search_alphas);
    }
    add_updates(&u, names, gradients, count);
    return true;
}
