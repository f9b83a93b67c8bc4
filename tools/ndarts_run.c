/* ndarts_run.c: ndarts-run COMMAND ...: a file per command. */
#include "tools/ndarts_run.h"

#include "base/process.h"
#include "base/str.h"

static RunCommand *const runs[COMMAND_COUNT] = {
    [COMMAND_search] = run_search,   [COMMAND_train] = run_train,       [COMMAND_eval] = run_eval,
    [COMMAND_derive] = run_derive,   [COMMAND_genotype] = run_genotype, [COMMAND_trace] = run_trace,
    [COMMAND_hessian] = run_hessian, [COMMAND_infer] = run_infer,       [COMMAND_import] = run_import,
    [COMMAND_export] = run_export,   [COMMAND_tune] = run_tune,         [COMMAND_report] = run_report,
    [COMMAND_lookup] = run_lookup,   [COMMAND_bench] = run_bench,       [COMMAND_cost] = run_cost,
    [COMMAND_info] = run_info,       [COMMAND_compile] = run_compile};

static void print_usage(FILE *out) {
    fprintf(out, "usage: ndarts-run COMMAND ...; COMMAND --help lists its options\n\n");
    for (Command c = 0; c < COMMAND_COUNT; c++)
        if (runs[c])
            options_print_summary(out, c);
}

/* COMMAND_COUNT: there is none of that name. */
static Command find_command(const char *name) {
    Command c = 0;
    while (c < COMMAND_COUNT && !(runs[c] && str_equal(options_command_name(c), name)))
        c++;
    return c;
}

static bool report_unknown(Arena *arena, const char *name, Error *error) {
    const char *names[COMMAND_COUNT];
    int count = 0;
    for (Command c = 0; c < COMMAND_COUNT; c++)
        if (runs[c])
            names[count++] = options_command_name(c);
    return diag_unknown(arena, "command", name, names, count, error);
}

/* A run that several processes do together, when a launcher started them, ends for all where one of them fails. */
static bool run_on_ranks(Command command, Options *options, Error *error) {
    bool together =
        command == COMMAND_search || command == COMMAND_train || command == COMMAND_eval || command == COMMAND_trace;
    if (together && !ranks_open(options->arena, &options->ranks, error))
        return false;
    bool done = (!options->ranks || options_agree(options, error)) && runs[command](options, error);
    if (!done && error->kind != ERROR_INTERRUPTED && options->ranks)
        ranks_fail(options->ranks, error);
    ranks_close(options->ranks);
    return done;
}

static bool run_command(Arena *arena, int argc, char **argv, Error *error) {
    Command command = find_command(argv[1]);
    if (command == COMMAND_COUNT)
        return report_unknown(arena, argv[1], error);
    Options options = options_default(arena, command);
    if (!options_parse(&options, argc, argv, 2, error))
        return false;
    if (!options.help)
        return run_on_ranks(command, &options, error);
    options_print_help(stdout, command);
    return true;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return ERROR_INPUT;
    }
    if (str_equal(argv[1], "--help") || str_equal(argv[1], "-h") || str_equal(argv[1], "help")) {
        print_usage(stdout);
        return 0;
    }
    if (str_equal(argv[1], "--version"))
        return printf("ndarts %s\n", NDARTS_VERSION) < 0;
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    bool done = run_command(arena, argc, argv, &error);
    arena_destroy(arena);
    if (done)
        return 0;
    return error.kind == ERROR_INTERRUPTED ? ERROR_INTERRUPTED : error_report(&error);
}

int main(int argc, char **argv) {
    process_begin();
    return error_check_stdout(run(argc, argv));
}
