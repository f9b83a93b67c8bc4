/* sema_library.c: what a name stands for, in texts of the library and in those of others. */
#include "frontend/lower.h"
#include "frontend/sema.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool real_folder(const char *path, char folder[PATH_MAX]) {
    char *slash = realpath(path, folder) ? strrchr(folder, '/') : NULL;
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

bool sema_is_of_library(const char *library, const SourceFile *file) {
    char real[PATH_MAX], folder[PATH_MAX];
    return library && realpath(library, real) && real_folder(file->path, folder) && str_equal(folder, real);
}

const Ast *sema_find_definition(const StrMap *globals, const char *library, const Ast *name) {
    const Ast *definition = str_map_get(globals, name->name);
    if (!definition || definition->span.file == name->span.file || !builtin_find(name->name))
        return definition;
    bool hidden = sema_is_of_library(library, name->span.file) && !sema_is_of_library(library, definition->span.file);
    return hidden ? NULL : definition;
}
