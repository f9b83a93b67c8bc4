/* loop.c: opening a program and its data for a loop, and running one pass. */
#include "runtime/loops/loop.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/loops/agree.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool loop_end_interrupted(Error *error, const char *format, ...) {
    va_list args;
    error->kind = ERROR_INTERRUPTED;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    fprintf(diag_notes(), "%s\n", error->message);
    return false;
}

bool loop_stop_before_start(Error *error) {
    return loop_end_interrupted(error, "interrupted before the first step; there is nothing to save");
}

const char *loop_file(const Loop *l, const char *name) {
    if (!run_folder_knows(name))
        bug("'%s' is not in the list of what runs write (run_folder.c)", name);
    return arena_printf(l->arena, "%s/%s", l->options.out, name);
}

RtProgramOptions loop_program_options(const Loop *l) {
    return (RtProgramOptions){.path = l->options.path,
                              .look_at = data_look_at,
                              .text = l->options.text,
                              .prefer = l->prefer,
                              .files = l->files,
                              .recipe = l->options.recipe,
                              .sets = l->options.sets,
                              .set_count = l->options.set_count,
                              .seed = l->at.seed,
                              .threads = l->options.threads,
                              .ranks = l->options.ranks,
                              .device = l->options.device,
                              .precision = l->options.precision,
                              .memory_budget = l->options.memory_budget,
                              .tune = l->options.tune,
                              .costs = l->options.costs,
                              .costs_text = l->costs_text,
                              .vector_bytes = RT_VECTOR_HOST};
}

bool loop_load_text(Loop *l, Error *error) {
    l->files = frontend_files_create(l->arena);
    RtProgramOptions options = loop_program_options(l);
    options.costs = NULL; /* search_find_costs adds them */
    l->module = rt_text_load_options(l->arena, &options, error);
    if (l->module)
        l->settings = settings_read(l->module);
    return l->module != NULL;
}

bool loop_writes(const Loop *l) {
    return ranks_is_first(l->options.ranks);
}

bool loop_meet(const Loop *l, bool ok, Error *error) {
    bool all = ranks_all(l->options.ranks, ok);
    return ok && (all || error_set(error, ERROR_MACHINE, "another rank failed"));
}

bool loop_open_folder(Loop *l, Error *error) {
    if (l->options.resume && file_is_missing(l->options.out))
        return error_set(error, ERROR_INPUT, "nothing to resume: there is no folder '%s'", l->options.out);
    return !loop_writes(l) || run_folder_open(l->arena, l->options.out, &l->folder, error);
}

bool loop_open_data(Loop *l, Error *error) {
    if (l->data_options.classes < 2)
        return error_set(
            error, ERROR_INPUT, "there is one class only, so nothing to tell apart%s",
            data_has_pictures(&l->data_options) ? "; the path is of the folder that has a folder for each class" : "");
    if (!data_open(&l->data_options, DATA_train, &l->data, error))
        return false;
    if (!data_mark(&l->data, &l->at.data, error))
        return false;
    augment_prepare(&l->data_options, true, &l->augment);
    augment_prepare(&l->data_options, false, &l->no_augment);
    return agree_on_images(l->options.ranks, "other images", &l->at.data, error);
}

void loop_print_data(const Loop *l, const char *division) {
    fprintf(diag_notes(), "data: %s; %s\n", data_summary(l->arena, &l->data_options, &l->data), division);
}

static void print_program(const Loop *l, double seconds) {
    fprintf(diag_notes(), "compiled in %.1f s%s; %d threads, %.0f MB\n", seconds,
            rt_program_is_draft(l->program) ? ", faster code of the same bits follows" : "",
            rt_program_threads(l->program), (double)rt_program_memory(l->program) / 1e6);
    if (l->options.verbose)
        fprintf(diag_notes(), "build: %s\n", rt_program_identity(l->program));
}

static bool wants_drafts(void) {
    const char *said = getenv("NDARTS_DRAFTS");
    return !said || !str_equal(said, "off");
}

