/* loop_checkpoint.c: where a loop's state comes from and how it is kept. */
#include "runtime/loops/loop.h"

#include "base/file.h"
#include "base/str.h"
#include "runtime/loops/agree.h"
#include "runtime/loops/metrics.h"
#include "runtime/loops/tensorboard.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char file_name[] = "checkpoint.safetensors";
static const char hint[] = "--allow-different-build goes on anyway, with other bits";

/* A number that is none would be learned from for ever. */
static bool check_finite(const Loop *l, const TensorFile *state, Error *error) {
    for (size_t i = 0; i < state->count; i++) {
        const Tensor *t = &state->tensors[i];
        for (int64_t j = 0; j < tensor_count(t); j++)
            if (!isfinite(tensor_get(t, j)))
                return error_set(
                    error, ERROR_INPUT,
                    "%s became %g in epoch %lld; the last checkpoint is of before; a smaller learning rate may help",
                    t->name, tensor_get(t, j), (long long)l->at.epoch + (l->at.batch > 0));
    }
    return true;
}

static bool save_checkpoint_as(Loop *l, const char *path, Error *error) {
    Arena *arena = arena_create();
    Checkpoint c = l->at;
    c.identity = rt_program_identity(l->program);
    c.settings = checkpoint_settings(arena, l->module);
    c.costs = l->costs_hash;
    rt_state_get(l->program, arena, &c.tensors);
    bool ok = check_finite(l, &c.tensors, error) && checkpoint_write(path, &c, error);
    arena_destroy(arena);
    return ok;
}

bool loop_save_checkpoint(Loop *l, Error *error) {
    return !loop_writes(l) || save_checkpoint_as(l, loop_file(l, file_name), error);
}

/* Whether the checkpoint is of this experiment. */
static bool check_experiment(Loop *l, const char *path, const Checkpoint *c, Error *error) {
    const char *here = checkpoint_settings(l->restored_arena, l->module);
    const char *difference = checkpoint_compare_settings(l->restored_arena, here, c->settings);
    if (l->options.has_seed && l->options.seed != c->seed)
        return error_set(error, ERROR_INPUT, "%s: the %s began with seed %llu, not %llu", path, l->what,
                         (unsigned long long)c->seed, (unsigned long long)l->options.seed);
    if (difference && !l->options.allow_different_build)
        return error_set(error, ERROR_INPUT, "%s is of another %s: %s; %s", path, l->what, difference, hint);
    return true;
}

/* What is done cannot be undone. */
static bool check_epochs(const Loop *l, const Checkpoint *c, Error *error) {
    int64_t begun = c->epoch + (c->batch > 0);
    return begun <= l->at.epochs ||
           error_set(error, ERROR_INPUT, "%s: %lld epochs are asked for, and the %s is in epoch %lld already",
                     l->options.out, (long long)l->at.epochs, l->what, (long long)begun);
}

static bool read_checkpoint(Loop *l, Error *error) {
    const char *path = loop_file(l, file_name);
    if (file_is_missing(path)) {
        const char *aside = run_folder_latest_aside(l->arena, l->options.out);
        return error_set(error, ERROR_INPUT, "nothing to resume: there is no file '%s'%s%s%s", path,
                         aside ? "; an earlier run is in '" : "", aside ? aside : "", aside ? "'" : "");
    }
    if (!checkpoint_read(l->restored_arena, path, &l->restored, error) ||
        !check_experiment(l, path, &l->restored, error) || !check_epochs(l, &l->restored, error))
        return false;
    l->at.seed = l->restored.seed;
    return true;
}

/* A position without the tensors would do for the order of steps, but not for their bits. */
static bool agree_on_file(const Loop *l, Error *error) {
    const TensorFile *file = &l->restored.tensors;
    const char *what = l->options.resume ? "another checkpoint" : "other weights to begin with";
    const char *position = l->options.resume && file->metadata ? file->metadata : "";
    return !l->options.ranks || (agree_on_tensors(l->options.ranks, what, file, error) &&
                                 ranks_agree(l->options.ranks, what, position, error));
}

bool loop_read_state(Loop *l, Error *error) {
    l->restored_arena = arena_create();
    bool ok = l->options.resume ? read_checkpoint(l, error)
                                : !l->options.init ||
                                      safetensors_read(l->restored_arena, l->options.init, &l->restored.tensors, error);
    return ok && agree_on_file(l, error);
}

static const char *mark_text(Arena *arena, const DataMark *mark) {
    return arena_printf(arena, "%lld in %lld classes", (long long)mark->images, (long long)mark->classes);
}

static bool check_mark(Loop *l, const char *which, const DataMark *there, const DataMark *here, Error *error) {
    bool same_size = there->images == here->images && there->classes == here->classes;
    if (same_size && there->hash == here->hash)
        return true;
    const char *what = same_size
                           ? "; now they are as many, but not the same ones (by their names, sizes and labels, or "
                             "by their pixels)"
                           : arena_printf(l->arena, ", now %s", mark_text(l->arena, here));
    const char *text = arena_printf(l->arena, "%s began with other images: the %s images were %s%s", l->options.out,
                                    which, mark_text(l->arena, there), what);
    if (!l->options.allow_different_data)
        return error_set(error, ERROR_INPUT, "%s; --allow-different-data goes on with these", text);
    fprintf(diag_notes(), "warning: %s\n", text);
    return true;
}

