/* experiment.c: search { ... } and train { ... }: everything in them becomes a setting of the module, by the table of
 * ir/settings.def. docs/language.md lists what each means. */
#include "frontend/lower.h"
#include "ir/settings.h"

#include <string.h>

/* ---- the table ---- */
/* What belongs to a search, to a training, to any of them. */
static bool key_is_of(const char *key, const char *kind) {
    static const char *const search_only[] = {"search.", "noise.", "drop_path.", "space.", "keep."};
    bool search = false;
    for (size_t i = 0; i < sizeof search_only / sizeof search_only[0]; i++)
        search |= str_starts_with(key, search_only[i]);
    return search ? str_equal(kind, "search") : str_starts_with(key, "train.") ? str_equal(kind, "train") : true;
}

/* The optimiser of weights or alphas: that of the text, or the usual one. */
static const OptimizerRow *optimizer_of(Arena *arena, const Ast *experiment, const char *section) {
    const Ast *setting = experiment_setting(experiment, strchr(section, '.') + 1);
    const OptimizerRow *named = setting ? optimizer_named(setting->kids[0]) : NULL;
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
    if (experiment && str_equal(experiment->name, "search"))
        ARENA_PUSH(arena, *keys, *count, capacity, "method");
    for (int i = 0; network && network->kids[0] && i < network->kids[0]->count; i++)
        ARENA_PUSH(arena, *keys, *count, capacity, arena_printf(arena, "network.%s", network->kids[0]->kids[i]->name));
    for (int i = 0; experiment && i < SETTING_COUNT; i++)
        if (!setting_rows[i].is_fact && key_is_of(setting_rows[i].key, experiment->name) &&
            key_is_taken(arena, experiment, setting_rows[i].key))
            ARENA_PUSH(arena, *keys, *count, capacity, setting_rows[i].key);
}

/* ---- noise and drop path ---- */
void lower_check_candidate(Lower *l, const char *op, Span place) {
    const IrAttr *candidates = settings_read(l->module).space.candidates;
    if (!candidates)
        return;
    for (int i = 0; i < candidates->count; i++)
        if (str_equal(candidates->symbols[i], op))
            return;
    diag_error(l->diag, place, "'%s' is no candidate of the space%s", op,
               diag_choices(l->arena, op, candidates->symbols, (size_t)candidates->count));
}

static void set_attachment(Lower *l, Frame *f, const Ast *rule) {
    bool noise = str_equal(rule->name, "noise");
    lower_setting_expression(l, f, noise ? "noise.candidate" : "drop_path.candidate", rule->kids[0]);
    if (rule->kids[0]->kind == AST_name)
        lower_check_candidate(l, rule->kids[0]->name, rule->kids[0]->span);
    if (noise)
        lower_noise_line(l, f, rule);
    for (int i = 1; !noise && i < rule->count; i++) {
        const Ast *item = rule->kids[i];
        if (item->kind == AST_setting && str_equal(item->name, "probability"))
            lower_setting_expression(l, f, "drop_path.probability", item->kids[0]);
        else
            diag_error(l->diag, item->span, "drop_path has one parameter: probability = NUMBER");
    }
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

/* That of the text that a recipe is applied to, the last one. */
static Value text_space(Lower *l) {
    const Ast *text = l->program->texts[0];
    for (int i = text->count - 1; i >= 0; i--)
        if (text->kids[i]->kind == AST_space)
            return value_definition(VALUE_space, text->kids[i]);
    diag_error(l->diag, (Span){text->span.file, 1, 1, 1, 1},
               "this text has no space to search; `ndarts-run derive OUT --keep-ops 5` makes one of a search");
    return (Value){.kind = VALUE_error};
}

static void set_space(Lower *l, Frame *f, const Ast *experiment) {
    const Ast *setting = experiment_setting(experiment, "space");
    bool search = str_equal(experiment->name, "search");
    Value space = l->is_recipe && search ? text_space(l)
                  : setting              ? lower_eval(l, f, setting->kids[0])
                                         : (Value){.kind = VALUE_error};
    if (space.kind == VALUE_space) {
        lower_set_variable(l, f, "space", space);
        lower_space_settings(l, f, space.definition);
    } else if (setting && space.kind != VALUE_error) {
        diag_error(l->diag, setting->kids[0]->span, "'space' is a space, not %s", value_kind_name(&space));
    }
}

static const char *const search_names[] = {
    "space",         "network",   "data",       "split",      "limit",        "class_weights", "epochs",    "batch",
    "frozen_epochs", "seed",      "order",      "weights",    "alphas",       "noise",         "drop_path", "method",
    "first",         "clip_over", "eigenvalue", "early_stop", "paired_draws", "batch_norm",    "objective"};
static const char *const train_names[] = {
    "network", "data",        "limit",           "epochs",        "batch",           "seed",
    "weights", "drop_path",   "label_smoothing", "class_weights", "hold_out",        "warm_up",
    "ema",     "ema_warm_up", "mixup",           "cutmix",        "mix_probability", "batch_norm"};
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
    if (setting_find_name(names, count, setting->name) < 0) {
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
    if (str_equal(name, "space") || str_equal(name, "network") || str_equal(name, "method"))
        return; /* they need the others, or are needed by them */
    if (str_equal(name, "data"))
        lower_data_line(l, f, setting->kids[0]);
    else if (setting->kind == AST_attach)
        set_attachment(l, f, setting);
    else if (str_equal(name, "eigenvalue"))
        lower_eigenvalue(l, f, setting->kids[0]);
    else if (str_equal(name, "early_stop"))
        lower_early_stop(l, f, setting->kids[0]);
    else if (str_equal(name, "objective"))
        lower_objective(l, f, setting->kids[0]);
    else if (str_equal(name, "weights") || str_equal(name, "alphas"))
        lower_optimizer(l, f, setting_key(l, kind, name), setting->kids[0]);
    else if (str_equal(name, "split") || str_equal(name, "limit"))
        lower_setting_expression(l, f, setting_key(l, "data", name), setting->kids[0]);
    else
        lower_setting_expression(l, f, setting_key(l, kind, name), setting->kids[0]);
}

/* The methods that --set names, or those of the text; NULL: there are none. */
static const Ast *find_methods(const Lower *l, const Ast *experiment) {
    const Ast *methods = NULL;
    for (int i = 0; i < experiment->count; i++)
        if (str_equal(experiment->kids[i]->name, "method"))
            methods = experiment->kids[i]->kids[0];
    for (int i = 0; i < l->sets->count; i++)
        if (l->sets->items[i].key && str_equal(l->sets->items[i].key, "method"))
            methods = l->sets->items[i].value;
    return methods;
}

static void override_settings(Lower *l) {
    for (int i = 0; i < l->sets->count; i++) {
        const SetValue *set = &l->sets->items[i];
        if (!set->key || !setting_row(set->key) || str_starts_with(set->key, "space."))
            continue;
        lower_setting(l, set->key,
                      lower_setting_value(l, lower_frame(l, NULL, NULL, set->value->span), set->key, set->value),
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
    if (clean && find_methods(l, experiment))
        lower_methods(l, f, find_methods(l, experiment));
    if (!experiment_setting(experiment, "data"))
        lower_data_line(l, f, NULL);
    if (clean)
        lower_method_settings(l, experiment);
    override_settings(l);
    if (search && !diag_count_errors(l->diag))
        lower_noise(l);
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
