/* experiment.c: search { ... } and train { ... }: everything in them becomes a setting of the module, by the table of
 * ir/settings.def. docs/language.md lists what each means. */
#include "frontend/lower.h"
#include "ir/settings.h"

#include <string.h>

/* ---- the table ---- */
/* What belongs to a search, to a training, to any of them. */
static bool key_is_of(const char *key, const char *kind) {
    static const char *const search_only[] = {"search.", "noise.", "drop_path.", "space."};
    bool search = false;
    for (size_t i = 0; i < sizeof search_only / sizeof search_only[0]; i++)
        search |= str_starts_with(key, search_only[i]);
    return search ? str_equal(kind, "search") : str_starts_with(key, "train.") ? str_equal(kind, "train") : true;
}

/* The one that a text names, or NULL. */
static const OptimizerRow *named_optimizer(const Ast *value) {
    const Ast *name = value->kind == AST_call ? value->kids[0] : NULL;
    return name && name->kind == AST_name ? optimizer_find(name->name) : NULL;
}

/* The optimiser of weights or alphas: that of the text, or the usual one. */
static const OptimizerRow *optimizer_of(Arena *arena, const Ast *experiment, const char *section) {
    const Ast *setting = experiment_setting(experiment, strchr(section, '.') + 1);
    const OptimizerRow *named = setting ? named_optimizer(setting->kids[0]) : NULL;
    return named ? named : optimizer_find(setting_row(arena_printf(arena, "%s.optimizer", section))->otherwise);
}

/* What belongs to another optimiser than the text has is no key of it. */
static bool key_is_taken(Arena *arena, const Ast *experiment, const char *key) {
    static const char *const sections[] = {"search.weights", "search.alphas", "train.weights"};
    for (int i = 0; i < 3; i++)
        if (str_starts_with(key, sections[i]))
            return optimizer_takes(optimizer_of(arena, experiment, sections[i]), key + strlen(sections[i]) + 1);
    return true;
}

void settings_list_keys(Arena *arena, const Ast *network, const Ast *experiment, const char ***keys, int *count) {
    int capacity = 0;
    *keys = NULL;
    *count = 0;
    ARENA_PUSH(arena, *keys, *count, capacity, "network");
    if (experiment)
        ARENA_PUSH(arena, *keys, *count, capacity, "data");
    for (int i = 0; network && network->kids[0] && i < network->kids[0]->count; i++)
        ARENA_PUSH(arena, *keys, *count, capacity, arena_printf(arena, "network.%s", network->kids[0]->kids[i]->name));
    for (int i = 0; experiment && i < SETTING_COUNT; i++)
        if (!setting_rows[i].is_fact && key_is_of(setting_rows[i].key, experiment->name) &&
            key_is_taken(arena, experiment, setting_rows[i].key))
            ARENA_PUSH(arena, *keys, *count, capacity, setting_rows[i].key);
}

/* A value as a setting has it; false: it is of a kind that no setting has. */
static bool setting_value(const SettingRow *row, const Value *value, IrAttr *attr) {
    double number;
    if (row->type == SETTING_real && value_number(value, &number))
        *attr = ir_attr_float("", number);
    else if (value->kind == VALUE_int)
        *attr = ir_attr_int("", value->i);
    else if (value->kind == VALUE_float)
        *attr = ir_attr_float("", value->f);
    else if (value->kind == VALUE_bool)
        *attr = ir_attr_bool("", value->i);
    else if (value->kind == VALUE_string)
        *attr = ir_attr_string("", value->s);
    else
        return false;
    return true;
}

void lower_setting(Lower *l, const char *key, Value value, Span span) {
    const SettingRow *row = setting_row(key);
    if (!row)
        bug("no setting '%s'", key);
    if (value.kind == VALUE_error)
        return;
    if (row->type == SETTING_weights) {
        lower_class_weights(l, row->key, value, span);
        return;
    }
    IrAttr attr;
    if (!setting_value(row, &value, &attr)) {
        diag_error(l->diag, span, "'%s' is %s, not %s", key, setting_type_name(row->type), value_kind_name(&value));
        return;
    }
    const char *mistake = setting_mistake(l->arena, row, &attr);
    if (mistake)
        diag_error(l->diag, span, "%s", mistake);
    else
        ir_module_set(l->module, row->key, attr, span);
}

