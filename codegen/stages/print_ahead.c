/* print_ahead.c: loads ahead of where they are used, so that many of them are under way at a time: first all loads of several
 * elements are printed, each with the guards around it, then what is computed from them. */
#include "codegen/stages/print_c.h"

/* A load that moves, or one in guards that agree on what is outside. */
static bool is_read(const CgScalar *s, uint32_t mask) {
    if (s->kind != SCALAR_guard)
        return s->kind == SCALAR_load && s->axes & mask;
    const CgScalar *inside = s->args[0];
    return s->args[1]->kind == SCALAR_constant && is_read(inside, mask) &&
           (inside->kind == SCALAR_load || inside->args[1] == s->args[1]);
}

/* ---- which ---- */

/* What has been met, and the guard around it: what stands in different ones cannot be loaded once for all. */
typedef struct Ahead {
    uint32_t mask;
    int met_count, read_count;
    const CgScalar *met[2 * CG_MOST_AHEAD], *around[2 * CG_MOST_AHEAD], **reads;
    bool possible;
} Ahead;

/* For the first time? */
static bool meet(Ahead *a, const CgScalar *s, const CgScalar *around) {
    for (int i = 0; i < a->met_count; i++) {
        if (a->met[i] != s)
            continue;
        a->possible = a->possible && a->around[i] == around;
        return false;
    }
    a->possible = a->possible && a->met_count < 2 * CG_MOST_AHEAD;
    if (!a->possible)
        return false;
    a->met[a->met_count] = s;
    a->around[a->met_count++] = around;
    return true;
}

static void add_read(Ahead *a, const CgScalar *s, const CgScalar *around) {
    if (!meet(a, s, around))
        return;
    a->possible = a->read_count < CG_MOST_AHEAD;
    if (a->possible)
        a->reads[a->read_count++] = s;
}

static void find_reads(Ahead *a, const CgScalar *s, const CgScalar *around) {
    if (!(s->axes & a->mask) || s->kind == SCALAR_reduce)
        return;
    if (is_read(s, a->mask)) {
        add_read(a, s, around);
    } else if (s->kind == SCALAR_guard) {
        if (s->args[1]->axes & a->mask)
            a->possible = false;
        else if (meet(a, s, around))
            find_reads(a, s->args[0], s);
    } else {
        for (int i = 0; i < s->arg_count && a->possible; i++)
            find_reads(a, s->args[i], around);
    }
}

int cg_c_find_ahead(const CgScalar *s, uint32_t mask, const CgScalar *reads[CG_MOST_AHEAD]) {
    Ahead a = {.mask = mask, .reads = reads, .possible = true};
    find_reads(&a, s, NULL);
    return a.possible ? a.read_count : 0;
}

/* ---- printing ---- */

typedef struct Loads {
    CgPrinter *p;
    uint32_t mask;
    int count;
    const CgScalar *reads[CG_MOST_AHEAD];
    const char *const *names;
    bool printed[CG_MOST_AHEAD];
} Loads;

/* Where a guard holds, what is behind it: opens a block; false: nowhere. */
static bool open_guard(CgPrinter *p, const CgScalar *guard) {
    bool never, lanes;
    const char *test = cg_c_condition(p, guard, &never, &lanes);
    if (lanes)
        bug("the lanes of a vector are not loaded together");
    if (!never)
        cg_c_open(p, *test ? "if (%s)" : "%s", test);
    return !never;
}

static void print_load(CgPrinter *p, const CgScalar *s, const char *name) {
    if (s->kind == SCALAR_load) {
        cg_c_line(p, "%s = %s;", name, cg_c_print_scalar(p, s));
    } else if (open_guard(p, s)) {
        print_load(p, s->args[0], name);
        cg_c_close(p);
    }
}

static void print_read(Loads *l, int number) {
    const CgScalar *s = l->reads[number];
    if (l->printed[number])
        return;
    l->printed[number] = true;
    if (s->kind == SCALAR_guard) {
        const CgScalar *outside = s->args[1];
        bool vector = cg_c_is_vector(l->p, s);
        cg_c_line(l->p, "%s = %s;", l->names[number],
                  vector ? cg_c_print_vector(l->p, outside) : cg_c_print_scalar(l->p, outside));
    }
    print_load(l->p, s, l->names[number]);
}

static void print_loads(Loads *l, const CgScalar *s) {
    if (!(s->axes & l->mask) || s->kind == SCALAR_reduce)
        return;
    for (int i = 0; i < l->count; i++) {
        if (l->reads[i] == s) {
            print_read(l, i);
            return;
        }
    }
    if (s->kind == SCALAR_guard) {
        if (!open_guard(l->p, s))
            return;
        print_loads(l, s->args[0]);
        cg_c_close(l->p);
        return;
    }
    for (int i = 0; i < s->arg_count; i++)
        print_loads(l, s->args[i]);
}

void cg_c_load_ahead(CgPrinter *p, const CgScalar *s, uint32_t mask, const char *const *names) {
    Loads l = {.p = p, .mask = mask, .names = names};
    l.count = cg_c_find_ahead(s, mask, l.reads);
    print_loads(&l, s);
}

void cg_c_use_ahead(CgPrinter *p, const CgScalar *s, uint32_t mask, const char *const *names) {
    const CgScalar *reads[CG_MOST_AHEAD];
    int count = cg_c_find_ahead(s, mask, reads);
    for (int i = 0; i < count; i++)
        cg_c_use_name(p, reads[i], names[i]);
}

/* A guard that asks for more than where it moves to may hold what must not be computed elsewhere. */
static bool only_moves(const CgScalar *guard, uint32_t mask) {
    for (int i = 0; i < guard->index_count; i++)
        if (!(cg_index_axes(&guard->index[i]) & mask))
            return false;
    return true;
}

void cg_c_hoist_still(CgPrinter *p, const CgScalar *s, uint32_t mask) {
    if (s->kind == SCALAR_constant || s->kind == SCALAR_index || s->kind == SCALAR_reduce)
        return;
    if (!(s->axes & mask))
        cg_c_print_scalar(p, s);
    else if (s->kind != SCALAR_guard || only_moves(s, mask))
        for (int i = 0; i < s->arg_count; i++)
            cg_c_hoist_still(p, s->args[i], mask);
}
