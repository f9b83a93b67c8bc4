/* expand_sources.c: parameters and draws by the names that they have in the step graph; see expand.h. */
#include "passes/expand.h"

static const char *join_names(Arena *arena, const char *prefix, const char *name) {
    if (!prefix[0] || !name[0])
        return prefix[0] ? prefix : name;
    return arena_printf(arena, "%s.%s", prefix, name);
}

const char *expand_resolve_name(Expander *e, const ExpandFrame *frame, const char *name) {
    if (name[0] == '^')
        return join_names(e->ctx->arena, frame->parent, name + 1);
    return join_names(e->ctx->arena, frame->prefix, name);
}

void expand_enter_parameter(PassContext *ctx, const IrNode *n) {
    IrParam param = {
        .name = ir_attr_get_string(n, "name", ""),
        .type = n->type,
        .init_scale = ir_attr_get_float(n, "scale", 0),
        .auxiliary = ir_attr_get_int(n, "auxiliary", 0) != 0,
        .span = n->span,
    };
    const char *kind = ir_attr_get_string(n, "kind", "weight"), *init = ir_attr_get_string(n, "init", "zeros");
    if (!ir_param_kind_parse(kind, &param.kind) || !ir_init_parse(init, &param.init))
        bug("parameter '%s' of kind '%s' begins as '%s'", param.name, kind, init);
    const IrParam *known = ir_module_find_param(ctx->module, param.name);
    if (!known)
        ir_module_add_param(ctx->module, param);
    else if (!ir_type_equal(&known->type, &param.type))
        diag_error(ctx->diag, n->span, "parameter '%s' is used as %s and as %s", param.name,
                   ir_type_string(ctx->arena, &known->type), ir_type_string(ctx->arena, &param.type));
}

IrNode *expand_parameter(Expander *e, const ExpandFrame *frame, const char *name, IrType type, const char *kind,
                         const char *init, double scale) {
    IrAttr attrs[5] = {ir_attr_string("name", name), ir_attr_string("kind", kind), ir_attr_string("init", init)};
    int count = 3;
    if (scale != 0)
        attrs[count++] = ir_attr_float("scale", scale);
    if (frame->auxiliary)
        attrs[count++] = ir_attr_bool("auxiliary", true);
    IrNode *p = ir_build0(&e->b, OP_param, type, count, attrs);
    expand_enter_parameter(e->ctx, p);
    return p;
}

bool expand_is_fed(const PassContext *ctx, const char *stream) {
    for (int i = 0; i < ctx->fed_stream_count; i++) {
        if (str_equal(ctx->fed_streams[i], stream))
            return true;
    }
    return false;
}

IrNode *expand_draw(Expander *e, const ExpandFrame *frame, const IrNode *n, const char *distribution, IrType type,
                    IrNode *keep) {
    const char *stream = ir_attr_get_string(n, "stream", "");
    const char *scope = ir_attr_get_string(n, "scope", NULL);
    bool of_edge = scope && str_equal(scope, "parent") && frame->parent[0];
    if (scope)
        stream = join_names(e->ctx->arena, stream, of_edge ? frame->parent : frame->prefix);
    return expand_stream(e, stream, distribution, type, keep);
}

IrNode *expand_stream(Expander *e, const char *stream, const char *distribution, IrType type, IrNode *keep) {
    if (expand_is_fed(e->ctx, stream))
        return rewrite_add_input(e->graph, stream, type);
    IrAttr attrs[] = {ir_attr_string("stream", stream), ir_attr_string("distribution", distribution)};
    return ir_build(&e->b, OP_draw, &type, keep ? 1 : 0, &keep, 2, attrs);
}
