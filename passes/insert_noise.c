/* insert_noise.c: puts noise on one of the candidate operations, in the training graphs of a search.
 *     %1 = mixed %x, %w {candidates=[@skip_connect_16_1, ...], ...}
 *  => %1 = mixed %x, %w {candidates=[@skip_connect_16_1_noise, ...], ...}
 * where the new function, shared by all edges, calls the old one and adds noise to its result (noise.at = "output") or
 * to its argument (noise.at = "input").
 *
 * Settings: noise.candidate, noise.distribution, noise.mixture, noise.std, noise.mean, noise.relative, noise.decay,
 * noise.at. With lambda = noise.std, d the run-time scalar noise_decay (1 unless noise.decay), z a standard normal and
 * u a uniform draw in [0, 1), expand computes, as the published implementation does:
 *
 *     Gaussian additive         y = x + d * (mean + lambda * std(x) * z)
 *     uniform additive          y = x + d * (mean + (1 - 2u) * sqrt(3 * lambda))
 *     Gaussian multiplicative   y = x * (mean + lambda * z) * d
 *     uniform multiplicative    y = x * (mean + (1 - 2u) * sqrt(3 * lambda)) * d
 *
 * std(x) is over the whole tensor, and 1 unless noise.relative; of uniform noise lambda is the variance, not relative.
 * Changes nothing in evaluation and inference, and where the text has no noise. */
#include "passes/rewrite.h"

static IrNode *add_noise(IrBuilder *b, IrNode *x, const void *data) {
    const NoiseSettings *s = data;
    IrAttr attrs[] = {
        ir_attr_string("distribution", s->distribution),
        ir_attr_string("mixture", s->mixture),
        ir_attr_float("std", s->std),
        ir_attr_float("mean", s->mean),
        ir_attr_bool("relative", s->relative),
        ir_attr_bool("decay", s->decay),
        ir_attr_string("stream", "noise"),
        ir_attr_string("scope", "parent"),
    };
    return ir_build1(b, OP_noise, x, sizeof attrs / sizeof attrs[0], attrs);
}

bool pass_insert_noise(PassContext *ctx, IrGraph *g) {
    const NoiseSettings *s = &ctx->settings.noise;
    if (!s->candidate || !graph_kind_is_training(ctx->kind) || ctx->kind == GRAPH_train)
        return false;
    bool at_input = str_equal(s->at, "input");
    return rewrite_wrap_candidates(ctx, g, "noise", s->candidate, "noise", at_input ? add_noise : NULL,
                                   at_input ? NULL : add_noise, s);
}
