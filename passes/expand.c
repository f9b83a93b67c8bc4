/* expand.c: lowers a step graph to primitive operations.
 *     %1 = mixed %x, %w {candidates=[@a, @b], name="cells.0._ops.0"}
 *  => (nodes of @a)  (nodes of @b)  %s = a * %w[0] + b * %w[1]
 * Calls and candidates are inlined; batch norm, softmax, cross entropy, noise and drop path become arithmetic
 * (expand_norm.c, expand_random.c). In inference batch norm uses running statistics, noise and drop path are the
 * identity.
 * - Names: a call prefixes the parameters inside with its own name; candidate i of a mixed operation NAME with
 *   NAME._ops.i; what begins with '^' gets NAME instead. An edge whose parameters are called otherwise says so (params);
 *   its draws and its tag keep NAME.
 * - Tags: everything made from a mixed operation or a call with edge=true carries its name; what is made from another
 *   call carries the name of the outermost named call.
 * - The module's table of parameters is filled here, in the order of first mention.
 * - Of a mixed operation with chosen=true the candidate of the largest weight alone is needed:
 *       %c = argmax %w     %s = choose %c, a * %w[0], b * %w[1]
 *   and what is assigned in a candidate (running statistics) is assigned where it is chosen.
 * Sums are added left to right, in the order of the candidates. A candidate that is zero everywhere (`none`) adds no
 * term. */
#include "passes/expand.h"

enum { MAX_CALL_DEPTH = 100 };

