/* run_train.c: `ndarts-run train`. */
#include "tools/ndarts_run.h"

#include "base/str.h"

#include <string.h>

enum { MAX_SEEDS = 1000 };

static bool holds(const uint64_t *seeds, int count, uint64_t seed) {
    for (int i = 0; i < count; i++)
        if (seeds[i] == seed)
            return true;
    return false;
}

/* "0..3" is 0, 1, 2, 3; "1,5" is 1 and 5. */
static bool parse_seeds(Arena *arena, const char *text, uint64_t *seeds, int *count, Error *error) {
    *count = 0;
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        char *item = arena_strndup(arena, at, length), *dots = strstr(item, "..");
        int64_t first, last;
        if (dots)
            *dots = '\0';
        if (!options_parse_int("--seeds", item, 0, INT64_MAX - 1, &first, error) ||
            !options_parse_int("--seeds", dots ? dots + 2 : item, 0, INT64_MAX - 1, &last, error))
            return false;
        if (last < first || last - first >= MAX_SEEDS - *count)
            return error_set(error, ERROR_INPUT, "--seeds %s: expected FIRST..LAST with at most %d seeds in all", text,
                             MAX_SEEDS);
        for (int64_t seed = first; seed <= last; seed++) {
            if (holds(seeds, *count, (uint64_t)seed))
                return error_set(error, ERROR_INPUT, "--seeds %s: seed %lld is there twice", text, (long long)seed);
            seeds[(*count)++] = (uint64_t)seed;
        }
        at += length + (at[length] == ',');
    }
    return *count > 0 || error_set(error, ERROR_INPUT, "--seeds takes numbers, as in 0..3 or 1,5");
}

bool run_train(const Options *o, Error *error) {
    uint64_t seeds[MAX_SEEDS];
    LoopOptions loop = options_loop(o);
    if (!loop.path)
        return error_set(error, ERROR_INPUT,
                         "train needs a text, for example  ndarts-run train genotypes/noisy_darts_a.nd --recipe cifar");
    if (!options_recipe(o, &loop.recipe, error) ||
        (o->seeds && !parse_seeds(o->arena, o->seeds, seeds, &loop.seed_count, error)))
        return false;
    if (o->spread && !str_equal(o->spread, "seeds"))
        return error_set(error, ERROR_INPUT, "--spread %s: expected seeds", o->spread);
    loop.spread = o->spread != NULL;
    loop.seeds = seeds;
    return train_run(o->arena, &loop, stdout, error);
}
