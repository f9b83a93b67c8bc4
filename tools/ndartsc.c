/* ndartsc.c: the compiler: from a text to any of the forms it passes through on its way to a module. */
#include "tools/ndartsc.h"

#include "base/memory.h"
#include "base/str.h"

static int list_passes(void) {
    for (int i = 0; i < pass_count; i++)
        printf("%-18s %s\n", pass_info[i].name, pass_info[i].summary);
    return 0;
}

static bool has_argument(int argc, char **argv, const char *name, const char *short_name) {
    for (int i = 1; i < argc; i++)
        if (str_equal(argv[i], name) || str_equal(argv[i], short_name))
            return true;
    return false;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        options_print_usage(stderr);
        return ERROR_INPUT;
    }
    if (has_argument(argc, argv, "--help", "-h")) {
        options_print_usage(stdout);
        return 0;
    }
    if (has_argument(argc, argv, "--version", "-V"))
        return printf("ndarts %s\n", NDARTS_VERSION) < 0;
    if (has_argument(argc, argv, "--list-passes", "--list-passes"))
        return list_passes();
    Arena *arena = arena_create();
    Options options = {.arena = arena, .emit = EMIT_ir, .vector_bytes = -1, .card = "h100"};
    options.passes.out = stderr;
    Error error = {ERROR_NONE, ""};
    int code = !options_parse(&options, argc, argv, &error) ? error_report(&error)
               : options.emit == EMIT_resources             ? resources_run(&options)
                                                            : emit_run(&options);
    arena_destroy(arena);
    return code;
}

int main(int argc, char **argv) {
    memory_guard_json(false);
    return error_check_stdout(run(argc, argv));
}
