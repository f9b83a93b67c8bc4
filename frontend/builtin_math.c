/* builtin_math.c: elementwise functions, on numbers and on tensors, and the operators on tensors. */
#include "frontend/builtin.h"
#include "ir/scalar_form.h"

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

/* As large a whole number as a double holds, and all smaller ones. */
static bool all_whole(const BuiltinUse *use) {
    const int64_t most = INT64_C(1) << 53;
    for (int i = 0; i < builtin_param_count(use->builtin); i++)
        if (use->args[i].kind != VALUE_int || use->args[i].i > most || use->args[i].i < -most)
            return false;
    return true;
}

/* The function that an op is. */
static Value run_op(BuiltinUse *use) {
    double x[BUILTIN_MAX_PARAMS];
    IrOp op = use->builtin->op;
    int count = builtin_param_count(use->builtin);
    if (all_numbers(use, x)) {
        double result = ir_evaluate(op, count, x);
        bool whole = (ir_op_info[op].flags & OP_WHOLE) && all_whole(use);
        return whole ? value_int((int64_t)result) : value_float(result);
    }
    IrNode *nodes[BUILTIN_MAX_PARAMS];
    for (int i = 0; i < count; i++)
        nodes[i] = as_node(use, &use->args[i]);
    return value_tensor(builtin_node(use, op, count, nodes, 0, NULL));
}

static Value run_clamp(BuiltinUse *use) {
    double x[BUILTIN_MAX_PARAMS];
    if (all_numbers(use, x)) {
        double low = ir_evaluate(OP_max, 2, x);
        return value_float(ir_evaluate(OP_min, 2, (double[]){low, x[2]}));
    }
    IrNode *value = as_node(use, &use->args[0]), *bound = as_node(use, &use->args[1]);
    IrNode *low = builtin_node(use, OP_max, 2, (IrNode *[]){value, bound}, 0, NULL);
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
        return value_float(x * ir_evaluate(OP_sigmoid, 1, &x));
    IrNode *gate = builtin_node(use, OP_sigmoid, 1, &use->args[0].tensor, 0, NULL);
    return gate ? value_tensor(builtin_node(use, OP_mul, 2, (IrNode *[]){use->args[0].tensor, gate}, 0, NULL))
                : (Value){.kind = VALUE_error};
}

#define X                                                                                                              \
    { "x", TYPE_value, DEFAULT_none, 0 }

/* The rows of ops.def; those with the flag FUNCTION are asked for (builtin_of_op). */
static const Builtin ops[OP_COUNT] = {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    {#id,                                                                                                              \
     BUILTIN_math,                                                                                                     \
     run_op,                                                                                                           \
     OP_##id,                                                                                                          \
     {X, {(inputs) == 2 ? "y" : NULL, TYPE_value, DEFAULT_none, 0}},                                                   \
     (inputs) == 2 ? #id "(x, y)" : #id "(x)"},
#include "ir/ops.def"
#undef OP
};

const Builtin *builtin_of_op(IrOp op) {
    return ir_op_info[op].flags & OP_FUNCTION ? &ops[op] : NULL;
}

const Builtin builtin_functions[] = {
    {"swish", BUILTIN_math, run_swish, OP_COUNT, {X}, "swish(x)"},
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
    *op = OP_gt;
    *swap = name[0] == '<';
    return !name[1] && (*swap || name[0] == '>' || ir_op_find_infix(name[0], op));
}

Value builtin_binary(Lower *l, Frame *f, const char *name, Value left, Value right, Span span) {
    IrOp op;
    bool swap;
    if (!find_operator(name, &op, &swap))
        return lower_error(l, f, span, "'%s' does not work on tensors; + - * / < > do", name);
    IrNode *x = operand(l, f, &left, name, span), *y = operand(l, f, &right, name, span);
    if (!x || !y)
        return (Value){.kind = VALUE_error};
    return build(l, f, op, 2, swap ? (IrNode *[]){y, x} : (IrNode *[]){x, y}, span);
}

Value builtin_negate(Lower *l, Frame *f, Value x, Span span) {
    return build(l, f, OP_neg, 1, &x.tensor, span);
}

Value builtin_select(Lower *l, Frame *f, Value condition, Value yes, Value no, Span span) {
    if (yes.kind == VALUE_error || no.kind == VALUE_error)
        return (Value){.kind = VALUE_error};
    IrNode *x = operand(l, f, &yes, "then", span), *y = operand(l, f, &no, "else", span);
    if (!x || !y)
        return (Value){.kind = VALUE_error};
    return build(l, f, OP_select, 3, (IrNode *[]){condition.tensor, x, y}, span);
}
