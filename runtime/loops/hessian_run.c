/* hessian_run.c: opens a search's network, its weights and its first images, and has the Hessian computed. */
#include "runtime/loops/hessian_run.h"

#include "base/file.h"
#include "base/str.h"
#include "runtime/data/class_balance.h"
#include "runtime/data/data.h"
#include "runtime/driver/step.h"
#include "runtime/loops/checkpoint.h"
#include "runtime/loops/evaluate.h"
#include "runtime/loops/hessian.h"

#include <math.h>
#include <sys/stat.h>

typedef struct HessianRun {
    Arena *arena;
    HessianOptions options;
    bool has_checkpoint;
    Checkpoint checkpoint; /* of a search's folder */
    Settings settings;
    RtProgram *program;
    DataOptions data_options;
    Dataset data;
    Augment augment;
    Loader *loader;
    const Batch *batch;
    uint64_t seed;
    RtPosition at;
} HessianRun;

/* A folder stands for the network in it, what its candidates cost, and the checkpoint. */
static bool open_folder(HessianRun *r, Error *error) {
    struct stat status;
    const char *path = r->options.program.path;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return true;
    r->options.program.path = arena_printf(r->arena, "%s/network.ir", path);
    const char *costs = arena_printf(r->arena, "%s/cost.json", path);
    if (!r->options.program.costs && !file_is_missing(costs))
        r->options.program.costs = costs;
    r->has_checkpoint = true;
    return checkpoint_read(r->arena, arena_printf(r->arena, "%s/checkpoint.safetensors", path), &r->checkpoint, error);
}

static bool read_text(HessianRun *r, Error *error) {
    const IrModule *module = rt_text_load_options(r->arena, &r->options.program, error);
    if (!module)
        return false;
    r->settings = settings_read(module);
    return settings_are_of(&r->settings, "search") ||
           error_set(error, ERROR_INPUT, "%s: not a search, so there are no architecture parameters",
                     r->options.program.path);
}

static bool open_program(HessianRun *r, Error *error) {
    static const GraphKind kinds[] = {GRAPH_gradients};
    r->options.program.kinds = kinds;
    r->options.program.kind_count = 1;
    r->options.program.seed = r->seed;
    r->program = rt_program_open(&r->options.program, error);
    return r->program != NULL;
}

static bool set_state(HessianRun *r, Error *error) {
    TensorFile file = r->checkpoint.tensors;
    if (r->options.weights && !safetensors_read(r->arena, r->options.weights, &file, error))
        return false;
    return (!r->has_checkpoint && !r->options.weights) || rt_state_set(r->program, &file, RT_STATE_weights, error);
}

/* The first images of those that move the alphas, as they are. */
static bool open_batch(HessianRun *r, Error *error) {
    if (!data_options_read(&r->settings, &r->data_options, error) ||
        !data_open(&r->data_options, DATA_train, &r->data, error) ||
        !class_weights_set(r->program, &r->settings, &r->data, r->data.count, error))
        return false;
    augment_prepare(&r->data_options, false, &r->augment);
    int64_t first = (int64_t)floor(r->data_options.split * (double)r->data.count), batch = rt_program_batch(r->program);
    if (first >= r->data.count)
        return error_set(error, ERROR_INPUT, "split %g leaves no images for the alphas", r->data_options.split);
    LoaderOptions o = {.data = &r->data,
                       .first = first,
                       .count = batch < r->data.count - first ? batch : r->data.count - first,
                       .batch = batch,
                       .augment = &r->augment,
                       .f64 = r->options.program.precision == PRECISION_f64,
                       .threads = 1};
    r->loader = loader_create(&o, error);
    if (r->loader)
        loader_start(r->loader, 0, 0, 0);
    r->batch = r->loader ? loader_next(r->loader, error) : NULL;
    return r->batch || (!error->kind && error_set(error, ERROR_INPUT, "none of the images can be read"));
}

/* Where the run is, or is said to be. */
static void set_position(HessianRun *r) {
    int64_t done = r->checkpoint.batch > 0 ? r->checkpoint.epoch : r->checkpoint.epoch - 1;
    int64_t epoch = r->options.epoch >= 0 ? r->options.epoch : done;
    r->at = (RtPosition){.epoch = epoch > 0 ? epoch : 0, .epochs = settings_epochs(&r->settings), .steps = 1};
}

static bool run_gradients(void *context, Error *error) {
    const HessianRun *r = context;
    PassResult result;
    return evaluate_batch(r->program, rt_step(GRAPH_gradients, &r->settings, r->seed, &r->at), r->batch, NULL, &result,
                          error);
}

static bool compute(HessianRun *r, TensorFile *results, Error *error) {
    Hessian h = {.arena = r->arena, .program = r->program, .pass = run_gradients, .context = r};
    if (!hessian_results(&h, NULL, r->options.spectrum, results, error))
        return false;
    fprintf(diag_notes(), "%lld gradients of %d architecture parameters, %lld images, epoch %lld\n",
            (long long)h.passes, h.count, (long long)r->batch->count, (long long)r->at.epoch + 1);
    return true;
}

bool hessian_run(Arena *arena, const HessianOptions *options, TensorFile *results, Error *error) {
    HessianRun r = {.arena = arena, .options = *options};
    bool ok = open_folder(&r, error) && read_text(&r, error);
    if (ok) {
        r.seed = r.has_checkpoint        ? r.checkpoint.seed
                 : options->program.seed ? options->program.seed
                                         : (uint64_t)r.settings.search.seed;
        set_position(&r);
    }
    ok = ok && open_program(&r, error) && set_state(&r, error) && open_batch(&r, error) && compute(&r, results, error);
    loader_destroy(r.loader);
    data_close(&r.data);
    rt_program_close(r.program);
    return ok;
}
