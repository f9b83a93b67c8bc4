/* run_search.c: `ndarts-run search`. */
#include "tools/ndarts_run.h"

bool run_search(const Options *o, Error *error) {
    LoopOptions loop = options_loop(o);
    if (!loop.path)
        return error_set(error, ERROR_INPUT,
                         "search needs a text, for example  ndarts-run search specs/fashion_quick.nd");
    return options_recipe(o, &loop.recipe, error) && search_run(o->arena, &loop, stdout, error);
}
