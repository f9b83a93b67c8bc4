/* setting.c: values of texts and of --set as settings of the module, by the table of ir/settings.def. */
#include "frontend/lower.h"
#include "ir/settings.h"

#include <string.h>

/* A value as a setting has it; false: it is of a kind that no setting has. */
static bool setting_value(const SettingRow *row, const Value *value, IrAttr *attr) {
    double number;
    if (row->type == SETTING_real && value_number(value, &number))
        *attr = ir_attr_float("", number);
    else if (value->kind == VALUE_int)
        *attr = ir_attr_int("", value->i);
    else if (value->kind == VALUE_float)
        *attr = ir_attr_float("", value->f);
    else if (value->kind == VALUE_bool)
        *attr = ir_attr_bool("", value->i);
    else if (value->kind == VALUE_string)
        *attr = ir_attr_string("", value->s);
    else
        return false;
    return true;
}

void lower_setting(Lower *l, const char *key, Value value, Span span) {
    const SettingRow *row = setting_row(key);
    if (!row)
        bug("no setting '%s'", key);
    if (value.kind == VALUE_error)
        return;
    if (row->type == SETTING_weights) {
        lower_class_weights(l, row->key, value, span);
        return;
    }
    IrAttr attr;
    if (!setting_value(row, &value, &attr)) {
        diag_error(l->diag, span, "'%s' is %s, not %s", key, setting_type_name(row->type), value_kind_name(&value));
        return;
    }
    const char *mistake = setting_mistake(l->arena, row, &attr);
    if (mistake)
        diag_error(l->diag, span, "%s", mistake);
    else
        ir_module_set(l->module, row->key, attr, span);
}

Value lower_schedule(Lower *l, Frame *f, const Ast *value) {
    l->in_clause = true;
    Value written = lower_eval(l, f, value);
    l->in_clause = false;
    return written;
}

/* A setting whose value is written in the text; words stand for themselves where the table wants one. */
Value lower_setting_value(Lower *l, Frame *f, const char *key, const Ast *value) {
    const SettingRow *row = setting_row(key);
    bool word = row && value->kind == AST_name &&
                (row->type == SETTING_word || (row->type == SETTING_weights && !str_map_get(l->globals, value->name)));
    if (word || (row && row->type == SETTING_schedule && value->kind == AST_name))
        return value_string(value->name);
    return row && row->type == SETTING_schedule ? lower_schedule(l, f, value) : lower_eval(l, f, value);
}

void lower_setting_expression(Lower *l, Frame *f, const char *key, const Ast *value) {
    lower_setting(l, key, lower_setting_value(l, f, key, value), value->span);
}

/* ---- names ---- */

const char *setting_key(Lower *l, const char *section, const char *name) {
    return arena_printf(l->arena, "%s.%s", section, name);
}

void setting_report_argument(Lower *l, const Ast *argument, const char *call, const char *const *names, int count) {
    if (argument->kind == AST_arg)
        diag_error(l->diag, argument->name_span, "'%s' has no parameter '%s'%s", call, argument->name,
                   diag_choices(l->arena, argument->name, names, (size_t)count));
    else
        diag_error(l->diag, argument->span, "the arguments of '%s' are given by name%s", call,
                   diag_choices(l->arena, "", names, (size_t)count));
}

const char *setting_called(const Ast *value) {
    return value->kind == AST_call && value->kids[0]->kind == AST_name ? value->kids[0]->name : NULL;
}

static bool is_called_before(const Ast *list, int i) {
    const char *name = setting_called(list->kids[i]);
    for (int k = 0; name && k < i; k++)
        if (setting_called(list->kids[k]) && str_equal(setting_called(list->kids[k]), name))
            return true;
    return false;
}

void setting_each_call(Lower *l, Frame *f, const Ast *value, void (*lower)(Lower *l, Frame *f, const Ast *call)) {
    for (int i = 0; value->kind == AST_list && i < value->count; i++) {
        if (is_called_before(value, i))
            diag_error(l->diag, value->kids[i]->span, "'%s' is there twice", setting_called(value->kids[i]));
        else
            lower(l, f, value->kids[i]);
    }
    if (value->kind != AST_list)
        lower(l, f, value);
}

int setting_find_name(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (str_equal(names[i], name))
            return i;
    return -1;
}
