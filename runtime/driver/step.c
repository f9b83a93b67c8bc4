/* step.c: the rules of the run-time scalars, and the numbers of draws. Rates follow ir/schedules.def; in the first warm_up epochs
 * of a training they are multiplied by what of them is done at the step's end. */
#include "runtime/driver/step.h"

#include "base/str.h"
#include "ir/schedules.h"

#include <math.h>
#include <string.h>

/* What the rules read. */
typedef struct Rules {
    const Settings *settings;
    const RtPosition *at;
    bool is_search;                     /* else a training */
    const OptimizerSettings *optimizer; /* of what the pass moves */
    int64_t updates;                    /* of that, before this one */
} Rules;

static Rules make_rules(GraphKind kind, const Settings *s, const RtPosition *at) {
    bool is_search = settings_are_of(s, "search"), alphas = kind == GRAPH_search_alphas || kind == GRAPH_search_second;
    return (Rules){.settings = s,
                   .at = at,
                   .is_search = is_search,
                   .optimizer = alphas      ? &s->search_alphas
                                : is_search ? &s->search_weights
                                            : &s->train_weights,
                   .updates = alphas ? at->alphas_updates : at->global_step};
}

/* For update number t = 1, 2, ... */
static double adam_bias(const Rules *r, double beta) {
    return 1.0 - pow(beta, (double)(r->updates + 1));
}

/* ---- rates and momenta ---- */

/* When the optimiser's numbers change: epoch by epoch, or with every step. */
static ScheduleTime time_of(const Rules *r, const OptimizerSettings *o) {
    bool per_step = o->every && str_equal(o->every, "step");
    double tick = per_step ? 1.0 / (double)r->at->steps : 1.0;
    double done = per_step ? (double)r->at->epoch + (double)r->at->step / (double)r->at->steps : (double)r->at->epoch;
    return (ScheduleTime){done, (double)r->at->epochs, tick};
}

/* A word goes from lr to lr_min over the run. */
static double scheduled_rate(const OptimizerSettings *o, const ScheduleTime *at) {
    int kind = schedule_find(o->schedule);
    Schedule schedule = {.kind = kind < 0 ? SCHEDULE_constant : (ScheduleKind)kind, .numbers = {o->lr, o->lr_min}};
    if (strchr(o->schedule, '(') && !schedule_parse(o->schedule, &schedule))
        bug("the rate follows '%s'", o->schedule);
    return schedule_value(&schedule, at);
}

/* Alphas have the rate of the epoch. */
static double alphas_rate(const Rules *r) {
    ScheduleTime at = {(double)r->at->epoch, (double)r->at->epochs, 1};
    return scheduled_rate(&r->settings->search_alphas, &at);
}

static double weights_rate(const Rules *r) {
    const Settings *s = r->settings;
    const OptimizerSettings *o = r->is_search ? &s->search_weights : &s->train_weights;
    ScheduleTime at = time_of(r, o);
    double rate = scheduled_rate(o, &at), next = at.done + at.tick;
    double warm_up = r->is_search ? 0 : (double)s->train.warm_up;
    return next < warm_up ? rate * next / warm_up : rate;
}

/* Momentum or beta1: the setting, unless it has a schedule. */
static double moved(const Rules *r, double otherwise) {
    Schedule schedule;
    ScheduleTime at = time_of(r, r->optimizer);
    const char *text = r->optimizer->momentum_schedule;
    return text && schedule_parse(text, &schedule) ? schedule_value(&schedule, &at) : otherwise;
}

/* Of the average of weights: in update n = 1, 2, ... of a warm-up at most (1 + n) / (10 + n), as TensorFlow's. */
static double ema_decay(const Rules *r) {
    double n = (double)(r->updates + 1), most = r->settings->train.ema;
    return r->settings->train.ema_warm_up ? fmin(most, (1.0 + n) / (10.0 + n)) : most;
}

/* ---- drop path ---- */

static double drop_probability(const Rules *r) {
    if (r->is_search)
        return r->settings->drop_path.probability;
    return r->settings->train.drop_path * (double)r->at->epoch / (double)r->at->epochs;
}

double rt_step_drop_probability(const Settings *settings, const RtPosition *at) {
    Rules rules = make_rules(GRAPH_gradients, settings, at);
    return drop_probability(&rules);
}

/* ---- a pass ---- */

/* Of the alphas one, or four, and of the weights one. */
static uint64_t passes_of_step(const Settings *settings) {
    return settings && settings_alphas_graph(settings) == GRAPH_search_second ? 5 : 2;
}

bool rt_step_weights_first(const Settings *settings) {
    return settings && str_equal(settings->search.first, "weights");
}

static uint64_t draw_number(GraphKind kind, const Settings *settings, const RtPosition *at) {
    uint64_t passes = passes_of_step(settings), before = passes * (uint64_t)at->global_step;
    switch (kind) {
    case GRAPH_search_alphas:
    case GRAPH_search_second:
        return before + (rt_step_weights_first(settings) ? 2 : 1);
    case GRAPH_eval: /* as the pass that would come next; a method may draw in evaluation too */
        return before + 1;
    case GRAPH_search_weights:
        return before + (rt_step_weights_first(settings) ? 1 : passes);
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

RtRun rt_step(GraphKind kind, const Settings *settings, uint64_t seed, const RtPosition *at) {
    RtRun run = {.kind = kind, .seed = seed, .step = at ? draw_number(kind, settings, at) : 0, .epochs = 1};
    if (at) {
        run.epoch = at->epoch;
        run.epochs = at->epochs;
    }
    if (settings && graph_kind_is_training(kind)) {
        Rules rules = make_rules(kind, settings, at);
        set_by_rules(&rules, run.scalars);
    } else {
        set_neutral(run.scalars);
    }
    return run;
}
