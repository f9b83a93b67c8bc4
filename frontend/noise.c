/* noise.c: `noise on CANDIDATE { ... }` of a search. Its words and numbers are the settings noise.*, and what they say is
 * a use of one of the library's methods, whose parameters are called like them:
 *
 *     noise on skip_connect { gaussian additive std = 0.2 }   is   method gaussian_noise(skip_connect, std = 0.2)
 *
 * gaussian_noise, uniform_noise: additive; gaussian_factor, uniform_factor: multiplicative. The text of the methods is
 * read when there is noise; what else it defines is not known to the text of the search. */
#include "frontend/lower.h"
#include "frontend/sema.h"
#include "ir/settings.h"

#include <string.h>

/* ---- the line ---- */

static void set_flag(Lower *l, const Ast *flag) {
    static const char *const words[] = {"gaussian", "uniform",  "additive", "multiplicative",
                                        "relative", "absolute", "decay"};
    static const char *const keys[] = {"noise.distribution", "noise.distribution", "noise.mixture", "noise.mixture",
                                       "noise.relative",     "noise.relative",     "noise.decay"};
    int i = setting_find_name(words, 7, flag->name);
    if (i < 0) {
        diag_error(l->diag, flag->span, "unknown word '%s' for noise%s", flag->name,
                   diag_choices(l->arena, flag->name, words, 7));
        return;
    }
    lower_setting(l, keys[i], i < 4 ? value_string(words[i]) : value_bool(i != 5), flag->span);
}

static void set_value(Lower *l, Frame *f, const Ast *item) {
    static const char *const names[] = {"std", "variance", "mean", "at"};
    if (setting_find_name(names, 4, item->name) < 0) {
        diag_error(l->diag, item->name_span, "noise has no parameter '%s'%s", item->name,
                   diag_choices(l->arena, item->name, names, 4));
        return;
    }
    const char *key = setting_key(l, "noise", str_equal(item->name, "variance") ? "std" : item->name);
    lower_setting_expression(l, f, key, item->kids[0]);
}

/* Uniform noise is described by its variance, Gaussian noise by its standard deviation: noise.std is what the method
 * wants of either. */
static void finish(Lower *l, const Ast *noise) {
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

void lower_noise_line(Lower *l, Frame *f, const Ast *noise) {
    for (int i = 1; i < noise->count; i++)
        if (noise->kids[i]->kind == AST_flag)
            set_flag(l, noise->kids[i]);
        else
            set_value(l, f, noise->kids[i]);
    finish(l, noise);
}

/* ---- the method ---- */

static const char text_name[] = "methods.nd";
enum { MOST_BYTES = 1 << 20 };

static bool is_library_text(const Lower *l, const SourceFile *file) {
    const char *slash = strrchr(file->path, '/');
    return slash && str_equal(slash + 1, text_name) && sema_is_of_library(l->library, file);
}

/* The library's methods: imported, or read now. NULL after a mistake. */
static const Ast *methods_text(Lower *l, Span place) {
    for (int i = 0; i < l->program->text_count; i++)
        if (is_library_text(l, l->program->texts[i]->span.file))
            return l->program->texts[i];
    Error failed = {0};
    const char *path = arena_printf(l->arena, "%s/%s", l->library ? l->library : ".", text_name);
    SourceFile *source =
        l->library ? frontend_files_read(l->program->files, l->arena, path, MOST_BYTES, true, &failed) : NULL;
    if (source)
        return ast_parse_text(l->arena, source, l->diag);
    diag_error(l->diag, place, "noise needs the library's %s%s%s", text_name,
               l->library ? ": " : "; there is no library", failed.message);
    return NULL;
}

static const Ast *find_method(const Ast *text, const char *name) {
    for (int i = 0; text && i < text->count; i++)
        if (text->kids[i]->kind == AST_method && str_equal(text->kids[i]->name, name))
            return text->kids[i];
    return NULL;
}

/* What the settings say of a parameter; false: nothing. */
static bool parameter_value(Lower *l, const NoiseSettings *noise, const char *name, Value *value) {
    Stage *candidate = ARENA_NEW(l->arena, Stage);
    *candidate = (Stage){.kind = STAGE_op, .name = noise->candidate};
    const struct {
        const char *name;
        Value value;
    } known[] = {{"target", value_stage(candidate)},
                 {"std", value_float(noise->std)},
                 {"variance", value_float(noise->std)},
                 {"mean", value_float(noise->mean)},
                 {"relative", value_bool(noise->relative)},
                 {"decay", value_bool(noise->decay)},
                 {"at", value_string(noise->at)}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (str_equal(known[i].name, name)) {
            *value = known[i].value;
            return true;
        }
    return false;
}

void lower_noise(Lower *l) {
    const NoiseSettings noise = settings_read(l->module).noise;
    if (!noise.candidate)
        return;
    Span place = ir_module_get_span(l->module, "noise.candidate");
    const char *kind = str_equal(noise.mixture, "additive") ? "noise" : "factor";
    const Ast *text = methods_text(l, place);
    const Ast *method = find_method(text, arena_printf(l->arena, "%s_%s", noise.distribution, kind));
    if (!method) {
        if (text)
            diag_error(l->diag, place, "the library's %s has no method '%s_%s'", text_name, noise.distribution, kind);
        return;
    }
    Bindings given = {0};
    for (int i = 0; method->kids[0] && i < method->kids[0]->count; i++) {
        Binding binding = {.name = method->kids[0]->kids[i]->name, .span = place};
        if (parameter_value(l, &noise, binding.name, &binding.value))
            ARENA_PUSH(l->arena, given.items, given.count, given.capacity, binding);
    }
    lower_use_method_first(l, method, &given, place);
}
