/* search_watch.c: what a search watches: the dominant eigenvalue of the alphas' Hessian, on one batch of the images of the
 * alphas (the first ones, as they are) with one set of draws, and whether it ends early. A search that is watched takes the
 * same steps, bit by bit. What was seen stands in metrics.jsonl, so that a resumed search knows it. */
#include "runtime/loops/search.h"

#include "runtime/loops/early_stop.h"
#include "runtime/loops/hessian.h"
#include "runtime/loops/metrics.h"

#include <math.h>

/* ---- the eigenvalue ---- */

typedef struct Watched {
    Search *search;
    const Batch *batch;
} Watched;

static bool run_gradients(void *context, Error *error) {
    const Watched *w = context;
    const Loop *l = &w->search->loop;
    RtPosition position = loop_position(l);
    PassResult result;
    return evaluate_batch(l->program, rt_step(GRAPH_gradients, &l->settings, l->at.seed, &position), w->batch, NULL,
                          &result, error);
}

static bool compute(Search *s, Arena *arena, const Batch *batch, double *eigenvalue, Error *error) {
    Watched watched = {s, batch};
    Hessian h = {.arena = arena,
                 .program = s->loop.program,
                 .pass = run_gradients,
                 .context = &watched,
                 .stop = loop_interrupted};
    if (!hessian_begin(&h, error))
        return false;
    bool ok = hessian_dominant(&h, eigenvalue, error);
    return hessian_end(&h, error) && ok;
}

bool search_watch_eigenvalue(Search *s, double *eigenvalue, Error *error) {
    *eigenvalue = NAN;
    if (!early_stop_has_eigenvalue(s->loop.settings.search.eigenvalue_every, s->loop.at.epoch, s->loop.at.epochs))
        return true;
    loader_start(s->fixed_loader, 0, 0, 0);
    const Batch *batch = loader_next(s->fixed_loader, error);
    if (!batch)
        return error->kind || error_set(error, ERROR_INPUT, "none of the images for the eigenvalue can be read");
    Arena *arena = arena_create();
    bool ok = compute(s, arena, batch, eigenvalue, error);
    arena_destroy(arena);
    return ok;
}

/* ---- the end ---- */

static double *read_eigenvalues(Search *s, Arena *arena, int64_t *count, Error *error) {
    json_t *lines = metrics_load(arena, loop_file(&s->loop, "metrics.jsonl"), error);
    double *values = ARENA_ARRAY(arena, double, json_array_size(lines) + 1);
    size_t i;
    json_t *line;
    *count = 0;
    json_array_foreach(lines, i, line) {
        json_t *value = json_object_get(line, "eigenvalue");
        if (json_is_number(value))
            values[(*count)++] = json_number_value(value);
    }
    json_decref(lines);
    return values;
}

bool search_watch_end(Search *s, const Genotype *genotype, EpochMetrics *m, Error *error) {
    const Settings *settings = &s->loop.settings;
    EarlyStop stop = {NULL, -1};
    if (!m->frozen)
        stop = early_stop_by_skips(&settings->early_stop, m->epoch, s->loop.at.epochs, &genotype->cells[0]);
    if (!stop.rule && settings->early_stop.eigenvalue && isfinite(m->eigenvalue)) {
        Arena *arena = arena_create();
        int64_t count;
        double *values = read_eigenvalues(s, arena, &count, error);
        values[count++] = m->eigenvalue;
        stop = early_stop_by_eigenvalue(&settings->early_stop, settings->search.eigenvalue_every, m->epoch,
                                        s->loop.at.epochs, values, count);
        arena_destroy(arena);
    }
    m->stopped_by = stop.rule;
    m->genotype_of = stop.genotype_of;
    return !error->kind;
}

bool search_has_stopped(Search *s, int64_t *genotype_of, Error *error) {
    const EarlyStopSettings *rules = &s->loop.settings.early_stop;
    Arena *arena = arena_create();
    bool watched = rules->eigenvalue || rules->skips > 0;
    json_t *line = watched ? metrics_load_last(arena, loop_file(&s->loop, "metrics.jsonl"), error) : NULL;
    json_t *epoch = json_object_get(line, "genotype_of");
    bool stopped = json_is_integer(epoch);
    *genotype_of = stopped ? (int64_t)json_integer_value(epoch) : -1;
    json_decref(line);
    arena_destroy(arena);
    return stopped && !error->kind;
}
