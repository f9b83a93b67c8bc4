/* search_options.c: the command line of `ndarts-run search` and the settings of a search. */
#include "runtime/search.h"

#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void search_print_usage(FILE *out) {
    fputs("usage: ndarts-run search SPEC.nd [options]\n"
          "  --out DIR                folder of the results (default runs/SPEC)\n"
          "  --resume                 go on from DIR/checkpoint.safetensors\n"
          "  --allow-different-build  resume although the module or the settings differ\n"
          "  --init W.safetensors     start from these weights\n"
          "  --seed N                 instead of the text's\n"
          "  --threads N              worker threads (default: one per core)\n"
          "  --device D               cpu, cuda, cuda:N or auto (the GPU when there is one)\n"
          "  --precision f32|f64\n"
          "  --set NAME=VALUE         change a parameter of the text; may be repeated\n",
          out);
}

/* runs/NAME for some/folder/NAME.nd. */
static const char *default_folder(Arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    if (str_ends_with(name, ".nd") && length > 3)
        length -= 3;
    return arena_printf(arena, "runs/%.*s", (int)length, name);
}

static bool parse_number(const char *option, const char *text, uint64_t most, uint64_t *value, Error *error) {
    char *end = NULL;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || *value > most)
        return error_set(error, ERROR_INPUT, "%s takes a whole number, found '%s'", option, text);
    return true;
}

static bool parse_precision(const char *text, CgPrecision *precision, Error *error) {
    if (str_equal(text, "f32"))
        *precision = PRECISION_f32;
    else if (str_equal(text, "f64"))
        *precision = PRECISION_f64;
    else
        return error_set(error, ERROR_INPUT, "--precision takes f32 or f64, found '%s'", text);
    return true;
}

/* An option that takes a value. *known is false when there is none of that name. */
static bool take_value(Arena *arena, const char *name, const char *value, SearchOptions *o, bool *known, Error *error) {
    uint64_t number = 0;
    *known = true;
    if (str_equal(name, "--out")) {
        o->out = value;
    } else if (str_equal(name, "--init")) {
        o->init = value;
    } else if (str_equal(name, "--set")) {
        ARENA_PUSH(arena, o->sets, o->set_count, o->set_capacity, value);
    } else if (str_equal(name, "--seed")) {
        o->has_seed = true;
        return parse_number(name, value, UINT64_MAX, &o->seed, error);
    } else if (str_equal(name, "--threads")) {
        if (!parse_number(name, value, 1024, &number, error))
            return false;
        o->threads = (int)number;
    } else if (str_equal(name, "--device")) {
        o->device = value;
    } else if (str_equal(name, "--precision")) {
        return parse_precision(value, &o->precision, error);
    } else {
        *known = false;
    }
    return true;
}

static bool take_flag(const char *name, SearchOptions *o) {
    if (str_equal(name, "--resume"))
        o->resume = true;
    else if (str_equal(name, "--allow-different-build"))
        o->allow_different_build = true;
    else if (str_equal(name, "--help") || str_equal(name, "-h"))
        o->help = true;
    else
        return false;
    return true;
}

static const char *const option_names[] = {
    "--out", "--resume", "--allow-different-build", "--init", "--seed", "--set", "--threads", "--device", "--precision", "--help"};

static bool unknown_option(const char *name, Error *error) {
    const char *near = diag_suggest(name, option_names, sizeof(option_names) / sizeof(option_names[0]));
    return error_set(error, ERROR_INPUT, "unknown option '%s' of search%s%s%s", name, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
}

/* --name value and --name=value. */
static bool parse_option(Arena *arena, int argc, char **argv, int *i, SearchOptions *o, Error *error) {
    const char *argument = argv[*i], *equals = strchr(argument, '=');
    if (!equals && take_flag(argument, o))
        return true;
    const char *name = equals ? arena_strndup(arena, argument, (size_t)(equals - argument)) : argument;
    const char *value = equals ? equals + 1 : *i + 1 < argc ? argv[*i + 1] : NULL;
    bool known;
    if (!take_value(arena, name, value ? value : "", o, &known, error))
        return false;
    if (!known)
        return unknown_option(argument, error);
    if (!value)
        return error_set(error, ERROR_INPUT, "%s needs a value", name);
    *i += equals ? 0 : 1;
    return true;
}

bool search_options_parse(Arena *arena, int argc, char **argv, SearchOptions *options, Error *error) {
    memset(options, 0, sizeof(*options));
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            if (!parse_option(arena, argc, argv, &i, options, error))
                return false;
        } else if (options->path) {
            return error_set(error, ERROR_INPUT, "search takes one text, found '%s' and '%s'", options->path, argv[i]);
        } else {
            options->path = argv[i];
        }
    }
    if (options->help)
        return true;
    if (!options->path)
        return error_set(error, ERROR_INPUT,
                         "search needs a text, for example  ndarts-run search specs/fashion_quick.nd");
    if (str_equal(options->path, "-"))
        return error_set(error, ERROR_INPUT,
                         "search reads its text from a file, not from standard input: --resume needs it again");
    if (options->resume && options->init)
        return error_set(error, ERROR_INPUT, "--init and --resume exclude each other");
    if (!options->out)
        options->out = default_folder(arena, options->path);
    return true;
}

bool search_settings_read(const IrModule *module, SearchSettings *settings, Error *error) {
    const char *kind = ir_module_get_string(module, "kind", "search");
    if (!str_equal(kind, "search"))
        return error_set(error, ERROR_INPUT, "the text describes a %s, not a search", kind);
    if (str_equal(ir_module_get_string(module, "search.order", "first"), "second"))
        return error_set(error, ERROR_INPUT,
                         "the second-order search (order second) is not there yet; use order first");
    settings->epochs = ir_module_get_int(module, "search.epochs", 50);
    settings->frozen_epochs = ir_module_get_int(module, "search.frozen_epochs", 0);
    settings->seed = (uint64_t)ir_module_get_int(module, "search.seed", 10);
    settings->alphas_lr = ir_module_get_float(module, "search.alphas.lr", 3e-4);
    settings->beta1 = ir_module_get_float(module, "search.alphas.beta1", 0.5);
    settings->beta2 = ir_module_get_float(module, "search.alphas.beta2", 0.999);
    settings->drop_keep = 1.0 - ir_module_get_float(module, "drop_path.probability", 0.0);
    if (settings->epochs < 1 || settings->epochs > 1000000)
        return error_set(error, ERROR_INPUT, "search.epochs is %lld; expected 1 to 1000000",
                         (long long)settings->epochs);
    if (!(settings->drop_keep > 0 && settings->drop_keep <= 1))
        return error_set(error, ERROR_INPUT, "the drop path probability is %g; expected at least 0 and below 1",
                         1.0 - settings->drop_keep);
    return schedule_read(module, "search.weights", &settings->weights_lr, error);
}
