/* optimizer_sgd.c: SGD with momentum, as PyTorch's.
 *     g   = gradient + decay * w
 *     buf = momentum * buf + (1 - dampening) * g                  (state momentum/NAME; the first time buf = g)
 *     w   = w - rate * buf                           with nesterov: rate * (g + momentum * buf)
 * 1 - dampening, which is 1 the first time, is the run-time scalar sgd_share; the momentum is one where it has a schedule. */
#include "passes/optimizer.h"

IrNode *optimizer_step_sgd(Update *u, const IrParam *param, IrNode *w, IrNode *gradient) {
    const OptimizerSettings *s = u->settings;
    IrNode *g = update_decayed(u, w, gradient);
    if (s->momentum == 0 && !s->momentum_schedule)
        return g;
    IrNode *buffer = update_state(u, 0, param);
    IrNode *share = s->dampening > 0 ? update_binary(u, OP_mul, ir_scalar(&u->b, "sgd_share"), g) : g;
    buffer =
        update_assign_state(u, buffer, update_binary(u, OP_add, update_by_momentum(u, s->momentum, buffer), share));
    return s->nesterov ? update_binary(u, OP_add, g, update_by_momentum(u, s->momentum, buffer)) : buffer;
}
