/* search.c: the bilevel first-order search.
 *
 *     for every epoch, for every batch of the first half of the training images (step s of the whole run):
 *         unless the epoch is one of the first frozen_epochs: Adam on the alphas, with the loss of a batch of the
 * second half clipped SGD with momentum on the weights, with the loss of the batch of the first half after every epoch:
 * loss and accuracy on the second half, in evaluation mode; genotype; checkpoint
 *
 * Draws of the alphas pass are numbered 2s + 1, of the weights pass 2s + 2. When the second half has fewer batches than
 * the first it starts again in another order. */
#include "runtime/search.h"

#include "runtime/metrics.h"

#include <math.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

/* The second signal of a kind ends the program at once. */
static void catch_signals(void) {
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is reported like a full disk */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

typedef struct PassResult {
    double loss;
    int64_t correct;
} PassResult;

static int64_t count_correct(const Tensor *logits, const int32_t *labels) {
    int64_t images = logits->shape[0], classes = logits->shape[1], correct = 0;
    for (int64_t n = 0; n < images; n++) {
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++) {
            if (tensor_get(logits, n * classes + c) > tensor_get(logits, n * classes + best))
                best = c;
        }
        correct += best == labels[n];
    }
    return correct;
}

static bool run_pass(Search *s, GraphKind kind, const Batch *batch, uint64_t step, PassResult *result, Error *error) {
    RtInput inputs[] = {{"input", batch->images}, {"labels", batch->labels}};
    int64_t t = s->at.alphas_updates + 1;
    RtRun run = {.kind = kind,
                 .batch = batch->count,
                 .seed = s->at.seed,
                 .step = step,
                 .image_base = (uint64_t)batch->position,
                 .lr = schedule_lr(&s->settings.weights_lr, s->at.epoch, s->at.epochs),
                 .alphas_lr = s->settings.alphas_lr,
                 .drop_keep = s->settings.drop_keep,
                 .noise_decay = schedule_noise_decay(s->at.epoch),
                 .adam_bias1 = schedule_adam_bias(s->settings.beta1, t),
                 .adam_bias2 = schedule_adam_bias(s->settings.beta2, t),
                 .input_count = 2,
                 .inputs = inputs};
    if (!rt_run(s->program, &run, error))
        return false;
    Arena *arena = arena_create();
    Tensor logits = rt_output_get(s->program, kind, "logits", arena);
    result->correct = count_correct(&logits, batch->labels);
    result->loss = rt_output_scalar(s->program, kind, "loss");
    arena_destroy(arena);
    if (!isfinite(result->loss))
        return error_set(error, ERROR_INPUT,
                         "the loss became %g in epoch %lld, step %lld (%s); the last checkpoint is of before; a "
                         "smaller learning rate may help",
                         result->loss, (long long)s->at.epoch + 1, (long long)s->at.step + 1, graph_kind_name(kind));
    return true;
}

/* Batch number s->at.step of the second half, walking over it again and again. */
static const Batch *next_alphas_batch(Search *s) {
    const Batch *batch = loader_next(s->alphas_loader);
    if (batch)
        return batch;
    int64_t round = s->at.step / loader_batch_count(s->alphas_loader);
    loader_start(s->alphas_loader, (uint32_t)s->at.epoch, (uint32_t)round, 0);
    return loader_next(s->alphas_loader);
}

static bool step_alphas(Search *s, Error *error) {
    PassResult result;
    const Batch *batch = next_alphas_batch(s);
    if (!run_pass(s, GRAPH_search_alphas, batch, 2 * (uint64_t)s->at.global_step + 1, &result, error))
        return false;
    s->at.alphas_updates++;
    s->at.sums.alphas_loss += result.loss * (double)batch->count;
    s->at.sums.alphas_correct += result.correct;
    s->at.sums.alphas_images += batch->count;
    return true;
}

static bool step_weights(Search *s, const Batch *batch, Error *error) {
    PassResult result;
    if (!run_pass(s, GRAPH_search_weights, batch, 2 * (uint64_t)s->at.global_step + 2, &result, error))
        return false;
    s->at.sums.loss += result.loss * (double)batch->count;
    s->at.sums.correct += result.correct;
    s->at.sums.images += batch->count;
    s->at.sums.grad_norm += rt_output_scalar(s->program, GRAPH_search_weights, "grad_norm");
    s->at.sums.steps++;
    return true;
}

static bool is_frozen(const Search *s) {
    return s->at.epoch < s->settings.frozen_epochs;
}

static bool search_step(Search *s, const Batch *batch, Error *error) {
    int64_t images = s->at.sums.images + s->at.sums.alphas_images;
    if ((!is_frozen(s) && !step_alphas(s, error)) || !step_weights(s, batch, error))
        return false;
    s->at.step++;
    s->at.global_step++;
    const SearchSums *sums = &s->at.sums;
    progress_step(&s->progress, s->at.epoch, s->at.step, sums->images + sums->alphas_images - images,
                  sums->loss / (double)sums->images, (double)sums->correct / (double)sums->images);
    return true;
}

static void start_loaders(Search *s) {
    uint32_t epoch = (uint32_t)s->at.epoch;
    loader_start(s->weights_loader, epoch, 0, s->at.step);
    int64_t round_steps = loader_batch_count(s->alphas_loader);
    if (!is_frozen(s))
        loader_start(s->alphas_loader, epoch, (uint32_t)(s->at.step / round_steps), s->at.step % round_steps);
}

/* The rest of the epoch. Stops early, with true, when a signal came. */
static bool train_epoch(Search *s, Error *error) {
    start_loaders(s);
    int64_t images = s->progress.images;
    s->epoch_started = progress_clock();
    const Batch *batch;
    while (!interrupted && (batch = loader_next(s->weights_loader))) {
        if (!search_step(s, batch, error))
            return false;
    }
    s->epoch_rate = (double)(s->progress.images - images) / (progress_clock() - s->epoch_started);
    return true;
}

