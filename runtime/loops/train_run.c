/* train_run.c: one training; or the same with several seeds, each in a folder of its own.
 *
 * Of several ranks all do one training after the other together; or, spread, rank r of R does those number r, r + R, ... by
 * itself, as one process alone would. Then rank 0 begins: what is in the folder is set aside, and the module is in the cache,
 * before the others start. They meet again when all are done, and rank 0 sums up. */
#include "runtime/loops/train.h"

#include "base/file.h"
#include "base/str.h"
#include "runtime/data/data.h"
#include "runtime/loops/agree.h"

#include <string.h>

/* The same text with one seed, in its own folder. Resumed, seeds that were not begun start now. */
static LoopOptions seed_options(Arena *arena, const LoopOptions *options, uint64_t seed) {
    LoopOptions one = *options;
    one.out = arena_printf(arena, "%s/seed-%llu", options->out, (unsigned long long)seed);
    one.seed = seed;
    one.has_seed = true;
    if (options->spread)
        one.ranks = NULL;
    const char *checkpoint = arena_printf(arena, "%s/checkpoint.safetensors", one.out);
    one.resume = one.resume && !file_is_missing(checkpoint);
    return one;
}

/* The first of all seeds sets aside what is in the folder, whichever seeds it is of: no summary has old and new ones.
 * spread: the ranks that share the seeds, or NULL. */
static bool train_own(Arena *arena, const LoopOptions *options, const RunFolder *whole, const Ranks *spread,
                      TrainResult *results, Error *error) {
    int first = spread ? spread->rank : 0;
    if (first > 0 && !ranks_all(spread, true)) {
        error->kind = ERROR_INTERRUPTED; /* rank 0 was, or it failed, and ends all */
        return false;
    }
    for (int i = first; i < options->seed_count; i += ranks_size(spread)) {
        LoopOptions one = seed_options(arena, options, options->seeds[i]);
        if (!train_once(arena, &one, i == 0 && !options->resume ? whole : NULL, i == 0 ? spread : NULL, &results[i],
                        error))
            return false;
    }
    return true;
}

/* ---- spread over ranks ---- */

/* What a rank sends of each result: without its pointers. */
typedef struct SentResult {
    TrainResult result;
    char data[16];
} SentResult;

/* Of seed i the result that rank i % R has. */
static void gather_results(Arena *arena, const Ranks *ranks, TrainResult *results, int count) {
    SentResult *own = ARENA_ARRAY(arena, SentResult, count), *all = ARENA_ARRAY(arena, SentResult, count * ranks->size);
    for (int i = ranks->rank; i < count; i += ranks->size) {
        own[i].result = results[i];
        snprintf(own[i].data, sizeof own[i].data, "%s", results[i].data);
    }
    ranks_gather(ranks, own, all, sizeof *own * (size_t)count);
    for (int i = 0; i < count; i++) {
        SentResult *sent = &all[i % ranks->size * count + i];
        results[i] = sent->result;
        results[i].data = sent->data;
    }
}

/* A rank that was interrupted waits here for the others, which end by themselves, or by a signal of their own. One that
 * failed does not come: it ends all. */
static bool meet_others(Arena *arena, const LoopOptions *options, bool done, TrainResult *results, Error *error) {
    const Ranks *ranks = options->ranks;
    if (!done && error->kind != ERROR_INTERRUPTED)
        return false;
    if (ranks_all(ranks, done)) {
        gather_results(arena, ranks, results, options->seed_count);
        return true;
    }
    if (done)
        fprintf(diag_notes(), "another rank was interrupted; its training is saved in %s; --resume goes on\n",
                options->out);
    error->kind = ERROR_INTERRUPTED;
    return false;
}

/* ---- all ---- */

static bool train_all(Arena *arena, const LoopOptions *options, const RunFolder *whole, FILE *out, Error *error) {
    TrainResult *results = ARENA_ARRAY(arena, TrainResult, options->seed_count);
    const Ranks *spread = options->spread ? options->ranks : NULL;
    bool done = train_own(arena, options, whole, spread, results, error);
    if (spread)
        done = meet_others(arena, options, done, results, error);
    return done && (!ranks_is_first(options->ranks) ||
                    train_summarize(arena, options->out, results, options->seed_count, out, error));
}

/* Ranks that train by themselves compile by themselves, too: nobody compares what. */
static bool check_texts(const LoopOptions *options, Error *error) {
    const RtProgramOptions text = {.path = options->path,
                                   .text = options->text,
                                   .look_at = data_look_at,
                                   .prefer = "train",
                                   .recipe = options->recipe,
                                   .sets = options->sets,
                                   .set_count = options->set_count};
    return !options->spread || agree_on_text(options->ranks, &text, error);
}

static bool train_seeds(Arena *arena, const LoopOptions *options, FILE *out, Error *error) {
    RunFolder whole = {0};
    if (!check_texts(options, error))
        return false;
    if (ranks_is_first(options->ranks) && !run_folder_open(arena, options->out, &whole, error))
        return false;
    bool ok = train_all(arena, options, &whole, out, error);
    run_folder_close(&whole);
    return ok;
}

bool train_run(Arena *arena, const LoopOptions *given, FILE *out, Error *error) {
    LoopOptions options = *given;
    loop_ignore_readers(options.observer);
    if (!loop_check_options(arena, "train", &options, error))
        return false;
    if (options.seed_count)
        return train_seeds(arena, &options, out, error);
    TrainResult result;
    if (!train_once(arena, &options, NULL, NULL, &result, error))
        return false;
    train_print_result(out, &result);
    fprintf(diag_notes(), "results are in %s\n", options.out);
    return true;
}
