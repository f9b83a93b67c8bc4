/* ndartsc.c: the compiler: from a text to any of the forms it passes through on its way to a module. */
#include "tools/ndartsc.h"

#include "base/process.h"
#include "ir/settings.h"

static int compile(const Options *line, Error *error) {
    Emission emission;
    if (!emission_read(&emission, line, error))
        return error_report(error);
    return emission.emit == EMIT_resources ? resources_run(&emission) : emit_run(&emission);
}

static int run(int argc, char **argv) {
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    Options line = options_default(arena, COMMAND_ndartsc);
    int code = 0;
    if (!options_parse(&line, argc, argv, 1, &error))
        code = error_report(&error);
    else if (line.help || argc < 2)
        options_print_help(line.help ? stdout : stderr, COMMAND_ndartsc);
    else if (line.version)
        printf("ndarts %s\n", NDARTS_VERSION);
    else if (line.list_passes)
        options_list_passes();
    else if (line.list_settings)
        settings_print_table(stdout);
    else if (line.list_methods)
        code = emit_methods(&line);
    else if (line.format_text)
        code = emit_formatted(&line);
    else
        code = compile(&line, &error);
    arena_destroy(arena);
    return argc < 2 ? ERROR_INPUT : code;
}

int main(int argc, char **argv) {
    process_begin();
    return error_check_stdout(run(argc, argv));
}
