/* search_setup.c: from a command line to a search that is ready to take its next step. What can be found wrong quickly
 * (text, data, checkpoint file) is looked at before anything is compiled. */
#include "runtime/loops/search.h"

#include "base/str.h"
#include "runtime/data/class_balance.h"
#include "runtime/loops/genotype.h"

#include <math.h>
#include <string.h>

static bool check_kind(const Settings *settings, Error *error) {
    if (settings->network.kind && !settings_are_of(settings, "search"))
        return error_set(error, ERROR_INPUT, "the text describes a %s, not a search", settings->network.kind);
    return true;
}

/* Does the operation read architecture parameters of that name? Or stands for them: candidates may be weighed by draws alone,
 * which are called after the parameters ("perturb.alphas_normal"). */
static bool reads(const IrNode *n, const char *name) {
    const char *stream = ir_attr_get_string(n, "stream", NULL), *of = stream ? strchr(stream, '.') : NULL;
    if (of && str_starts_with(of + 1, name))
        return true;
    for (int i = 0; i < n->input_count; i++) {
        const char *read = ir_param_read(n->inputs[i]);
        if (read && str_equal(read, name))
            return true;
    }
    return false;
}

static bool uses_alphas(const IrModule *module, const char *name) {
    for (int i = 0; i < module->graph_count; i++) {
        for (const IrNode *n = module->graphs[i]->first; n; n = n->next) {
            if (reads(n, name))
                return true;
        }
    }
    return false;
}

/* A small network may have no cell of a kind, whose alphas could not be searched then. */
static bool check_cells(const Loop *l, Error *error) {
    int count;
    const char *const *names = genotype_alpha_names(l->module, &count);
    for (int i = 0; i < count; i++) {
        if (uses_alphas(l->module, names[i]))
            continue;
        const char *kind = genotype_cell_name(names[i]);
        diag_error(diag_create(l->arena, diag_stream()), ir_module_get_span(l->module, "kind"),
                   "the network has no %s cell, so the search would find none; give it more cells, 3 or more (--set "
                   "layers=3)",
                   str_equal(kind, "reduce") ? "reduction" : kind);
        return error_set(error, ERROR_INPUT, "%s: 1 mistake", l->options.path);
    }
    return true;
}

static bool load_text(Search *s, Error *error) {
    return loop_load_text(&s->loop, error) && check_kind(&s->loop.settings, error) && check_cells(&s->loop, error) &&
           data_options_read(&s->loop.settings, &s->loop.data_options, error) && search_check_genotype(s, error);
}

static bool open_data(Search *s, Error *error) {
    if (!loop_open_data(&s->loop, error))
        return false;
    double split = s->loop.data_options.split;
    s->weights_images = (int64_t)floor(split * (double)s->loop.data.count);
    if (s->weights_images < 1 || s->weights_images >= s->loop.data.count)
        return error_set(
            error, ERROR_INPUT,
            "a search needs images for the weights and for the alphas; split %g of %lld leaves %lld and %lld", split,
            (long long)s->loop.data.count, (long long)s->weights_images,
            (long long)(s->loop.data.count - s->weights_images));
    loop_print_data(&s->loop,
                    arena_printf(s->loop.arena, "%lld for the weights, %lld for the alphas",
                                 (long long)s->weights_images, (long long)(s->loop.data.count - s->weights_images)));
    return true;
}

static bool open_program(Search *s, Error *error) {
    const GraphKind kinds[] = {settings_alphas_graph(&s->loop.settings), GRAPH_search_weights, GRAPH_eval,
                               GRAPH_gradients};
    bool watched = s->loop.settings.search.eigenvalue_every > 0;
    return loop_open_program(&s->loop, kinds, watched ? 4 : 3, error);
}

static bool open_loaders(Search *s, Error *error) {
    int64_t alphas_images = s->loop.data.count - s->weights_images;
    LoaderOptions o = loop_loader_options(&s->loop);
    o.first = 0, o.count = s->weights_images, o.shuffle_stream = "shuffle.weights";
    s->weights_loader = loader_create(&o, error);
    o.first = s->weights_images, o.count = alphas_images, o.shuffle_stream = "shuffle.alphas";
    s->alphas_loader = s->weights_loader ? loader_create(&o, error) : NULL;
    o.shuffle_stream = NULL, o.augment = &s->loop.no_augment;
    s->eval_loader = s->alphas_loader ? loader_create(&o, error) : NULL;
    s->loop.steps = s->eval_loader ? loader_batch_count(s->weights_loader) : 0;
    o.count = o.batch < alphas_images ? o.batch : alphas_images;
    if (s->eval_loader && s->loop.settings.search.eigenvalue_every > 0)
        s->fixed_loader = loader_create(&o, error);
    return s->eval_loader != NULL && !error->kind;
}

bool search_open(Search *s, Error *error) {
    Loop *l = &s->loop;
    if (!load_text(s, error) || !loop_open_folder(l, error))
        return false;
    l->at.seed = l->options.has_seed ? l->options.seed : (uint64_t)l->settings.search.seed;
    l->at.epochs = l->settings.search.epochs;
    return loop_read_state(l, error) && open_data(s, error) && loop_check_data(l, error) &&
           search_find_costs(s, error) && open_program(s, error) && loop_set_state(l, error) &&
           class_weights_set(l->program, &l->settings, &l->data, l->data.count, error) && open_loaders(s, error) &&
           loop_begin(l, "search", error) && search_keep_costs(s, error);
}

void search_close(Search *s) {
    loader_destroy(s->weights_loader);
    loader_destroy(s->alphas_loader);
    loader_destroy(s->eval_loader);
    loader_destroy(s->fixed_loader);
    loop_close(&s->loop);
}
