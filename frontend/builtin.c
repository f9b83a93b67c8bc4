/* builtin.c: calls of primitives: matching arguments, checking their types. The primitives are in builtin_ops.c (with
 * parameters and windows), builtin_math.c (elementwise: a row of ops.def with the flag FUNCTION is one) and
 * builtin_method.c (for search methods). */
#include "frontend/builtin.h"

#include <limits.h>

static const Builtin *const tables[] = {builtin_primitives, builtin_functions, builtin_methods};
enum { TABLE_COUNT = sizeof tables / sizeof tables[0] };

const Builtin *builtin_find(const char *name) {
    for (int t = 0; t < TABLE_COUNT; t++)
        for (const Builtin *b = tables[t]; b->name; b++)
            if (str_equal(b->name, name))
                return b;
    IrOp op;
    return ir_op_find(name, &op) ? builtin_of_op(op) : NULL;
}

void builtin_list_names(Arena *arena, const char ***names, int *count) {
    int capacity = 0;
    *names = NULL;
    *count = 0;
    for (int t = 0; t < TABLE_COUNT; t++)
        for (const Builtin *b = tables[t]; b->name; b++)
            ARENA_PUSH(arena, *names, *count, capacity, b->name);
    for (int op = 0; op < OP_COUNT; op++)
        if (builtin_of_op((IrOp)op))
            ARENA_PUSH(arena, *names, *count, capacity, ir_op_info[op].name);
}

const char *builtin_name(const Builtin *builtin) {
    return builtin->name;
}

int builtin_param_count(const Builtin *builtin) {
    int count = 0;
    while (count < BUILTIN_MAX_PARAMS && builtin->params[count].name)
        count++;
    return count;
}

static int param_index(const Builtin *builtin, const char *name) {
    for (int i = 0; i < builtin_param_count(builtin); i++)
        if (str_equal(builtin->params[i].name, name))
            return i;
    return -1;
}

const char *builtin_param_choices(Arena *arena, const Builtin *builtin, const char *name) {
    const char *names[BUILTIN_MAX_PARAMS];
    int count = builtin_param_count(builtin);
    for (int i = 0; i < count; i++)
        names[i] = builtin->params[i].name;
    const char *near = diag_suggest(name, names, (size_t)count);
    return arena_printf(arena, near ? "; did you mean '%s'?" : ": %s", near ? near : builtin->summary);
}

bool builtin_has_param(const Builtin *builtin, const char *name) {
    return param_index(builtin, name) >= 0;
}

Value builtin_fail(BuiltinUse *use, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *message = arena_vprintf(use->l->arena, format, args);
    va_end(args);
    return lower_error(use->l, use->f, use->span, "%s", message);
}

IrNode *builtin_node(BuiltinUse *use, IrOp op, int input_count, IrNode *const *inputs, int attr_count,
                     const IrAttr *attrs) {
    use->b->span = use->span;
    IrNode *node = ir_build(use->b, op, NULL, input_count, inputs, attr_count, attrs);
    if (!node)
        lower_note_uses(use->l, use->f);
    return node;
}

bool builtin_need_images(BuiltinUse *use) {
    if (use->x[0]->type.rank == 4)
        return true;
    builtin_fail(use, "'%s' takes images [N,H,W,C], not %s", use->builtin->name,
                 ir_type_string(use->l->arena, &use->x[0]->type));
    return false;
}

/* ---- types of arguments ---- */
static bool is_int_list(const Value *value, int least, int most) {
    if (value->kind != VALUE_list || (value->count != least && value->count != most))
        return false;
    for (int i = 0; i < value->count; i++)
        if (value->items[i].kind != VALUE_int)
            return false;
    return true;
}

static const char *mismatch(BuiltinType type, const Value *value) {
    double number;
    switch (type) {
    case TYPE_int:
        return value->kind == VALUE_int ? NULL : "an integer";
    case TYPE_pair:
        return value->kind == VALUE_int || is_int_list(value, 2, 2) ? NULL : "an integer or [height, width]";
    case TYPE_sides:
        return value->kind == VALUE_int || is_int_list(value, 2, 4)
                   ? NULL
                   : "an integer, [height, width] or [top, left, bottom, right]";
    case TYPE_number:
        return value_number(value, &number) ? NULL : "a number";
    case TYPE_bool:
        return value->kind == VALUE_bool ? NULL : "true or false";
    case TYPE_stage:
        return value->kind == VALUE_stage ? NULL : "an operation";
    case TYPE_list:
        return value->kind == VALUE_list ? NULL : "a list";
    case TYPE_value:
        return value->kind == VALUE_tensor || value_number(value, &number) ? NULL : "a number or a tensor";
    }
    return NULL;
}

