/* optimizer_adam.c: Adam, decay added to the gradient (not decoupled).
 *     g = gradient + decay * w
 *     m = beta1 * m + (1 - beta1) * g                             (state adam_m/NAME)
 *     v = beta2 * v + (1 - beta2) * g * g                         (state adam_v/NAME)
 *     w = w - rate * (m / adam_bias1) / (sqrt(v / adam_bias2) + eps)
 * With amsgrad the largest v so far stands for v there                  (state adam_v_most/NAME).
 * adam_bias1 = 1 - beta1^t and adam_bias2 = 1 - beta2^t are run-time scalars, t = 1, 2, ... the number of the update. */
#include "passes/optimizer.h"

IrNode *optimizer_adam_direction(Update *u, const IrParam *param, IrNode *g) {
    const OptimizerSettings *s = u->settings;
    IrNode *m = update_state(u, 0, param), *v = update_state(u, 1, param);
    IrNode *share = s->momentum_schedule ? update_binary(u, OP_sub, g, update_by_momentum(u, s->beta1, g))
                                         : update_scaled(u, 1 - s->beta1, g);
    m = update_assign_state(u, m, update_binary(u, OP_add, update_by_momentum(u, s->beta1, m), share));
    IrNode *square = update_binary(u, OP_mul, update_scaled(u, 1 - s->beta2, g), g);
    v = update_assign_state(u, v, update_binary(u, OP_add, update_scaled(u, s->beta2, v), square));
    if (s->amsgrad) {
        IrNode *most = update_state(u, 2, param);
        v = update_assign_state(u, most, update_binary(u, OP_max, most, v));
    }
    IrNode *root = ir_build1(&u->b, OP_sqrt, update_binary(u, OP_div, v, u->scalars[1]), 0, NULL);
    IrNode *divisor = update_binary(u, OP_add, root, ir_constant(&u->b, s->eps));
    return update_binary(u, OP_div, update_binary(u, OP_div, m, u->scalars[0]), divisor);
}

IrNode *optimizer_step_adam(Update *u, const IrParam *param, IrNode *w, IrNode *gradient) {
    return optimizer_adam_direction(u, param, update_decayed(u, w, gradient));
}
