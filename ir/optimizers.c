/* optimizers.c: the table of optimisers. */
#include "ir/optimizers.h"

#include "base/str.h"

#include <stddef.h>

const OptimizerRow optimizer_rows[OPTIMIZER_COUNT] = {
#define LIST(...)                                                                                                      \
    { __VA_ARGS__ }
#define OPTIMIZER(name, states, scalars, arguments) {#name, states, scalars, arguments},
#include "ir/optimizers.def"
#undef OPTIMIZER
#undef LIST
};

const char optimizer_words[] =
#define OPTIMIZER(name, ...) #name "|"
#include "ir/optimizers.def"
#undef OPTIMIZER
    ;

const OptimizerRow *optimizer_find(const char *name) {
    for (int i = 0; name && i < OPTIMIZER_COUNT; i++)
        if (str_equal(optimizer_rows[i].name, name))
            return &optimizer_rows[i];
    return NULL;
}

/* betas stands for beta1 and beta2. */
static bool is_called(const char *argument, const char *name) {
    return str_equal(argument, name) || (str_equal(argument, "betas") && str_starts_with(name, "beta"));
}

static bool has_argument(const OptimizerRow *row, const char *name) {
    for (int i = 0; i < OPTIMIZER_MOST_ARGUMENTS && row->arguments[i]; i++)
        if (is_called(row->arguments[i], name))
            return true;
    return false;
}

bool optimizer_takes(const OptimizerRow *row, const char *name) {
    bool of_others = false;
    for (int i = 0; i < OPTIMIZER_COUNT; i++)
        of_others = of_others || has_argument(&optimizer_rows[i], name);
    return !of_others || has_argument(row, name);
}
