/* average.c: what is evaluated and saved of a training with averages are these, what goes on are the weights: they change
 * places meanwhile. */
#include "runtime/loops/average.h"

#include "base/str.h"

static bool exchange(RtProgram *program, const char *average, const char *weight, Arena *arena, Error *error) {
    Tensor a = rt_param_get(program, average, arena), b = rt_param_get(program, weight, arena);
    const char *name = a.name;
    a.name = b.name;
    b.name = name;
    return rt_param_set(program, &a, error) && rt_param_set(program, &b, error);
}

bool average_exchange(RtProgram *program, Error *error) {
    static const char prefix[] = "ema/";
    Arena *arena = arena_create();
    bool ok = true;
    for (int i = 0; ok && i < rt_param_count(program); i++) {
        const char *name = rt_param_info(program, i)->name;
        if (str_starts_with(name, prefix))
            ok = exchange(program, name, name + sizeof prefix - 1, arena, error);
    }
    arena_destroy(arena);
    return ok;
}
