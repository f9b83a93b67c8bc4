/* step.c: the rules of the run-time scalars, and the numbers of draws. With part the part of the run that is done:
 *
 *     cosine    min + (max - min) * (1 + cos(pi * part)) / 2
 *     linear    max + (min - max) * part
 *     constant  max
 *
 * in the first warm_up epochs of a training times what of them is done at the step's end. */
#include "runtime/driver/step.h"

#include "base/str.h"

#include <math.h>

/* What the rules read. */
typedef struct Rules {
    const IrModule *settings;
    const RtPosition *at;
    bool is_search; /* else a training */
} Rules;

static Rules make_rules(const IrModule *settings, const RtPosition *at) {
    bool is_search = str_equal(ir_module_get_string(settings, "kind", "network"), "search");
    return (Rules){.settings = settings, .at = at, .is_search = is_search};
}

static double number(const Rules *r, const char *key, double otherwise) {
    return ir_module_get_float(r->settings, key, otherwise);
}

static const double pi = 3.14159265358979323846;

/* The 50 is the published code's, whatever the number of epochs. */
static double noise_decay(const Rules *r) {
    return r->is_search ? (1.0 + cos(pi * (double)r->at->epoch / 50.0)) / 2.0 : 1;
}

/* For update number t = 1, 2, ... */
static double adam_bias(const Rules *r, const char *beta, double otherwise) {
    return 1.0 - pow(number(r, beta, otherwise), (double)(r->at->alphas_updates + 1));
}

/* ---- the rate of the weights ---- */

typedef struct RateKeys {
    const char *lr, *lr_min, *schedule, *every, *warm_up;
} RateKeys;
static const RateKeys search_keys = {"search.weights.lr", "search.weights.lr_min", "search.weights.schedule",
                                     "search.weights.every", "search.warm_up"};
static const RateKeys train_keys = {"train.weights.lr", "train.weights.lr_min", "train.weights.schedule",
                                    "train.weights.every", "train.warm_up"};

static double scheduled_rate(const Rules *r, const RateKeys *keys, double part) {
    double max = number(r, keys->lr, 0.025), min = number(r, keys->lr_min, 0.0);
    const char *otherwise = ir_module_get(r->settings, keys->lr_min) ? "cosine" : "constant";
    const char *schedule = ir_module_get_string(r->settings, keys->schedule, otherwise);
    if (str_equal(schedule, "cosine"))
        return min + (max - min) * (1.0 + cos(pi * part)) / 2.0;
    return str_equal(schedule, "linear") ? max + (min - max) * part : max;
}

static double weights_rate(const Rules *r) {
    const RateKeys *keys = r->is_search ? &search_keys : &train_keys;
    const RtPosition *at = r->at;
    bool per_step = str_equal(ir_module_get_string(r->settings, keys->every, "epoch"), "step");
    double done = per_step ? (double)at->epoch + (double)at->step / (double)at->steps : (double)at->epoch; /* epochs */
    double rate = scheduled_rate(r, keys, done / (double)at->epochs);
    double next = done + (per_step ? 1.0 / (double)at->steps : 1.0), warm_up = number(r, keys->warm_up, 0);
    return next < warm_up ? rate * next / warm_up : rate;
}

/* ---- drop path ---- */

static double drop_probability(const Rules *r) {
    if (r->is_search)
        return number(r, "drop_path.probability", 0.0);
    return number(r, "train.drop_path", 0) * (double)r->at->epoch / (double)r->at->epochs;
}

double rt_step_drop_probability(const IrModule *settings, const RtPosition *at) {
    Rules rules = make_rules(settings, at);
    return drop_probability(&rules);
}

/* ---- a pass ---- */

int64_t rt_step_epochs(const IrModule *settings) {
    Rules rules = make_rules(settings, NULL);
    return rules.is_search ? ir_module_get_int(settings, "search.epochs", 50)
                           : ir_module_get_int(settings, "train.epochs", 600);
}

static uint64_t draw_number(GraphKind kind, const RtPosition *at) {
    switch (kind) {
    case GRAPH_search_alphas:
        return 2 * (uint64_t)at->global_step + 1;
    case GRAPH_search_weights:
        return 2 * (uint64_t)at->global_step + 2;
    case GRAPH_train:
        return (uint64_t)at->global_step + 1;
    default:
        return 0;
    }
}

static void set_neutral(double *scalars) {
#define RUN_SCALAR(name, neutral, rule) scalars[RUN_##name] = neutral;
#include "ir/run_scalars.def"
#undef RUN_SCALAR
}

static void set_by_rules(const Rules *r, double *scalars) {
#define RUN_SCALAR(name, neutral, rule) scalars[RUN_##name] = rule;
#include "ir/run_scalars.def"
#undef RUN_SCALAR
}

RtRun rt_step(GraphKind kind, const IrModule *settings, uint64_t seed, const RtPosition *at) {
    RtRun run = {.kind = kind, .seed = seed, .step = draw_number(kind, at)};
    if (settings && graph_kind_is_training(kind)) {
        Rules rules = make_rules(settings, at);
        set_by_rules(&rules, run.scalars);
    } else {
        set_neutral(run.scalars);
    }
    return run;
}