static bool evaluate(Search *s, EpochMetrics *m, Error *error) {
    double loss = 0;
    int64_t correct = 0, images = 0;
    const Batch *batch;
    loader_start(s->eval_loader, 0, 0, 0);
    while (!interrupted && (batch = loader_next(s->eval_loader))) {
        PassResult result;
        if (!run_pass(s, GRAPH_eval, batch, 0, &result, error))
            return false;
        loss += result.loss * (double)batch->count;
        correct += result.correct;
        images += batch->count;
    }
    m->valid_loss = images > 0 ? loss / (double)images : NAN;
    m->valid_accuracy = images > 0 ? (double)correct / (double)images : NAN;
    return true;
}

static EpochMetrics epoch_metrics(const Search *s) {
    const SearchSums *sums = &s->at.sums;
    bool moved = sums->alphas_images > 0;
    return (EpochMetrics){
        .epoch = s->at.epoch,
        .steps = s->at.global_step,
        .alphas_updates = s->at.alphas_updates,
        .frozen = is_frozen(s),
        .lr = schedule_lr(&s->settings.weights_lr, s->at.epoch, s->at.epochs),
        .alphas_lr = s->settings.alphas_lr,
        .train_loss = sums->loss / (double)sums->images,
        .train_accuracy = (double)sums->correct / (double)sums->images,
        .grad_norm = sums->grad_norm / (double)sums->steps,
        .alphas_loss = moved ? sums->alphas_loss / (double)sums->alphas_images : NAN,
        .alphas_accuracy = moved ? (double)sums->alphas_correct / (double)sums->alphas_images : NAN,
        .alphas_entropy = metrics_alphas_entropy(s->program),
    };
}

static void print_epoch(Search *s, const EpochMetrics *m) {
    progress_clear(&s->progress);
    Arena *arena = arena_create();
    fprintf(stderr,
            "epoch %lld/%lld: train loss %.4f accuracy %.2f %%, validation loss %.4f accuracy %.2f %%, entropy of the "
            "alphas %.4f%s, %.1f s, %.0f images/s\n%s",
            (long long)m->epoch + 1, (long long)s->at.epochs, m->train_loss, 100 * m->train_accuracy, m->valid_loss,
            100 * m->valid_accuracy, m->alphas_entropy, m->frozen ? " (frozen)" : "",
            progress_clock() - s->epoch_started, s->epoch_rate, search_genotype_text(s, arena));
    arena_destroy(arena);
}

/* Writes down the epoch that is complete, then moves on to the next. The checkpoint comes last: if anything before it
 * fails, a resumed search repeats the epoch and drops what was written of it. */
static bool finish_epoch(Search *s, EpochMetrics *m, Error *error) {
    print_epoch(s, m);
    if (!metrics_append(search_file(s, "metrics.jsonl"), m, error) ||
        !metrics_append_alphas(search_file(s, "alphas.jsonl"), s->at.epoch, s->program, error) ||
        !metrics_append_timing(search_file(s, "timing.jsonl"), s->at.epoch, progress_clock() - s->epoch_started,
                               s->epoch_rate, error) ||
        !search_save_genotype(s, error))
        return false;
    s->at.epoch++;
    s->at.step = 0;
    memset(&s->at.sums, 0, sizeof(s->at.sums));
    return search_save_checkpoint(s, error);
}

static bool stop_interrupted(Search *s, Error *error) {
    progress_clear(&s->progress);
    if (!search_save_checkpoint(s, error))
        return false;
    fprintf(stderr, "interrupted in epoch %lld after %lld of %lld steps; saved in %s; --resume goes on\n",
            (long long)s->at.epoch + 1, (long long)s->at.step, (long long)s->steps, s->options.out);
    error->kind = ERROR_INTERRUPTED;
    return false;
}

static bool search_run(Search *s, Error *error) {
    fprintf(stderr, "search: %lld epochs, %lld steps per epoch, %lld images at a time\n", (long long)s->at.epochs,
            (long long)s->steps, (long long)rt_program_batch(s->program));
    progress_begin(&s->progress, stderr, s->at.epochs, s->steps, s->at.global_step);
    while (s->at.epoch < s->at.epochs) {
        if (!train_epoch(s, error))
            return false;
        EpochMetrics m = epoch_metrics(s);
        if (!evaluate(s, &m, error))
            return false;
        if (interrupted)
            return stop_interrupted(s, error);
        if (!finish_epoch(s, &m, error))
            return false;
    }
    search_draw_cells(s);
    return true;
}

static int search_main_in(Arena *arena, int argc, char **argv) {
    Error error = {0};
    Search s = {.arena = arena};
    if (!search_options_parse(arena, argc, argv, &s.options, &error))
        return error_report(&error);
    if (s.options.help) {
        search_print_usage(stdout);
        return 0;
    }
    bool ok = search_open(&s, &error);
    catch_signals();
    ok = ok && search_run(&s, &error);
    progress_clear(&s.progress);
    if (ok) {
        fputs(search_genotype_text(&s, arena), stdout);
        fprintf(stderr, "results are in %s\n", s.options.out);
    }
    search_close(&s);
    if (ok)
        return fflush(stdout) == 0 ? 0 : ERROR_MACHINE;
    return error.kind == ERROR_INTERRUPTED ? ERROR_INTERRUPTED : error_report(&error);
}

int rt_search_main(int argc, char **argv) {
    Arena *arena = arena_create();
    int code = search_main_in(arena, argc, argv);
    arena_destroy(arena);
    return code;
}
