/* call.c: calls of operations, functions, cells and networks; applying stages to tensors. */
#include "frontend/lower.h"

/* ---- arguments ---- */
bool lower_arguments(Lower *l, Frame *f, const Ast *call, Arguments *out) {
    *out = (Arguments){.values = ARENA_ARRAY(l->arena, Value, call->count),
                       .spans = ARENA_ARRAY(l->arena, Span, call->count),
                       .span = call->span};
    bool right = true;
    for (int i = 1; i < call->count; i++) {
        const Ast *kid = call->kids[i];
        bool named = kid->kind == AST_arg;
        Value value = lower_eval(l, f, named ? kid->kids[0] : kid);
        right = right && value.kind != VALUE_error;
        if (named) {
            Binding binding = {kid->name, value, kid->span};
            ARENA_PUSH(l->arena, out->named.items, out->named.count, out->named.capacity, binding);
            continue;
        }
        if (out->named.count) {
            lower_error(l, f, kid->span, "an argument without a name comes before those with one");
            right = false;
        }
        out->spans[out->count] = kid->span;
        out->values[out->count++] = value;
    }
    return right;
}

static const Ast *find_param(const Ast *params, const char *name) {
    for (int i = 0; i < params->count; i++)
        if (str_equal(params->kids[i]->name, name))
            return params->kids[i];
    return NULL;
}

static void report_unknown_param(Lower *l, Frame *f, const char *what, const Ast *const *lists, int list_count,
                                 const Binding *given) {
    const char **names = NULL;
    int count = 0, capacity = 0;
    for (int i = 0; i < list_count; i++)
        for (int k = 0; k < lists[i]->count; k++)
            ARENA_PUSH(l->arena, names, count, capacity, lists[i]->kids[k]->name);
    lower_error(l, f, given->span, "'%s' has no parameter '%s'%s", what, given->name,
                diag_choices(l->arena, given->name, names, (size_t)count));
}

static bool add_binding(Lower *l, Frame *f, Bindings *out, const char *what, Binding binding) {
    if (bindings_find(out, binding.name)) {
        lower_error(l, f, binding.span, "'%s' of '%s' is given twice", binding.name, what);
        return false;
    }
    ARENA_PUSH(l->arena, out->items, out->count, out->capacity, binding);
    return true;
}

static bool match_positional(Lower *l, Frame *f, const char *what, const Ast *params, int first,
                             const Arguments *arguments, Bindings *out) {
    if (arguments->count > params->count - first) {
        lower_error(l, f, arguments->span, "'%s' takes at most %d argument%s here, not %d", what, params->count - first,
                    params->count - first == 1 ? "" : "s", arguments->count);
        return false;
    }
    for (int i = 0; i < arguments->count; i++) {
        Binding binding = {params->kids[first + i]->name, arguments->values[i], arguments->spans[i]};
        if (!add_binding(l, f, out, what, binding))
            return false;
    }
    return true;
}

bool lower_match(Lower *l, Frame *f, const char *what, const Ast *params, int first, const Arguments *arguments,
                 Bindings *out) {
    if (!match_positional(l, f, what, params, first, arguments, out))
        return false;
    for (int i = 0; i < arguments->named.count; i++) {
        if (!find_param(params, arguments->named.items[i].name)) {
            report_unknown_param(l, f, what, &params, 1, &arguments->named.items[i]);
            return false;
        }
        if (!add_binding(l, f, out, what, arguments->named.items[i]))
            return false;
    }
    return true;
}

bool lower_bind(Lower *l, Frame *frame, const Ast *params, const Bindings *given, Bindings *bound) {
    for (int i = 0; i < params->count; i++) {
        const Ast *param = params->kids[i];
        const Binding *binding = bindings_find(given, param->name);
        Value value;
        if (binding)
            value = binding->value;
        else if ((param->kids[0] && !param->integer) || !lower_lookup(frame->caller, l->arena, param->name, &value))
            value = param->kids[0] ? lower_eval(l, frame, param->kids[0])
                                   : lower_error(l, frame->caller, frame->call,
                                                 "'%s' needs '%s', which is neither given nor known here",
                                                 frame->name ? frame->name : frame->definition->name, param->name);
        if (value.kind == VALUE_error)
            return false;
        lower_set_variable(l, frame, param->name, value);
        if (bound)
            ARENA_PUSH(l->arena, bound->items, bound->count, bound->capacity,
                       ((Binding){param->name, value, param->span}));
    }
    return true;
}

/* ---- operations and functions ---- */
static bool takes_tensors(const Arguments *arguments) {
    return arguments->count > 0 && arguments->values[0].kind == VALUE_tensor;
}

