/* watch.c: what a search watches while it runs, and when it ends before its time:
 *
 *     eigenvalue every 2
 *     early_stop eigenvalue(every = 2, window = 5, delta = 4, factor = 1.3, start = 10)
 *     early_stop skips(2)          early_stop [eigenvalue(), skips(2)] */
#include "frontend/lower.h"

/* Two places of a text say how often. */
static void set_every(Lower *l, Value value, Span span) {
    static const char key[] = "search.eigenvalue.every";
    const IrAttr *known = ir_module_get(l->module, key);
    if (known && value.kind == VALUE_int && known->i != value.i)
        diag_error(l->diag, span, "the eigenvalue is asked for every %lld epochs elsewhere", (long long)known->i);
    else
        lower_setting(l, key, value, span);
}

void lower_eigenvalue(Lower *l, Frame *f, const Ast *value) {
    const char *name = setting_called(value);
    if (name && str_equal(name, "every") && value->count == 2 && value->kids[1]->kind != AST_arg)
        set_every(l, lower_eval(l, f, value->kids[1]), value->kids[1]->span);
    else
        diag_error(l->diag, value->span, "'eigenvalue' says how often, in epochs, as in  eigenvalue every 2");
}

/* eigenvalue(every = 2, window = 5, delta = 4, factor = 1.3, start = 10) */
static void stop_by_eigenvalue(Lower *l, Frame *f, const Ast *call) {
    static const char *const names[] = {"every", "window", "delta", "factor", "start"};
    bool every = false;
    lower_setting(l, "search.early_stop.eigenvalue", value_bool(true), call->span);
    for (int i = 1; i < call->count; i++) {
        const Ast *argument = call->kids[i];
        int k = argument->kind == AST_arg ? setting_find_name(names, 5, argument->name) : -1;
        every |= k == 0;
        if (k < 0)
            setting_report_argument(l, argument, "eigenvalue", names, 5);
        else if (k == 0)
            set_every(l, lower_eval(l, f, argument->kids[0]), argument->kids[0]->span);
        else
            lower_setting_expression(l, f, setting_key(l, "search.early_stop", names[k]), argument->kids[0]);
    }
    if (!every && !ir_module_get(l->module, "search.eigenvalue.every"))
        set_every(l, value_int(2), call->span);
}

static void stop_by(Lower *l, Frame *f, const Ast *value) {
    const char *name = setting_called(value);
    if (name && str_equal(name, "eigenvalue"))
        stop_by_eigenvalue(l, f, value);
    else if (name && str_equal(name, "skips") && value->count == 2 && value->kids[1]->kind != AST_arg)
        lower_setting_expression(l, f, "search.early_stop.skips", value->kids[1]);
    else
        diag_error(l->diag, value->span, "a search stops early by eigenvalue(...) or skips(N)");
}

void lower_early_stop(Lower *l, Frame *f, const Ast *value) {
    setting_each_call(l, f, value, stop_by);
}
