/* optimizer_line.c: weights sgd(...) and alphas adam(...): the optimisers of a text, by the rows of ir/optimizers.def. */
#include "frontend/lower.h"
#include "ir/settings.h"

#include <string.h>

/* The one that a text names, or NULL. */
const OptimizerRow *optimizer_named(const Ast *value) {
    const Ast *name = value->kind == AST_call ? value->kids[0] : NULL;
    return name && name->kind == AST_name ? optimizer_find(name->name) : NULL;
}

/* lr = 0.1, constant(0.1), cosine(0.05, 0.001), linear(0.1, 0) */
static void set_rate(Lower *l, Frame *f, const char *section, const Ast *value) {
    const SettingRow *schedules = setting_row("train.weights.schedule");
    const char *schedule = "constant";
    const Ast *first = value, *last = NULL;
    const char *called = value->kind == AST_call && value->kids[0]->kind == AST_name ? value->kids[0]->name : NULL;
    bool known = called && setting_has_word(schedules, called), function = called && builtin_find(called) && !known;
    if (called && !function && !str_map_get(l->globals, called)) {
        schedule = called;
        first = value->count > 1 ? value->kids[1] : NULL;
        last = value->count > 2 ? value->kids[2] : NULL;
        if (!known || !first || value->count > 3 || first->kind == AST_arg ||
            (last && (last->kind == AST_arg || str_equal(schedule, "constant")))) {
            diag_error(l->diag, value->span,
                       "a rate is a number, constant(RATE), cosine(FROM, TO) or linear(FROM, TO)");
            return;
        }
    }
    lower_setting_expression(l, f, setting_key(l, section, "lr"), first);
    if (setting_row(setting_key(l, section, "schedule")))
        lower_setting(l, setting_key(l, section, "schedule"), value_string(schedule), value->span);
    else if (!str_equal(schedule, "constant"))
        diag_error(l->diag, value->span, "the rate of the alphas is a number; it has no schedule");
    if (last && setting_row(setting_key(l, section, "lr_min")))
        lower_setting_expression(l, f, setting_key(l, section, "lr_min"), last);
}

static void set_betas(Lower *l, Frame *f, const char *section, const Ast *value) {
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
    if (str_ends_with(section, ".weights"))
        names[count++] = "clip";
    if (str_equal(section, "train.weights"))
        names[count++] = "every";
    return count;
}

static void set_argument(Lower *l, Frame *f, const char *section, const Ast *argument) {
    if (str_equal(argument->name, "lr"))
        set_rate(l, f, section, argument->kids[0]);
    else if (str_equal(argument->name, "betas"))
        set_betas(l, f, section, argument->kids[0]);
    else
        lower_setting_expression(l, f, setting_key(l, section, argument->name), argument->kids[0]);
}

static void report_optimizer(Lower *l, const char *section, const Ast *value) {
    const char *names[OPTIMIZER_COUNT], *otherwise = setting_row(setting_key(l, section, "optimizer"))->otherwise;
    for (int i = 0; i < OPTIMIZER_COUNT; i++)
        names[i] = optimizer_rows[i].name;
    bool called = value->kind == AST_call && value->kids[0]->kind == AST_name;
    if (called)
        diag_error(l->diag, value->kids[0]->span, "unknown optimiser '%s'%s", value->kids[0]->name,
                   diag_choices(l->arena, value->kids[0]->name, names, OPTIMIZER_COUNT));
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
