/* update.c: from gradients to new parameters. Takes the outputs grad/NAME away and adds assignments.
 *     norm   = sqrt(sum of squares of all gradients)              (output grad_norm: before clipping; weights only,
 *                                                                  with search.clip_over = all of the alphas too)
 *     factor = min(1, clip / (norm + 1e-6))
 *     w      = w - rate * (what the optimiser makes of factor * grad, w and its states)
 *     ema/w  = decay * (ema/w + first * w) + (1 - decay) * (new w)    with train.ema, also of running statistics
 * A parameter that is needed only where a choice falls on it (ir/conditions.h) has no gradient elsewhere: then it and its
 * states stay as they are, and the norm does not count it.
 * The text says which optimiser the weights and the alphas have (ir/optimizers.def, optimizer.h). The rate, lr of the
 * weights and alphas_lr of the alphas, is a run-time scalar, the other numbers are settings.
 * So are decay and first, which is 1 in the first update, when the average begins as what there was: ema_decay, ema_first. */
#include "passes/optimizer.h"
#include "passes/rewrite.h"

#include <math.h>

enum { SUM_WIDTH = 64 /* operands of one add_n */ };

static OptimizerStep *const steps[OPTIMIZER_COUNT] = {
#define OPTIMIZER(name, ...) optimizer_step_##name,
#include "ir/optimizers.def"
#undef OPTIMIZER
};

typedef struct Gradient {
    const char *name; /* of the parameter */
    IrNode *value;
    IrCondition when;  /* there is one; choice NULL: always */
    IrNode *parameter; /* the first node that reads it, or NULL */
} Gradient;

/* ---- clipping ---- */

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
    IrNode *square = update_binary(u, OP_mul, x, x);
    IrAttr attr = ir_attr_ints("axes", x->type.rank, axes);
    return x->type.rank ? ir_build1(&u->b, OP_reduce_sum, square, 1, &attr) : square;
}

/* What the cases of a choice add to the sum of the squares. */
typedef struct CaseSquares {
    IrNode *choice;
    int count;
    IrNode *sums[IR_MAX_CASES];
} CaseSquares;

static void add_square(Update *u, CaseSquares *c, const IrCondition *when, IrNode *square) {
    c->count = when->count > c->count ? when->count : c->count;
    for (int i = 0; i < c->count; i++)
        if (when->cases >> i & 1)
            c->sums[i] = c->sums[i] ? update_binary(u, OP_add, c->sums[i], square) : square;
}

/* The squares that always count; behind them one for each choice. Returns how many. */
static int collect_squares(Update *u, const Gradient *gradients, int count, IrNode **squares) {
    CaseSquares *choices = NULL;
    int choice_count = 0, capacity = 0, collected = 0;
    for (int i = 0; i < count; i++) {
        IrNode *square = sum_of_squares(u, gradients[i].value);
        if (!gradients[i].when.choice) {
            squares[collected++] = square;
            continue;
        }
        int at = 0;
        while (at < choice_count && choices[at].choice != gradients[i].when.choice)
            at++;
        CaseSquares none = {.choice = gradients[i].when.choice};
        if (at == choice_count)
            ARENA_PUSH(u->ctx->arena, choices, choice_count, capacity, none);
        add_square(u, &choices[at], &gradients[i].when, square);
    }
    IrType scalar = ir_type_scalar();
    for (int i = 0; i < choice_count; i++)
        squares[collected++] = rewrite_choose(&u->b, choices[i].choice, choices[i].count, choices[i].sums, &scalar);
    return collected;
}

static IrNode *root_of_sum(Update *u, IrNode **squares, int count) {
    return ir_build1(&u->b, OP_sqrt, sum_of(u, squares, count), 0, NULL);
}

IrNode *update_norm(Update *u, IrNode *const *values, int count) {
    IrNode **squares = ARENA_ARRAY(u->ctx->arena, IrNode *, count);
    for (int i = 0; i < count; i++) {
        squares[i] = sum_of_squares(u, values[i]);
    }
    return root_of_sum(u, squares, count);
}

