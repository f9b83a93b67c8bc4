/* builtin_method.c: what search methods are written with: sums over alphas, softmax and its kin over the last axis,
 * detach, the deviation of a tensor, the candidates of an edge, and random draws. */
#include "frontend/builtin.h"
#include "ir/schedules.h"

static IrNode *unary(BuiltinUse *use, IrOp op, IrNode *x) {
    return builtin_node(use, op, 1, &x, 0, NULL);
}

static IrNode *binary(BuiltinUse *use, IrOp op, IrNode *x, IrNode *y) {
    return builtin_node(use, op, 2, (IrNode *[]){x, y}, 0, NULL);
}

/* ---- sums ---- */

static IrNode *reduce(BuiltinUse *use, IrOp op, IrNode *x, int first, bool keep) {
    int64_t axes[IR_MAX_RANK];
    for (int i = first; i < x->type.rank; i++)
        axes[i - first] = i;
    IrAttr attrs[] = {ir_attr_ints("axes", x->type.rank - first, axes), ir_attr_bool("keep", keep)};
    return builtin_node(use, op, 1, &x, 2, attrs);
}

/* sum(x), mean(x): over everything; a batch has no fixed number of images. */
static Value run_sum(BuiltinUse *use) {
    IrNode *x = use->x[0];
    if (ir_type_has_dim(&x->type, IR_DIM_N))
        return builtin_fail(use, "'%s' is of alphas, not of images", use->builtin->name);
    IrNode *sum = x->type.rank ? reduce(use, OP_reduce_sum, x, 0, false) : x;
    if (use->builtin->name[0] == 's')
        return value_tensor(sum);
    return value_tensor(binary(use, OP_mul, sum, ir_constant(use->b, 1.0 / (double)ir_type_count(&x->type, 1, 1))));
}

/* log(sum(exp(x))) over the last axis, which goes unless keep. The largest is taken out, so that nothing overflows; it
 * cancels in the gradient, which is the softmax. */
static IrNode *log_sum_exp(BuiltinUse *use, IrNode *x, bool keep) {
    int last = x->type.rank - 1;
    IrNode *rest = binary(use, OP_sub, x, reduce(use, OP_reduce_max, x, last, true));
    IrNode *sum = reduce(use, OP_reduce_sum, unary(use, OP_exp, rest), last, keep);
    IrNode *largest = reduce(use, OP_reduce_max, x, last, keep);
    return binary(use, OP_add, unary(use, OP_log, sum), largest);
}

static Value run_over_last_axis(BuiltinUse *use) {
    IrNode *x = use->x[0];
    if (!x->type.rank)
        return builtin_fail(use, "'%s' needs an axis", use->builtin->name);
    if (use->builtin->op == OP_softmax)
        return value_tensor(unary(use, OP_softmax, x));
    bool sum = use->builtin->op == OP_reduce_sum;
    IrNode *logarithm = log_sum_exp(use, x, !sum);
    return value_tensor(sum ? logarithm : binary(use, OP_sub, x, logarithm));
}

/* Over the last axis, which stays with extent 1. */
static Value run_row_sum(BuiltinUse *use) {
    IrNode *x = use->x[0];
    return x->type.rank ? value_tensor(reduce(use, OP_reduce_sum, x, x->type.rank - 1, true))
                        : builtin_fail(use, "'%s' needs an axis", use->builtin->name);
}

static Value run_unary(BuiltinUse *use) {
    return value_tensor(unary(use, use->builtin->op, use->x[0]));
}

/* ---- draws ---- */

/* The stream of a draw in a clause: "noise" of the edge it is used on, "gumbel.alphas_normal" of alphas. A further clause
 * of the kind has streams of its own ("noise2"), and so has a further draw in one ("noise_2"). */
static int stream_attrs(BuiltinUse *use, const char *stem, IrAttr attrs[2]) {
    DrawPlace *place = use->l->draws;
    Arena *arena = use->l->arena;
    if (place->clause > 1)
        stem = arena_printf(arena, "%s%d", stem, place->clause);
    if (place->count++)
        stem = arena_printf(arena, "%s_%d", stem, place->count);
    attrs[0] = ir_attr_string("stream", place->of ? arena_printf(arena, "%s.%s", stem, place->of) : stem);
    attrs[1] = ir_attr_string("scope", "parent");
    return place->of ? 1 : 2;
}

static IrNode *draw(BuiltinUse *use, const char *stem, const char *distribution) {
    IrAttr attrs[3];
    int count = stream_attrs(use, stem, attrs);
    if (use->builtin->op == OP_gumbel)
        return ir_build(use->b, OP_gumbel, use->l->draws->type, 0, NULL, count, attrs);
    attrs[count] = ir_attr_string("distribution", distribution);
    return ir_build(use->b, OP_draw, use->l->draws->type, 0, NULL, count + 1, attrs);
}

static Value run_draw(BuiltinUse *use) {
    if (!use->l->draws)
        return builtin_fail(use, "'%s' stands in the clauses 'candidate', 'weights' and 'perturb' of a method",
                            use->builtin->name);
    const char *name = use->builtin->name;
    const char *stem = str_equal(name, "gumbel") ? name : use->l->draws->of ? "perturb" : "noise";
    return value_tensor(draw(use, stem, name));
}

/* normal_like(x), uniform_like(x): of the shape of x, wherever that is, also in evaluation; the stream is that of the
 * edge, or of the operation where it stands on none. */
