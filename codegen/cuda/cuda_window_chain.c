/* cuda_window_chain.c: an expression that needs no more of several windows than their sum: each is a term of one chain of
 * additions. Then a thread adds the taps of all of them up in one place, which takes a quarter of the registers. */
#include "codegen/cuda/cuda_window.h"

typedef struct Chain {
    CgBuild *b;
    int count;
    CgScalar *const *results;
    int met;        /* windows in chains */
    bool scattered; /* one stands elsewhere, or not all in one chain */
} Chain;

static int find_result(const Chain *c, const CgScalar *s) {
    int i = 0;
    while (i < c->count && c->results[i] != s)
        i++;
    return i;
}

static bool is_sum(const CgScalar *s) {
    return s->kind == SCALAR_op && s->op == OP_add;
}

static void look_at(Chain *c, CgScalar *s);

/* The windows among the terms. */
static int look_at_terms(Chain *c, CgScalar *s) {
    int found = 0;
    for (int i = 0; i < 2; i++) {
        CgScalar *term = s->args[i];
        if (is_sum(term))
            found += look_at_terms(c, term);
        else if (find_result(c, term) < c->count)
            found++;
        else
            look_at(c, term);
    }
    return found;
}

static void look_at(Chain *c, CgScalar *s) {
    if (is_sum(s)) {
        int found = look_at_terms(c, s);
        c->met += found;
        c->scattered = c->scattered || (found && found != c->count);
        return;
    }
    c->scattered = c->scattered || find_result(c, s) < c->count;
    for (int i = 0; i < s->arg_count; i++)
        look_at(c, s->args[i]);
}

/* The same without the windows but the first; NULL: nothing is left. */
static CgScalar *leave_first(const Chain *c, CgScalar *s) {
    if (find_result(c, s) < c->count)
        return s == c->results[0] ? s : NULL;
    if (s->kind != SCALAR_op)
        return s;
    CgScalar *args[3];
    for (int i = 0; i < s->arg_count; i++)
        args[i] = leave_first(c, s->args[i]);
    if (is_sum(s) && (!args[0] || !args[1]))
        return args[0] ? args[0] : args[1];
    return cg_op(c->b, s->op, s->arg_count, args);
}

CgScalar *window_join_results(CgBuild *b, int count, CgScalar *const *results, CgScalar *value) {
    Chain c = {.b = b, .count = count, .results = results};
    look_at(&c, value);
    return count > 1 && !c.scattered && c.met == count ? leave_first(&c, value) : NULL;
}