/* The factor of all gradients; NULL: they are as they are. */
static IrNode *build_clipping(Update *u, const Gradient *gradients, int count) {
    double clip = u->settings->clip;
    IrNode **squares = ARENA_ARRAY(u->ctx->arena, IrNode *, count);
    int collected = collect_squares(u, gradients, count, squares);
    IrNode *norm = root_of_sum(u, squares, collected);
    ir_graph_add_output(u->g, "grad_norm", norm);
    if (!(clip > 0))
        return NULL;
    IrNode *divisor = update_binary(u, OP_add, norm, ir_constant(&u->b, 1e-6));
    IrNode *ratio = update_binary(u, OP_div, ir_constant(&u->b, clip), divisor);
    return update_binary(u, OP_min, ir_constant(&u->b, 1), ratio);
}

/* ---- updates ---- */

/* What the gradient is where the condition holds: of a choice one of its values. */
static IrNode *value_where(IrNode *gradient, const IrCondition *when) {
    IrNode *only = NULL;
    if (!when->choice || ir_choice_of(gradient) != when->choice)
        return gradient;
    for (int c = 0; c < gradient->input_count - 1; c++) {
        if (!(when->cases >> c & 1))
            continue;
        if (only && only != gradient->inputs[1 + c])
            return gradient;
        only = gradient->inputs[1 + c];
    }
    return only;
}

/* Finds the parameters of the gradients, and where they are needed. */
static bool find_parameters(Update *u, Gradient *gradients, int count) {
    const IrCondition *needed = ir_find_conditions(u->g, u->ctx->arena);
    StrMap by_name = str_map_create(u->ctx->arena);
    bool conditional = false;
    for (int i = 0; i < count; i++)
        str_map_set(&by_name, gradients[i].name, &gradients[i]);
    for (IrNode *n = u->g->first; n; n = n->next) {
        Gradient *of = ir_param_read(n) ? str_map_get(&by_name, ir_param_read(n)) : NULL;
        if (!of)
            continue;
        of->parameter = of->parameter ? of->parameter : n;
        of->when = ir_condition_join(of->when, needed[n->id]);
    }
    for (int i = 0; i < count; i++) {
        gradients[i].value = value_where(gradients[i].value, &gradients[i].when);
        conditional = conditional || gradients[i].when.choice;
    }
    return conditional;
}

IrNode *update_step(Update *u, const IrParam *param, IrNode *w, IrNode *gradient) {
    return steps[u->row - optimizer_rows](u, param, w, gradient);
}

/* factor: of the gradients, or NULL. */
static void add_update(Update *u, const IrParam *param, IrNode *w, IrNode *gradient, IrNode *factor) {
    IrNode *g = factor ? update_binary(u, OP_mul, gradient, factor) : gradient;
    IrNode *step = update_step(u, param, w, g);
    update_assign(u, param->name, update_binary(u, OP_sub, w, update_binary(u, OP_mul, u->rate, step)));
}

static void add_updates(Update *u, const Gradient *gradients, int count, IrNode *factor) {
    for (int i = 0; i < count; i++) {
        const IrParam *found = ir_module_find_param(u->g->module, gradients[i].name);
        if (!found) {
            bug("gradient of the unknown parameter '%s'", gradients[i].name);
        }
        if (u->ctx->kind == GRAPH_search_weights && found->kind == PARAM_alpha)
            continue;                 /* has a part in the norm only */
        const IrParam param = *found; /* the table may move when states are added */
        IrNode *w = gradients[i].parameter;
        u->b.span = param.span;
        u->b.tag = NULL;
        if (!w) {
            w = ir_param_node(&u->b, param.name, param.type);
        }
        u->when = gradients[i].when;
        add_update(u, &param, w, gradients[i].value, factor);
    }
}

/* Moves the outputs grad/NAME out of the graph's list. */
static int take_gradients(Update *u, Gradient *gradients) {
    int taken = 0, kept = 0;
    for (int i = 0; i < u->g->output_count; i++) {
        IrOutput output = u->g->outputs[i];
        if (str_starts_with(output.name, "grad/")) {
            gradients[taken++] = (Gradient){.name = output.name + 5, .value = output.value};
        } else {
            u->g->outputs[kept++] = output;
        }
    }
    u->g->output_count = kept;
    return taken;
}

