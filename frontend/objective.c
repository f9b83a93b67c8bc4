/* objective.c: what the network that a search finds may cost:
 *
 *     objective latency(target = 2.5, weight = 0.1, batch = 1)
 *     objective [macs(target = 300, form = ratio), memory(target = 4)] */
#include "frontend/lower.h"

typedef struct Objective {
    const char *name;
    int count;
    const char *names[4];
} Objective;

static const Objective objectives[] = {{"latency", 4, {"target", "weight", "form", "batch"}},
                                       {"memory", 3, {"target", "weight", "form"}},
                                       {"macs", 3, {"target", "weight", "form"}}};
/* The settings that the arguments are; `batch` alone is the search's own, also to --set. */
static const char *const keys[] = {"target", "weight", "form", "images"};
enum { OBJECTIVES = sizeof objectives / sizeof objectives[0] };

static const Objective *find(const Ast *value) {
    const char *name = setting_called(value);
    for (int i = 0; name && i < OBJECTIVES; i++)
        if (str_equal(name, objectives[i].name))
            return &objectives[i];
    return NULL;
}

static void lower_one(Lower *l, Frame *f, const Ast *call) {
    const Objective *objective = find(call);
    bool has_target = false;
    if (!objective) {
        diag_error(l->diag, call->span,
                   "an objective is latency(target = MS), memory(target = MB) or macs(target = MILLIONS)");
        return;
    }
    const char *section = arena_printf(l->arena, "search.objective.%s", objective->name);
    for (int i = 1; i < call->count; i++) {
        const Ast *argument = call->kids[i];
        int k = argument->kind == AST_arg ? setting_find_name(objective->names, objective->count, argument->name) : -1;
        has_target |= k == 0;
        if (k < 0)
            setting_report_argument(l, argument, objective->name, objective->names, objective->count);
        else
            lower_setting_expression(l, f, setting_key(l, section, keys[k]), argument->kids[0]);
    }
    if (!has_target)
        diag_error(l->diag, call->span, "'%s' has no target; expected  %s(target = NUMBER)", objective->name,
                   objective->name);
}

void lower_objective(Lower *l, Frame *f, const Ast *value) {
    setting_each_call(l, f, value, lower_one);
}