bool loop_check_data(Loop *l, Error *error) {
    const Checkpoint *there = &l->restored;
    if (!l->options.resume)
        return true;
    if (there->data.images == 0) {
        fprintf(diag_notes(),
                "note: this checkpoint is of an earlier version and does not say which images it is of\n");
        return true;
    }
    return check_mark(l, "training", &there->data, &l->at.data, error) &&
           check_mark(l, "test", &there->test, &l->at.test, error);
}

/* Identities are lists of what matters, the hash of the program last. */
static const char *build_difference(Arena *arena, const char *here, const char *there) {
    size_t same = 0;
    for (size_t i = 0; here[i] && here[i] == there[i]; i++)
        same = here[i] == ',' ? i + 1 : same;
    here += same + strspn(here + same, " ");
    there += same + strspn(there + same, " ");
    if (str_starts_with(here, "source ") && str_starts_with(there, "source "))
        return "the text or a --set makes another program than the one it was written by";
    return arena_printf(arena, "'%s' here, '%s' in the checkpoint", here, there);
}

/* The same experiment, compiled the same way: only then are the bits the same. */
static bool take_checkpoint(Loop *l, Error *error) {
    const char *path = loop_file(l, file_name), *identity = rt_program_identity(l->program);
    Checkpoint here = l->at;
    if (!l->options.allow_different_build && !str_equal(identity, l->restored.identity))
        return error_set(error, ERROR_INPUT, "%s is of another build: %s; %s", path,
                         build_difference(l->restored_arena, identity, l->restored.identity), hint);
    if (!rt_state_set(l->program, &l->restored.tensors, RT_STATE_all, error))
        return false;
    l->at = l->restored;
    l->at.tensors = (TensorFile){0};
    l->at.identity = l->at.settings = l->at.costs = NULL; /* they go with the arena */
    l->at.epochs = here.epochs;
    l->at.data = here.data;
    l->at.test = here.test;
    fprintf(diag_notes(), "resuming in epoch %lld after %lld steps\n", (long long)l->at.epoch + 1,
            (long long)l->at.step);
    return true;
}

/* What an optimiser keeps of a weight goes with it: momentum/classifier.weight. */
static bool is_excepted(const char *name, const char *prefix) {
    const char *slash = strchr(name, '/');
    return str_starts_with(name, prefix) || (slash && str_starts_with(slash + 1, prefix));
}

/* --init-except: in place of the file's weights of such names, the ones that were drawn. */
static bool keep_drawn(Loop *l, const char *prefix, TensorFile *file, Error *error) {
    size_t kept = 0, count = file->count;
    for (size_t i = 0; i < count; i++) {
        if (!is_excepted(file->tensors[i].name, prefix))
            file->tensors[kept++] = file->tensors[i];
    }
    file->count = kept;
    int drawn = 0;
    for (int i = 0; i < rt_param_count(l->program); i++) {
        const char *name = rt_param_info(l->program, i)->name;
        if (!str_starts_with(name, prefix))
            continue;
        tensor_file_add(l->restored_arena, file, rt_param_get(l->program, name, l->restored_arena));
        drawn++;
    }
    return drawn ||
           error_set(error, ERROR_INPUT, "--init-except %s: the network has no weights whose names begin so", prefix);
}

/* A checkpoint has the optimiser's memory too, which belongs to the steps that were made: a run that begins makes its own. */
static void leave_memory(const Loop *l, TensorFile *file) {
    size_t kept = 0;
    for (size_t i = 0; i < file->count; i++) {
        int param = rt_param_find(l->program, file->tensors[i].name);
        if (param < 0 || rt_param_info(l->program, param)->kind != PARAM_optimizer)
            file->tensors[kept++] = file->tensors[i];
    }
    file->count = kept;
}

/* --init: what is missing or left over is said of that file. */
static bool take_weights(Loop *l, Error *error) {
    Error inner = {0};
    leave_memory(l, &l->restored.tensors);
    for (int i = 0; i < l->options.init_except_count; i++)
        if (!keep_drawn(l, l->options.init_except[i], &l->restored.tensors, error))
            return false;
    return !l->options.init || rt_state_set(l->program, &l->restored.tensors, RT_STATE_weights, &inner) ||
           error_set(error, inner.kind, "%s: %s", l->options.init, inner.message);
}

static bool trim_results(Loop *l, Error *error) {
    for (int i = 0; l->lines[i]; i++) {
        const char *path = loop_file(l, l->lines[i]);
        int64_t found;
        if (!metrics_trim(path, l->at.epoch, &found, error))
            return false;
        if (found < l->at.epoch)
            fprintf(diag_notes(),
                    "warning: %s has lines of %lld of the %lld epochs that are done; the others stay missing\n", path,
                    (long long)found, (long long)l->at.epoch);
    }
    return true;
}

