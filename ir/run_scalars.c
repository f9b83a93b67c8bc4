/* run_scalars.c: the names of the run-time scalars. */
#include "ir/run_scalars.h"

#include "base/str.h"

const char *const run_scalar_names[RUN_SCALAR_COUNT] = {
#define RUN_SCALAR(name, neutral, rule) #name,
#include "ir/run_scalars.def"
#undef RUN_SCALAR
};

int run_scalar_find(const char *name) {
    for (int i = 0; i < RUN_SCALAR_COUNT; i++) {
        if (str_equal(run_scalar_names[i], name))
            return i;
    }
    return -1;
}