static Value run_draw_like(BuiltinUse *use) {
    bool normal = use->builtin->name[0] == 'n';
    if (!ir_type_has_dim(&use->x[0]->type, IR_DIM_N))
        return builtin_fail(use, "'%s' is of images", use->builtin->name);
    IrAttr attrs[] = {ir_attr_string("stream", "noise"), ir_attr_string("scope", "parent"),
                      ir_attr_string("distribution", normal ? "normal" : "uniform")};
    return value_tensor(ir_build(use->b, OP_draw, &use->x[0]->type, 0, NULL, 3, attrs));
}

/* 1 at the largest of the last axis, else 0. No gradient flows. */
static Value run_largest(BuiltinUse *use) {
    IrNode *x = use->x[0];
    if (!x->type.rank)
        return builtin_fail(use, "'%s' needs an axis", use->builtin->name);
    IrNode *smaller = binary(use, OP_gt, reduce(use, OP_reduce_max, x, x->type.rank - 1, true), x);
    return value_tensor(binary(use, OP_sub, ir_constant(use->b, 1), smaller));
}

/* ---- edges ---- */

static Value run_candidates(BuiltinUse *use) {
    return use->l->edge ? lower_candidates(use->l, use->f, use->x[0], use->span)
                        : builtin_fail(use, "'candidates' stands in the clause 'mixed' of a method");
}

/* ---- schedules ---- */

/* The numbers of a call, lists written out. False after a mistake. */
static bool read_numbers(BuiltinUse *use, Schedule *schedule) {
    int count = builtin_param_count(use->builtin);
    for (int i = 0; i < count; i++) {
        const Value *value = &use->args[i];
        const Value *items = value->kind == VALUE_list ? value->items : value;
        int item_count = value->kind == VALUE_list ? value->count : 1;
        for (int k = 0; k < item_count; k++) {
            if (schedule->count == SCHEDULE_MOST_NUMBERS)
                return builtin_fail(use, "a schedule has at most %d numbers", SCHEDULE_MOST_NUMBERS), false;
            if (!value_number(&items[k], &schedule->numbers[schedule->count++]))
                return builtin_fail(use, "'%s' of '%s' has %s among its numbers", use->builtin->params[i].name,
                                    use->builtin->name, value_kind_name(&items[k])),
                       false;
        }
    }
    return true;
}

/* linear(1, 0), cosine(1, 0, epochs = 50): a run-time scalar whose name says what it is; in a setting that name. */
static Value run_schedule(BuiltinUse *use) {
    Schedule schedule = {.kind = (ScheduleKind)schedule_find(use->builtin->name)};
    if (!read_numbers(use, &schedule))
        return (Value){.kind = VALUE_error};
    const char *mistake = schedule_mistake(&schedule), *name = schedule_print(use->l->arena, &schedule);
    if (mistake)
        return builtin_fail(use, "%s", mistake);
    return use->b ? value_tensor(ir_scalar(use->b, name)) : value_string(name);
}

static const Builtin schedules[] = {
#define NEED(name)                                                                                                     \
    { #name, TYPE_number, DEFAULT_none, 0 }
#define HAS(name, otherwise)                                                                                           \
    { #name, TYPE_number, DEFAULT_given, otherwise }
#define MANY(name)                                                                                                     \
    { #name, TYPE_list, DEFAULT_none, 0 }
#define LIST(...)                                                                                                      \
    { __VA_ARGS__ }
#define SCHEDULE(name, params, value, summary) {#name, BUILTIN_math, run_schedule, OP_scalar, params, summary},
#include "ir/schedules.def"
#undef SCHEDULE
#undef LIST
#undef MANY
#undef HAS
#undef NEED
};

const Builtin *builtin_find_schedule(const char *name) {
    int kind = schedule_find(name);
    return kind < 0 ? NULL : &schedules[kind];
}

const Builtin builtin_methods[] = {
    {"sum", BUILTIN_tensor, run_sum, OP_COUNT, {{0}}, "sum(x)"},
    {"mean", BUILTIN_tensor, run_sum, OP_COUNT, {{0}}, "mean(x)"},
    {"row_sum", BUILTIN_tensor, run_row_sum, OP_COUNT, {{0}}, "row_sum(x)"},
    {"softmax", BUILTIN_tensor, run_over_last_axis, OP_softmax, {{0}}, "softmax(x)"},
    {"log_softmax", BUILTIN_tensor, run_over_last_axis, OP_COUNT, {{0}}, "log_softmax(x)"},
    {"logsumexp", BUILTIN_tensor, run_over_last_axis, OP_reduce_sum, {{0}}, "logsumexp(x)"},
    {"largest", BUILTIN_tensor, run_largest, OP_COUNT, {{0}}, "largest(x)"},
    {"detach", BUILTIN_tensor, run_unary, OP_detach, {{0}}, "detach(x)"},
    {"deviation", BUILTIN_tensor, run_unary, OP_deviation, {{0}}, "deviation(x)"},
    {"candidates", BUILTIN_tensor, run_candidates, OP_mixed, {{0}}, "candidates(x)"},
    {"normal", BUILTIN_math, run_draw, OP_COUNT, {{0}}, "normal()"},
    {"uniform", BUILTIN_math, run_draw, OP_COUNT, {{0}}, "uniform()"},
    {"gumbel", BUILTIN_math, run_draw, OP_gumbel, {{0}}, "gumbel()"},
    {"normal_like", BUILTIN_tensor, run_draw_like, OP_COUNT, {{0}}, "normal_like(x)"},
    {"uniform_like", BUILTIN_tensor, run_draw_like, OP_COUNT, {{0}}, "uniform_like(x)"},
    {0},
};
