/* forward_copy.c: copies a forward pass node by node; see forward_copy.h.
 *     %1 = param {name="w"}                     (what copy->params has for w)
 *     %2 = draw {stream="noise.P"}        =>    %2' = draw {stream="noise.P.pass2"}   !{tag="pass2/..."}
 *     %3 = conv2d %x, %1                        %3' = conv2d %x_valid, %w'
 *     %4 = assign %m {param="m"}                (m' is entered in copy->assigned) */
#include "passes/forward_copy.h"
#include "passes/rewrite.h"

#include <string.h>

ForwardPass forward_pass_of(Arena *arena, IrGraph *g) {
    ForwardPass pass = {0};
    for (IrNode *n = g->first; n; n = n->next)
        ARENA_PUSH(arena, pass.nodes, pass.count, pass.capacity, n);
    return pass;
}

const char *forward_copy_tag(const ForwardCopy *copy) {
    return copy->pass[0] ? arena_printf(copy->arena, "%s/", copy->pass) : NULL;
}

/* Inputs that stand for draws are called by their streams, which have a dot in their names; images and labels have
 * none. */
static IrNode *copy_input(ForwardCopy *copy, const IrNode *n) {
    const char *name = ir_attr_get_string(n, "name", "");
    const char *behind = strchr(name, '.') ? copy->draws : copy->images;
    return rewrite_add_input(copy->g, arena_printf(copy->arena, "%s%s", name, behind), n->type);
}

static IrNode *copy_node(ForwardCopy *copy, IrBuilder *b, const IrNode *n) {
    IrNode **inputs = ARENA_ARRAY(copy->arena, IrNode *, n->input_count + 1);
    for (int i = 0; i < n->input_count; i++)
        inputs[i] = n->inputs[i]->scratch;
    IrNode *made = ir_build(b, n->op, &n->type, n->input_count, inputs, n->attr_count, n->attrs);
    const char *stream = n->op == OP_draw ? ir_attr_get_string(n, "stream", "") : NULL;
    if (stream && copy->draws[0])
        ir_attr_set(made, ir_attr_string("stream", arena_printf(copy->arena, "%s%s", stream, copy->draws)));
    return made;
}

static IrNode *copy_parameter(ForwardCopy *copy, IrBuilder *b, const IrNode *n) {
    IrNode *known = str_map_get(&copy->params, ir_param_read(n));
    IrNode *read = known ? known : copy_node(copy, b, n);
    if (!known)
        str_map_set(&copy->params, ir_param_read(n), read);
    return read;
}

static IrNode *copy_any(ForwardCopy *copy, IrBuilder *b, IrNode *n) {
    IrNode *perturbed = n->op == OP_perturb ? str_map_get(&copy->perturbed, ir_attr_get_string(n, "name", "")) : NULL;
    if (n->op == OP_perturb)
        return perturbed ? perturbed : n->inputs[0]->scratch;
    if (n->op == OP_input)
        return copy_input(copy, n);
    if (ir_param_read(n))
        return copy_parameter(copy, b, n);
    if (!ir_param_written(n))
        return copy_node(copy, b, n);
    if (copy->assigns)
        copy_node(copy, b, n);
    str_map_set(&copy->assigned, ir_param_written(n), n->inputs[0]->scratch);
    return n->inputs[0]->scratch;
}

void forward_copy(ForwardCopy *copy, const ForwardPass *pass) {
    IrBuilder b = {.graph = copy->g};
    const char *own = forward_copy_tag(copy);
    for (int i = 0; i < pass->count; i++) {
        IrNode *n = pass->nodes[i];
        b.span = n->span;
        b.tag = own && n->tag ? arena_printf(copy->arena, "%s%s", own, n->tag) : own ? own : n->tag;
        n->scratch = copy_any(copy, &b, n);
    }
}

void forward_remove(const ForwardPass *pass) {
    for (int i = pass->count - 1; i >= 0; i--)
        if (pass->nodes[i]->op != OP_input)
            ir_node_remove(pass->nodes[i]);
}
