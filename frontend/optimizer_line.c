/* optimizer_line.c: weights sgd(...) and alphas adam(...): the optimisers of a text, by the rows of ir/optimizers.def. */
#include "frontend/lower.h"
#include "ir/schedules.h"
#include "ir/settings.h"

#include <string.h>

/* The one that a text names, or NULL. */
const OptimizerRow *optimizer_named(const Ast *value) {
    const Ast *name = value->kind == AST_call ? value->kids[0] : NULL;
    return name && name->kind == AST_name ? optimizer_find(name->name) : NULL;
}

static bool is_schedule(const Ast *value) {
    const char *name = setting_called(value);
    return name && schedule_find(name) >= 0;
}

/* NAME = a number, or a schedule, which becomes the setting `schedule`; NAME is then what it begins with. */
static void set_scheduled(Lower *l, Frame *f, const char *section, const char *name, const char *schedule,
                          const Ast *value) {
    Schedule written;
    if (!is_schedule(value)) {
        lower_setting_expression(l, f, setting_key(l, section, name), value);
        return;
    }
    Value text = lower_schedule(l, f, value);
    if (text.kind != VALUE_string || !schedule_parse(text.s, &written))
        return;
    const ScheduleTime begin = {0, 1e6, 1};
    lower_setting(l, setting_key(l, section, name), value_float(schedule_value(&written, &begin)), value->span);
    lower_setting(l, setting_key(l, section, schedule), text, value->span);
}

/* constant(0.1), cosine(0.05, 0.001), linear(0.1, 0): over the whole run, as the settings lr, lr_min and schedule. */
static bool is_whole_run(const char *section, const Ast *value) {
    const char *name = value->kids[0]->name;
    if (!str_ends_with(section, ".weights") || !setting_has_word(setting_row("train.weights.schedule"), name))
        return false;
    for (int i = 1; i < value->count; i++)
        if (value->kids[i]->kind == AST_arg)
            return false;
    return value->count == 2 || (value->count == 3 && !str_equal(name, "constant"));
}

/* lr = 0.1, cosine(0.05, 0.001), step(0.1, 30, 0.1) */
static void set_rate(Lower *l, Frame *f, const char *section, const Ast *value) {
    const char *called = setting_called(value);
    if (called && !is_schedule(value) && !builtin_find(called) && !str_map_get(l->globals, called)) {
        diag_error(l->diag, value->span, "a rate is a number or a schedule%s",
                   diag_choices(l->arena, called, schedule_names, SCHEDULE_COUNT));
        return;
    }
    bool whole_run = is_schedule(value) && is_whole_run(section, value);
    if (is_schedule(value) && !whole_run) {
        set_scheduled(l, f, section, "lr", "schedule", value);
        return;
    }
    lower_setting_expression(l, f, setting_key(l, section, "lr"), whole_run ? value->kids[1] : value);
    if (str_ends_with(section, ".weights"))
        lower_setting(l, setting_key(l, section, "schedule"), value_string(whole_run ? called : "constant"),
                      value->span);
    if (whole_run && value->count > 2)
        lower_setting_expression(l, f, setting_key(l, section, "lr_min"), value->kids[2]);
}

static void set_betas(Lower *l, Frame *f, const char *section, const Ast *value) {
    if (value->kind == AST_list && value->count == 2 && is_schedule(value->kids[0])) {
        set_scheduled(l, f, section, "beta1", "momentum_schedule", value->kids[0]);
        lower_setting_expression(l, f, setting_key(l, section, "beta2"), value->kids[1]);
        return;
    }
    Value betas = lower_eval(l, f, value);
    if (betas.kind == VALUE_error)
        return;
    if (betas.kind != VALUE_list || betas.count != 2) {
        diag_error(l->diag, value->span, "betas are two numbers, as in (0.5, 0.999)");
        return;
    }
    lower_setting(l, setting_key(l, section, "beta1"), betas.items[0], value->span);
    lower_setting(l, setting_key(l, section, "beta2"), betas.items[1], value->span);
}

/* An optimiser's own arguments, then what all of that section have. */
static int list_arguments(const OptimizerRow *row, const char *section, const char **names) {
    int count = 0;
    while (count < OPTIMIZER_MOST_ARGUMENTS && row->arguments[count])
        names[count] = row->arguments[count], count++;
    if (str_ends_with(section, ".weights")) {
        names[count++] = "clip";
        names[count++] = "every";
    }
    return count;
}

static void set_argument(Lower *l, Frame *f, const char *section, const Ast *argument) {
    if (str_equal(argument->name, "lr"))
        set_rate(l, f, section, argument->kids[0]);
    else if (str_equal(argument->name, "betas"))
        set_betas(l, f, section, argument->kids[0]);
    else if (str_equal(argument->name, "momentum"))
        set_scheduled(l, f, section, "momentum", "momentum_schedule", argument->kids[0]);
    else
        lower_setting_expression(l, f, setting_key(l, section, argument->name), argument->kids[0]);
}

static void report_optimizer(Lower *l, const char *section, const Ast *value) {
    const char *names[OPTIMIZER_COUNT], *otherwise = setting_row(setting_key(l, section, "optimizer"))->otherwise;
    for (int i = 0; i < OPTIMIZER_COUNT; i++)
        names[i] = optimizer_rows[i].name;
    const char *called = setting_called(value);
    if (called)
        diag_error(l->diag, value->kids[0]->span, "unknown optimiser '%s'%s", called,
                   diag_choices(l->arena, called, names, OPTIMIZER_COUNT));
    else
        diag_error(l->diag, value->span, "'%s' are updated by an optimiser, as in %s(lr = 0.01)",
                   strchr(section, '.') + 1, otherwise);
}

/* weights sgd(lr = ..., momentum = ..., decay = ..., clip = ...)   alphas adam(lr = ..., betas = (..., ...), eps,
 * decay) */
void lower_optimizer(Lower *l, Frame *f, const char *section, const Ast *value) {
    const OptimizerRow *row = optimizer_named(value);
    if (!row) {
        report_optimizer(l, section, value);
        return;
    }
    const char *key = setting_key(l, section, "optimizer"), *names[OPTIMIZER_MOST_ARGUMENTS + 2];
    int count = list_arguments(row, section, names);
    if (!str_equal(setting_row(key)->otherwise, row->name)) /* which is no news */
        lower_setting(l, key, value_string(row->name), value->kids[0]->span);
    for (int i = 1; i < value->count; i++) {
        const Ast *argument = value->kids[i];
        if (argument->kind != AST_arg || setting_find_name(names, count, argument->name) < 0)
            setting_report_argument(l, argument, row->name, names, count);
        else
            set_argument(l, f, section, argument);
    }
}