/* ---- the average of the weights ---- */

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

/* Before the assignment that gives the parameter its new value. */
static void average(Update *u, IrNode *assign, const IrParam *of, IrNode *old) {
    IrParam state = {.name = arena_printf(u->ctx->arena, "ema/%s", of->name),
                     .type = of->type,
                     .kind = PARAM_optimizer,
                     .init = INIT_zeros,
                     .auxiliary = of->auxiliary,
                     .span = of->span};
    u->b.before = assign;
    u->b.span = of->span;
    IrNode *decay = ir_scalar(&u->b, "ema_decay"), *first = ir_scalar(&u->b, "ema_first");
    ir_module_add_param(u->g->module, state);
    IrNode *kept = ir_param_node(&u->b, state.name, state.type);
    kept = update_binary(u, OP_add, kept, update_binary(u, OP_mul, first, old));
    IrNode *rest = update_binary(u, OP_sub, ir_constant(&u->b, 1), decay);
    IrNode *share = update_binary(u, OP_mul, rest, assign->inputs[0]);
    update_assign(u, state.name, update_binary(u, OP_add, update_binary(u, OP_mul, decay, kept), share));
}

/* Of all weights and running statistics. */
static void add_averages(Update *u) {
    StrMap nodes = find_param_nodes(u);
    u->b.tag = NULL;
    for (IrNode *n = u->g->first; n; n = n->next) {
        const char *name = n->op == OP_assign ? ir_attr_get_string(n, "param", "") : NULL;
        const IrParam *found = name ? ir_module_find_param(u->g->module, name) : NULL;
        if (!found || (found->kind != PARAM_weight && found->kind != PARAM_statistic))
            continue;
        const IrParam of = *found; /* the table may move when states are added */
        average(u, n, &of, str_map_get(&nodes, of.name));
    }
    u->b.before = NULL;
}

/* The rate and what else the optimiser is told with every pass. */
static void add_scalars(Update *u, const char *rate) {
    u->rate = ir_scalar(&u->b, rate);
    for (int i = 0; i < OPTIMIZER_MOST_SCALARS && u->row->scalars[i]; i++)
        u->scalars[i] = ir_scalar(&u->b, u->row->scalars[i]);
}

static Update start(PassContext *ctx, IrGraph *g, const OptimizerSettings *settings) {
    return (Update){.ctx = ctx,
                    .g = g,
                    .b = {.graph = g, .diag = ctx->diag},
                    .settings = settings,
                    .row = optimizer_find(settings->optimizer)};
}

Update update_look_ahead(PassContext *ctx, IrGraph *g, const OptimizerSettings *settings, const char *rate) {
    Update u = start(ctx, g, settings);
    u.ahead = true;
    add_scalars(&u, rate);
    return u;
}

bool pass_update(PassContext *ctx, IrGraph *g) {
    bool weights = ctx->kind == GRAPH_search_weights || ctx->kind == GRAPH_train;
    if (!weights && ctx->kind != GRAPH_search_alphas && ctx->kind != GRAPH_search_second) {
        return false;
    }
    const Settings *s = &ctx->settings;
    const OptimizerSettings *settings = ctx->kind == GRAPH_train            ? &s->train_weights
                                        : ctx->kind == GRAPH_search_weights ? &s->search_weights
                                                                            : &s->search_alphas;
    Update u = start(ctx, g, settings);
    Gradient *gradients = ARENA_ARRAY(ctx->arena, Gradient, g->output_count);
    int count = take_gradients(&u, gradients);
    if (count == 0) {
        return false;
    }
    bool conditional = find_parameters(&u, gradients, count);
    add_scalars(&u, weights ? "lr" : "alphas_lr");
    add_updates(&u, gradients, count, weights ? build_clipping(&u, gradients, count) : NULL);
    if (conditional)
        pass_dce(ctx, g); /* the gradients that are zero elsewhere */
    if (ctx->kind == GRAPH_train && s->train.ema > 0)
        add_averages(&u);
    return true;
}
