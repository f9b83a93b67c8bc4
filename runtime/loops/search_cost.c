/* search_cost.c: the objectives of a search: what candidates cost, and what the network that will be found is expected to. */
#include "runtime/loops/search.h"

#include "base/file.h"
#include "base/str.h"
#include "runtime/driver/cost.h"

#include <math.h>
#include <string.h>

enum { MOST_BYTES = 16 << 20 };

static const char *measure(Search *s, Error *error) {
    Loop *l = &s->loop;
    const BenchOptions bench = {.warm_up = 3, .seconds = 0.1};
    RtProgramOptions options = loop_program_options(l);
    CostTable table;
    options.batch = l->settings.latency.batch;
    options.memory_budget = 0;
    fprintf(diag_notes(), "measuring what the candidates cost\n");
    return cost_measure(l->arena, &options, &bench, NULL, &table, error) ? cost_table_text(l->arena, &table) : NULL;
}

static const char *read(Search *s, const char *path, Error *error) {
    size_t size;
    return file_read_text(s->loop.arena, path, MOST_BYTES, true, &size, error);
}

bool search_find_costs(Search *s, Error *error) {
    Loop *l = &s->loop;
    const char *given = l->options.costs, *kept = loop_file(l, "cost.json");
    if (l->settings.latency.target <= 0)
        return true;
    if (l->options.ranks && !given)
        return error_set(error, ERROR_INPUT,
                         "several ranks take what the candidates cost from a table: give --cost FILE");
    bool goes_on = l->options.resume && !given && !file_is_missing(kept);
    l->costs_text = given ? read(s, given, error) : goes_on ? read(s, kept, error) : measure(s, error);
    l->options.costs = given ? given : kept;
    return l->costs_text != NULL;
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
