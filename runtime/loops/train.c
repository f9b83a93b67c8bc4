/* train.c: SGD on the weights of a network.
 *
 *     for every epoch, for every batch of the training images (step s of the whole run):
 *         clipped SGD with momentum, with the loss of the batch
 *     after every epoch: loss and accuracy on images that are not trained on, in evaluation mode; checkpoint
 *
 * The images that are evaluated after every epoch are a part of the training images (hold_out) or the test images. With
 * a hold-out the test images are looked at once, when all is done, with the weights of the best epoch.
 * With train.ema it is the averages of the weights that are evaluated and saved.
 * What each pass is given, rates and draws, says rt_step. */
#include "runtime/loops/train.h"

#include "base/clock.h"
#include "base/str.h"
#include "runtime/loops/average.h"
#include "runtime/loops/metrics.h"

#include <string.h>

static bool train_step(Train *t, const Batch *batch, Error *error) {
    Loop *l = &t->loop;
    PassResult result;
    if (!loop_run(l, GRAPH_train, batch, &result, error))
        return false;
    SearchSums *sums = &l->at.sums;
    sums->loss += result.loss * (double)batch->count;
    sums->correct += result.correct;
    sums->images += batch->count;
    sums->grad_norm += rt_output_scalar(l->program, GRAPH_train, "grad_norm");
    sums->steps++;
    l->at.step++;
    l->at.batch = loop_batch_number(l, batch) + 1;
    l->at.global_step++;
    loop_show_step(l, batch->count);
    return true;
}

/* The rest of the epoch. Stops early, with true, when a signal came. */
static bool train_epoch(Train *t, Error *error) {
    Loop *l = &t->loop;
    loader_start(t->train_loader, (uint32_t)l->at.epoch, 0, l->at.batch);
    int64_t images = l->progress.images;
    l->epoch_started = clock_now();
    const Batch *batch;
    while (!loop_interrupted() && (batch = loader_next(t->train_loader, error))) {
        if (!train_step(t, batch, error))
            return false;
    }
    if (!loop_check_epoch(l, error))
        return false;
    l->epoch_rate = (double)(l->progress.images - images) / (clock_now() - l->epoch_started);
    return true;
}

static TrainMetrics epoch_metrics(const Train *t, const Evaluation *valid) {
    const Checkpoint *at = &t->loop.at;
    const SearchSums *sums = &at->sums;
    RtPosition last = loop_position(&t->loop);
    last.step = last.steps - 1;
    return (TrainMetrics){.epoch = at->epoch,
                          .steps = at->global_step,
                          .lr = rt_step(GRAPH_train, &t->loop.settings, at->seed, &last).scalars[RUN_lr],
                          .drop_path = rt_step_drop_probability(&t->loop.settings, &last),
                          .train_loss = sums->loss / (double)sums->images,
                          .train_accuracy = (double)sums->correct / (double)sums->images,
                          .grad_norm = sums->grad_norm / (double)sums->steps,
                          .valid_data = t->result.data,
                          .valid_loss = valid->loss,
                          .valid_accuracy = valid->accuracy,
                          .valid_accuracy5 = valid->accuracy5,
                          .best_epoch = at->best_epoch,
                          .best_accuracy = at->best_accuracy};
}

static void print_epoch(Train *t, const TrainMetrics *m) {
    progress_clear(&t->loop.progress);
    fprintf(diag_notes(),
            "epoch %lld/%lld: train loss %.4f accuracy %.2f %%, %s loss %.4f accuracy %.2f %%, best %.2f %% (epoch "
            "%lld), %.1f s, %.0f images/s\n",
            (long long)m->epoch + 1, (long long)t->loop.at.epochs, m->train_loss, 100 * m->train_accuracy,
            str_equal(m->valid_data, "test") ? "test" : "held-out", m->valid_loss, 100 * m->valid_accuracy,
            100 * m->best_accuracy, (long long)m->best_epoch + 1, clock_now() - t->loop.epoch_started,
            t->loop.epoch_rate);
}

static void show_epoch(const Loop *l, const TrainMetrics *m, double seconds) {
    Arena *arena = arena_create();
    loop_show_epoch(l, &(RunEpoch){.epoch = m->epoch,
                                   .epochs = l->at.epochs,
                                   .metrics = metrics_train_line(arena, m),
                                   .seconds = seconds,
                                   .images_per_second = l->epoch_rate});
    arena_destroy(arena);
}

