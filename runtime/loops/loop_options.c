/* loop_options.c: the command line that search and train share. */
#include "runtime/loops/loop.h"

#include "base/str.h"
#include "runtime/data/net_data.h"
#include "runtime/loops/args.h"
#include "runtime/loops/tensorboard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void loop_print_options(FILE *out) {
    fputs("  --out DIR                folder of the results (default runs/ and the text's name)\n"
          "  --resume                 go on from DIR/checkpoint.safetensors\n"
          "  --allow-different-build  resume although the module or the settings differ\n"
          "  --allow-different-data   resume although the images are not those of the beginning\n"
          "  --init W.safetensors     start from these weights\n"
          "  --init-except PREFIX     but draw those whose names begin so, for example classifier\n"
          "  --seed N                 instead of the text's\n"
          "  --threads N              worker threads (default: one per core)\n"
          "  --device D               cpu, cuda, cuda:N or auto (the GPU when there is one)\n"
          "  --precision f32|f64|tf32|bf16\n"
          "  --mem-budget BYTES       keep to so much memory (500M, 2G), or say that it cannot be done\n"
          "  --tune FILE              a table of tiles that ndarts-run tune wrote, instead of the user's own\n"
          "  --profile[=FILE]         time every kernel; a trace for chrome://tracing in FILE (default "
          "DIR/profile.json)\n"
          "  --verbose                say how the module was built, too\n"
          "  --log-steps              what every pass was given (rates, draw numbers), in DIR/steps.jsonl\n"
          "  --tensorboard            the metrics also as an event file for TensorBoard, in DIR\n"
          "  --data 'SOURCE(\"PATH\")'  other images than the text's, for example 'image_folder(\"pictures\")'\n"
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

static bool take_extra(const LoopCommand *command, const char *name, const char *value) {
    for (int i = 0; i < command->extra_count; i++) {
        if (str_equal(command->extras[i].name, name)) {
            *command->extras[i].to = value;
            return true;
        }
    }
    return false;
}

/* An option that takes a value. *known is false when there is none of that name. */
static bool take_value(Arena *arena, const LoopCommand *command, const char *name, const char *value, LoopOptions *o,
                       bool *known, Error *error) {
    int64_t number = 0;
    *known = true;
    if (str_equal(name, "--out")) {
        o->out = value;
    } else if (str_equal(name, "--init")) {
        o->init = value;
    } else if (str_equal(name, "--init-except")) {
        o->init_except = value;
    } else if (str_equal(name, "--set")) {
        ARENA_PUSH(arena, o->sets, o->set_count, o->set_capacity, value);
    } else if (str_equal(name, "--data")) {
        ARENA_PUSH(arena, o->sets, o->set_count, o->set_capacity,
                   arena_printf(arena, "data=%s", net_data_expression(arena, value)));
    } else if (str_equal(name, "--seed")) {
        o->has_seed = true;
        bool is_seed = args_parse_int(name, value, 0, INT64_MAX, &number, error);
        o->seed = (uint64_t)number;
        return is_seed;
    } else if (str_equal(name, "--threads")) {
        bool is_count = args_parse_int(name, value, 0, 1024, &number, error);
        o->threads = (int)number;
        return is_count;
    } else if (str_equal(name, "--device")) {
        o->device = value;
    } else if (str_equal(name, "--mem-budget")) {
        return str_parse_bytes(value, &o->memory_budget) ||
               error_set(error, ERROR_INPUT, "--mem-budget takes a number of bytes, as in 500M, found '%s'", value);
    } else if (str_equal(name, "--tune")) {
        o->tune = value;
    } else if (str_equal(name, "--profile")) {
        o->profile = value;
    } else if (str_equal(name, "--precision")) {
        return cg_precision_parse("--precision", value, &o->precision, error);
    } else {
        *known = take_extra(command, name, value);
    }
    return true;
}

static bool take_flag(const char *name, LoopOptions *o) {
    if (str_equal(name, "--resume"))
        o->resume = true;
    else if (str_equal(name, "--allow-different-build"))
        o->allow_different_build = true;
    else if (str_equal(name, "--allow-different-data"))
        o->allow_different_data = true;
    else if (str_equal(name, "--profile"))
        o->profile = "";
    else if (str_equal(name, "--verbose"))
        o->verbose = true;
    else if (str_equal(name, "--log-steps"))
        o->log_steps = true;
    else if (str_equal(name, "--tensorboard"))
        o->tensorboard = true;
    else if (str_equal(name, "--help") || str_equal(name, "-h"))
        o->help = true;
    else
        return false;
    return true;
}

static bool unknown_option(Arena *arena, const LoopCommand *command, const char *name, Error *error) {
    static const char *const common[] = {"--out",
                                         "--data",
                                         "--resume",
                                         "--allow-different-build",
                                         "--allow-different-data",
                                         "--init",
                                         "--init-except",
                                         "--seed",
                                         "--set",
                                         "--threads",
                                         "--device",
                                         "--precision",
                                         "--profile",
                                         "--mem-budget",
                                         "--tune",
                                         "--tensorboard",
                                         "--log-steps",
                                         "--verbose",
                                         "--help"};
    enum { COMMON = sizeof(common) / sizeof(common[0]), MOST = COMMON + 8 };
    const char *names[MOST];
    int count = 0;
    for (int i = 0; i < COMMON; i++)
        names[count++] = common[i];
    for (int i = 0; i < command->extra_count && count < MOST; i++)
        names[count++] = command->extras[i].name;
    return error_set(error, ERROR_INPUT, "unknown option '%s' of %s%s", name, command->name,
                     diag_choices(arena, name, names, (size_t)count));
}

/* --name value and --name=value. */
static bool parse_option(Arena *arena, int argc, char **argv, int *i, const LoopCommand *command, LoopOptions *o,
                         Error *error) {
    const char *argument = argv[*i], *equals = strchr(argument, '=');
    if (!equals && take_flag(argument, o))
        return true;
    const char *name = equals ? arena_strndup(arena, argument, (size_t)(equals - argument)) : argument;
    const char *value = equals ? equals + 1 : *i + 1 < argc ? argv[*i + 1] : NULL;
    bool known;
    if (!take_value(arena, command, name, value ? value : "", o, &known, error))
        return false;
    if (!known)
        return unknown_option(arena, command, argument, error);
    if (!value)
        return error_set(error, ERROR_INPUT, "%s needs a value", name);
    *i += equals ? 0 : 1;
    return true;
}

bool loop_options_parse(Arena *arena, int argc, char **argv, const LoopCommand *command, LoopOptions *options,
                        Error *error) {
    memset(options, 0, sizeof(*options));
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            if (!parse_option(arena, argc, argv, &i, command, options, error))
                return false;
        } else if (options->path) {
            return error_set(error, ERROR_INPUT, "%s takes one text, found '%s' and '%s'", command->name, options->path,
                             argv[i]);
        } else {
            options->path = argv[i];
        }
    }
    if (options->help)
        return true;
    if (!options->path)
        return error_set(error, ERROR_INPUT, "%s needs a text, for example  %s", command->name, command->example);
    if (str_equal(options->path, "-"))
        return error_set(error, ERROR_INPUT,
                         "%s reads its text from a file, not from standard input: --resume needs it again",
                         command->name);
    if (options->resume && options->init)
        return error_set(error, ERROR_INPUT, "--init and --resume exclude each other");
    if (options->init_except && !options->init)
        return error_set(error, ERROR_INPUT, "--init-except %s is for --init W.safetensors", options->init_except);
    if (options->tensorboard && !tensorboard_available(error))
        return false;
    if (!options->out)
        options->out = default_folder(arena, options->path);
    file_guard_folder(options->out);
    return true;
}
