/* search_save.c: what a search keeps in its folder besides the lines of metrics.c: checkpoint, genotype, drawings. */
#include "runtime/search.h"

#include "base/str.h"
#include "runtime/genotype.h"

#include <string.h>
#include <unistd.h>

const char *search_file(const Search *s, const char *name) {
    return arena_printf(s->arena, "%s/%s", s->options.out, name);
}

bool search_save_checkpoint(Search *s, Error *error) {
    Arena *arena = arena_create();
    Checkpoint c = s->at;
    c.identity = rt_program_identity(s->program);
    c.settings = checkpoint_settings(arena, s->module);
    rt_state_get(s->program, arena, &c.tensors);
    bool ok = checkpoint_write(search_file(s, "checkpoint.safetensors"), &c, error);
    arena_destroy(arena);
    return ok;
}

static const char hint[] = "--allow-different-build goes on anyway, with other bits";

/* Whether the checkpoint is of this experiment. */
static bool check_experiment(Search *s, const char *path, const Checkpoint *c, Error *error) {
    const char *here = checkpoint_settings(s->restored_arena, s->module);
    const char *difference = checkpoint_compare_settings(s->restored_arena, here, c->settings);
    if (s->options.has_seed && s->options.seed != c->seed)
        return error_set(error, ERROR_INPUT, "%s: the search began with seed %llu, not %llu", path,
                         (unsigned long long)c->seed, (unsigned long long)s->options.seed);
    if (difference && !s->options.allow_different_build)
        return error_set(error, ERROR_INPUT, "%s is of another search: %s; %s", path, difference, hint);
    return true;
}

bool search_read_checkpoint(Search *s, Error *error) {
    const char *path = search_file(s, "checkpoint.safetensors");
    if (access(path, F_OK) != 0)
        return error_set(error, ERROR_INPUT, "nothing to resume: there is no file '%s'", path);
    s->restored_arena = arena_create();
    if (!checkpoint_read(s->restored_arena, path, &s->restored, error) ||
        !check_experiment(s, path, &s->restored, error))
        return false;
    s->at.seed = s->restored.seed;
    return true;
}

/* The same experiment, compiled the same way: only then are the bits the same. */
bool search_take_checkpoint(Search *s, Error *error) {
    const char *path = search_file(s, "checkpoint.safetensors"), *identity = rt_program_identity(s->program);
    if (!s->options.allow_different_build && !str_equal(identity, s->restored.identity))
        return error_set(error, ERROR_INPUT, "%s is of another build: expected '%s', found '%s'; %s", path, identity,
                         s->restored.identity, hint);
    if (!rt_state_set(s->program, &s->restored.tensors, RT_STATE_all, error))
        return false;
    s->at = s->restored;
    s->at.tensors = (TensorFile){0};
    s->at.identity = s->at.settings = NULL; /* they go with the arena */
    s->at.epochs = s->settings.epochs;
    arena_destroy(s->restored_arena);
    s->restored_arena = NULL;
    fprintf(stderr, "resuming in epoch %lld after %lld steps\n", (long long)s->at.epoch + 1, (long long)s->at.step);
    return true;
}

/* The text's file name without folder and suffix. */
static const char *text_name(const Search *s, Arena *arena) {
    const char *slash = strrchr(s->options.path, '/');
    const char *name = slash ? slash + 1 : s->options.path;
    size_t length = strlen(name);
    return arena_strndup(arena, name, str_ends_with(name, ".nd") ? length - 3 : length);
}

static bool current_genotype(Search *s, Arena *arena, Genotype *genotype, Error *error) {
    const char *names[2];
    Tensor alphas[2];
    int count = genotype_alpha_names(s->module, names);
    for (int i = 0; i < count; i++) {
        if (rt_param_find(s->program, names[i]) < 0)
            return error_set(error, ERROR_INPUT, "the search has no architecture parameters '%s'", names[i]);
        alphas[i] = rt_param_get(s->program, names[i], arena);
    }
    return genotype_build(arena, s->module, s->options.path, text_name(s, arena), alphas, count, genotype, error);
}

const char *search_genotype_text(Search *s, Arena *arena) {
    Genotype genotype;
    Error error = {0};
    return current_genotype(s, arena, &genotype, &error) ? genotype.text : "";
}

bool search_save_genotype(Search *s, Error *error) {
    Arena *arena = arena_create();
    Genotype genotype;
    bool ok = current_genotype(s, arena, &genotype, error) &&
              file_write_atomic(search_file(s, "genotype.nd"), genotype.text, strlen(genotype.text), error) &&
              genotype_write_dot(arena, s->options.out, &genotype, error);
    arena_destroy(arena);
    return ok;
}

void search_draw_cells(Search *s) {
    Arena *arena = arena_create();
    Genotype genotype;
    Error error = {0};
    if (current_genotype(s, arena, &genotype, &error) && !genotype_draw(arena, s->options.out, &genotype))
        fprintf(stderr,
                "no drawings of the cells: Graphviz's dot is not installed or failed; normal.dot and reduce.dot are in "
                "%s\n",
                s->options.out);
    arena_destroy(arena);
}