/* A setting whose value is written in the text; words stand for themselves where the table wants one. */
static Value eval_setting(Lower *l, Frame *f, const char *key, const Ast *value) {
    const SettingRow *row = setting_row(key);
    bool word = row && value->kind == AST_name &&
                (row->type == SETTING_word || (row->type == SETTING_weights && !str_map_get(l->globals, value->name)));
    if (word)
        return value_string(value->name);
    return lower_eval(l, f, value);
}

static void set_expression(Lower *l, Frame *f, const char *key, const Ast *value) {
    lower_setting(l, key, eval_setting(l, f, key, value), value->span);
}

/* ---- optimisers ---- */
static const char *key_in(Lower *l, const char *section, const char *name) {
    return arena_printf(l->arena, "%s.%s", section, name);
}

/* lr = 0.1, constant(0.1), cosine(0.05, 0.001), linear(0.1, 0) */
static void set_rate(Lower *l, Frame *f, const char *section, const Ast *value) {
    const SettingRow *schedules = setting_row("train.weights.schedule");
    const char *schedule = "constant";
    const Ast *first = value, *last = NULL;
    const char *called = value->kind == AST_call && value->kids[0]->kind == AST_name ? value->kids[0]->name : NULL;
    bool known = called && setting_has_word(schedules, called), function = called && builtin_find(called) && !known;
    if (called && !function && !str_map_get(l->globals, called)) {
        schedule = called;
        first = value->count > 1 ? value->kids[1] : NULL;
        last = value->count > 2 ? value->kids[2] : NULL;
        if (!known || !first || value->count > 3 || first->kind == AST_arg ||
            (last && (last->kind == AST_arg || str_equal(schedule, "constant")))) {
            diag_error(l->diag, value->span,
                       "a rate is a number, constant(RATE), cosine(FROM, TO) or linear(FROM, TO)");
            return;
        }
    }
    set_expression(l, f, key_in(l, section, "lr"), first);
    if (setting_row(key_in(l, section, "schedule")))
        lower_setting(l, key_in(l, section, "schedule"), value_string(schedule), value->span);
    else if (!str_equal(schedule, "constant"))
        diag_error(l->diag, value->span, "the rate of the alphas is a number; it has no schedule");
    if (last && setting_row(key_in(l, section, "lr_min")))
        set_expression(l, f, key_in(l, section, "lr_min"), last);
}

static void set_betas(Lower *l, Frame *f, const char *section, const Ast *value) {
    Value betas = lower_eval(l, f, value);
    if (betas.kind == VALUE_error)
        return;
    if (betas.kind != VALUE_list || betas.count != 2) {
        diag_error(l->diag, value->span, "betas are two numbers, as in (0.5, 0.999)");
        return;
    }
    lower_setting(l, key_in(l, section, "beta1"), betas.items[0], value->span);
    lower_setting(l, key_in(l, section, "beta2"), betas.items[1], value->span);
}

static void report_argument(Lower *l, const Ast *argument, const char *call, const char *const *names, int count) {
    if (argument->kind == AST_arg)
        diag_error(l->diag, argument->name_span, "'%s' has no parameter '%s'%s", call, argument->name,
                   diag_choices(l->arena, argument->name, names, (size_t)count));
    else
        diag_error(l->diag, argument->span, "the arguments of '%s' are given by name%s", call,
                   diag_choices(l->arena, "", names, (size_t)count));
}

static int find_name(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (str_equal(names[i], name))
            return i;
    return -1;
}

/* An optimiser's own arguments, then what all of that section have. */
static int list_arguments(const OptimizerRow *row, const char *section, const char **names) {
    int count = 0;
    while (count < OPTIMIZER_MOST_ARGUMENTS && row->arguments[count])
        names[count] = row->arguments[count], count++;
    if (str_ends_with(section, ".weights"))
        names[count++] = "clip";
    if (str_equal(section, "train.weights"))
        names[count++] = "every";
    return count;
}

static void set_argument(Lower *l, Frame *f, const char *section, const Ast *argument) {
    if (str_equal(argument->name, "lr"))
        set_rate(l, f, section, argument->kids[0]);
    else if (str_equal(argument->name, "betas"))
        set_betas(l, f, section, argument->kids[0]);
    else
        set_expression(l, f, key_in(l, section, argument->name), argument->kids[0]);
}

