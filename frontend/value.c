/* value.c: making and comparing values. */
#include "frontend/value.h"

Value value_int(int64_t i) {
    return (Value){.kind = VALUE_int, .i = i};
}

Value value_float(double f) {
    return (Value){.kind = VALUE_float, .f = f};
}

Value value_bool(bool b) {
    return (Value){.kind = VALUE_bool, .i = b};
}

Value value_string(const char *s) {
    return (Value){.kind = VALUE_string, .s = s};
}

Value value_tensor(IrNode *tensor) {
    return (Value){.kind = tensor ? VALUE_tensor : VALUE_error, .tensor = tensor};
}

Value value_stage(const Stage *stage) {
    return (Value){.kind = VALUE_stage, .stage = stage};
}

Value value_definition(ValueKind kind, const Ast *definition) {
    return (Value){.kind = kind, .definition = definition};
}

Value value_list(int count, Value *items) {
    return (Value){.kind = VALUE_list, .count = count, .items = items};
}

static bool bindings_equal(const Bindings *a, const Bindings *b) {
    if (a->count != b->count)
        return false;
    for (int i = 0; i < a->count; i++) {
        const Binding *other = bindings_find(b, a->items[i].name);
        if (!other || !value_equal(&a->items[i].value, &other->value))
            return false;
    }
    return true;
}

static bool stage_equal(const Stage *a, const Stage *b) {
    if (a == b)
        return true;
    if (a->kind != b->kind || a->builtin != b->builtin || a->definition != b->definition || a->count != b->count ||
        !bindings_equal(&a->args, &b->args))
        return false;
    if (a->label != b->label && !(a->label && b->label && str_equal(a->label, b->label)))
        return false;
    for (int i = 0; i < a->count; i++)
        if (!stage_equal(a->stages[i], b->stages[i]))
            return false;
    return true;
}

bool value_equal(const Value *a, const Value *b) {
    double x, y;
    if (a->kind == VALUE_int && b->kind == VALUE_int)
        return a->i == b->i;
    if (value_number(a, &x) && value_number(b, &y))
        return x == y;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case VALUE_bool:
        return a->i == b->i;
    case VALUE_string:
        return str_equal(a->s, b->s);
    case VALUE_list:
        for (int i = 0; i < a->count && a->count == b->count; i++)
            if (!value_equal(&a->items[i], &b->items[i]))
                return false;
        return a->count == b->count;
    case VALUE_tensor:
        return a->tensor == b->tensor;
    case VALUE_stage:
        return stage_equal(a->stage, b->stage);
    case VALUE_genotype:
    case VALUE_space:
    case VALUE_network:
        return a->definition == b->definition;
    default:
        return true;
    }
}

const char *value_kind_name(const Value *value) {
    static const char *const names[] = {"an error", "an integer",   "a number",   "true or false", "a string", "a list",
                                        "a tensor", "an operation", "a genotype", "a space",       "a network"};
    return names[value->kind];
}

bool value_number(const Value *value, double *number) {
    if (value->kind == VALUE_int)
        *number = (double)value->i;
    else if (value->kind == VALUE_float)
        *number = value->f;
    else
        return false;
    return true;
}

const Binding *bindings_find(const Bindings *bindings, const char *name) {
    for (int i = 0; i < bindings->count; i++)
        if (str_equal(bindings->items[i].name, name))
            return &bindings->items[i];
    return NULL;
}

void value_print(const Value *value, Str *out) {
    switch (value->kind) {
    case VALUE_int:
        str_addf(out, "%lld", (long long)value->i);
        break;
    case VALUE_float:
        str_add_double(out, value->f);
        break;
    case VALUE_bool:
        str_add(out, value->i ? "true" : "false");
        break;
    case VALUE_string:
        str_add(out, value->s);
        break;
    case VALUE_stage:
        str_add(out, value->stage->name);
        break;
    case VALUE_list:
        for (int i = 0; i < value->count; i++) {
            str_add(out, i ? ", " : "[");
            value_print(&value->items[i], out);
        }
        str_add(out, value->count ? "]" : "[]");
        break;
    default:
        str_add(out, value->definition ? value->definition->name : value_kind_name(value));
    }
}
