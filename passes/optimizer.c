/* optimizer.c: what optimisers build their steps with. */
#include "passes/optimizer.h"

#include "passes/rewrite.h"

IrNode *update_binary(Update *u, IrOp op, IrNode *x, IrNode *y) {
    return ir_build2(&u->b, op, x, y, 0, NULL);
}

IrNode *update_scaled(Update *u, double factor, IrNode *x) {
    return update_binary(u, OP_mul, ir_constant(&u->b, factor), x);
}

IrNode *update_by_momentum(Update *u, double otherwise, IrNode *x) {
    bool moves = u->settings->momentum_schedule != NULL;
    return update_binary(u, OP_mul, moves ? ir_scalar(&u->b, "momentum") : ir_constant(&u->b, otherwise), x);
}

IrNode *update_decayed(Update *u, IrNode *w, IrNode *gradient) {
    double decay = u->settings->decay;
    return decay != 0 ? update_binary(u, OP_add, gradient, update_scaled(u, decay, w)) : gradient;
}

void update_assign(Update *u, const char *param, IrNode *value) {
    rewrite_assign(&u->b, param, value, &u->when);
}

/* Entered in the module when it is new. */
IrNode *update_state(Update *u, int which, const IrParam *of) {
    IrParam state = {.name = arena_printf(u->ctx->arena, "%s/%s", u->row->states[which], of->name),
                     .type = of->type,
                     .kind = PARAM_optimizer,
                     .init = INIT_zeros,
                     .auxiliary = of->auxiliary,
                     .span = of->span};
    ir_module_add_param(u->g->module, state);
    return ir_param_node(&u->b, state.name, state.type);
}

IrNode *update_assign_state(Update *u, IrNode *state, IrNode *value) {
    if (!u->ahead)
        update_assign(u, ir_attr_get_string(state, "name", ""), value);
    return value;
}