/* The first of an argument's integers that no axis could have; NULL when there is none. */
static const int64_t *beyond_extent(const Value *value) {
    int count = value->kind == VALUE_list ? value->count : value->kind == VALUE_int;
    for (int i = 0; i < count; i++) {
        const int64_t *number = value->kind == VALUE_list ? &value->items[i].i : &value->i;
        if (*number < -IR_MAX_EXTENT || *number > IR_MAX_EXTENT)
            return number;
    }
    return NULL;
}

/* Fills in defaults, checks types. False after an error. */
static bool complete(BuiltinUse *use, const Bindings *given) {
    for (int i = 0; i < builtin_param_count(use->builtin); i++) {
        const BuiltinParam *param = &use->builtin->params[i];
        const Binding *binding = bindings_find(given, param->name);
        Value *value = &use->args[i];
        if (binding)
            *value = binding->value;
        else if (param->has == DEFAULT_none) {
            builtin_fail(use, "'%s' needs '%s': %s", use->builtin->name, param->name, use->builtin->summary);
            return false;
        } else if (param->has == DEFAULT_given || !lower_lookup(use->f, use->l->arena, param->name, value)) {
            *value = param->type == TYPE_bool     ? value_bool(param->otherwise != 0)
                     : param->type == TYPE_number ? value_float(param->otherwise)
                                                  : value_int((int64_t)param->otherwise);
        }
        if (value->kind == VALUE_error)
            return false;
        const char *expected = mismatch(param->type, value);
        if (expected) {
            lower_error(use->l, use->f, binding ? binding->span : use->span, "'%s' of '%s' is %s, not %s", param->name,
                        use->builtin->name, expected, value_kind_name(value));
            return false;
        }
        bool extent = param->type == TYPE_int || param->type == TYPE_pair || param->type == TYPE_sides;
        const int64_t *beyond = extent ? beyond_extent(value) : NULL;
        if (beyond) {
            lower_error(use->l, use->f, binding ? binding->span : use->span,
                        "'%s' of '%s' is %lld; it is at most 2^31 - 1", param->name, use->builtin->name,
                        (long long)*beyond);
            return false;
        }
    }
    return true;
}

static Value run(Lower *l, Frame *f, const Builtin *builtin, const Bindings *given, int count, const Value *inputs,
                 Span span) {
    BuiltinUse use = {.l = l, .f = f, .builtin = builtin, .span = span, .count = count};
    use.b = l->target ? &l->target->builder : NULL; /* outside of all graphs there are numbers only */
    use.x = ARENA_ARRAY(l->arena, IrNode *, count + 1);
    for (int i = 0; i < count; i++)
        use.x[i] = inputs[i].tensor;
    if (!complete(&use, given))
        return (Value){.kind = VALUE_error};
    if (use.b)
        use.b->span = span;
    return builtin->run(&use);
}

/* ---- matching ---- */
/* Arguments after the tensors, by position from parameter `first` on and by name. */
static bool match(Lower *l, Frame *f, const Builtin *builtin, int first, int skip, const Arguments *arguments,
                  Bindings *out) {
    int count = builtin_param_count(builtin);
    if (arguments->count - skip > count - first) {
        lower_error(l, f, arguments->span, "'%s' takes at most %d argument%s here, not %d: %s", builtin->name,
                    count - first, count - first == 1 ? "" : "s", arguments->count - skip, builtin->summary);
        return false;
    }
    for (int i = skip; i < arguments->count; i++) {
        Binding binding = {builtin->params[first + i - skip].name, arguments->values[i], arguments->spans[i]};
        ARENA_PUSH(l->arena, out->items, out->count, out->capacity, binding);
    }
    for (int i = 0; i < arguments->named.count; i++) {
        const Binding *given = &arguments->named.items[i];
        if (param_index(builtin, given->name) < 0 || bindings_find(out, given->name)) {
            bool unknown = param_index(builtin, given->name) < 0;
            lower_error(l, f, given->span, "'%s' %s '%s'%s", builtin->name,
                        unknown ? "has no parameter" : "is given twice the parameter", given->name,
                        unknown ? builtin_param_choices(l->arena, builtin, given->name) : "");
            return false;
        }
        ARENA_PUSH(l->arena, out->items, out->count, out->capacity, *given);
    }
    return true;
}

