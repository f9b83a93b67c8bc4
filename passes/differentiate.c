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

bool gradients_want(const Gradients *g, const IrNode *y, int i) {
    return g->wanted[y->inputs[i]->id];
}

IrNode *gradients_unary(Gradients *g, IrOp op, IrNode *x) {
    return ir_build1(&g->b, op, x, 0, NULL);
}

static bool is_one(const IrNode *n) {
    return n->op == OP_constant && n->type.rank == 0 && ir_attr_get_float(n, "value", 0) == 1;
}

IrNode *gradients_binary(Gradients *g, IrOp op, IrNode *x, IrNode *y) {
    if (op == OP_mul && is_one(x)) {
        return y;
    }
    if (op == OP_mul && is_one(y)) {
        return x;
    }
    return ir_build2(&g->b, op, x, y, 0, NULL);
}

IrNode *gradients_select(Gradients *g, IrNode *condition, IrNode *x, IrNode *y) {
    return ir_build3(&g->b, OP_select, condition, x, y, 0, NULL);
}

IrNode *gradients_reshape(Gradients *g, IrNode *x, const IrType *type) {
    if (ir_type_equal(&x->type, type)) {
        return x;
    }
    IrAttr shape = ir_attr_ints("shape", type->rank, type->dim);
    return ir_build1(&g->b, OP_reshape, x, 1, &shape);
}

IrNode *gradients_broadcast(Gradients *g, IrNode *x, const IrType *type) {
    if (ir_type_equal(&x->type, type)) {
        return x;
    }
    IrAttr shape = ir_attr_ints("shape", type->rank, type->dim);
    return ir_build1(&g->b, OP_broadcast, x, 1, &shape);
}

/* The sum of x over the axes along which something of the target type was stretched to x's type. */
static IrNode *sum_stretched(Gradients *g, IrNode *x, const IrType *target) {
    int64_t axes[IR_MAX_RANK];
    int count = 0;
    int lead = x->type.rank - target->rank;
    for (int a = 0; a < x->type.rank; a++) {
        if (a < lead || (target->dim[a - lead] == 1 && x->type.dim[a] != 1)) {
            axes[count++] = a;
        }
    }
    if (count > 0) {
        IrAttr attr = ir_attr_ints("axes", count, axes);
        x = ir_build1(&g->b, OP_reduce_sum, x, 1, &attr);
    }
    return gradients_reshape(g, x, target);
}

void gradients_add(Gradients *g, IrNode *y, int i, IrNode *contribution) {
    IrNode *x = y->inputs[i];
    if (!g->wanted[x->id]) {
        return;
    }
    contribution = sum_stretched(g, contribution, &x->type);
    IrNode **sum = &g->sum[x->id];
    *sum = *sum ? gradients_binary(g, OP_add, *sum, contribution) : contribution;
}

static bool kind_is_wanted(GraphKind graph, IrParamKind kind) {
    switch (graph) {
    case GRAPH_search_alphas:
        return kind == PARAM_alpha;
    case GRAPH_search_weights:
    case GRAPH_train:
        return kind == PARAM_weight;
    case GRAPH_gradients:
        return kind == PARAM_alpha || kind == PARAM_weight;
    default:
        return false;
    }
}

static bool is_wanted_source(const PassContext *ctx, const IrGraph *g, const IrNode *n) {
    if (ir_param_read(n)) {
        const IrParam *param = ir_module_find_param(g->module, ir_param_read(n));
        return param && kind_is_wanted(ctx->kind, param->kind);
    }
    return n->op == OP_input && ctx->input_gradient && ctx->kind == GRAPH_gradients &&
           str_equal(ir_attr_get_string(n, "name", ""), "input");
}

static void mark_wanted(Gradients *gradients, const PassContext *ctx, const IrGraph *g) {
    for (IrNode *n = g->first; n; n = n->next) {
        bool wanted = is_wanted_source(ctx, g, n);
        for (int i = 0; i < n->input_count && rules[n->op] != grad_zero && !ir_is(n, OP_EFFECT); i++) {
            wanted = wanted || gradients->wanted[n->inputs[i]->id];
        }
        gradients->wanted[n->id] = wanted && n->type.dtype == DTYPE_f32;
    }
}

static void propagate(Gradients *gradients, IrNode *loss) {
    IrNode *stop = loss->graph->first->prev;
    for (IrNode *n = loss; n != stop; n = n->prev) {
        IrNode *dy = gradients->sum[n->id];
        if (dy && gradients->wanted[n->id] && n->input_count > 0) {
            gradients->b.tag = n->tag;
            gradients->b.span = n->span;
            rules[n->op](gradients, n, dy);
        }
    }
}

/* The gradients of the sources of one kind by name; where several nodes read one parameter, their sum. */
static StrMap gather(Gradients *gradients, IrGraph *g, IrOp op, IrNode *last, Arena *arena) {
    StrMap by_name = str_map_create(arena);
    for (IrNode *n = g->first; n != last->next; n = n->next) {
        IrNode *part = n->op == op ? gradients->sum[n->id] : NULL;
        if (part) {
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
        if (kind_is_wanted(ctx->kind, param->kind)) {
            add_output(gradients, g, &params, param->name, &param->type);
        }
    }
    IrNode *input = ctx->input_gradient && ctx->kind == GRAPH_gradients ? ir_graph_find_arg(g, "input") : NULL;
    if (input) {
        StrMap inputs = gather(gradients, g, OP_input, last, ctx->arena);
        add_output(gradients, g, &inputs, "input", &input->type);
    }
}

bool pass_differentiate(PassContext *ctx, IrGraph *g) {
    IrNode *loss = ir_graph_find_output(g, "loss");
    if (!loss || !graph_kind_is_training(ctx->kind)) {
        return false;
    }
    ir_graph_number(g);
    size_t count = (size_t)g->next_id;
    IrNode *last = g->last;
    Gradients gradients = {.b = {.graph = g, .diag = ctx->diag},
                           .sum = ARENA_ARRAY(ctx->arena, IrNode *, count),
                           .wanted = ARENA_ARRAY(ctx->arena, bool, count)};
    mark_wanted(&gradients, ctx, g);
    if (gradients.wanted[loss->id]) {
        gradients.b.span = loss->span;
        gradients.sum[loss->id] = ir_constant(&gradients.b, 1);
        propagate(&gradients, loss);
    }
    add_outputs(&gradients, ctx, g, last);
    return true;
}