static void report_optimizer(Lower *l, const char *section, const Ast *value) {
    const char *names[OPTIMIZER_COUNT], *otherwise = setting_row(key_in(l, section, "optimizer"))->otherwise;
    for (int i = 0; i < OPTIMIZER_COUNT; i++)
        names[i] = optimizer_rows[i].name;
    bool called = value->kind == AST_call && value->kids[0]->kind == AST_name;
    if (called)
        diag_error(l->diag, value->kids[0]->span, "unknown optimiser '%s'%s", value->kids[0]->name,
                   diag_choices(l->arena, value->kids[0]->name, names, OPTIMIZER_COUNT));
    else
        diag_error(l->diag, value->span, "'%s' are updated by an optimiser, as in %s(lr = 0.01)",
                   strchr(section, '.') + 1, otherwise);
}

/* weights sgd(lr = ..., momentum = ..., decay = ..., clip = ...)   alphas adam(lr = ..., betas = (..., ...), eps,
 * decay) */
static void set_optimizer(Lower *l, Frame *f, const char *section, const Ast *value) {
    const OptimizerRow *row = named_optimizer(value);
    if (!row) {
        report_optimizer(l, section, value);
        return;
    }
    const char *key = key_in(l, section, "optimizer"), *names[OPTIMIZER_MOST_ARGUMENTS + 2];
    int count = list_arguments(row, section, names);
    if (!str_equal(setting_row(key)->otherwise, row->name)) /* which is no news */
        lower_setting(l, key, value_string(row->name), value->kids[0]->span);
    for (int i = 1; i < value->count; i++) {
        const Ast *argument = value->kids[i];
        if (argument->kind != AST_arg || find_name(names, count, argument->name) < 0)
            report_argument(l, argument, row->name, names, count);
        else
            set_argument(l, f, section, argument);
    }
}

/* ---- data ---- */
static void set_channels(Lower *l, Frame *f, const char *name, const Ast *value) {
    Value values = lower_eval(l, f, value);
    int count = values.kind == VALUE_list ? values.count : 1;
    if (count < 1 || count > 3) {
        diag_error(l->diag, value->span, "'%s' is a number for each channel, at most 3", name);
        return;
    }
    for (int i = 0; i < 3; i++)
        if (i < count || count == 1)
            lower_setting(l, arena_printf(l->arena, "data.%s.%d", name, i),
                          values.kind == VALUE_list ? values.items[count == 1 ? 0 : i] : values, value->span);
}

/* area = (0.08, 1), ratio = (0.75, 1.3333) */
static void set_range(Lower *l, Frame *f, const char *name, const Ast *value) {
    Value values = lower_eval(l, f, value);
    if (values.kind != VALUE_list || values.count != 2) {
        if (values.kind != VALUE_error)
            diag_error(l->diag, value->span, "'%s' is two numbers, as in (0.08, 1)", name);
        return;
    }
    for (int i = 0; i < 2; i++)
        lower_setting(l, arena_printf(l->arena, "data.%s.%d", name, i), values.items[i], value->span);
}

/* classes = 4, H = 64: of the images, and so of a network that does not say otherwise. */
static void set_extent(Lower *l, Frame *f, const char *name, const Ast *value) {
    Value extent = lower_eval(l, f, value);
    if (extent.kind == VALUE_int && extent.i >= 1)
        lower_set_variable(l, f, name, extent);
    else if (extent.kind == VALUE_int)
        diag_error(l->diag, value->span, "'%s' of the data is %lld; expected at least 1", name, (long long)extent.i);
    else if (extent.kind != VALUE_error)
        diag_error(l->diag, value->span, "'%s' of the data is an integer, not %s", name, value_kind_name(&extent));
}

/* Adds the settings data.*, those of several numbers (mean.0, mean.1) once; returns how many names there are. */
static int list_data_names(Lower *l, const char **names, int count) {
    for (int i = 0; i < SETTING_COUNT; i++) {
        const char *key = setting_rows[i].key;
        if (setting_rows[i].is_fact || !str_starts_with(key, "data.") || i == SETTING_data_source)
            continue;
        const char *name = arena_strndup(l->arena, key + 5, strcspn(key + 5, "."));
        if (!str_equal(names[count - 1], name))
            names[count++] = name;
    }
    return count;
}

