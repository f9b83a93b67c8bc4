/* schedule_shuffle.c: channels in another order, from memory to memory.
 *
 *     for the result's axes but the channels:
 *         for c in 0 .. each: for g in 0 .. groups:  result[c * groups + g] = operand[g * each + c]
 *
 * Loops with constant extents instead of a choice at every element, which is what the general description is. */
#include "codegen/c/emit_c.h"

/* Its operand and its result lie in memory with the channels innermost. */
static bool fits(const CgProgram *program, const CgStep *step) {
    const IrNode *n = step->node;
    if (n->op != OP_shuffle || step->partial)
        return false;
    const CgBuffer *from = program->buffer_of[n->inputs[0]->id];
    int last = n->type.rank - 1;
    return from && from->stride[last] == 1 && step->out->stride[last] == 1 &&
           from->type.dtype == step->out->type.dtype && !n->inputs[0]->inlined;
}

bool cg_schedule_shuffle(CgEmitC *e, CgProgram *program, CgStep *step) {
    if (!fits(program, step))
        return false;
    const CgBuffer *from = program->buffer_of[step->node->inputs[0]->id];
    int last = step->node->type.rank - 1, opened = 0;
    int64_t groups = ir_attr_get_int(step->node, "groups", 1), each = step->node->type.dim[last] / groups;
    CgIndex index[IR_MAX_RANK];
    Str body = str_create(e->arena);
    CgPrinter *p = cg_emit_begin(e, &body, step);
    for (int a = 0; a <= last; a++) {
        index[a] = a == last ? cg_index_constant(0) : cg_index_axis(a);
        if (a == last || step->axes[a].extent == 1 || (a == 0 && e->stage->domain == DOMAIN_images))
            continue;
        cg_c_open_axis(p, a);
        opened++;
    }
    p->axis_name[last] = "0";
    const char *to = arena_printf(p->arena, "%s + c * %lld + g", cg_c_result_offset(p), (long long)groups);
    const char *at = arena_printf(p->arena, "%s + g * %lld + c", cg_c_offset(p, from, index), (long long)each);
    cg_c_open(p, "for (int64_t c = 0; c < %lld; c++)", (long long)each);
    cg_c_open(p, "for (int64_t g = 0; g < %lld; g++)", (long long)groups);
    cg_c_store(p, step->out, to, cg_c_load_text(p, from, at), false);
    cg_c_close(p);
    cg_c_close(p);
    while (opened--)
        cg_c_close(p);
    cg_emit_end(e, p);
    return true;
}
