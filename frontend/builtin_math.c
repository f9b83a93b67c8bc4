/* builtin_math.c: elementwise functions, on numbers and on tensors, and the operators on tensors. */
#include "frontend/builtin.h"

#include <math.h>

static IrNode *as_node(BuiltinUse *use, const Value *value) {
    double number;
    if (value->kind == VALUE_tensor)
        return value->tensor;
    return value_number(value, &number) ? ir_constant(use->b, number) : NULL;
}

static bool all_numbers(const BuiltinUse *use, double *numbers) {
    for (int i = 0; i < builtin_param_count(use->builtin); i++)
        if (!value_number(&use->args[i], &numbers[i]))
            return false;
    return true;
}

static double compute(IrOp op, const double *x) {
    switch (op) {
    case OP_relu:
        return x[0] > 0 ? x[0] : 0;
    case OP_exp:
        return exp(x[0]);
    case OP_log:
        return log(x[0]);
    case OP_sqrt:
        return sqrt(x[0]);
    case OP_tanh:
        return tanh(x[0]);
    case OP_sigmoid:
        return 1 / (1 + exp(-x[0]));
    case OP_sin:
        return sin(x[0]);
    case OP_cos:
        return cos(x[0]);
    case OP_abs:
        return fabs(x[0]);
    case OP_max:
        return x[0] > x[1] ? x[0] : x[1];
    case OP_min:
        return x[0] < x[1] ? x[0] : x[1];
    default:
        bug("no number for op %d", op);
    }
}

static bool all_integers(const BuiltinUse *use, int64_t *integers) {
    for (int i = 0; i < builtin_param_count(use->builtin); i++) {
        if (use->args[i].kind != VALUE_int)
            return false;
        integers[i] = use->args[i].i;
    }
    return true;
}

/* What of integers is an integer; false for the functions of which it is not. */
static bool compute_integer(IrOp op, const int64_t *x, int64_t *result) {
    switch (op) {
    case OP_relu:
        *result = x[0] > 0 ? x[0] : 0;
        return true;
    case OP_abs:
        *result = x[0] == INT64_MIN ? x[0] : x[0] < 0 ? -x[0] : x[0];
        return x[0] != INT64_MIN;
    case OP_max:
        *result = x[0] > x[1] ? x[0] : x[1];
        return true;
    case OP_min:
        *result = x[0] < x[1] ? x[0] : x[1];
        return true;
    default:
        return false;
    }
}

/* One op for one function. */
static Value run_op(BuiltinUse *use) {
    double x[BUILTIN_MAX_PARAMS];
    int64_t integers[BUILTIN_MAX_PARAMS], result;
    int count = builtin_param_count(use->builtin);
    if (all_integers(use, integers) && compute_integer(use->builtin->op, integers, &result))
        return value_int(result);
    if (all_numbers(use, x))
        return value_float(compute(use->builtin->op, x));
    IrNode *nodes[BUILTIN_MAX_PARAMS];
    for (int i = 0; i < count; i++)
        nodes[i] = as_node(use, &use->args[i]);
    return value_tensor(builtin_node(use, use->builtin->op, count, nodes, 0, NULL));
}

static Value run_clamp(BuiltinUse *use) {
    double x[BUILTIN_MAX_PARAMS];
    if (all_numbers(use, x))
        return value_float(fmin(fmax(x[0], x[1]), x[2]));
    IrNode *low =
        builtin_node(use, OP_max, 2, (IrNode *[]){as_node(use, &use->args[0]), as_node(use, &use->args[1])}, 0, NULL);
    if (!low)
        return (Value){.kind = VALUE_error};
    return value_tensor(builtin_node(use, OP_min, 2, (IrNode *[]){low, as_node(use, &use->args[2])}, 0, NULL));
}

static Value run_select(BuiltinUse *use) {
    double x[BUILTIN_MAX_PARAMS];
    if (all_numbers(use, x))
        return x[0] != 0 ? use->args[1] : use->args[2];
    IrNode *nodes[3];
    for (int i = 0; i < 3; i++)
        nodes[i] = as_node(use, &use->args[i]);
    return value_tensor(builtin_node(use, OP_select, 3, nodes, 0, NULL));
}

