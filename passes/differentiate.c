/* differentiate.c: reverse mode. Adds the gradients of the output "loss" with respect to the parameters the graph is
 * for (alphas, weights, or both and perhaps the input), as outputs grad/NAME in the order of the module's parameters.
 *
 *     %y = mul %x, %w                       %dx = mul %dy, %w
 *     ...                           =>      %dw = reduce_sum %dy_x {axes=[0, 1, 2]}      (%dy_x = mul %dy, %x)
 *     output "loss" %loss                   output "grad/w" %dw
 *
 * The graph is walked backwards from the loss; a node with a gradient hands contributions to its inputs by its rule
 * (gradients_*.c). Contributions to one value are added in the order in which they come up, that is in reverse order of
 * use, left to right, and each sum is made by and tagged like the contribution that made it necessary, so that the
 * accumulation belongs to the edge it comes from. Only values on a path from a wanted parameter get a gradient.
 * A parameter that is needed where a choice falls on it has a gradient there, and zeros elsewhere (gradients.h).
 * Keeps: all nodes of the forward, which come first. */
#include "passes/gradients.h"

static GradientRule *const rules[OP_COUNT] = {
#define AT_LEAST(n) (-1 - (n))
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    grad_##gradient,
#include "ir/ops.def"
#undef OP
#undef AT_LEAST
};

static bool kind_is_wanted(const PassContext *ctx, IrParamKind kind) {
    switch (ctx->kind) {
    case GRAPH_search_alphas:
        return kind == PARAM_alpha;
    case GRAPH_search_weights: /* of the alphas for the norm only */
        return kind == PARAM_weight || (kind == PARAM_alpha && str_equal(ctx->settings.search.clip_over, "all"));
    case GRAPH_train:
        return kind == PARAM_weight;
    case GRAPH_gradients:
        return kind == PARAM_alpha || kind == PARAM_weight;
    default:
        return false;
    }
}

static bool is_any_wanted(const PassContext *ctx) {
    return kind_is_wanted(ctx, PARAM_alpha) || kind_is_wanted(ctx, PARAM_weight);
}

static bool is_wanted_source(const PassContext *ctx, const IrGraph *g, const IrNode *n) {
    if (ir_param_read(n)) {
        const IrParam *param = ir_module_find_param(g->module, ir_param_read(n));
        return param && kind_is_wanted(ctx, param->kind);
    }
    return n->op == OP_input && ctx->input_gradient && ctx->kind == GRAPH_gradients &&
           str_equal(ir_attr_get_string(n, "name", ""), "input");
}

static void mark_wanted(Gradients *gradients, const IrGraph *g) {
    for (IrNode *n = g->first; n; n = n->next) {
        bool wanted = gradients->source[n->id];
        for (int i = 0; i < n->input_count && rules[n->op] != grad_zero && !ir_is(n, OP_EFFECT); i++) {
            wanted = wanted || gradients->wanted[n->inputs[i]->id];
        }
        gradients->wanted[n->id] = wanted && n->type.dtype == DTYPE_f32;
    }
}

static void propagate(Gradients *gradients, IrNode *loss) {
    IrNode *stop = loss->graph->first->prev;
    for (IrNode *n = loss; n != stop; n = n->prev) {
        if (!gradients->wanted[n->id] || gradients->source[n->id] || n->input_count == 0)
            continue;
        gradients_settle(gradients, n);
        IrNode *dy = gradients->sum[n->id];
        if (dy) {
            gradients->b.tag = n->tag;
            gradients->b.span = n->span;
            gradients->where = gradients->needed[n->id];
            rules[n->op](gradients, n, dy);
        }
    }
    gradients_settle(gradients, loss);
}

/* What a rank has for itself the others have no part in: the gradient of it is a sum over its own images too. */
static bool *find_own(const IrGraph *g, Arena *arena) {
    bool *own = ARENA_ARRAY(arena, bool, g->next_id);
    for (const IrNode *n = g->first; n; n = n->next) {
        own[n->id] = ir_attr_get_int(n, "own", 0);
        for (int i = 0; i < n->input_count && !ir_type_has_dim(&n->type, IR_DIM_N); i++)
            own[n->id] = own[n->id] || own[n->inputs[i]->id];
    }
    return own;
}