static Stage *copy_stage(Lower *l, const Stage *stage) {
    Stage *copy = ARENA_NEW(l->arena, Stage);
    *copy = *stage;
    copy->args.capacity = copy->args.count; /* the next push copies */
    return copy;
}

static int op_list_count(const Ast *op) {
    return op->count - 2;
}

static bool bind_op_named(Lower *l, Frame *f, Stage *op, const Arguments *arguments) {
    const Ast *definition = op->definition;
    const Ast *const *lists = (const Ast *const *)definition->kids;
    for (int i = 0; i < arguments->named.count; i++) {
        const Ast *param = NULL;
        for (int k = 0; k < op_list_count(definition) && !param; k++)
            param = find_param(lists[k], arguments->named.items[i].name);
        if (!param) {
            report_unknown_param(l, f, op->name, lists, op_list_count(definition), &arguments->named.items[i]);
            return false;
        }
        if (!add_binding(l, f, &op->args, op->name, arguments->named.items[i]))
            return false;
    }
    return true;
}

/* Gives an operation its next list of arguments, or, when they are tensors, applies it. */
static Value call_op(Lower *l, Frame *f, const Stage *stage, const Arguments *arguments) {
    Stage *op = copy_stage(l, stage);
    op->span = arguments->span;
    if (!bind_op_named(l, f, op, arguments))
        return (Value){.kind = VALUE_error};
    if (takes_tensors(arguments))
        return lower_apply(l, f, op, arguments->count, arguments->values, arguments->span);
    if (arguments->count && op->lists >= op_list_count(op->definition))
        return lower_error(l, f, arguments->span, "'%s' has all its arguments; the next is a tensor, not %s", op->name,
                           value_kind_name(&arguments->values[0]));
    if (op->lists < op_list_count(op->definition)) {
        const Ast *params = op->definition->kids[op->lists];
        if (!match_positional(l, f, op->name, params, 0, arguments, &op->args))
            return (Value){.kind = VALUE_error};
        op->lists++;
    }
    return value_stage(op);
}

static Value run_fn(Lower *l, Frame *f, const Stage *fn, const Bindings *args, Span span) {
    Frame *frame = lower_frame(l, f, fn->definition, span);
    if (!lower_bind(l, frame, fn->definition->kids[0], args, NULL))
        return (Value){.kind = VALUE_error};
    l->depth++;
    Value result = lower_eval(l, frame, fn->definition->kids[1]);
    l->depth--;
    return result;
}

/* A function computes when all it needs is there; without its first argument it is a stage. */
static Value call_fn(Lower *l, Frame *f, const Stage *stage, const Arguments *arguments) {
    const Ast *params = stage->definition->kids[0];
    int needed = 0;
    for (int i = 0; i < params->count; i++)
        needed += !params->kids[i]->kids[0];
    Stage *fn = copy_stage(l, stage);
    fn->span = arguments->span;
    bool has_first = params->count && bindings_find(&arguments->named, params->kids[0]->name);
    bool later = !has_first && !takes_tensors(arguments) && arguments->count < needed;
    if (!lower_match(l, f, fn->name, params, later ? 1 : 0, arguments, &fn->args))
        return (Value){.kind = VALUE_error};
    return later ? value_stage(fn) : run_fn(l, f, fn, &fn->args, arguments->span);
}

static Value apply_fn(Lower *l, Frame *f, const Stage *stage, int count, const Value *inputs, Span span) {
    const Ast *params = stage->definition->kids[0];
    Stage *fn = copy_stage(l, stage);
    if (count > params->count)
        return lower_error(l, f, span, "'%s' takes %d tensors, not %d", fn->name, params->count, count);
    for (int i = 0; i < count; i++) {
        Binding binding = {params->kids[i]->name, inputs[i], span};
        if (!add_binding(l, f, &fn->args, fn->name, binding))
            return (Value){.kind = VALUE_error};
    }
    return run_fn(l, f, fn, &fn->args, span);
}

/* ---- applying ---- */
static Value apply_pipe(Lower *l, Frame *f, const Stage *pipe, int count, const Value *inputs, Span span) {
    const char *prefix = l->target->prefix;
    Value value = {.kind = VALUE_error};
    for (int i = 0; i < pipe->count; i++) {
        const Stage *stage = pipe->stages[i];
        if (stage->kind != STAGE_label || !stage->label[0])
            l->target->prefix = lower_join(l->arena, prefix, arena_printf(l->arena, "%d", i));
        value = lower_apply(l, f, stage, i ? 1 : count, i ? &value : inputs, i ? stage->span : span);
        l->target->prefix = prefix;
        if (value.kind != VALUE_tensor)
            break;
    }
    return value;
}

