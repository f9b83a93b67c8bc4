/* optimizer_sgd.c: SGD with momentum, as PyTorch's.
 *     g   = gradient + decay * w
 *     buf = momentum * buf + g                                    (state momentum/NAME)
 *     w   = w - rate * buf                           with nesterov: rate * (g + momentum * buf) */
#include "passes/optimizer.h"

IrNode *optimizer_step_sgd(Update *u, const IrParam *param, IrNode *w, IrNode *gradient) {
    double momentum = u->settings->momentum;
    IrNode *g = update_decayed(u, w, gradient);
    if (momentum == 0)
        return g;
    IrNode *buffer = update_state(u, 0, param);
    buffer = update_assign_state(u, buffer, update_binary(u, OP_add, update_scaled(u, momentum, buffer), g));
    return u->settings->nesterov ? update_binary(u, OP_add, g, update_scaled(u, momentum, buffer)) : buffer;
}
