/* search.c: the bilevel search.
 *
 *     for every epoch, for every batch of the first half of the training images (step s of the whole run):
 *         unless the epoch is one of the first frozen_epochs:
 *             the alphas move (Adam), with the loss of a batch of the second half; of second order as seen from the
 *             weights that a step on the batch of the first half would lead to
 *         the weights move (clipped SGD with momentum), with the loss of the batch of the first half; they come first
 *         where the text says so
 *     after every epoch: loss and accuracy on the second half, in evaluation mode; what is watched; genotype; checkpoint
 *
 * What each pass is given, rates and draws, says rt_step. When the second half has fewer batches than the first it starts
 * again in another order. */
#include "runtime/loops/search.h"

#include "base/clock.h"

#include "runtime/loops/genotype_lines.h"
#include "runtime/loops/metrics.h"

#include <math.h>
#include <string.h>

/* Begins the walk over the second half in its round, or one after it, that has batch number alphas_batch. */
static void start_alphas(Search *s, int64_t batch) {
    int64_t count = loader_batch_count(s->alphas_loader);
    s->alphas_round = batch / count;
    loader_start(s->alphas_loader, (uint32_t)s->loop.at.epoch, (uint32_t)s->alphas_round, batch % count);
}

/* The next batch of the second half, walking over it again and again. */
static const Batch *next_alphas_batch(Search *s, Error *error) {
    const Batch *batch = loader_next(s->alphas_loader, error);
    if (batch || error->kind)
        return batch;
    start_alphas(s, (s->alphas_round + 1) * loader_batch_count(s->alphas_loader));
    batch = loader_next(s->alphas_loader, error);
    if (!batch)
        error_set(error, ERROR_INPUT, "none of the %lld images for the alphas can be read",
                  (long long)(s->loop.data.count - s->weights_images));
    return batch;
}

static bool step_alphas(Search *s, const Batch *training, Error *error) {
    PassResult result;
    GraphKind kind = settings_alphas_graph(&s->loop.settings);
    const Batch *batch = next_alphas_batch(s, error);
    if (!batch || !loop_run_pair(&s->loop, kind, kind == GRAPH_search_second ? training : NULL, batch, &result, error))
        return false;
    s->loop.at.alphas_batch =
        s->alphas_round * loader_batch_count(s->alphas_loader) + loop_batch_number(&s->loop, batch) + 1;
    s->loop.at.alphas_updates++;
    s->loop.at.sums.alphas_loss += result.loss * (double)result.images;
    s->loop.at.sums.alphas_correct += result.correct;
    s->loop.at.sums.alphas_images += result.images;
    return true;
}

static bool step_weights(Search *s, const Batch *batch, Error *error) {
    PassResult result;
    if (!loop_run(&s->loop, GRAPH_search_weights, batch, &result, error))
        return false;
    s->loop.at.sums.loss += result.loss * (double)batch->count;
    s->loop.at.sums.correct += result.correct;
    s->loop.at.sums.images += batch->count;
    s->loop.at.sums.grad_norm += rt_output_scalar(s->loop.program, GRAPH_search_weights, "grad_norm");
    s->loop.at.sums.steps++;
    return true;
}

static bool is_frozen(const Search *s) {
    return s->loop.at.epoch < s->loop.settings.search.frozen_epochs;
}

static bool search_step(Search *s, const Batch *batch, Error *error) {
    int64_t images = s->loop.at.sums.images + s->loop.at.sums.alphas_images;
    bool weights_first = rt_step_weights_first(&s->loop.settings);
    if ((weights_first && !step_weights(s, batch, error)) || (!is_frozen(s) && !step_alphas(s, batch, error)) ||
        (!weights_first && !step_weights(s, batch, error)))
        return false;
    s->loop.at.step++;
    s->loop.at.batch = loop_batch_number(&s->loop, batch) + 1;
    s->loop.at.global_step++;
    loop_show_step(&s->loop, s->loop.at.sums.images + s->loop.at.sums.alphas_images - images);
    return true;
}

static void start_loaders(Search *s) {
    loader_start(s->weights_loader, (uint32_t)s->loop.at.epoch, 0, s->loop.at.batch);
    if (!is_frozen(s))
        start_alphas(s, s->loop.at.alphas_batch);
}