void lower_data_argument(Lower *l, Frame *f, const Ast *argument, const char *source) {
    enum { SHAPE = 4 }; /* the first of them are the network's too */
    const char *names[SHAPE + SETTING_COUNT] = {"classes", "H", "W", "channels"};
    int count = list_data_names(l, names, SHAPE);
    if (argument->kind != AST_arg) {
        set_expression(l, f, "data.path", argument);
        return;
    }
    if (str_equal(argument->name, "mean") || str_equal(argument->name, "std"))
        set_channels(l, f, argument->name, argument->kids[0]);
    else if (str_equal(argument->name, "area") || str_equal(argument->name, "ratio"))
        set_range(l, f, argument->name, argument->kids[0]);
    else if (find_name(names, SHAPE, argument->name) >= 0)
        set_extent(l, f, argument->name, argument->kids[0]);
    else if (find_name(names, count, argument->name) >= 0)
        set_expression(l, f, key_in(l, "data", argument->name), argument->kids[0]);
    else
        report_argument(l, argument, source, names, count);
}

/* ---- noise and drop path ---- */
static void set_noise_flag(Lower *l, const Ast *flag) {
    static const char *const words[] = {"gaussian", "uniform",  "additive", "multiplicative",
                                        "relative", "absolute", "decay"};
    static const char *const keys[] = {"noise.distribution", "noise.distribution", "noise.mixture", "noise.mixture",
                                       "noise.relative",     "noise.relative",     "noise.decay"};
    int i = find_name(words, 7, flag->name);
    if (i < 0) {
        diag_error(l->diag, flag->span, "unknown word '%s' for noise%s", flag->name,
                   diag_choices(l->arena, flag->name, words, 7));
        return;
    }
    lower_setting(l, keys[i], i < 4 ? value_string(words[i]) : value_bool(i != 5), flag->span);
}

static void set_noise_value(Lower *l, Frame *f, const Ast *item) {
    static const char *const names[] = {"std", "variance", "mean", "at"};
    if (find_name(names, 4, item->name) < 0) {
        diag_error(l->diag, item->name_span, "noise has no parameter '%s'%s", item->name,
                   diag_choices(l->arena, item->name, names, 4));
        return;
    }
    const char *key = key_in(l, "noise", str_equal(item->name, "variance") ? "std" : item->name);
    set_expression(l, f, key, item->kids[0]);
}

/* Uniform noise is described by its variance, Gaussian noise by its standard deviation: noise.std is what the pass
 * wants of either. */
static void finish_noise(Lower *l, const Ast *noise) {
    const Settings s = settings_read(l->module);
    bool uniform = str_equal(s.noise.distribution, "uniform");
    bool given = false;
    for (int i = 1; i < noise->count; i++) {
        const Ast *item = noise->kids[i];
        bool variance = item->kind == AST_setting && str_equal(item->name, "variance");
        given = given || variance || (item->kind == AST_setting && str_equal(item->name, "std"));
        if (s.given[SETTING_noise_std] && item->kind == AST_setting && uniform && str_equal(item->name, "std"))
            lower_setting(l, "noise.std", value_float(s.noise.std * s.noise.std), item->span);
        else if (variance && !uniform)
            diag_error(l->diag, item->span, "Gaussian noise is given by its std; only uniform noise has a variance");
    }
    if (!given)
        diag_error(l->diag, noise->span, "noise needs std = NUMBER or, when it is uniform, variance = NUMBER");
    if (!s.given[SETTING_noise_relative])
        ir_module_set(l->module, "noise.relative", ir_attr_bool("", s.noise.relative), noise->span);
}

static void check_candidate(Lower *l, const Ast *name) {
    const IrAttr *candidates = settings_read(l->module).space.candidates;
    if (!candidates || name->kind != AST_name)
        return;
    for (int i = 0; i < candidates->count; i++)
        if (str_equal(candidates->symbols[i], name->name))
            return;
    diag_error(l->diag, name->span, "'%s' is no candidate of the space%s", name->name,
               diag_choices(l->arena, name->name, candidates->symbols, (size_t)candidates->count));
}

static void set_attachment(Lower *l, Frame *f, const Ast *rule) {
    bool noise = str_equal(rule->name, "noise");
    set_expression(l, f, noise ? "noise.candidate" : "drop_path.candidate", rule->kids[0]);
    check_candidate(l, rule->kids[0]);
    for (int i = 1; i < rule->count; i++) {
        const Ast *item = rule->kids[i];
        if (noise && item->kind == AST_flag)
            set_noise_flag(l, item);
        else if (noise)
            set_noise_value(l, f, item);
        else if (item->kind == AST_setting && str_equal(item->name, "probability"))
            set_expression(l, f, "drop_path.probability", item->kids[0]);
        else
            diag_error(l->diag, item->span, "drop_path has one parameter: probability = NUMBER");
    }
    if (noise)
        finish_noise(l, rule);
}