bool loop_set_state(Loop *l, Error *error) {
    bool ok = l->options.resume ? take_checkpoint(l, error) : take_weights(l, error);
    arena_destroy(l->restored_arena);
    l->restored_arena = NULL;
    return ok;
}

/* ---- the folder ---- */

/* Whether a checkpoint can be written, before anything of an earlier run is touched. */
static bool try_checkpoint(Loop *l, Error *error) {
    const char *path = arena_printf(l->arena, "%s/%s", l->options.out, RUN_FOLDER_TRIAL);
    bool ok = save_checkpoint_as(l, path, error);
    unlink(path);
    return ok;
}

static bool set_aside(Loop *l, Error *error) {
    const RunFolder *folder = l->whole ? l->whole : &l->folder;
    const char *aside;
    if (!run_folder_is_used(l->arena, folder))
        return true;
    if (!try_checkpoint(l, error) || !run_folder_set_aside(l->arena, folder, &aside, error))
        return false;
    fprintf(diag_notes(), "what earlier runs left in %s is now in %s\n", folder->path, aside);
    if (!l->whole)
        return true;
    run_folder_close(&l->folder); /* it may have gone too */
    return run_folder_open(l->arena, l->options.out, &l->folder, error);
}

/* A checkpoint is written beside the one before it. What the system says is free is not always so: no error. */
static void check_room(const Loop *l) {
    struct stat file;
    struct statvfs disk;
    if (stat(loop_file(l, file_name), &file) != 0 || statvfs(l->options.out, &disk) != 0)
        return;
    double room = (double)disk.f_bavail * (double)disk.f_frsize;
    if (room < (double)file.st_size)
        fprintf(diag_notes(),
                "warning: the next checkpoint will not fit: it takes %.1f MB beside the one before it, and there are "
                "%.1f MB left for %s\n",
                (double)file.st_size / 1e6, room / 1e6, l->options.out);
}

/* Results are touched from here on. */
static bool begin_results(Loop *l, const char *command, Error *error) {
    if (!(l->options.resume ? trim_results(l, error) : set_aside(l, error)) || !loop_describe(l, command, error))
        return false;
    /* Once begun, an event file is kept up. */
    bool has_events;
    if (!file_find(loop_file(l, TENSORBOARD_FILE), &has_events, error))
        return false;
    l->options.tensorboard |= has_events;
    if (l->options.tensorboard && !tensorboard_write_all(l->options.out, error))
        return false;
    if (l->at.epoch < l->at.epochs) {
        if (!loop_save_checkpoint(l, error))
            return false;
        check_room(l);
    }
    return !l->options.log_steps || rt_log_begin(l->program, loop_file(l, "steps.jsonl"), error);
}

bool loop_begin(Loop *l, const char *command, Error *error) {
    if (loop_interrupted())
        return loop_stop_before_start(error);
    l->has_begun = loop_meet(l, !loop_writes(l) || begin_results(l, command, error), error);
    return l->has_begun;
}

void loop_explain_failure(const Loop *l, Error *error) {
    size_t length = strlen(error->message);
    if (l->has_begun && error->kind == ERROR_MACHINE)
        snprintf(error->message + length, sizeof error->message - length,
                 "; the state before it is in %s: when that is mended, --resume goes on", l->options.out);
}

/* ---- positions ---- */

bool loop_stop_interrupted(Loop *l, Error *error) {
    progress_clear(&l->progress);
    if (!loop_meet(l, loop_save_checkpoint(l, error), error))
        return false;
    return loop_end_interrupted(error,
                                "interrupted in epoch %lld after %lld of %lld steps; saved in %s; --resume goes on",
                                (long long)l->at.epoch + 1, (long long)l->at.step, (long long)l->steps, l->options.out);
}

/* A machine that computes wrongly, or another program: nothing of it is kept. */
static bool compare_ranks(const Loop *l, Error *error) {
    Arena *arena = arena_create();
    TensorFile state = {0};
    rt_state_get(l->program, arena, &state);
    uint64_t hash = checkpoint_hash(&state);
    int other = ranks_find_other(l->options.ranks, &hash, sizeof hash);
    arena_destroy(arena);
    return !other || error_set(error, ERROR_MACHINE,
                               "rank %d has other parameters than rank 0 after epoch %lld: one of the two computes "
                               "wrongly; the last checkpoint is of before",
                               other, (long long)l->at.epoch + 1);
}

static bool save_epoch(Loop *l, Error *error) {
    if (l->options.tensorboard && loop_writes(l) && !tensorboard_append_last(l->options.out, error))
        return false;
    l->at.epoch++;
    l->at.step = l->at.batch = l->at.alphas_batch = 0;
    memset(&l->at.sums, 0, sizeof(l->at.sums));
    return loop_save_checkpoint(l, error);
}

bool loop_next_epoch(Loop *l, bool written, Error *error) {
    return loop_meet(l, written, error) && (!l->options.ranks || compare_ranks(l, error)) &&
           loop_meet(l, save_epoch(l, error), error);
}
