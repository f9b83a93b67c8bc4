/* options_read.c: reads a command line by the table of options, and prints the table as help. */
#include "tools/command_line.h"

#include "base/str.h"
#include "runtime/data/net_data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum OptionKind {
    OPTION_text,      /* const char * */
    OPTION_int,       /* int64_t, low..high */
    OPTION_flag,      /* bool */
    OPTION_optional,  /* const char *: --name=value, or "" for --name alone */
    OPTION_list,      /* OptionList; may be given several times */
    OPTION_data,      /* OptionList: a source of images, as the setting of the text that it replaces */
    OPTION_names,     /* OptionList: A,B */
    OPTION_bytes,     /* int64_t: 500M */
    OPTION_vector,    /* int64_t: the width of a vector */
    OPTION_precision, /* CgPrecision */
} OptionKind;

typedef struct Option {
    const char *name, *value;
    OptionKind kind;
    size_t to; /* in Options */
    int64_t low, high;
    uint32_t commands;
    const char *help; /* "": another name of a row before it */
} Option;

static const char data_setting[] = "data="; /* what --data sets */

#define F(command) (1u << COMMAND_##command)
#define LOOPS (F(search) | F(train))
#define NETWORKS (F(eval) | F(trace) | F(infer) | F(hessian) | F(bench) | F(cost))
#define COMPILERS (F(ndartsc) | F(ndarts_opt))
#define EVERY ((1u << COMMAND_COUNT) - 1)

