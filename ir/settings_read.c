/* settings_read.c: the settings of a module as structs: the table's defaults, then what the module says, then the
 * defaults that depend on other settings. */
#include "base/str.h"
#include "ir/settings.h"

#include <stdlib.h>

/* ---- one value ---- */

/* Puts a value where its row says; false when it is of another type. An integer may stand for a real. */
static bool put(Settings *s, const SettingRow *row, const IrAttr *value) {
    void *to = (char *)s + row->place;
    bool number = value->kind == ATTR_int || value->kind == ATTR_float;
    bool whole = value->kind == ATTR_int || value->kind == ATTR_bool;
    if (row->type == SETTING_int && whole)
        *(int64_t *)to = value->i;
    else if (row->type == SETTING_bool && whole)
        *(bool *)to = value->i != 0;
    else if (row->type == SETTING_real && number)
        *(double *)to = value->kind == ATTR_int ? (double)value->i : value->f;
    else if (row->type == SETTING_symbols && value->kind == ATTR_symbols)
        *(const IrAttr **)to = value;
    else if ((row->type == SETTING_word || row->type == SETTING_schedule || row->type == SETTING_weights) &&
             value->kind == ATTR_string)
        *(const char **)to = value->s;
    else
        return false;
    return true;
}

/* None, and what depends on other settings, is zero. */
static void put_default(Settings *s, const SettingRow *row) {
    const char *text = row->otherwise;
    if (!text[0] || text[0] == '=')
        return;
    IrAttr value = row->type == SETTING_int    ? ir_attr_int("", strtoll(text, NULL, 10))
                   : row->type == SETTING_real ? ir_attr_float("", strtod(text, NULL))
                   : row->type == SETTING_bool ? ir_attr_bool("", str_equal(text, "true"))
                                               : ir_attr_string("", text);
    if (!put(s, row, &value))
        bug("the default of '%s' is no value of it", row->key);
}

/* ---- defaults that depend on other settings ---- */

static void finish_schedule(OptimizerSettings *o, bool has_end) {
    if (!o->schedule)
        o->schedule = has_end ? "cosine" : "constant";
}

/* Of one channel: of all channels (textual IR only), else of the data set. */
static void finish_channel(double *value, bool given, double of_all, bool all_given, double of_source) {
    if (!given)
        *value = all_given ? of_all : of_source;
}

static void finish_channels(Settings *s, const DataSource *source) {
    DataSettings *d = &s->data;
    double *means[] = {&d->mean_0, &d->mean_1, &d->mean_2}, *stds[] = {&d->std_0, &d->std_1, &d->std_2};
    for (int c = 0; c < 3; c++) {
        finish_channel(means[c], s->given[SETTING_data_mean_0 + c], d->mean, s->given[SETTING_data_mean],
                       source ? source->mean[c] : 0);
        finish_channel(stds[c], s->given[SETTING_data_std_0 + c], d->std, s->given[SETTING_data_std],
                       source ? source->std[c] : 0);
    }
}

static void finish_data(Settings *s) {
    const DataSource *source = data_source_find(s->data.source);
    if (source && !s->given[SETTING_data_crop])
        s->data.crop = source->crop;
    if (source && !s->given[SETTING_data_flip])
        s->data.flip = source->flip;
    if (s->given[SETTING_data_area_0] && !s->given[SETTING_data_area_1])
        s->data.area_1 = 1;
    if (s->given[SETTING_data_area_1] && !s->given[SETTING_data_area_0])
        s->data.area_0 = 0.08;
    finish_channels(s, source);
}

static void finish_noise(Settings *s) {
    bool gaussian = str_equal(s->noise.distribution, "gaussian"), additive = str_equal(s->noise.mixture, "additive");
    if (!s->given[SETTING_noise_relative])
        s->noise.relative = gaussian && additive;
}

static void finish_keep(Settings *s) {
    if (!s->given[SETTING_keep_per_node])
        s->keep.per_node = s->given[SETTING_keep_per_edge] ? 0 : s->space.keep;
}

/* ---- all ---- */

Settings settings_read(const IrModule *module) {
    Settings s = {0};
    for (int i = 0; i < SETTING_COUNT; i++) {
        const IrAttr *value = ir_module_get(module, setting_rows[i].key);
        s.given[i] = value && put(&s, &setting_rows[i], value);
        if (!s.given[i])
            put_default(&s, &setting_rows[i]);
    }
    finish_schedule(&s.search_weights, s.given[SETTING_search_weights_lr_min]);
    finish_schedule(&s.train_weights, s.given[SETTING_train_weights_lr_min]);
    finish_noise(&s);
    finish_keep(&s);
    finish_data(&s);
    return s;
}

bool settings_are_of(const Settings *s, const char *kind) {
    return str_equal(s->network.kind ? s->network.kind : "network", kind);
}

bool settings_batch_norm_is_local(const Settings *s) {
    static const char local[] = "local";
    return str_equal(s->search.batch_norm, local) || str_equal(s->train.batch_norm, local);
}

GraphKind settings_alphas_graph(const Settings *s) {
    return str_equal(s->search.order, "second") ? GRAPH_search_second : GRAPH_search_alphas;
}

int64_t settings_epochs(const Settings *s) {
    return settings_are_of(s, "search") ? s->search.epochs : s->train.epochs;
}

int64_t settings_batch(const Settings *s) {
    return s->given[SETTING_search_batch] ? s->search.batch : s->train.batch;
}

const char *settings_batch_key(const Settings *s) {
    return s->given[SETTING_search_batch] ? "search.batch" : "train.batch";
}

const char *settings_class_weights(const Settings *s) {
    return s->train.class_weights ? s->train.class_weights : s->search.class_weights;
}

bool settings_mix_images(const Settings *s) {
    return s->train.mixup > 0 || s->train.cutmix > 0;
}

const IrAttr *settings_candidates(const IrModule *module, const char *kind, int edge) {
    const IrAttr *own = ir_module_get(module, arena_printf(module->arena, "space.candidates.%s.%d", kind, edge));
    const IrAttr *all = ir_module_get(module, "space.candidates");
    const IrAttr *candidates = own ? own : all;
    return candidates && candidates->kind == ATTR_symbols ? candidates : NULL;
}