/* ---- the whole ---- */
const Ast *experiment_setting(const Ast *experiment, const char *name) {
    for (int i = 0; i < experiment->count; i++)
        if (experiment->kids[i]->kind == AST_setting && str_equal(experiment->kids[i]->name, name))
            return experiment->kids[i];
    return NULL;
}

const Ast *experiment_network(const Ast *experiment) {
    const Ast *network = experiment_setting(experiment, "network");
    return network ? network->kids[0] : NULL;
}

static void set_space(Lower *l, Frame *f, const Ast *experiment) {
    const Ast *setting = experiment_setting(experiment, "space");
    Value space = setting ? lower_eval(l, f, setting->kids[0]) : (Value){.kind = VALUE_error};
    if (space.kind == VALUE_space) {
        lower_set_variable(l, f, "space", space);
        lower_space_settings(l, f, space.definition);
    } else if (setting && space.kind != VALUE_error) {
        diag_error(l->diag, setting->kids[0]->span, "'space' is a space, not %s", value_kind_name(&space));
    }
}

static const char *const search_names[] = {"space",         "network", "data",   "split",         "limit",
                                           "class_weights", "epochs",  "batch",  "frozen_epochs", "seed",
                                           "order",         "weights", "alphas", "noise",         "drop_path"};
static const char *const train_names[] = {"network",         "data",          "limit",    "epochs",
                                          "batch",           "seed",          "weights",  "drop_path",
                                          "label_smoothing", "class_weights", "hold_out", "warm_up"};
enum {
    SEARCH_NAMES = sizeof search_names / sizeof search_names[0],
    TRAIN_NAMES = sizeof train_names / sizeof train_names[0]
};

/* Known, given once, and of the form it should have. */
static bool check_setting(Lower *l, const Ast *experiment, int i) {
    const Ast *setting = experiment->kids[i];
    bool search = str_equal(experiment->name, "search");
    const char *const *names = search ? search_names : train_names;
    int count = search ? SEARCH_NAMES : TRAIN_NAMES;
    if (find_name(names, count, setting->name) < 0) {
        diag_error(l->diag, setting->name_span, "unknown setting '%s' of a %s%s", setting->name,
                   search ? "search" : "training", diag_choices(l->arena, setting->name, names, (size_t)count));
        return false;
    }
    for (int k = 0; k < i; k++)
        if (str_equal(experiment->kids[k]->name, setting->name)) {
            diag_error(l->diag, setting->name_span, "'%s' is given twice", setting->name);
            diag_note(l->diag, experiment->kids[k]->span, "the first time is here");
            return false;
        }
    bool attached = str_equal(setting->name, "noise") || (search && str_equal(setting->name, "drop_path"));
    if (attached != (setting->kind == AST_attach) || setting->kind == AST_rule || setting->kind == AST_section) {
        diag_error(l->diag, setting->span,
                   attached ? "'%s' is put on a candidate: %s on OPERATION { ... }" : "'%s' takes a value: %s VALUE",
                   setting->name, setting->name);
        return false;
    }
    return true;
}

static void run_setting(Lower *l, Frame *f, const char *kind, const Ast *setting) {
    const char *name = setting->name;
    if (str_equal(name, "space") || str_equal(name, "network"))
        return;
    if (str_equal(name, "data"))
        lower_data_line(l, f, setting->kids[0]);
    else if (setting->kind == AST_attach)
        set_attachment(l, f, setting);
    else if (str_equal(name, "weights") || str_equal(name, "alphas"))
        set_optimizer(l, f, key_in(l, kind, name), setting->kids[0]);
    else if (str_equal(name, "split") || str_equal(name, "limit"))
        set_expression(l, f, key_in(l, "data", name), setting->kids[0]);
    else
        set_expression(l, f, key_in(l, kind, name), setting->kids[0]);
}

static void override_settings(Lower *l) {
    for (int i = 0; i < l->sets->count; i++) {
        const SetValue *set = &l->sets->items[i];
        if (!set->key || !setting_row(set->key) || str_starts_with(set->key, "space."))
            continue;
        lower_setting(l, set->key, eval_setting(l, lower_frame(l, NULL, NULL, set->value->span), set->key, set->value),
                      set->value->span);
    }
}

