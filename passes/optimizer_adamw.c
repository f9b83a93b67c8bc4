/* optimizer_adamw.c: Adam with decoupled decay (Loshchilov and Hutter, 2019), as PyTorch's AdamW.
 *     m = beta1 * m + (1 - beta1) * gradient                      (state adam_m/NAME)
 *     v = beta2 * v + (1 - beta2) * gradient^2                    (state adam_v/NAME)
 *     w = w - rate * ((m / adam_bias1) / (sqrt(v / adam_bias2) + eps) + decay * w) */
#include "passes/optimizer.h"

IrNode *optimizer_step_adamw(Update *u, const IrParam *param, IrNode *w, IrNode *gradient) {
    IrNode *step = optimizer_adam_direction(u, param, gradient);
    return update_decayed(u, w, step);
}