static Value make_stage(Lower *l, const Builtin *builtin, const Bindings *bound, Span span) {
    Stage *stage = ARENA_NEW(l->arena, Stage);
    *stage = (Stage){.kind = STAGE_builtin, .span = span, .name = builtin->name, .builtin = builtin, .args = *bound};
    return value_stage(stage);
}

/* How many of the parameters that must be given are not given by name. */
static int required_count(const Builtin *builtin, const Bindings *named) {
    int required = 0;
    for (int i = 0; i < builtin_param_count(builtin); i++)
        required += builtin->params[i].has == DEFAULT_none && !bindings_find(named, builtin->params[i].name);
    return required;
}

/* max(x, 0) computes; max(0) is a stage that lacks its first argument. Into a schedule nothing is put. */
static Value call_math(Lower *l, Frame *f, const Builtin *builtin, const Bindings *already,
                       const Arguments *arguments) {
    Bindings bound = *already;
    bound.capacity = bound.count;
    bool tensor = arguments->count && arguments->values[0].kind == VALUE_tensor;
    bool first = tensor || builtin_find_schedule(builtin->name) ||
                 arguments->count >= required_count(builtin, &arguments->named) ||
                 bindings_find(&arguments->named, builtin->params[0].name);
    if (!match(l, f, builtin, first ? 0 : 1, 0, arguments, &bound))
        return (Value){.kind = VALUE_error};
    return first ? run(l, f, builtin, &bound, 0, NULL, arguments->span)
                 : make_stage(l, builtin, &bound, arguments->span);
}

static int count_tensors(const Arguments *arguments) {
    int count = 0;
    while (count < arguments->count && arguments->values[count].kind == VALUE_tensor)
        count++;
    return count;
}

static bool is_tensor_list(const Value *value) {
    for (int i = 0; value->kind == VALUE_list && i < value->count; i++)
        if (value->items[i].kind != VALUE_tensor)
            return false;
    return value->kind == VALUE_list && value->count > 0;
}

Value builtin_call(Lower *l, Frame *f, const Builtin *builtin, const Bindings *already, const Arguments *arguments) {
    if (builtin->kind == BUILTIN_math)
        return call_math(l, f, builtin, already, arguments);
    Bindings bound = *already;
    bound.capacity = bound.count;
    if (builtin->kind == BUILTIN_tensors && arguments->count && is_tensor_list(&arguments->values[0])) {
        const Value *list = &arguments->values[0];
        if (!match(l, f, builtin, 0, 1, arguments, &bound))
            return (Value){.kind = VALUE_error};
        return run(l, f, builtin, &bound, list->count, list->items, arguments->span);
    }
    int tensors = count_tensors(arguments);
    if (builtin->kind == BUILTIN_tensor && tensors > 1)
        return lower_error(l, f, arguments->span, "'%s' takes one tensor, not %d", builtin->name, tensors);
    if (!match(l, f, builtin, 0, tensors, arguments, &bound))
        return (Value){.kind = VALUE_error};
    if (tensors)
        return run(l, f, builtin, &bound, tensors, arguments->values, arguments->span);
    return make_stage(l, builtin, &bound, arguments->span);
}

Value builtin_apply(Lower *l, Frame *f, const Stage *stage, int count, const Value *inputs, Span span) {
    const Builtin *builtin = stage->builtin;
    /* What the call says is more telling than where it is applied. */
    Span place = stage->span.file ? stage->span : span;
    if (builtin->kind != BUILTIN_math)
        return builtin->kind == BUILTIN_tensor && count != 1
                   ? lower_error(l, f, place, "'%s' takes one tensor, not %d", builtin->name, count)
                   : run(l, f, builtin, &stage->args, count, inputs, place);
    Bindings bound = stage->args;
    bound.capacity = bound.count;
    for (int i = 0; i < count && i < builtin_param_count(builtin); i++) {
        Binding binding = {builtin->params[i].name, inputs[i], place};
        ARENA_PUSH(l->arena, bound.items, bound.count, bound.capacity, binding);
    }
    return run(l, f, builtin, &bound, 0, NULL, place);
}