/* Writes down the epoch that is complete. The checkpoint comes last: if anything before it fails, a resumed training
 * repeats the epoch and drops what was written of it. */
static bool finish_epoch(Train *t, const Evaluation *valid, Error *error) {
    Loop *l = &t->loop;
    if (l->at.best_epoch < 0 || valid->accuracy > l->at.best_accuracy) {
        l->at.best_epoch = l->at.epoch;
        l->at.best_accuracy = valid->accuracy;
        bool saved = average_exchange(l->program, error) && loop_save_weights(l, "best.safetensors", error) &&
                     average_exchange(l->program, error);
        if (!loop_meet(l, saved, error))
            return false;
    }
    t->result.images = valid->images;
    t->result.last_accuracy = valid->accuracy;
    t->result.last_loss = valid->loss;
    t->has_last = true;
    TrainMetrics m = epoch_metrics(t, valid);
    t->train_accuracy = m.train_accuracy;
    print_epoch(t, &m);
    double seconds = clock_now() - l->epoch_started;
    bool ok = !loop_writes(l) ||
              (metrics_append_train(loop_file(l, "metrics.jsonl"), &m, error) &&
               metrics_append_timing(loop_file(l, "timing.jsonl"), l->at.epoch, seconds, l->epoch_rate, error));
    if (!loop_next_epoch(l, ok, error))
        return false;
    show_epoch(l, &m, seconds);
    return true;
}

static bool evaluate_epoch(Train *t, Evaluation *valid, Error *error) {
    RtProgram *program = t->loop.program;
    return average_exchange(program, error) &&
           evaluate_images(program, t->valid_loader, evaluate_alone(program), loop_interrupted, t->valid_classes, valid,
                           error) &&
           average_exchange(program, error);
}

static bool train_epochs(Train *t, Error *error) {
    Loop *l = &t->loop;
    fprintf(diag_notes(), "training: %lld epochs, %lld steps per epoch, %lld images at a time, seed %llu\n",
            (long long)l->at.epochs, (long long)l->steps, (long long)rt_program_batch(l->program),
            (unsigned long long)l->at.seed);
    progress_begin(&l->progress, diag_notes(), l->at.epochs, l->steps, l->at.global_step);
    while (l->at.epoch < l->at.epochs) {
        Evaluation valid = {0};
        if (!train_epoch(t, error) || !evaluate_epoch(t, &valid, error))
            return false;
        if (loop_interrupted())
            return loop_stop_interrupted(l, error);
        if (!finish_epoch(t, &valid, error))
            return false;
    }
    return true;
}

static bool has_statistics(const RtProgram *program) {
    for (int i = 0; i < rt_param_count(program); i++) {
        if (rt_param_info(program, i)->kind == PARAM_statistic)
            return true;
    }
    return false;
}

/* Running averages move a tenth of the way with every step: after a few they still hold what they began with, and
 * a network that does well with the statistics of its batches fails with them. */
static void hint_at_statistics(const Train *t) {
    const int64_t few = 100;
    const double far = 0.2;
    const Loop *l = &t->loop;
    if (!t->has_last || l->at.global_step >= few || t->train_accuracy - t->result.last_accuracy < far ||
        !has_statistics(l->program))
        return;
    fprintf(diag_notes(),
            "note: %.1f %% while training, %.1f %% tested: after only %lld steps batch norm's running averages, which "
            "testing uses, may not have settled; more epochs, or a smaller batch, would tell\n",
            100 * t->train_accuracy, 100 * t->result.last_accuracy, (long long)l->at.global_step);
}

bool train_once(Arena *arena, const LoopOptions *options, const RunFolder *whole, const Ranks *waiting,
                TrainResult *result, Error *error) {
    static const char *const lines[] = {"metrics.jsonl", "timing.jsonl", NULL};
    Train *t = ARENA_NEW(arena, Train);
    t->loop = (Loop){
        .arena = arena, .options = *options, .whole = whole, .what = "training", .prefer = "train", .lines = lines};
    bool ok = ranks_all(waiting, train_open(t, error)) && train_epochs(t, error);
    progress_clear(&t->loop.progress);
    ok = loop_finish_profile(&t->loop, error) && ok;
    ok = ok && train_finish(t, error);
    if (ok)
        hint_at_statistics(t);
    else
        loop_explain_failure(&t->loop, error);
    *result = t->result;
    result->last_classes = result->test_classes = NULL; /* their names go with the data */
    train_close(t);
    return ok;
}
