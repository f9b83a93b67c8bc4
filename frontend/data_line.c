/* data_line.c: the data of an experiment.
 *
 *     data image_folder("pics", classes = 4, H = 64, W = 64, flip = true)
 *     data own(cutout = 0)              in a recipe: the data of the text that it is applied to, with changes
 *     --set 'data=image_folder("more")' in their place
 *
 * A source gives the variables classes, H, W and channels, which the network may take. For data of the command line the
 * images' shape is that of the data they replace, where that is of the same source, else what the folder holds. */
#include "frontend/frontend.h"
#include "frontend/lower.h"
#include "ir/settings.h"

#include <string.h>

static const char *const shape_names[] = {"classes", "H", "W", "channels"};

/* ---- arguments ---- */

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

static void set_data_argument(Lower *l, Frame *f, const Ast *argument, const char *source) {
    enum { SHAPE = 4 }; /* the first of them are the network's too */
    const char *names[SHAPE + SETTING_COUNT] = {"classes", "H", "W", "channels"};
    int count = list_data_names(l, names, SHAPE);
    if (argument->kind != AST_arg) {
        lower_setting_expression(l, f, "data.path", argument);
        return;
    }
    if (str_equal(argument->name, "mean") || str_equal(argument->name, "std"))
        set_channels(l, f, argument->name, argument->kids[0]);
    else if (str_equal(argument->name, "area") || str_equal(argument->name, "ratio"))
        set_range(l, f, argument->name, argument->kids[0]);
    else if (setting_find_name(names, SHAPE, argument->name) >= 0)
        set_extent(l, f, argument->name, argument->kids[0]);
    else if (setting_find_name(names, count, argument->name) >= 0)
        lower_setting_expression(l, f, setting_key(l, "data", argument->name), argument->kids[0]);
    else
        setting_report_argument(l, argument, source, names, count);
}

/* ---- sources ---- */

/* cifar10, or that of cifar10(...); NULL when it is none. */
static const char *source_name(const Ast *data) {
    const Ast *name = data && data->kind == AST_call ? data->kids[0] : data;
    return name && name->kind == AST_name ? name->name : NULL;
}

static void set_shape(Lower *l, Frame *f, const DataSource *source) {
    const int values[] = {source->classes, source->side, source->side, source->channels};
    for (int i = 0; i < 4; i++)
        lower_set_variable(l, f, shape_names[i], value_int(values[i]));
}

static bool is_shape(const Ast *argument) {
    for (int i = 0; i < 4; i++)
        if (argument->kind == AST_arg && str_equal(argument->name, shape_names[i]))
            return true;
    return false;
}

static bool set_source(Lower *l, Frame *f, const Ast *data) {
    const char *name = source_name(data);
    const DataSource *source = data_source_find(name);
    if (!name) {
        diag_error(l->diag, data->span, "data is a source with its arguments, as in cifar10(\"PATH\")");
        return false;
    }
    lower_setting(l, "data.source", value_string(name), data->kind == AST_call ? data->kids[0]->span : data->span);
    if (source)
        set_shape(l, f, source);
    return true;
}

static void set_arguments(Lower *l, Frame *f, const Ast *data, const char *source, bool shape_only) {
    for (int i = 1; data->kind == AST_call && i < data->count; i++)
        if (!shape_only || is_shape(data->kids[i]))
            set_data_argument(l, f, data->kids[i], source);
}

static void set_data(Lower *l, Frame *f, const Ast *data) {
    if (set_source(l, f, data))
        set_arguments(l, f, data, source_name(data), false);
}

void lower_data(Lower *l, const Ast *data) {
    set_data(l, lower_frame(l, NULL, NULL, (Span){0}), data);
}

/* ---- data of the command line ---- */

static const Ast *replacement(const Lower *l) {
    for (int i = l->sets->count - 1; i >= 0; i--)
        if (l->sets->items[i].key && str_equal(l->sets->items[i].key, "data"))
            return l->sets->items[i].value;
    return NULL;
}

bool lower_data_has_any_shape(const Lower *l) {
    const DataSource *source = data_source_find(settings_read(l->module).data.source);
    return source && source->any_shape;
}

bool lower_data_is_replaced(const Lower *l) {
    return replacement(l) != NULL;
}

/* The folder that a data line names, where that is a string. */
static const char *path_of(const Ast *data) {
    for (int i = 1; data->kind == AST_call && i < data->count; i++) {
        const Ast *argument = data->kids[i];
        if (argument->kind == AST_arg && str_equal(argument->name, "path"))
            argument = argument->kids[0];
        if (argument->kind == AST_string)
            return argument->name;
    }
    return NULL;
}

static void look_at_files(Lower *l, Frame *f, const DataSource *source, const char *path, bool size_is_known) {
    int64_t values[3] = {0};
    if (l->look_at && path)
        l->look_at(source->name, path, &values[0], &values[1], &values[2]);
    for (int i = 0; i < (size_is_known ? 1 : 3); i++)
        if (values[i] > 0)
            lower_set_variable(l, f, shape_names[i], value_int(values[i]));
}

/* old: NULL when there was none. */
static void replace_data(Lower *l, Frame *f, const Ast *old, const Ast *data) {
    const DataSource *source = data_source_find(source_name(data));
    bool same = source && source->any_shape && source == data_source_find(source_name(old));
    if (!set_source(l, f, data))
        return;
    if (same)
        set_arguments(l, f, old, source->name, true);
    if (source)
        look_at_files(l, f, source, path_of(data), same);
    set_arguments(l, f, data, source_name(data), false);
}

/* ---- data of an experiment ---- */

static bool is_own(const Ast *data) {
    const char *name = source_name(data);
    return name && str_equal(name, "own");
}

void lower_data_line(Lower *l, Frame *f, const Ast *data) {
    const Ast *instead = replacement(l), *old = !data || is_own(data) ? l->own_data : data;
    if (instead) {
        replace_data(l, f, old, instead);
        return;
    }
    if (data && is_own(data) && !l->own_data)
        diag_error(l->diag, data->span,
                   l->is_recipe ? "the text that is trained names no data; --data 'image_folder(\"PATH\")' does"
                                : "'own' is for recipes: the data of the text that a recipe is applied to");
    if (old && !is_own(old))
        set_data(l, f, old);
    if (old && old != data && data)
        set_arguments(l, f, data, source_name(old), false);
}
