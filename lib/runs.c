/* runs.c: searches, trainings and evaluations in the caller's program. A run has the folder of its results, the caller's
 * callbacks, and the process to itself: two at a time are refused, for who writes below a folder and who asks for an end
 * are known once. What it says of itself goes, line by line, to the caller, or nowhere. */
#include "lib/call.h"

#include "base/cancel.h"
#include "runtime/data/data.h"
#include "runtime/driver/recipe.h"
#include "runtime/loops/evaluate_network.h"
#include "runtime/loops/run.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t one_run = PTHREAD_MUTEX_INITIALIZER;

/* ---- what is said ---- */

/* Lines are whole when they come: the stream is buffered by lines. */
static ssize_t hand_on(void *cookie, const char *bytes, size_t size) {
    const NdartsRun *run = cookie;
    char *text = run->say ? strndup(bytes, size) : NULL;
    if (text)
        run->say(run->context, text);
    free(text);
    return (ssize_t)size;
}

static FILE *open_listener(const NdartsRun *run) {
    FILE *stream = fopencookie((void *)run, "w", (cookie_io_functions_t){.write = hand_on});
    if (stream)
        setvbuf(stream, NULL, _IOLBF, BUFSIZ);
    return stream;
}

/* ---- callbacks ---- */

static bool on_stop(void *context) {
    const NdartsRun *run = context;
    return run->stop && run->stop(run->context);
}

static void on_step(void *context, const RunStep *s) {
    const NdartsRun *run = context;
    const NdartsStep step = {s->epoch, s->epochs, s->step, s->steps, s->loss, s->accuracy, s->images_per_second};
    if (run->step)
        run->step(run->context, &step);
}

static void on_epoch(void *context, const RunEpoch *e) {
    const NdartsRun *run = context;
    const NdartsEpoch epoch = {e->epoch, e->epochs, e->metrics, e->genotype, e->seconds, e->images_per_second};
    if (run->epoch)
        run->epoch(run->context, &epoch);
}

/* ---- runs ---- */

typedef bool Run(Arena *arena, const LoopOptions *options, FILE *result, Error *error);

typedef struct RunCall {
    const NdartsRun *run;
    Run *begin;
    bool alone;
} RunCall;

static bool check_run(const NdartsRun *run, Error *error) {
    if (!run)
        return error_set(error, ERROR_INPUT, "what is asked for is NULL");
    return run->size == sizeof *run ||
           error_set(error, ERROR_INPUT, "the size is %zu; it should be sizeof(NdartsRun), which is %zu", run->size,
                     sizeof *run);
}

static bool loop_options(Arena *arena, const NdartsRun *run, const RunObserver *observer, LoopOptions *loop,
                         Error *error) {
    RtProgramOptions o;
    if (!call_options(run->path, &run->options, &o, error))
        return false;
    if (o.batch || o.entry)
        return error_set(error, ERROR_INPUT, "a run takes the batch and the network that its text says");
    *loop = (LoopOptions){.path = o.path,
                          .text = o.text,
                          .out = run->out,
                          .init = run->init,
                          .costs = run->costs,
                          .recipe = run->recipe ? recipe_find(arena, run->recipe, error) : NULL,
                          .resume = run->resume,
                          .allow_different_build = run->allow_different_build,
                          .allow_different_data = run->allow_different_data,
                          .tensorboard = run->tensorboard,
                          .log_steps = run->log_steps,
                          .has_seed = run->has_seed,
                          .seed = run->seed,
                          .threads = o.threads,
                          .device = o.device,
                          .precision = o.precision,
                          .sets = o.sets,
                          .set_count = o.set_count,
                          .observer = observer};
    return !error->kind;
}

static bool run_loop(TextCall *call, Error *error) {
    const RunCall *c = call->more;
    const RunObserver observer = {(void *)c->run, on_stop, on_step, on_epoch};
    LoopOptions options;
    char *text = NULL;
    size_t size;
    if (!loop_options(call->arena, c->run, &observer, &options, error))
        return false;
    FILE *result = open_memstream(&text, &size);
    bool ok = result && c->begin(call->arena, &options, result, error);
    if (result)
        fclose(result);
    call->text = ok ? arena_strdup(call->arena, text) : NULL;
    free(text);
    return ok;
}

static bool run_told(void *data, Error *error) {
    TextCall *call = data;
    const RunCall *c = call->more;
    if (!check_run(c->run, error))
        return false;
    if (!c->alone)
        return error_set(error, ERROR_INPUT, "another search or training goes on in this process; one at a time");
    diag_notes_redirected = open_listener(c->run);
    if (!diag_notes_redirected)
        return error_set(error, ERROR_MACHINE, "out of memory");
    const Cancel asked = {on_stop, (void *)c->run};
    cancel = &asked; /* until the call ends */
    bool ok = run_loop(call, error);
    fclose(diag_notes_redirected);
    return ok;
}

static NdartsStatus run(const NdartsRun *options, Run *begin, char **text, char **message) {
    RunCall run = {options, begin, pthread_mutex_trylock(&one_run) == 0};
    TextCall call = {.more = &run};
    NdartsStatus status = call_for_text(run_told, &call, text, message);
    if (run.alone)
        pthread_mutex_unlock(&one_run);
    return status;
}

NdartsStatus ndarts_search(const NdartsRun *options, char **genotype, char **message) {
    return run(options, search_run, genotype, message);
}

NdartsStatus ndarts_train(const NdartsRun *options, char **result, char **message) {
    return run(options, train_run, result, message);
}

/* ---- evaluation ---- */

static bool evaluate(void *data, Error *error) {
    TextCall *call = data;
    const NdartsEvaluate *e = call->more;
    NetworkEvaluation evaluation;
    TensorFile tensors = {0};
    if (!e)
        return error_set(error, ERROR_INPUT, "what is asked for is NULL");
    if (e->size != sizeof *e)
        return error_set(error, ERROR_INPUT, "the size is %zu; it should be sizeof(NdartsEvaluate), which is %zu",
                         e->size, sizeof *e);
    EvaluateOptions options = {.weights = e->weights, .data = e->data, .part = e->part};
    if (!call_options(e->path, &e->options, &options.program, error) ||
        !call_tensors(call->arena, e->arrays, e->array_count, &tensors, error))
        return false;
    options.program.recipe = e->recipe ? recipe_find(call->arena, e->recipe, error) : NULL;
    options.program.look_at = data_look_at;
    options.tensors = e->arrays ? &tensors : NULL;
    if (error->kind || !evaluate_network(call->arena, &options, &evaluation, error))
        return false;
    call->text = evaluate_network_json(call->arena, &options, &evaluation);
    return true;
}

NdartsStatus ndarts_evaluate(const NdartsEvaluate *options, char **json, char **message) {
    TextCall call = {.more = (void *)options};
    return call_for_text(evaluate, &call, json, message);
}
