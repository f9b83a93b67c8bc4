/* search_cost.c: the objectives of a search: what candidates cost, and what the network that will be found is expected to. */
#include "runtime/loops/search.h"

#include "base/file.h"
#include "base/str.h"
#include "runtime/driver/cost.h"
#include "runtime/driver/cost_attach.h"

#include <math.h>
#include <string.h>

static const char *measure(Search *s, Error *error) {
    Loop *l = &s->loop;
    const BenchOptions bench = {.warm_up = 3, .seconds = 0.1};
    RtProgramOptions options = loop_program_options(l);
    CostTable table;
    options.batch = l->settings.latency.batch;
    options.costs = NULL;
    options.memory_budget = 0;
    fprintf(diag_notes(), "measuring what the candidates cost\n");
    return cost_measure(l->arena, &options, &bench, NULL, &table, error) ? cost_table_text(l->arena, &table) : NULL;
}

/* A checkpoint of an earlier version does not say what its search began with, but has a build that depends on it. */
static bool check_costs(const Loop *l, const char *source, Error *error) {
    const char *there = l->restored.costs;
    if (!l->options.resume || l->options.allow_different_build || !there || !*there || str_equal(there, l->costs_hash))
        return true;
    return error_set(error, ERROR_INPUT,
                     "%s: the search began with other costs of its candidates than %s; without --cost it goes on with "
                     "%s, as long as that is there; --allow-different-build goes on anyway, with other bits",
                     l->options.out, source, loop_file(l, "cost.json"));
}

/* Where the network will run it may be in another precision than it is searched in. */
static void tell_precision(const Loop *l, const char *path) {
    const char *found = cost_precision(l->arena, l->costs_text), *own = cg_precision_name(l->options.precision);
    if (!found || !str_equal(found, own))
        fprintf(diag_notes(), "note: the times of %s are of the precision %s; the search computes in %s\n", path,
                found ? found : "that it does not say", own);
}

bool search_find_costs(Search *s, Error *error) {
    Loop *l = &s->loop;
    const char *given = l->options.costs, *kept = loop_file(l, "cost.json");
    if (l->settings.latency.target <= 0 && !given)
        return true;
    bool goes_on = l->options.resume && !given && !file_is_missing(kept);
    if (l->options.ranks && !given && !goes_on)
        return error_set(error, ERROR_INPUT,
                         "several ranks take what the candidates cost from a table: give --cost FILE");
    l->options.costs = given ? given : kept;
    l->costs_text = given || goes_on ? cost_read(l->arena, l->options.costs, error) : measure(s, error);
    /* The network and the settings that the run keeps have them, too, wherever they are from. */
    if (!l->costs_text || !cost_attach(l->module, l->options.costs, l->costs_text, error))
        return false;
    if (given)
        tell_precision(l, given);
    l->costs_hash = cost_hash(l->arena, l->module);
    return ranks_agree(l->options.ranks, "other costs of the candidates", l->costs_hash, error) &&
           check_costs(l, given || goes_on ? l->options.costs : "those that were measured now", error);
}

bool search_keep_costs(const Search *s, Error *error) {
    const char *text = s->loop.costs_text;
    return !text || !loop_writes(&s->loop) ||
           file_write_atomic(loop_file(&s->loop, "cost.json"), text, strlen(text), error);
}

void search_expect(const Search *s, EpochMetrics *m) {
    for (int i = 0; i < METRICS_OBJECTIVES; i++) {
        const char *output = metrics_objectives[i].output;
        bool is_one = rt_output_info(s->loop.program, GRAPH_eval, output);
        m->expected[i] = is_one ? rt_output_scalar(s->loop.program, GRAPH_eval, output) : NAN;
    }
}

const char *search_cost_words(Arena *arena, const EpochMetrics *m) {
    Str words = str_create(arena);
    str_add(&words, "");
    for (int i = 0; i < METRICS_OBJECTIVES; i++)
        if (isfinite(m->expected[i]))
            str_addf(&words, ", %s%.4g %s", metrics_objectives[i].before, m->expected[i], metrics_objectives[i].unit);
    return words.data;
}