bool loop_open_program(Loop *l, const GraphKind *kinds, int kind_count, Error *error) {
    RtProgramOptions options = loop_program_options(l);
    options.kinds = kinds;
    options.kind_count = kind_count;
    options.at_once = !l->options.ranks && !l->options.profile && wants_drafts();
    double started = clock_now();
    loop_catch_signals(l->options.ranks,
                       l->options.observer); /* the compiler ends by the same Ctrl-C, and what it left is removed */
    fprintf(diag_notes(), "compiling %s\n", l->options.path);
    l->program = rt_program_open(&options, error);
    if (!l->program && loop_signal_came())
        return l->options.ranks ? error_set(error, ERROR_MACHINE, "interrupted while it compiled")
                                : loop_stop_before_start(error); /* other ranks know nothing of it */
    if (!l->program)
        return false;
    if (l->options.profile)
        rt_profile_begin(l->program);
    print_program(l, clock_now() - started);
    return true;
}

LoaderOptions loop_loader_options(const Loop *l) {
    return (LoaderOptions){.data = &l->data,
                           .batch = rt_program_batch(l->program),
                           .augment = &l->augment,
                           .seed = l->at.seed,
                           .f64 = l->options.precision == PRECISION_f64,
                           .threads = loader_threads(&l->data, rt_program_threads(l->program))};
}

RtPosition loop_position(const Loop *l) {
    return (RtPosition){.epoch = l->at.epoch,
                        .epochs = l->at.epochs,
                        .step = l->at.step,
                        .steps = l->steps,
                        .global_step = l->at.global_step,
                        .alphas_updates = l->at.alphas_updates};
}

RtRun loop_evaluation(const Loop *l) {
    RtPosition position = loop_position(l);
    return rt_step(evaluate_kind(l->program), &l->settings, l->at.seed, &position);
}

bool loop_run(Loop *l, GraphKind kind, const Batch *batch, PassResult *result, Error *error) {
    return loop_run_pair(l, kind, NULL, batch, result, error);
}

bool loop_run_pair(Loop *l, GraphKind kind, const Batch *training, const Batch *batch, PassResult *result,
                   Error *error) {
    RtPosition position = loop_position(l);
    RtRun run = rt_step(kind, &l->settings, l->at.seed, &position);
    bool ok = training ? evaluate_pair(l->program, run, training, batch, result, error)
                       : evaluate_batch(l->program, run, batch, NULL, result, error);
    if (!ok)
        return false;
    if (!isfinite(result->loss))
        return error_set(error, ERROR_INPUT,
                         "the loss became %g in epoch %lld, step %lld (%s); the last checkpoint is of before; a "
                         "smaller learning rate may help",
                         result->loss, (long long)l->at.epoch + 1, (long long)l->at.step + 1, graph_kind_name(kind));
    return true;
}

void loop_show_step(Loop *l, int64_t images) {
    const SearchSums *sums = &l->at.sums;
    double loss = sums->loss / (double)sums->images, accuracy = (double)sums->correct / (double)sums->images;
    const RunObserver *observer = l->options.observer;
    progress_step(&l->progress, l->at.epoch, l->at.step, images, loss, accuracy);
    const RunStep step = {.epoch = l->at.epoch,
                          .epochs = l->at.epochs,
                          .step = l->at.step,
                          .steps = l->steps,
                          .loss = loss,
                          .accuracy = accuracy,
                          .images_per_second = progress_images_per_second(&l->progress)};
    if (observer && observer->step)
        observer->step(observer->context, &step);
}

void loop_show_epoch(const Loop *l, const RunEpoch *epoch) {
    const RunObserver *observer = l->options.observer;
    if (observer && observer->epoch)
        observer->epoch(observer->context, epoch);
}

int64_t loop_batch_number(const Loop *l, const Batch *batch) {
    return batch->position / rt_program_batch(l->program);
}

bool loop_check_epoch(const Loop *l, Error *error) {
    return !error->kind &&
           (l->at.sums.images > 0 || loop_interrupted() ||
            error_set(error, ERROR_INPUT, "epoch %lld has nothing to learn from: none of its images can be read",
                      (long long)l->at.epoch + 1));
}

bool loop_finish_profile(Loop *l, Error *error) {
    if (!l->options.profile || !l->program || !loop_writes(l))
        return true;
    const char *path = *l->options.profile ? l->options.profile : loop_file(l, "profile.json");
    if (!rt_profile_end(l->program, diag_notes(), path, error))
        return false;
    fprintf(diag_notes(), "the first runs, kernel by kernel, are in %s (for chrome://tracing or ui.perfetto.dev)\n",
            path);
    return true;
}

void loop_close(Loop *l) {
    rt_program_close(l->program);
    data_close(&l->data);
    arena_destroy(l->restored_arena);
    run_folder_close(&l->folder);
    l->program = NULL;
    l->restored_arena = NULL;
}