/* Data of any shape has what --set gives the network; other data is made to its size. */
static bool follows_network(Lower *l, const char *name) {
    Value value;
    bool size = str_equal(name, "H") || str_equal(name, "W");
    return (size || lower_data_has_any_shape(l)) && lower_override(l, "network", name, &value);
}

/* What a person may type to get a network and images that fit. name: of what could be said of the data, or NULL. */
static const char *misfit_advice(Lower *l, const char *name, int64_t of_network) {
    if (lower_data_is_replaced(l))
        return l->is_recipe ? "" : "; --recipe quick makes a network of the genotype that fits the data";
    if (l->is_recipe)
        return "; --data 'image_folder(\"PATH\")' trains on other images";
    return name && lower_data_has_any_shape(l)
               ? arena_printf(l->arena, " unless it is said to have others: %s(..., %s = %lld)",
                              settings_read(l->module).data.source, name, (long long)of_network)
               : "";
}

/* The network takes images of the data's shape and tells as many classes apart. */
static void check_data_fits(Lower *l, Frame *f, const Ast *network) {
    static const char *const names[] = {"classes", "H", "W", "channels"};
    static const char *const words[] = {"classes", "rows", "columns", "channels"};
    static const int facts[] = {SETTING_network_classes, SETTING_network_height, SETTING_network_width,
                                SETTING_network_channels};
    const Settings s = settings_read(l->module);
    const int64_t of_network[] = {s.network.classes, s.network.height, s.network.width, s.network.channels};
    for (int i = 0; i < 4; i++) {
        Value value;
        bool known = lower_lookup(f, l->arena, names[i], &value) && value.kind == VALUE_int && s.given[facts[i]];
        if (!known || value.i == of_network[i] || follows_network(l, names[i]))
            continue;
        bool shape = i == 1 || i == 2; /* images are padded to the network's size */
        if (!shape || value.i > of_network[i])
            diag_error(l->diag, network->span, "the network is made for %lld %s; the data has %lld%s",
                       (long long)of_network[i], words[i], (long long)value.i,
                       misfit_advice(l, i < 3 ? names[i] : NULL, of_network[i]));
    }
}

/* Means and deviations are given for all channels or for each. */
static void check_channels(Lower *l, const char *name, int first) {
    const Settings s = settings_read(l->module);
    for (int i = 1; i < 3 && i < s.network.channels; i++)
        if (s.given[first] && !s.given[first + i]) {
            diag_error(l->diag, ir_module_get_span(l->module, setting_rows[first].key),
                       "'%s' has %d numbers; the network takes %lld channels", name, i, (long long)s.network.channels);
            return;
        }
}

bool lower_experiment(Lower *l, const Ast *experiment, const Ast *network, bool clean) {
    Frame *f = lower_frame(l, NULL, NULL, (Span){0});
    bool search = str_equal(experiment->name, "search");
    ir_module_set(l->module, "kind", ir_attr_string("", experiment->name), experiment->name_span);
    if (!network)
        diag_error(l->diag, experiment->name_span, "a %s needs a network, as in  network %s",
                   search ? "search" : "training",
                   search ? "cifar_search(C = 16, layers = 8)" : "cifar(GENOTYPE, C = 36, layers = 20)");
    if (search && !experiment_setting(experiment, "space"))
        diag_error(l->diag, experiment->name_span, "a search needs a space, as in  space darts");
    if (clean)
        set_space(l, f, experiment);
    for (int i = 0; i < experiment->count; i++)
        if (check_setting(l, experiment, i))
            run_setting(l, f, experiment->name, experiment->kids[i]);
    if (!experiment_setting(experiment, "data"))
        lower_data_line(l, f, NULL);
    override_settings(l);
    if (!network || diag_count_errors(l->diag))
        return true;
    bool made = lower_entry(l, f, network);
    check_data_fits(l, f, network);
    check_channels(l, "mean", SETTING_data_mean_0);
    check_channels(l, "std", SETTING_data_std_0);
    lower_check_class_weights(l);
    Value space;
    if (made && search && lower_lookup(f, l->arena, "space", &space) && space.kind == VALUE_space)
        lower_genotype_settings(l, space.definition, network);
    if (made)
        settings_check_rules(l->module, l->diag);
    return made;
}