/* Numbers the graph. */
static Gradients start(PassContext *ctx, IrGraph *g) {
    const IrCondition *needed = ir_find_conditions(g, ctx->arena);
    size_t count = (size_t)g->next_id;
    return (Gradients){.b = {.graph = g, .diag = ctx->diag},
                       .arena = ctx->arena,
                       .needed = needed,
                       .sum = ARENA_ARRAY(ctx->arena, IrNode *, count),
                       .wanted = ARENA_ARRAY(ctx->arena, bool, count),
                       .own = find_own(g, ctx->arena),
                       .source = ARENA_ARRAY(ctx->arena, bool, count)};
}

/* With respect to the sources. */
static void differentiate(Gradients *gradients, IrNode *loss) {
    mark_wanted(gradients, loss->graph);
    if (gradients->wanted[loss->id]) {
        gradients->b.span = loss->span;
        gradients->b.tag = loss->tag;
        gradients->sum[loss->id] = ir_constant(&gradients->b, 1);
        propagate(gradients, loss);
    }
}

void gradients_of(PassContext *ctx, IrNode *loss, IrNode *const *sources, int count, IrNode **results) {
    Gradients gradients = start(ctx, loss->graph);
    for (int i = 0; i < count; i++)
        gradients.source[sources[i]->id] = true;
    differentiate(&gradients, loss);
    gradients.b.tag = loss->tag;
    for (int i = 0; i < count; i++) {
        IrNode *sum = gradients.sum[sources[i]->id];
        results[i] = sum ? sum : gradients_broadcast(&gradients, ir_constant(&gradients.b, 0), &sources[i]->type);
    }
}

/* The gradients of the sources of one kind by name; where several nodes read one parameter, their sum. */
static StrMap gather(Gradients *gradients, IrGraph *g, IrOp op, IrNode *last, Arena *arena) {
    StrMap by_name = str_map_create(arena);
    for (IrNode *n = g->first; n != last->next; n = n->next) {
        IrNode *part = n->op == op ? gradients->sum[n->id] : NULL;
        if (part) {
            const IrCondition *where = &gradients->needed[n->id];
            part = where->choice ? gradients_where(gradients, part, where) : part;
            const char *name = ir_attr_get_string(n, "name", "");
            IrNode *sum = str_map_get(&by_name, name);
            str_map_set(&by_name, name, sum ? gradients_binary(gradients, OP_add, sum, part) : part);
        }
    }
    return by_name;
}

/* Zeros where the loss does not depend on the source. */
static void add_output(Gradients *gradients, IrGraph *g, const StrMap *by_name, const char *name, const IrType *type) {
    IrNode *gradient = str_map_get(by_name, name);
    if (!gradient) {
        gradient = gradients_broadcast(gradients, ir_constant(&gradients->b, 0), type);
    }
    ir_graph_add_output(g, arena_printf(by_name->arena, "grad/%s", name), gradient);
}

static void add_outputs(Gradients *gradients, PassContext *ctx, IrGraph *g, IrNode *last) {
    gradients->b.tag = NULL;
    StrMap params = gather(gradients, g, OP_param, last, ctx->arena);
    for (int i = 0; i < g->module->param_count; i++) {
        const IrParam *param = &g->module->params[i];
        if (kind_is_wanted(ctx, param->kind)) {
            add_output(gradients, g, &params, param->name, &param->type);
        }
    }
    IrNode *input = ctx->input_gradient && ctx->kind == GRAPH_gradients ? ir_graph_find_arg(g, "input") : NULL;
    if (input) {
        StrMap inputs = gather(gradients, g, OP_input, last, ctx->arena);
        add_output(gradients, g, &inputs, "input", &input->type);
    }
}

/* False with a mistake: a step would train nothing. */
static bool check_weights(PassContext *ctx, const IrGraph *g) {
    bool trains = ctx->kind == GRAPH_train || ctx->kind == GRAPH_search_weights || ctx->kind == GRAPH_search_second;
    bool found = !trains;
    for (int i = 0; i < g->module->param_count; i++)
        found = found || g->module->params[i].kind == PARAM_weight;
    if (!found)
        diag_error(ctx->diag, g->span, "there is nothing to train: the network has no weights");
    return found;
}

bool pass_differentiate(PassContext *ctx, IrGraph *g) {
    IrNode *loss = ir_graph_find_output(g, "loss");
    if (!loss || !check_weights(ctx, g) || !is_any_wanted(ctx)) {
        return false;
    }
    IrNode *last = g->last;
    Gradients gradients = start(ctx, g);
    for (IrNode *n = g->first; n; n = n->next)
        gradients.source[n->id] = is_wanted_source(ctx, g, n);
    differentiate(&gradients, loss);
    add_outputs(&gradients, ctx, g, last);
    return true;
}