static Value run_swish(BuiltinUse *use) {
    double x;
    if (value_number(&use->args[0], &x))
        return value_float(x / (1 + exp(-x)));
    IrNode *gate = builtin_node(use, OP_sigmoid, 1, &use->args[0].tensor, 0, NULL);
    return gate ? value_tensor(builtin_node(use, OP_mul, 2, (IrNode *[]){use->args[0].tensor, gate}, 0, NULL))
                : (Value){.kind = VALUE_error};
}

#define X                                                                                                              \
    { "x", TYPE_value, DEFAULT_none, 0 }
#define UNARY(name, op)                                                                                                \
    { #name, BUILTIN_math, run_op, op, {X }, #name "(x)" }

const Builtin builtin_functions[] = {
    UNARY(relu, OP_relu),
    UNARY(exp, OP_exp),
    UNARY(log, OP_log),
    UNARY(sqrt, OP_sqrt),
    UNARY(tanh, OP_tanh),
    UNARY(sigmoid, OP_sigmoid),
    UNARY(sin, OP_sin),
    UNARY(cos, OP_cos),
    UNARY(abs, OP_abs),
    {"swish", BUILTIN_math, run_swish, OP_COUNT, {X}, "swish(x)"},
    {"max", BUILTIN_math, run_op, OP_max, {X, {"y", TYPE_value, DEFAULT_none, 0}}, "max(x, y)"},
    {"min", BUILTIN_math, run_op, OP_min, {X, {"y", TYPE_value, DEFAULT_none, 0}}, "min(x, y)"},
    {"clamp",
     BUILTIN_math,
     run_clamp,
     OP_COUNT,
     {X, {"low", TYPE_value, DEFAULT_none, 0}, {"high", TYPE_value, DEFAULT_none, 0}},
     "clamp(x, low, high)"},
    {"select",
     BUILTIN_math,
     run_select,
     OP_COUNT,
     {{"condition", TYPE_value, DEFAULT_none, 0},
      {"yes", TYPE_value, DEFAULT_none, 0},
      {"no", TYPE_value, DEFAULT_none, 0}},
     "select(condition, yes, no)"},
    {0},
};

/* ---- operators ---- */
static IrNode *operand(Lower *l, Frame *f, const Value *value, const char *name, Span span) {
    double number;
    if (value->kind == VALUE_tensor)
        return value->tensor;
    if (value_number(value, &number))
        return ir_constant(&l->target->builder, number);
    lower_error(l, f, span, "'%s' takes numbers or tensors, not %s", name, value_kind_name(value));
    return NULL;
}

static Value build(Lower *l, Frame *f, IrOp op, int count, IrNode *const *nodes, Span span) {
    l->target->builder.span = span;
    IrNode *node = ir_build(&l->target->builder, op, NULL, count, nodes, 0, NULL);
    if (!node)
        lower_note_uses(l, f);
    return value_tensor(node);
}

static bool find_operator(const char *name, IrOp *op, bool *swap) {
    static const struct {
        const char *name;
        IrOp op;
        bool swap;
    } table[] = {{"+", OP_add, false}, {"-", OP_sub, false}, {"*", OP_mul, false},
                 {"/", OP_div, false}, {">", OP_gt, false},  {"<", OP_gt, true}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (str_equal(table[i].name, name)) {
            *op = table[i].op;
            *swap = table[i].swap;
            return true;
        }
    return false;
}

Value builtin_binary(Lower *l, Frame *f, const char *name, Value left, Value right, Span span) {
    IrOp op;
    bool swap;
    if (!find_operator(name, &op, &swap))
        return lower_error(l, f, span, "'%s' does not work on tensors; + - * / < > do", name);
    IrNode *nodes[2] = {operand(l, f, &left, name, span), operand(l, f, &right, name, span)};
    if (!nodes[0] || !nodes[1])
        return (Value){.kind = VALUE_error};
    return build(l, f, op, 2, swap ? (IrNode *[]){nodes[1], nodes[0]} : nodes, span);
}

Value builtin_negate(Lower *l, Frame *f, Value x, Span span) {
    return build(l, f, OP_neg, 1, &x.tensor, span);
}

Value builtin_select(Lower *l, Frame *f, Value condition, Value yes, Value no, Span span) {
    if (yes.kind == VALUE_error || no.kind == VALUE_error)
        return (Value){.kind = VALUE_error};
    IrNode *nodes[3] = {condition.tensor, operand(l, f, &yes, "then", span), operand(l, f, &no, "else", span)};
    if (!nodes[1] || !nodes[2])
        return (Value){.kind = VALUE_error};
    return build(l, f, OP_select, 3, nodes, span);
}