/* ops.def's column "expand", none meaning that the op is no HIGH one. */
#define expand_none NULL
static ExpandFunction *const expand_functions[OP_COUNT] = {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    [OP_##id] = expand_##expand,
#include "ir/ops.def"
#undef OP
};

/* ---- parameters ---- */

/* ---- random numbers ---- */

/* ---- inlining ---- */

static IrNode *copy_primitive(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    if (ir_param_read(n))
        return expand_parameter(e, frame, expand_resolve_name(e, frame, ir_attr_get_string(n, "name", "")), n->type,
                                ir_attr_get_string(n, "kind", "weight"), ir_attr_get_string(n, "init", "zeros"),
                                ir_attr_get_float(n, "scale", 0));
    if (n->op == OP_draw)
        return expand_draw(e, frame, n, ir_attr_get_string(n, "distribution", ""), n->type,
                           n->input_count ? inputs[0] : NULL);
    return ir_build(&e->b, n->op, &n->type, n->input_count, inputs, n->attr_count, n->attrs);
}

/* n in terms of primitives, before e->b.before. */
static IrNode *lower_node(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    e->b.span = n->span;
    e->b.tag = n->tag ? n->tag : frame->tag;
    ExpandFunction *lower = expand_functions[n->op];
    return lower ? lower(e, frame, n, inputs) : copy_primitive(e, frame, n, inputs);
}

/* The nodes of a function with its arguments replaced; scratch of its nodes holds what became of them meanwhile. */
static IrNode *inline_function(Expander *e, const ExpandFrame *frame, const char *name, IrNode *const *args) {
    IrGraph *f = ir_graph_find(e->ctx->module, name);
    if (!f || f->output_count != 1)
        bug("no function '@%s' with one result", name);
    if (++e->depth > MAX_CALL_DEPTH)
        bug("function '@%s' calls itself", name);
    for (int i = 0; i < f->arg_count; i++)
        f->args[i]->scratch = args[i];
    for (IrNode *n = f->first; n; n = n->next) {
        if (n->op == OP_input)
            continue;
        IrNode **inputs = ARENA_ARRAY(e->ctx->arena, IrNode *, n->input_count + 1);
        for (int i = 0; i < n->input_count; i++)
            inputs[i] = n->inputs[i]->scratch;
        n->scratch = lower_node(e, frame, n, inputs);
    }
    e->depth--;
    return f->outputs[0].value->scratch;
}

IrNode *expand_call(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    ExpandFrame inner = *frame;
    const char *name = expand_resolve_name(e, frame, ir_attr_get_string(n, "name", ""));
    const char *params = ir_attr_get_string(n, "params", NULL);
    inner.prefix = params ? expand_resolve_name(e, frame, params) : name;
    if (!inner.tag && name[0])
        inner.tag = name;
    if (ir_attr_get_int(n, "edge", 0)) {
        inner.parent = name;
        inner.tag = name;
    }
    return inline_function(e, &inner, ir_attr(n, "callee")->symbols[0], inputs);
}

IrNode *expand_in_training(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    return graph_kind_is_training(e->ctx->kind) ? expand_call(e, frame, n, inputs) : inputs[0];
}

IrNode *expand_auxiliary(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    ExpandFrame inner = *frame;
    inner.auxiliary = true;
    return expand_call(e, &inner, n, inputs);
}

/* A constant zero, whatever its shape. */
static bool is_zero(const IrNode *n) {
    while (n->op == OP_broadcast || n->op == OP_reshape || n->op == OP_slice || n->op == OP_pad)
        n = n->inputs[0];
    return ir_is_constant(n, 0);
}

/* Candidate i times its weight; the candidate itself where it is zero. */
static IrNode *weighted_candidate(Expander *e, const ExpandFrame *inner, const IrNode *n, IrNode *const *inputs,
                                  int i) {
    ExpandFrame own = *inner;
    own.prefix = arena_printf(e->ctx->arena, "%s.%d", inner->prefix, i);
    IrNode *value = inline_function(e, &own, ir_attr(n, "candidates")->symbols[i], inputs);
    e->b.span = n->span;
    e->b.tag = inner->tag;
    if (is_zero(value))
        return value;
    IrAttr at[] = {ir_attr_int("axis", 0), ir_attr_int("at", i)};
    IrNode *weight = ir_build1(&e->b, OP_index, inputs[1], 2, at);
    return rewrite_binary(&e->b, OP_mul, value, weight);
}

static IrNode *sum_of_candidates(Expander *e, ExpandFrame *inner, const IrNode *n, IrNode *const *inputs) {
    int count = ir_attr(n, "candidates")->count;
    IrNode *sum = NULL, *zero = NULL;
    for (int i = 0; i < count; i++) {
        IrNode *term = weighted_candidate(e, inner, n, inputs, i);
        if (is_zero(term))
            zero = term;
        else
            sum = sum ? rewrite_binary(&e->b, OP_add, sum, term) : term;
    }
    return sum ? sum : zero;
}

/* That of the largest weight. What the others would compute and assign is not needed then. */
static IrNode *chosen_candidate(Expander *e, ExpandFrame *inner, const IrNode *n, IrNode *const *inputs) {
    int count = ir_attr(n, "candidates")->count;
    IrNode **operands = ARENA_ARRAY(e->ctx->arena, IrNode *, count + 1);
    operands[0] = ir_build1(&e->b, OP_argmax, inputs[1], 0, NULL);
    for (int i = 0; i < count; i++) {
        inner->when = (IrCondition){operands[0], UINT64_C(1) << i, count};
        operands[1 + i] = weighted_candidate(e, inner, n, inputs, i);
    }
    return ir_build(&e->b, OP_choose, NULL, count + 1, operands, 0, NULL);
}

IrNode *expand_mixed(Expander *e, const ExpandFrame *frame, const IrNode *n, IrNode *const *inputs) {
    ExpandFrame inner = *frame;
    inner.parent = inner.tag = expand_resolve_name(e, frame, ir_attr_get_string(n, "name", ""));
    const char *params = ir_attr_get_string(n, "params", NULL);
    inner.prefix =
        params ? expand_resolve_name(e, frame, params) : arena_printf(e->ctx->arena, "%s._ops", inner.parent);
    bool chosen = ir_attr_get_int(n, "chosen", 0);
    return (chosen ? chosen_candidate : sum_of_candidates)(e, &inner, n, inputs);
}

/* ---- the pass ---- */

/* Nodes of the step graph itself stay as they are, apart from the names of streams. */
static bool stays(Expander *e, const IrNode *n) {
    if (n->op == OP_draw)
        return !ir_attr(n, "scope") && !expand_is_fed(e->ctx, ir_attr_get_string(n, "stream", ""));
    return !expand_functions[n->op];
}

bool pass_expand(PassContext *ctx, IrGraph *g) {
    Expander e = {.ctx = ctx, .graph = g, .b = {.graph = g}};
    ExpandFrame top = {.prefix = "", .parent = ""};
    bool changed = false;
    ir_clear_scratch(g);
    for (IrNode *n = g->first; n; n = n->next) {
        rewrite_forward_inputs(n);
        if (ir_param_read(n))
            expand_enter_parameter(ctx, n);
        if (stays(&e, n))
            continue;
        e.b.before = n;
        n->scratch = lower_node(&e, &top, n, n->inputs);
        n->mark = 1;
        changed = true;
    }
    ir_replace_uses_by_scratch(g);
    rewrite_remove_marked(g);
    return changed;
}
