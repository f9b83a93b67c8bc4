/* args.c: reads a command line by a table of options. */
#include "runtime/loops/args.h"

#include "base/str.h"
#include "runtime/data/data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const Arg *find_arg(const Arg *args, int count, const char *text, size_t length) {
    for (int i = 0; i < count; i++) {
        if (args[i].name && strlen(args[i].name) == length && strncmp(args[i].name, text, length) == 0)
            return &args[i];
    }
    return NULL;
}

static bool report_unknown(Arena *arena, const Arg *args, int count, const char *text, Error *error) {
    const char *names[32];
    size_t known = 0;
    for (int i = 0; i < count && known < 32; i++) {
        if (args[i].name)
            names[known++] = args[i].name;
    }
    return error_set(error, ERROR_INPUT, "unknown option '%s'%s", text, diag_choices(arena, text, names, known));
}

bool args_parse_int(const char *option, const char *text, int64_t low, int64_t high, int64_t *value, Error *error) {
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    bool digits = text[0] == '-' ? text[1] >= '0' && text[1] <= '9' : text[0] >= '0' && text[0] <= '9';
    if (digits && !*end && !errno && *value >= low && *value <= high)
        return true;
    return high == INT64_MAX ? error_set(error, ERROR_INPUT, "%s %s: expected an integer, at least %lld", option, text,
                                         (long long)low)
                             : error_set(error, ERROR_INPUT, "%s %s: expected an integer from %lld to %lld", option,
                                         text, (long long)low, (long long)high);
}

static bool store_precision(const Arg *arg, const char *value, Error *error) {
    return cg_precision_parse(arg->name, value, arg->to, error);
}

static bool store(Arena *arena, const Arg *arg, const char *value, Error *error) {
    ArgList *list = arg->to;
    switch (arg->kind) {
    case ARG_text:
    case ARG_optional:
        *(const char **)arg->to = value;
        return true;
    case ARG_list:
        ARENA_PUSH(arena, list->items, list->count, list->capacity, value);
        return true;
    case ARG_int:
        return args_parse_int(arg->name, value, arg->low, arg->high, arg->to, error);
    case ARG_precision:
        return store_precision(arg, value, error);
    case ARG_flag:
        *(bool *)arg->to = true;
        return true;
    }
    return false;
}

/* An operand: the first nameless entry that has no value yet, or is a list. */
static bool store_operand(Arena *arena, const Arg *args, int count, const char *value, Error *error) {
    for (int i = 0; i < count; i++) {
        bool is_free = !args[i].name && (args[i].kind == ARG_list || *(const char **)args[i].to == NULL);
        if (is_free)
            return store(arena, &args[i], value, error);
    }
    return error_set(error, ERROR_INPUT, "unexpected argument '%s'", value);
}

bool args_parse(Arena *arena, int argc, char **argv, const Arg *args, int count, Error *error) {
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        if (text[0] != '-' || text[1] == '\0') {
            if (!store_operand(arena, args, count, text, error))
                return false;
            continue;
        }
        size_t length = str_starts_with(text, "--") ? strcspn(text, "=") : strlen(text);
        const Arg *arg = find_arg(args, count, text, length);
        bool attached = text[length] == '=';
        if (!arg)
            return report_unknown(arena, args, count, arena_strndup(arena, text, length), error);
        if (arg->kind == ARG_flag && attached)
            return error_set(error, ERROR_INPUT, "%s takes no value", arg->name);
        bool alone = !attached && (arg->kind == ARG_flag || arg->kind == ARG_optional);
        if (!alone && !attached && ++i == argc)
            return error_set(error, ERROR_INPUT, "%s needs a value", arg->name);
        const char *value = attached ? text + length + 1 : alone ? "" : argv[i];
        if (!store(arena, arg, value, error))
            return false;
    }
    return true;
}

void args_add_program(Arg *args, ProgramArgs *to) {
    *to = (ProgramArgs){.vector_bytes = RT_VECTOR_HOST, .precision = PRECISION_f32};
    args[0] = (Arg){"--set", ARG_list, &to->sets, 0, 0};
    args[1] = (Arg){"--threads", ARG_int, &to->threads, 1, 1024};
    args[2] = (Arg){"--seed", ARG_int, &to->seed, 0, INT64_MAX};
    args[3] = (Arg){"--precision", ARG_precision, &to->precision, 0, 0};
    args[4] = (Arg){"--vector", ARG_int, &to->vector_bytes, 0, 64};
    args[5] = (Arg){"--plain", ARG_flag, &to->plain, 0, 0};
    args[6] = (Arg){"--device", ARG_text, &to->device, 0, 0};
    args[7] = (Arg){"--tune", ARG_text, &to->tune, 0, 0};
}

RtProgramOptions args_program_options(const ProgramArgs *args, const char *path) {
    return (RtProgramOptions){.path = path,
                              .look_at = data_look_at_folder,
                              .sets = args->sets.items,
                              .set_count = args->sets.count,
                              .seed = (uint64_t)args->seed,
                              .threads = (int)args->threads,
                              .device = args->device,
                              .tune = args->tune,
                              .precision = args->precision,
                              .vector_bytes = (int)args->vector_bytes,
                              .plain = args->plain};
}