/* The rest of the epoch. Stops early, with true, when a signal came. */
static bool train_epoch(Search *s, Error *error) {
    start_loaders(s);
    int64_t images = s->loop.progress.images;
    s->loop.epoch_started = clock_now();
    const Batch *batch;
    while (!loop_interrupted() && (batch = loader_next(s->weights_loader, error))) {
        if (!search_step(s, batch, error))
            return false;
    }
    if (!loop_check_epoch(&s->loop, error))
        return false;
    s->loop.epoch_rate = (double)(s->loop.progress.images - images) / (clock_now() - s->loop.epoch_started);
    return true;
}

static EpochMetrics epoch_metrics(const Search *s) {
    const SearchSums *sums = &s->loop.at.sums;
    bool moved = sums->alphas_images > 0;
    RtPosition last_position = loop_position(&s->loop);
    last_position.step = last_position.steps - 1;
    RtRun last = rt_step(GRAPH_search_weights, &s->loop.settings, s->loop.at.seed, &last_position);
    return (EpochMetrics){
        .epoch = s->loop.at.epoch,
        .steps = s->loop.at.global_step,
        .alphas_updates = s->loop.at.alphas_updates,
        .frozen = is_frozen(s),
        .lr = last.scalars[RUN_lr],
        .alphas_lr = last.scalars[RUN_alphas_lr],
        .train_loss = sums->loss / (double)sums->images,
        .train_accuracy = (double)sums->correct / (double)sums->images,
        .grad_norm = sums->grad_norm / (double)sums->steps,
        .alphas_loss = moved ? sums->alphas_loss / (double)sums->alphas_images : NAN,
        .alphas_accuracy = moved ? (double)sums->alphas_correct / (double)sums->alphas_images : NAN,
        .alphas_entropy = metrics_alphas_entropy(s->loop.program, s->loop.module),
        .eigenvalue = NAN,
    };
}

static const char *eigenvalue_words(Arena *arena, const EpochMetrics *m) {
    return isfinite(m->eigenvalue) ? arena_printf(arena, ", eigenvalue %.5g", m->eigenvalue) : "";
}

static void print_epoch(Search *s, Arena *arena, const EpochMetrics *m, const Genotype *genotype) {
    progress_clear(&s->loop.progress);
    fprintf(diag_notes(),
            "epoch %lld/%lld: train loss %.4f accuracy %.2f %%, validation loss %.4f accuracy %.2f %%, entropy of the "
            "alphas %.4f%s%s%s, %.1f s, %.0f images/s\n%s",
            (long long)m->epoch + 1, (long long)s->loop.at.epochs, m->train_loss, 100 * m->train_accuracy,
            m->valid_loss, 100 * m->valid_accuracy, m->alphas_entropy, eigenvalue_words(arena, m),
            search_cost_words(arena, m), m->frozen ? " (frozen)" : "", clock_now() - s->loop.epoch_started,
            s->loop.epoch_rate, genotype->text);
}

static bool write_epoch(Search *s, const EpochMetrics *m, const Genotype *genotype, Error *error) {
    return metrics_append(loop_file(&s->loop, "metrics.jsonl"), m, error) &&
           metrics_append_alphas(loop_file(&s->loop, "alphas.jsonl"), s->loop.at.epoch, s->loop.program, s->loop.module,
                                 error) &&
           genotype_append_line(loop_file(&s->loop, "genotypes.jsonl"), s->loop.at.epoch, genotype, error) &&
           metrics_append_timing(loop_file(&s->loop, "timing.jsonl"), s->loop.at.epoch,
                                 clock_now() - s->loop.epoch_started, s->loop.epoch_rate, error);
}

static void show_epoch(const Search *s, Arena *arena, const EpochMetrics *m, const Genotype *genotype, double seconds) {
    loop_show_epoch(&s->loop, &(RunEpoch){.epoch = m->epoch,
                                          .epochs = s->loop.at.epochs,
                                          .metrics = metrics_line(arena, m),
                                          .genotype = genotype->text,
                                          .seconds = seconds,
                                          .images_per_second = s->loop.epoch_rate});
}

/* Writes down the epoch that is complete, then moves on to the next. The checkpoint comes last: if anything before it
 * fails, a resumed search repeats the epoch and drops what was written of it. */
