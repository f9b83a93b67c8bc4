/* class_balance.c: class c of n_c images weighs what the text says, or, balanced, n / (classes * n_c), as scikit-learn
 * has it: then a class that has half as many images counts twice. They are state of the program, not constants of its
 * source: other data does not need another build, and a checkpoint holds them. */
#include "runtime/data/class_balance.h"

#include "base/str.h"

#include <stdlib.h>

bool class_weights_balanced(const Settings *settings) {
    const char *setting = settings_class_weights(settings);
    return setting && str_equal(setting, "balanced");
}

static bool balance(const Dataset *data, int64_t count, double *weights, Error *error) {
    for (int64_t i = 0; i < count; i++)
        weights[data->labels[i]]++;
    for (int i = 0; i < data->classes; i++) {
        if (weights[i] == 0)
            return error_set(error, ERROR_INPUT,
                             "class_weights balanced: class %d%s%s has no images among the %lld that are trained on", i,
                             data->class_names ? ", " : "", data->class_names ? data->class_names[i] : "",
                             (long long)count);
        weights[i] = (double)count / (data->classes * weights[i]);
    }
    return true;
}

/* "1 2.5 1" */
static bool read_list(const char *list, int64_t classes, double *weights, Error *error) {
    int64_t count = 0;
    for (char *end; *list; list = end) {
        double weight = strtod(list, &end);
        if (end == list || !(weight > 0) || count == classes)
            break;
        weights[count++] = weight;
    }
    return (count == classes && !*list) ||
           error_set(error, ERROR_INPUT, "class_weights are not %lld numbers above 0, one for each class",
                     (long long)classes);
}

bool class_weights_set(RtProgram *program, const Settings *settings, const Dataset *data, int64_t count, Error *error) {
    const char *setting = settings_class_weights(settings);
    int index = setting ? rt_param_find(program, CLASS_WEIGHTS) : -1;
    if (index < 0)
        return true;
    Arena *arena = arena_create();
    int64_t classes = rt_param_info(program, index)->shape[0];
    double *weights = ARENA_ARRAY(arena, double, classes);
    bool ok = class_weights_balanced(settings) ? balance(data, count, weights, error)
                                               : read_list(setting, classes, weights, error);
    Tensor tensor = {.name = CLASS_WEIGHTS, .type = TENSOR_f64, .rank = 1, .shape = {classes}, .data = weights};
    ok = ok && rt_param_set(program, &tensor, error);
    arena_destroy(arena);
    return ok;
}
