/* limits.c: texts that have no end, or none that anybody would wait for: definitions by themselves, those that use each
 * other too deeply, loops and lists that take too many steps, networks of too many operations. */
#include "base/saturate.h"
#include "frontend/lower.h"

enum { MAX_STEPS = 3000000 };

Value lower_give_up(Lower *l, Frame *f, Span span, const char *what) {
    if (l->gave_up)
        return (Value){.kind = VALUE_error};
    l->gave_up = true;
    return lower_error(l, f, span, "%s", what);
}

bool lower_spend(Lower *l, Frame *f, Span span, int64_t steps) {
    l->steps = saturating_add(l->steps, steps);
    if (l->steps > MAX_STEPS)
        lower_give_up(l, f, span, "this takes too many steps; is there no end?");
    return !l->gave_up;
}

bool lower_measure(Lower *l, Frame *f, Span span, IrGraph *graph) {
    ir_graph_measure(graph);
    if (graph->expanded > IR_MAX_EXPANDED)
        lower_give_up(l, f, span,
                      arena_printf(l->arena, "with this the network has more than %d operations", IR_MAX_EXPANDED));
    return !l->gave_up;
}

/* ---- circles ---- */
/* ", through 'b' and 'c'": the names from the last to the first; nothing when there are none. */
static const char *through(Lower *l, const char *const *names, int count) {
    Str text = str_create(l->arena);
    for (int i = count - 1; i >= 0; i--)
        str_addf(&text, "%s'%s'", i == count - 1 ? ", through " : i == 0 ? " and " : ", ", names[i]);
    return text.data;
}

Value lower_give_up_circle(Lower *l, Frame *f, Span span, const char *what, int deep) {
    const char **names = NULL;
    int count = 0, capacity = 0;
    const Ast *self = f ? f->definition : NULL;
    const Frame *again = f ? f->caller : NULL;
    for (; again && again->definition != self; again = again->caller)
        if (again->definition && again->definition->name)
            ARENA_PUSH(l->arena, names, count, capacity, again->definition->name);
    if (!again || !self || !self->name)
        return lower_give_up(l, NULL, span, arena_printf(l->arena, "%s use each other more than %d deep", what, deep));
    return lower_give_up(
        l, NULL, span, arena_printf(l->arena, "'%s' uses itself without end%s", self->name, through(l, names, count)));
}

static void report_circle(Lower *l, const Ast *definition) {
    const char **names = NULL;
    int count = 0, capacity = 0;
    for (const Pending *at = l->pending; at->definition != definition; at = at->outer)
        ARENA_PUSH(l->arena, names, count, capacity, at->definition->name);
    diag_error(l->diag, definition->name_span, "'%s' is defined by itself%s", definition->name,
               through(l, names, count));
}

bool lower_enter(Lower *l, Pending *pending, const Ast *definition) {
    for (const Pending *at = l->pending; at; at = at->outer)
        if (at->definition == definition) {
            report_circle(l, definition);
            return false;
        }
    *pending = (Pending){l->pending, definition};
    l->pending = pending;
    return true;
}

void lower_leave(Lower *l) {
    l->pending = l->pending->outer;
}
