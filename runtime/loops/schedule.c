/* schedule.c: learning rates, noise decay and Adam's bias corrections as functions of the epoch or the update. */
#include "runtime/loops/schedule.h"

#include "base/str.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

void schedule_read(const IrModule *module, const char *prefix, LearningRate *rate) {
    char key[128];
    snprintf(key, sizeof(key), "%s.lr", prefix);
    rate->max = ir_module_get_float(module, key, 0.025);
    snprintf(key, sizeof(key), "%s.lr_min", prefix);
    const char *otherwise = ir_module_get(module, key) ? "cosine" : "constant";
    rate->min = ir_module_get_float(module, key, 0.0);
    snprintf(key, sizeof(key), "%s.every", prefix);
    rate->per_step = str_equal(ir_module_get_string(module, key, "epoch"), "step");
    snprintf(key, sizeof(key), "%s.schedule", prefix);
    const char *name = ir_module_get_string(module, key, otherwise);
    rate->schedule = str_equal(name, "cosine")   ? SCHEDULE_cosine
                     : str_equal(name, "linear") ? SCHEDULE_linear
                                                 : SCHEDULE_constant;
}

static double rate_at(const LearningRate *rate, double part) {
    switch (rate->schedule) {
    case SCHEDULE_cosine:
        return rate->min + (rate->max - rate->min) * (1.0 + cos(pi * part)) / 2.0;
    case SCHEDULE_linear:
        return rate->max + (rate->min - rate->max) * part;
    case SCHEDULE_constant:
        break;
    }
    return rate->max;
}

double schedule_lr(const LearningRate *rate, int64_t epoch, int64_t epochs) {
    return rate_at(rate, epochs > 0 ? (double)epoch / (double)epochs : 0.0);
}

double schedule_step_lr(const LearningRate *rate, int64_t epoch, int64_t epochs, int64_t step, int64_t steps) {
    double done = rate->per_step ? (double)epoch + (double)step / (double)steps : (double)epoch; /* epochs */
    double lr = rate_at(rate, done / (double)epochs), next = done + (rate->per_step ? 1.0 / (double)steps : 1.0);
    return next < (double)rate->warm_up ? lr * next / (double)rate->warm_up : lr;
}

double schedule_noise_decay(int64_t epoch) {
    return (1.0 + cos(pi * (double)epoch / 50.0)) / 2.0;
}

double schedule_adam_bias(double beta, int64_t t) {
    return 1.0 - pow(beta, (double)t);
}
