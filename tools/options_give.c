/* options_give.c: what a command line says, as the libraries want to be told. */
#include "tools/command_line.h"

#include "base/file.h"
#include "base/str.h"
#include "runtime/data/data.h"
#include "runtime/device/cudnn.h"
#include "runtime/driver/recipe.h"

/* Those that --ranks says are only compiled for. */
static const Ranks *ranks_of(const Options *o) {
    if (o->rank_count <= 1)
        return o->ranks;
    Ranks *ranks = ARENA_NEW(o->arena, Ranks);
    ranks->size = (int)o->rank_count;
    return ranks;
}

RtProgramOptions options_program(const Options *o) {
    if (o->no_cudnn)
        cudnn_forbid(); /* for the whole process */
    return (RtProgramOptions){.path = options_input(o),
                              .look_at = data_look_at,
                              .sets = o->sets.items,
                              .set_count = o->sets.count,
                              .seed = o->seed < 0 ? 0 : (uint64_t)o->seed,
                              .threads = (int)o->threads,
                              .ranks = ranks_of(o),
                              .device = o->device,
                              .tune = o->tune,
                              .costs = o->costs,
                              .precision = o->precision,
                              .vector_bytes = (int)o->vector_bytes,
                              .plain = o->plain};
}

LoopOptions options_loop(const Options *o) {
    if (o->no_cudnn)
        cudnn_forbid();
    return (LoopOptions){.path = options_input(o),
                         .out = o->out,
                         .init = o->init,
                         .init_except = o->init_except.items,
                         .init_except_count = o->init_except.count,
                         .resume = o->resume,
                         .allow_different_build = o->allow_different_build,
                         .allow_different_data = o->allow_different_data,
                         .has_seed = o->seed >= 0,
                         .seed = o->seed < 0 ? 0 : (uint64_t)o->seed,
                         .tensorboard = o->tensorboard,
                         .log_steps = o->log_steps,
                         .verbose = o->verbose,
                         .threads = (int)o->threads,
                         .ranks = o->ranks,
                         .device = o->device,
                         .memory_budget = o->memory_budget,
                         .tune = o->tune,
                         .costs = o->costs,
                         .profile = o->profile,
                         .precision = o->precision,
                         .sets = o->sets.items,
                         .set_count = o->sets.count};
}

void options_set_passes(const Options *o, PassContext *ctx) {
    ctx->only = o->only_passes.items;
    ctx->only_count = o->only_passes.count;
    ctx->disabled = o->disabled_passes.items;
    ctx->disabled_count = o->disabled_passes.count;
    ctx->print_before = o->print_before;
    ctx->print_after = o->print_after;
    ctx->print_after_all = o->print_after_all;
    ctx->print_after_change = o->print_after_change;
    ctx->dump_to = o->dump_to;
    ctx->timing = o->timing;
    ctx->remarks = o->remarks;
    ctx->statistics = o->pass_statistics;
}

bool options_target(const Options *o, const CgTarget **target, Error *error) {
    const char *names[TARGET_COUNT];
    for (int i = 0; i < TARGET_COUNT; i++)
        names[i] = cg_targets[i]->name;
    *target = cg_target_find(o->target);
    return *target || diag_unknown(o->arena, "target", o->target, names, TARGET_COUNT, error);
}

bool options_graph_kinds(const Options *o, GraphKind *kinds, int *count, Error *error) {
    const char *known[GRAPH_KIND_COUNT];
    for (int i = 0; i < GRAPH_KIND_COUNT; i++)
        known[i] = graph_kind_name((GraphKind)i);
    *count = 0;
    for (int i = 0; i < o->graphs.count; i++) {
        const char *name = o->graphs.items[i];
        GraphKind kind;
        if (!graph_kind_parse(name, &kind))
            return diag_unknown(o->arena, "graph", name, known, GRAPH_KIND_COUNT, error);
        for (int k = 0; k < *count; k++)
            if (kinds[k] == kind)
                return error_set(error, ERROR_INPUT, "the graph '%s' is named twice", name);
        kinds[(*count)++] = kind;
    }
    return !o->graphs.items || *count || error_set(error, ERROR_INPUT, "--graph names no graph");
}

bool options_recipe(const Options *o, const char **recipe, Error *error) {
    *recipe = o->recipe ? recipe_find(o->arena, o->recipe, error) : NULL;
    return !o->recipe || *recipe;
}

int options_list_passes(void) {
    for (int i = 0; i < pass_count; i++)
        printf("%-18s %s\n", pass_info[i].name, pass_info[i].summary);
    return 0;
}

bool options_write(const Options *o, const void *data, size_t size, Error *error) {
    if (o->output)
        return file_write_atomic(o->output, data, size, error);
    fwrite(data, 1, size, stdout);
    return fflush(stdout) == 0 || error_set(error, ERROR_MACHINE, "cannot write to stdout");
}