static Value apply_label(Lower *l, Frame *f, const Stage *stage, int count, const Value *inputs, Span span) {
    const char *prefix = l->target->prefix;
    l->target->prefix = lower_join(l->arena, prefix, stage->label);
    Value value = lower_apply(l, f, stage->stages[0], count, inputs, span);
    l->target->prefix = prefix;
    return value;
}

/* An operation in a genotype's cell: an edge, named by its number; those from the cell's inputs have the cell's stride.
 */
static Value apply_edge(Lower *l, Frame *f, const Stage *op, int count, const Value *inputs, Span span) {
    Value stride = value_int(1);
    for (int i = 0; i < f->input_count; i++)
        if (inputs[0].tensor == f->inputs[i])
            stride = f->stride;
    lower_set_variable(l, f, "stride", stride);
    const char *prefix = l->target->prefix;
    const char *name = lower_join(l->arena, prefix, arena_printf(l->arena, "_ops.%d", f->edge_count));
    const char *params = f->names ? lower_edge_params(l, f, f->names, f->edge_count, -1, -1, span) : name;
    f->edge_count++;
    if (!params)
        return (Value){.kind = VALUE_error};
    l->target->prefix = params;
    Value value = lower_apply_op(l, f, op, count, inputs, name, span);
    l->target->prefix = prefix;
    return value;
}

Value lower_apply(Lower *l, Frame *f, const Stage *stage, int count, const Value *inputs, Span span) {
    for (int i = 0; i < count; i++)
        if (inputs[i].kind != VALUE_tensor)
            return inputs[i].kind == VALUE_error ? inputs[i]
                                                 : lower_error(l, f, span, "'%s' is applied to tensors, not to %s",
                                                               stage->name, value_kind_name(&inputs[i]));
    switch (stage->kind) {
    case STAGE_builtin:
        return builtin_apply(l, f, stage, count, inputs, span);
    case STAGE_op:
        return f->cell ? apply_edge(l, f, stage, count, inputs, span)
                       : lower_apply_op(l, f, stage, count, inputs, NULL, span);
    case STAGE_fn:
        return apply_fn(l, f, stage, count, inputs, span);
    case STAGE_pipe:
        return apply_pipe(l, f, stage, count, inputs, span);
    case STAGE_label:
        return apply_label(l, f, stage, count, inputs, span);
    case STAGE_cell:
        return lower_apply_cell(l, f, stage, count, inputs, &stage->args, span);
    case STAGE_super:
        return lower_apply_super(l, f, stage, count, inputs, &stage->args, span);
    }
    bug("stage of kind %d", stage->kind);
}

static Value call_cell(Lower *l, Frame *f, const Stage *cell, const Arguments *arguments) {
    Stage *copy = copy_stage(l, cell);
    for (int i = 0; i < arguments->named.count; i++) {
        const Binding *given = &arguments->named.items[i];
        bool stride = str_equal(given->name, "stride");
        if (!stride && !str_equal(given->name, "names"))
            return lower_error(l, f, given->span, "a cell has no parameter '%s'; it takes its inputs, stride and names",
                               given->name);
        if (given->value.kind != (stride ? VALUE_int : VALUE_string))
            return lower_error(l, f, given->span, stride ? "stride is an integer, not %s" : "names is a string, not %s",
                               value_kind_name(&given->value));
        if (!add_binding(l, f, &copy->args, cell->name, *given))
            return (Value){.kind = VALUE_error};
    }
    if (!arguments->count)
        return value_stage(copy);
    return lower_apply(l, f, copy, arguments->count, arguments->values, arguments->span);
}

Value lower_call(Lower *l, Frame *f, const Ast *call) {
    Value callee = lower_eval(l, f, call->kids[0]);
    Arguments arguments;
    if (!lower_arguments(l, f, call, &arguments) || callee.kind == VALUE_error)
        return (Value){.kind = VALUE_error};
    if (callee.kind == VALUE_network)
        return lower_call_network(l, f, callee.definition, &arguments, false);
    if (callee.kind != VALUE_stage)
        return lower_error(l, f, call->kids[0]->span, "%s cannot be called", value_kind_name(&callee));
    const Stage *stage = callee.stage;
    switch (stage->kind) {
    case STAGE_builtin:
        return builtin_call(l, f, stage->builtin, &stage->args, &arguments);
    case STAGE_op:
        return call_op(l, f, stage, &arguments);
    case STAGE_fn:
        return call_fn(l, f, stage, &arguments);
    case STAGE_cell:
    case STAGE_super:
        return call_cell(l, f, stage, &arguments);
    default:
        if (arguments.named.count || !takes_tensors(&arguments))
            return lower_error(l, f, call->span, "a pipe is applied to tensors and has no parameters");
        return lower_apply(l, f, stage, arguments.count, arguments.values, call->span);
    }
}
