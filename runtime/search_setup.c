/* search_setup.c: from a command line to a search that is ready to take its next step. What can be found wrong quickly
 * (text, data, checkpoint file) is looked at before anything is compiled. */
#include "runtime/search.h"

#include "base/str.h"
#include "frontend/frontend.h"
#include "runtime/metrics.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool load_text(Search *s, Error *error) {
    FrontendOptions options = {
        .sets = s->options.sets, .set_count = s->options.set_count, .library = rt_library_path(s->arena)};
    Diag *diag = diag_create(s->arena, stderr);
    s->module = frontend_load(s->arena, s->options.path, &options, diag, error);
    if (!s->module || diag_count_errors(diag) > 0)
        return error_set(error, ERROR_INPUT, "%s: %d mistakes", s->options.path, diag_count_errors(diag));
    return search_settings_read(s->module, &s->settings, error) &&
           data_options_read(s->module, &s->data_options, error);
}

static bool make_folders(Arena *arena, const char *path, Error *error) {
    char *copy = arena_strdup(arena, path);
    for (char *p = copy + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char kept = *p;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            return error_set(error, errno == ENOSPC || errno == EROFS ? ERROR_MACHINE : ERROR_INPUT,
                             "cannot make the folder '%s': %s", copy, strerror(errno));
        *p = kept;
        if (kept == '\0')
            break;
    }
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return error_set(error, ERROR_INPUT, "'%s' is not a folder", path);
    return true;
}

static bool open_data(Search *s, Error *error) {
    if (!data_open(&s->data_options, DATA_train, &s->data, error))
        return false;
    s->weights_images = (int64_t)floor(s->data_options.split * (double)s->data.count);
    if (s->weights_images < 1 || s->weights_images >= s->data.count)
        return error_set(
            error, ERROR_INPUT,
            "a search needs images for the weights and for the alphas; split %g of %lld leaves %lld and %lld",
            s->data_options.split, (long long)s->data.count, (long long)s->weights_images,
            (long long)(s->data.count - s->weights_images));
    augment_prepare(&s->data_options, true, &s->augment);
    augment_prepare(&s->data_options, false, &s->no_augment);
    return true;
}

static bool open_program(Search *s, Error *error) {
    static const GraphKind kinds[] = {GRAPH_search_alphas, GRAPH_search_weights, GRAPH_eval};
    RtProgramOptions options = {.path = s->options.path,
                                .sets = s->options.sets,
                                .set_count = s->options.set_count,
                                .seed = s->at.seed,
                                .threads = s->options.threads,
                                .device = s->options.device,
                                .precision = s->options.precision,
                                .kinds = kinds,
                                .kind_count = sizeof(kinds) / sizeof(kinds[0]),
                                .vector_bytes = RT_VECTOR_HOST};
    double started = progress_clock();
    s->program = rt_program_open(&options, error);
    if (!s->program)
        return false;
    rt_state_initialize(s->program, s->at.seed);
    fprintf(stderr, "module ready after %.1f s: %d threads, %.0f MB, %s\n", progress_clock() - started,
            rt_program_threads(s->program), (double)rt_program_memory(s->program) / 1e6,
            rt_program_identity(s->program));
    return true;
}

static bool open_loaders(Search *s, Error *error) {
    int64_t alphas_images = s->data.count - s->weights_images;
    LoaderOptions o = {.data = &s->data,
                       .batch = rt_program_batch(s->program),
                       .augment = &s->augment,
                       .seed = s->at.seed,
                       .f64 = s->options.precision == PRECISION_f64,
                       .threads = 1 + rt_program_threads(s->program) / 8};
    o.first = 0, o.count = s->weights_images, o.shuffle_stream = "shuffle.weights";
    s->weights_loader = loader_create(&o, error);
    o.first = s->weights_images, o.count = alphas_images, o.shuffle_stream = "shuffle.alphas";
    s->alphas_loader = s->weights_loader ? loader_create(&o, error) : NULL;
    o.shuffle_stream = NULL, o.augment = &s->no_augment;
    s->eval_loader = s->alphas_loader ? loader_create(&o, error) : NULL;
    s->steps = s->eval_loader ? loader_batch_count(s->weights_loader) : 0;
    return s->eval_loader != NULL;
}

/* Reads the file that the state comes from, before anything slow is done. */
static bool read_state(Search *s, Error *error) {
    if (s->options.resume)
        return search_read_checkpoint(s, error);
    s->restored_arena = arena_create();
    return !s->options.init || safetensors_read(s->restored_arena, s->options.init, &s->restored.tensors, error);
}

/* A search that is started anew beside an older checkpoint keeps that file under another name. */
static bool set_old_results_aside(Search *s, Error *error) {
    static const char *const lines[] = {"metrics.jsonl", "alphas.jsonl", "timing.jsonl"};
    const char *path = search_file(s, "checkpoint.safetensors");
    const char *kept = search_file(s, "checkpoint.old.safetensors");
    if (access(path, F_OK) == 0) {
        if (rename(path, kept) != 0)
            return error_set(error, ERROR_MACHINE, "cannot rename '%s' to '%s': %s", path, kept, strerror(errno));
        fprintf(stderr, "an earlier search is in %s: its checkpoint is now %s\n", s->options.out, kept);
    }
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const char *file = search_file(s, lines[i]);
        if (unlink(file) != 0 && errno != ENOENT)
            return error_set(error, ERROR_MACHINE, "cannot remove '%s': %s", file, strerror(errno));
    }
    return true;
}

static bool trim_results(Search *s, Error *error) {
    return metrics_trim(search_file(s, "metrics.jsonl"), s->at.epoch, error) &&
           metrics_trim(search_file(s, "alphas.jsonl"), s->at.epoch, error) &&
           metrics_trim(search_file(s, "timing.jsonl"), s->at.epoch, error);
}

/* What the state begins as. */
static bool set_state(Search *s, Error *error) {
    if (s->options.resume)
        return search_take_checkpoint(s, error) && trim_results(s, error);
    if (s->options.init && !rt_state_set(s->program, &s->restored.tensors, RT_STATE_weights, error))
        return false;
    arena_destroy(s->restored_arena);
    s->restored_arena = NULL;
    return set_old_results_aside(s, error);
}

bool search_open(Search *s, Error *error) {
    if (!load_text(s, error) || !make_folders(s->arena, s->options.out, error))
        return false;
    s->at.seed = s->options.has_seed ? s->options.seed : s->settings.seed;
    s->at.epochs = s->settings.epochs;
    return read_state(s, error) && open_data(s, error) && open_program(s, error) && set_state(s, error) &&
           open_loaders(s, error);
}

void search_close(Search *s) {
    loader_destroy(s->weights_loader);
    loader_destroy(s->alphas_loader);
    loader_destroy(s->eval_loader);
    rt_program_close(s->program);
    data_close(&s->data);
    arena_destroy(s->restored_arena);
}