static bool finish_epoch(Search *s, EpochMetrics *m, Error *error) {
    if (!loop_writes(&s->loop))
        return loop_next_epoch(&s->loop, true, error);
    Arena *arena = arena_create();
    Genotype genotype;
    double seconds = clock_now() - s->loop.epoch_started;
    bool ok = search_build_genotype(s, arena, &genotype, error);
    if (ok)
        print_epoch(s, arena, m, &genotype);
    ok = ok && search_watch_end(s, &genotype, m, error) && write_epoch(s, m, &genotype, error) &&
         (!m->stopped_by || search_read_genotype(s, arena, m->genotype_of, m->epoch, &genotype, error)) &&
         search_save_genotype(s, arena, &genotype, error);
    ok = loop_next_epoch(&s->loop, ok, error);
    if (ok)
        show_epoch(s, arena, m, &genotype, seconds);
    arena_destroy(arena);
    return ok;
}

static bool search_epochs(Search *s, Error *error) {
    fprintf(diag_notes(), "search: %lld epochs, %lld steps per epoch, %lld images at a time\n",
            (long long)s->loop.at.epochs, (long long)s->loop.steps, (long long)rt_program_batch(s->loop.program));
    progress_begin(&s->loop.progress, diag_notes(), s->loop.at.epochs, s->loop.steps, s->loop.at.global_step);
    int64_t genotype_of;
    while (s->loop.at.epoch < s->loop.at.epochs && !search_has_stopped(s, &genotype_of, error)) {
        if (!train_epoch(s, error))
            return false;
        EpochMetrics m = epoch_metrics(s);
        Evaluation valid;
        if (!evaluate_images(s->loop.program, s->eval_loader, loop_evaluation(&s->loop), loop_interrupted, NULL, &valid,
                             error))
            return false;
        if (!loop_interrupted() && !search_watch_eigenvalue(s, &m.eigenvalue, error) && !loop_interrupted())
            return false;
        if (loop_interrupted())
            return loop_stop_interrupted(&s->loop, error);
        search_expect(s, &m);
        m.valid_loss = valid.loss;
        m.valid_accuracy = valid.accuracy;
        if (!finish_epoch(s, &m, error))
            return false;
    }
    return !error->kind;
}

/* That of the alphas, or, of a search that has ended early, of the epoch that its rule says. */
static bool final_genotype(Search *s, Genotype *genotype, Error *error) {
    int64_t epoch;
    if (!search_has_stopped(s, &epoch, error))
        return !error->kind && search_build_genotype(s, s->loop.arena, genotype, error);
    fprintf(diag_notes(), "the search ended early, after epoch %lld of %lld; its genotype is that of epoch %lld\n",
            (long long)s->loop.at.epoch, (long long)s->loop.at.epochs, (long long)epoch + 1);
    return search_read_genotype(s, s->loop.arena, epoch, s->loop.at.epoch - 1, genotype, error);
}

/* The genotype as text, and drawn. */
static bool show_genotype(Search *s, FILE *result, Error *error) {
    Genotype genotype;
    if (!loop_writes(&s->loop))
        return true;
    if (!final_genotype(s, &genotype, error))
        return false;
    search_draw_cells(s, s->loop.arena, &genotype);
    fputs(search_genotype_text(s, s->loop.arena, &genotype), result);
    fprintf(diag_notes(), "results are in %s\n", s->loop.options.out);
    return true;
}

bool search_run(Arena *arena, const LoopOptions *options, FILE *result, Error *error) {
    static const char *const lines[] = {"metrics.jsonl", "alphas.jsonl", "genotypes.jsonl", "timing.jsonl", NULL};
    Search s = {.loop = {.arena = arena, .options = *options, .what = "search", .prefer = "search", .lines = lines}};
    loop_ignore_readers(options->observer);
    if (!loop_check_options(arena, "search", &s.loop.options, error))
        return false;
    bool ok = search_open(&s, error) && search_epochs(&s, error);
    progress_clear(&s.loop.progress);
    ok = loop_finish_profile(&s.loop, error) && ok;
    ok = ok && show_genotype(&s, result, error);
    if (!ok)
        loop_explain_failure(&s.loop, error);
    search_close(&s);
    return ok;
}
