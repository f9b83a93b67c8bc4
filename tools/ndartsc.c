/* ndartsc.c: the compiler: from a text to any of the forms it passes through. */
#include "frontend/frontend.h"

#include <string.h>

int main(int argc, char **argv)
{
    Arena *arena = arena_create();
    Diag *diag = diag_create(arena, stderr);
    FrontendOptions options = {.library = NDARTS_SOURCE_DIR "/genotypes"};
    const char **sets = ARENA_ARRAY(arena, const char *, argc);
    const char *path = NULL, *emit = "ir";
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--set") && i + 1 < argc)
            sets[options.set_count++] = argv[++i];
        else if (!strncmp(argv[i], "--emit=", 7))
            emit = argv[i] + 7;
        else
            path = argv[i];
    }
    options.sets = sets;
    Error error = {0};
    IrModule *module = frontend_load(arena, path, &options, diag, &error);
    if (error.kind)
        return error_report(&error);
    if (!module)
        return 1;
    Str out = str_create(arena);
    ir_print_module(module, &out);
    (void)emit;
    fputs(out.data, stdout);
    return 0;
}
