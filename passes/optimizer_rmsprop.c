/* optimizer_rmsprop.c: RMSprop (Hinton, 2012), as PyTorch's.
 *     g   = gradient + decay * w
 *     v   = smoothing * v + (1 - smoothing) * g * g               (state square/NAME)
 *     buf = momentum * buf + g / (sqrt(v) + eps)                  (state momentum/NAME)
 *     w   = w - rate * buf */
#include "passes/optimizer.h"

IrNode *optimizer_step_rmsprop(Update *u, const IrParam *param, IrNode *w, IrNode *gradient) {
    const OptimizerSettings *s = u->settings;
    IrNode *g = update_decayed(u, w, gradient), *v = update_state(u, 0, param);
    IrNode *square = update_binary(u, OP_mul, update_scaled(u, 1 - s->smoothing, g), g);
    v = update_assign_state(u, v, update_binary(u, OP_add, update_scaled(u, s->smoothing, v), square));
    IrNode *root = ir_build1(&u->b, OP_sqrt, v, 0, NULL);
    IrNode *step = update_binary(u, OP_div, g, update_binary(u, OP_add, root, ir_constant(&u->b, s->eps)));
    if (s->momentum == 0 && !s->momentum_schedule)
        return step;
    IrNode *buffer = update_state(u, 1, param);
    return update_assign_state(u, buffer, update_binary(u, OP_add, update_by_momentum(u, s->momentum, buffer), step));
}
