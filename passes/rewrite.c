/* rewrite.c: what several passes need to change a graph. */
#include "passes/rewrite.h"

#include <ctype.h>
#include <string.h>

IrNode *rewrite_add_input(IrGraph *g, const char *name, IrType type) {
    IrNode *known = ir_graph_find_arg(g, name);
    return known ? known : ir_graph_add_arg(g, name, type, g->span);
}

static bool begins_with_name(const char *function, const char *op) {
    size_t length = strlen(op);
    return strncmp(function, op, length) == 0 && (function[length] == '_' || function[length] == 0);
}

/* "_16", "_16_1", ..., or nothing at all. */
static bool is_number_next(const char *rest) {
    if (*rest == 0)
        return true;
    for (rest++; isdigit((unsigned char)*rest); rest++)
        continue;
    return isdigit((unsigned char)rest[-1]) && (*rest == '_' || *rest == 0);
}

bool rewrite_is_instance_of(const IrModule *module, const char *function, const char *op) {
    if (!begins_with_name(function, op))
        return false;
    bool known = false;
    for (int i = 0; i < module->setting_count; i++) {
        const IrSetting *setting = &module->settings[i];
        if (!str_starts_with(setting->key, "space.candidates") || setting->value.kind != ATTR_symbols)
            continue;
        for (int j = 0; j < setting->value.count; j++) {
            const char *other = setting->value.symbols[j];
            if (strlen(other) > strlen(op) && begins_with_name(function, other))
                return false;
            known |= str_equal(other, op);
        }
    }
    return known || is_number_next(function + strlen(op));
}

/* Moves the module's last graph to just behind the graph called name, so that a printed module reads bottom up. */
static void move_last_graph_behind(IrModule *module, const char *name) {
    int last = module->graph_count - 1;
    int at = last;
    IrGraph *moved = module->graphs[last];
    while (at > 1 && !str_equal(module->graphs[at - 1]->name, name))
        at--;
    if (!str_equal(module->graphs[at - 1]->name, name))
        return;
    memmove(module->graphs + at + 1, module->graphs + at, sizeof(IrGraph *) * (size_t)(last - at));
    module->graphs[at] = moved;
}

const char *rewrite_wrap_function(PassContext *ctx, const char *callee, const char *suffix, RewriteWrap *after,
                                  const void *data) {
    const char *name = arena_printf(ctx->arena, "%s_%s", callee, suffix);
    if (ir_graph_find(ctx->module, name))
        return name;
    IrGraph *inner = ir_graph_find(ctx->module, callee);
    if (!inner)
        bug("no function '@%s'", callee);
    IrGraph *w = ir_graph_create(ctx->module, name);
    w->span = inner->span;
    IrBuilder b = {.graph = w, .span = inner->span};
    IrNode **args = ARENA_ARRAY(ctx->arena, IrNode *, inner->arg_count + 1);
    for (int i = 0; i < inner->arg_count; i++)
        args[i] = rewrite_add_input(w, ir_attr_get_string(inner->args[i], "name", "x"), inner->args[i]->type);
    IrAttr attrs[] = {ir_attr_symbols("callee", 1, &callee), ir_attr_string("name", "")};
    IrNode *y = ir_build(&b, OP_call, NULL, inner->arg_count, args, 2, attrs);
    ir_graph_add_output(w, "", after(&b, y, data));
    move_last_graph_behind(ctx->module, callee);
    return name;
}

/* What stands behind the operation's name, "_16_1_noise_drop", has the suffix. */
static bool is_wrapped(const char *rest, const char *suffix) {
    size_t length = strlen(suffix);
    for (const char *at = rest; (at = strchr(at, '_')); at++) {
        if (strncmp(at + 1, suffix, length) == 0 && (at[length + 1] == 0 || at[length + 1] == '_'))
            return true;
    }
    return false;
}

bool rewrite_wrap_candidates(PassContext *ctx, IrGraph *g, const char *what, const char *op, const char *suffix,
                             RewriteWrap *after, const void *data) {
    int mixed = 0, found = 0, changed = 0;
    for (IrNode *n = g->first; n; n = n->next) {
        if (n->op != OP_mixed)
            continue;
        mixed++;
        const IrAttr *old = ir_attr(n, "candidates");
        const char **names = ARENA_ARRAY(ctx->arena, const char *, old->count);
        int old_changed = changed;
        for (int i = 0; i < old->count; i++) {
            names[i] = old->symbols[i];
            if (!rewrite_is_instance_of(ctx->module, names[i], op))
                continue;
            found++;
            if (is_wrapped(names[i] + strlen(op), suffix))
                continue;
            names[i] = rewrite_wrap_function(ctx, names[i], suffix, after, data);
            changed++;
        }
        if (changed > old_changed)
            ir_attr_set(n, ir_attr_symbols("candidates", old->count, names));
    }
    if (mixed && !found)
        diag_error(ctx->diag, g->span, "%s on '%s', which is no candidate of any mixed operation of '@%s'", what, op,
                   g->name);
    return changed > 0;
}

IrNode *rewrite_unary(IrBuilder *b, IrOp op, IrNode *x) {
    return ir_build1(b, op, x, 0, NULL);
}

IrNode *rewrite_binary(IrBuilder *b, IrOp op, IrNode *x, IrNode *y) {
    return ir_build2(b, op, x, y, 0, NULL);
}

IrNode *rewrite_reduce(IrBuilder *b, IrOp op, IrNode *x, int begin, int end, bool keep) {
    int64_t axes[IR_MAX_RANK];
    for (int i = begin; i < end; i++)
        axes[i - begin] = i;
    IrAttr attrs[] = {ir_attr_ints("axes", end - begin, axes), ir_attr_bool("keep", true)};
    return ir_build1(b, op, x, keep ? 2 : 1, attrs);
}

static IrNode *zeros(IrBuilder *b, const IrType *type) {
    IrAttr shape = ir_attr_ints("shape", type->rank, type->dim);
    IrNode *zero = ir_constant(b, 0);
    return type->rank ? ir_build1(b, OP_broadcast, zero, 1, &shape) : zero;
}

IrNode *rewrite_choose(IrBuilder *b, IrNode *choice, int count, IrNode *const *cases, const IrType *type) {
    IrNode *operands[IR_MAX_CASES + 1] = {choice}, *zero = NULL;
    for (int c = 0; c < count; c++) {
        if (!cases[c] && !zero)
            zero = zeros(b, type);
        operands[1 + c] = cases[c] ? cases[c] : zero;
    }
    return ir_build(b, OP_choose, NULL, count + 1, operands, 0, NULL);
}

void rewrite_assign(IrBuilder *b, const char *param, IrNode *value, const IrCondition *when) {
    int64_t cases[IR_MAX_CASES];
    int count = 0;
    for (int c = 0; when->choice && c < IR_MAX_CASES; c++)
        if (when->cases >> c & 1)
            cases[count++] = c;
    IrAttr attrs[] = {ir_attr_string("param", param), ir_attr_ints("cases", count, cases)};
    ir_build(b, OP_assign, NULL, when->choice ? 2 : 1, (IrNode *[]){value, when->choice}, when->choice ? 2 : 1, attrs);
}

void rewrite_remove_marked(IrGraph *g) {
    for (IrNode *n = g->last, *before; n; n = before) {
        before = n->prev;
        if (n->mark)
            ir_node_remove(n);
        n->mark = 0;
    }
}

void rewrite_forward_inputs(IrNode *n) {
    for (int i = 0; i < n->input_count; i++) {
        if (n->inputs[i]->scratch)
            n->inputs[i] = n->inputs[i]->scratch;
    }
}