static const Option table[] = {
#define OPTION(name, value, kind, field, low, high, commands, help)                                                    \
    {name, value, OPTION_##kind, offsetof(Options, field), low, high, commands, help},
#include "tools/options.def"
#undef OPTION
};
enum { OPTION_COUNT = sizeof table / sizeof table[0] };

typedef struct CommandInfo {
    const char *name, *title, *uses, *input;
    int most;
    const char *about;
} CommandInfo;

static const CommandInfo commands[] = {
#define COMMAND(id, title, uses, input, most, about) {#id, title, uses, input, most, about},
#include "tools/commands.def"
#undef COMMAND
};

const char *options_command_name(Command command) {
    return commands[command].name;
}

const char *options_input(const Options *o) {
    return o->inputs.count ? o->inputs.items[0] : NULL;
}

Options options_default(Arena *arena, Command command) {
    return (Options){.arena = arena,
                     .command = command,
                     .seed = -1,
                     .epoch = -1,
                     .warm_up = 3,
                     .vector_bytes = RT_VECTOR_HOST,
                     .precision = PRECISION_f32};
}

/* ---- values ---- */

bool options_parse_int(const char *option, const char *text, int64_t low, int64_t high, int64_t *value, Error *error) {
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

static bool parse_vector(const Option *option, const char *text, int64_t *bytes, Error *error) {
    return options_parse_int(option->name, text, option->low, option->high, bytes, error) &&
           (*bytes == 0 || *bytes == 16 || *bytes == 32 || *bytes == 64 ||
            error_set(error, ERROR_INPUT, "%s is 64, 32, 16 or 0, not %s", option->name, text));
}

static bool parse_bytes(const Option *option, const char *text, int64_t *bytes, Error *error) {
    return str_parse_bytes(text, bytes) ||
           error_set(error, ERROR_INPUT, "%s is a number of bytes, as in 500M, not '%s'", option->name, text);
}

static void split_names(Arena *arena, const char *text, OptionList *list) {
    *list = (OptionList){.items = ARENA_ARRAY(arena, const char *, strlen(text) + 1)};
    while (*text) {
        size_t length = strcspn(text, ",");
        if (length)
            list->items[list->count++] = arena_strndup(arena, text, length);
        text += length + (text[length] == ',');
    }
}

static bool store(Options *o, const Option *option, const char *value, Error *error) {
    void *to = (char *)o + option->to;
    OptionList *list = to;
    switch (option->kind) {
    case OPTION_text:
    case OPTION_optional:
        *(const char **)to = value;
        return true;
    case OPTION_int:
        return options_parse_int(option->name, value, option->low, option->high, to, error);
    case OPTION_flag:
        return *(bool *)to = true;
    case OPTION_data:
        value = arena_printf(o->arena, "%s%s", data_setting, net_data_expression(o->arena, value)); /* fall through */
    case OPTION_list:
        ARENA_PUSH(o->arena, list->items, list->count, list->capacity, value);
        return true;
    case OPTION_names:
        split_names(o->arena, value, list);
        return true;
    case OPTION_bytes:
        return parse_bytes(option, value, to, error);
    case OPTION_vector:
        return parse_vector(option, value, to, error);
    case OPTION_precision:
        return cg_precision_parse(option->name, value, to, error);
    }
    return false;
}

/* ---- arguments ---- */

static bool takes(Command command, const Option *option) {
    return option->commands >> command & 1;
}

static const Option *find_option(Command command, const char *name) {
    for (int i = 0; i < OPTION_COUNT; i++)
        if (takes(command, &table[i]) && str_equal(table[i].name, name))
            return &table[i];
    return NULL;
}

static bool report_unknown(const Options *o, const char *name, Error *error) {
    const char *known[OPTION_COUNT];
    size_t count = 0;
    for (int i = 0; i < OPTION_COUNT; i++)
        if (takes(o->command, &table[i]) && *table[i].help)
            known[count++] = table[i].name;
    const char *title = commands[o->command].title, *space = strchr(title, ' ');
    return error_set(error, ERROR_INPUT, "unknown option '%s'%s%s%s", name, space ? " of" : "", space ? space : "",
                     diag_choices(o->arena, name, known, count));
}

static bool store_operand(Options *o, const char *text, Error *error) {
    const CommandInfo *command = &commands[o->command];
    if (o->inputs.count < command->most) {
        ARENA_PUSH(o->arena, o->inputs.items, o->inputs.count, o->inputs.capacity, text);
        return true;
    }
    return command->most ? error_set(error, ERROR_INPUT, "one %s at a time, not '%s' and '%s'", command->input,
                                     o->inputs.items[o->inputs.count - 1], text)
                         : error_set(error, ERROR_INPUT, "unexpected argument '%s'", text);
}

static bool parse_argument(Options *o, int argc, char **argv, int *at, Error *error) {
    const char *text = argv[*at], *equals = strchr(text, '=');
    if (text[0] != '-' || !text[1])
        return store_operand(o, text, error);
    const char *name = equals ? arena_strndup(o->arena, text, (size_t)(equals - text)) : text;
    const Option *option = find_option(o->command, name);
    if (!option)
        return report_unknown(o, name, error);
    if (option->kind == OPTION_flag && equals)
        return error_set(error, ERROR_INPUT, "%s takes no value", name);
    if (equals)
        return store(o, option, equals + 1, error);
    if (option->kind == OPTION_flag || option->kind == OPTION_optional)
        return store(o, option, "", error);
    if (*at + 1 == argc)
        return error_set(error, ERROR_INPUT, "%s needs a value", name);
    return store(o, option, argv[++*at], error);
}

static bool asks_for_help(int argc, char **argv, int first) {
    for (int i = first; i < argc; i++)
        if (str_equal(argv[i], "--help") || str_equal(argv[i], "-h"))
            return true;
    return false;
}

bool options_parse(Options *o, int argc, char **argv, int first, Error *error) {
    o->help = asks_for_help(argc, argv, first);
    for (int i = first; i < argc && !o->help; i++)
        if (!parse_argument(o, argc, argv, &i, error))
            return false;
    return true;
}

/* ---- ranks ---- */

static void add_list(Str *text, const OptionList *list, const char *prefix) {
    for (int i = 0; i < list->count; i++)
        if (str_starts_with(list->items[i], prefix))
            str_addf(text, "%s\n", list->items[i]);
}

/* What was given, or follows where nothing was, so that two texts differ where the values do. */
static const char *value_text(const Options *o, const Option *option) {
    const void *at = (const char *)o + option->to;
    const char *given;
    Str text = str_create(o->arena);
    switch (option->kind) {
    case OPTION_text:
    case OPTION_optional:
        given = *(const char *const *)at;
        str_addf(&text, "%s%s", given ? "=" : "", given ? given : "");
        break;
    case OPTION_int:
    case OPTION_bytes:
    case OPTION_vector:
        str_addf(&text, "%lld", (long long)*(const int64_t *)at);
        break;
    case OPTION_flag:
        str_addf(&text, "%d", *(const bool *)at);
        break;
    case OPTION_precision:
        str_addf(&text, "%d", (int)*(const CgPrecision *)at);
        break;
    case OPTION_data:
        add_list(&text, at, data_setting); /* the list is that of --set */
        break;
    case OPTION_list:
    case OPTION_names:
        add_list(&text, at, "");
        break;
    }
    return text.data;
}

/* Hosts may have other numbers of cores, and processes of one host take a GPU each. */
static bool is_of_host(const Option *option) {
    return option->to == offsetof(Options, threads) || option->to == offsetof(Options, device);
}

bool options_agree(const Options *o, Error *error) {
    const CommandInfo *command = &commands[o->command];
    Str inputs = str_create(o->arena);
    add_list(&inputs, &o->inputs, "");
    if (!ranks_agree(o->ranks, "another command", command->name, error) ||
        !ranks_agree(o->ranks, arena_printf(o->arena, "another %s", command->input), inputs.data, error))
        return false;
    for (int i = 0; i < OPTION_COUNT; i++) {
        const Option *option = &table[i];
        if (takes(o->command, option) && !is_of_host(option) &&
            !ranks_agree(o->ranks, arena_printf(o->arena, "another %s", option->name), value_text(o, option), error))
            return false;
    }
    return true;
}

/* ---- help ---- */

enum { HELP_COLUMN = 27, HELP_WIDTH = 120 };

/* The words of text in lines that begin at HELP_COLUMN; the first line is there already, up to column `at`. */
static void print_wrapped(FILE *out, int at, const char *text) {
    at += fprintf(out, "%*s", at < HELP_COLUMN ? HELP_COLUMN - at : 2, "");
    for (bool first = true; *text; first = false) {
        int length = (int)strcspn(text, " ");
        if (!first && at + 1 + length > HELP_WIDTH)
            at = fprintf(out, "\n%*s", HELP_COLUMN, "") - 1;
        else if (!first)
            at += fprintf(out, " ");
        at += fprintf(out, "%.*s", length, text);
        text += length + (text[length] == ' ');
    }
    fputc('\n', out);
}

/* "--batch N", "--profile[=FILE]" */
static int print_name(FILE *out, const Option *option) {
    return option->kind == OPTION_optional
               ? fprintf(out, "  %s[=%s]", option->name, option->value)
               : fprintf(out, "  %s%s%s", option->name, *option->value ? " " : "", option->value);
}

void options_print_help(FILE *out, Command command) {
    const CommandInfo *info = &commands[command];
    fprintf(out, "usage: %s%s%s [options]\n\n%s\n\n", info->title, *info->uses ? " " : "", info->uses, info->about);
    for (int i = 0; i < OPTION_COUNT; i++)
        if (takes(command, &table[i]) && *table[i].help)
            print_wrapped(out, print_name(out, &table[i]), table[i].help);
}

void options_print_summary(FILE *out, Command command) {
    const CommandInfo *info = &commands[command];
    const char *space = strchr(info->title, ' ');
    fprintf(out, "  %s%s%s\n      %s\n", space ? space + 1 : info->title, *info->uses ? " " : "", info->uses,
            info->about);
}
