/* recipe.c: finds the texts that say how to train something. */
#include "runtime/driver/recipe.h"

#include "base/file.h"
#include "base/installed.h"
#include "base/str.h"
#include "runtime/driver/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* specs/recipes beside the library of definitions. */
static const char *recipe_folder(Arena *arena) {
    return arena_printf(arena, "%s/../specs/recipes", installed_library(arena));
}

/* The names of all recipes. */
static const char **recipe_names(Arena *arena, size_t *count) {
    struct dirent **found = NULL;
    int entries = scandir(recipe_folder(arena), &found, NULL, alphasort);
    const char **names = ARENA_ARRAY(arena, const char *, entries > 0 ? entries + 1 : 1);
    *count = 0;
    for (int i = 0; i < entries; i++) {
        size_t length = strlen(found[i]->d_name);
        if (str_ends_with(found[i]->d_name, ".nd"))
            names[(*count)++] = arena_strndup(arena, found[i]->d_name, length - 3);
        free(found[i]);
    }
    free(found);
    return names;
}

const char *recipe_list(Arena *arena) {
    size_t count;
    const char **names = recipe_names(arena, &count);
    Str list = str_create(arena);
    str_add(&list, "");
    for (size_t i = 0; i < count; i++)
        str_addf(&list, "%s%s", i ? ", " : "", names[i]);
    return list.data;
}

const char *recipe_find(Arena *arena, const char *name, Error *error) {
    const char *folder = recipe_folder(arena);
    bool is_path = strchr(name, '/') || str_ends_with(name, ".nd");
    const char *path = is_path ? name : arena_printf(arena, "%s/%s.nd", folder, name);
    if (!file_is_missing(path))
        return path;
    size_t count;
    const char **names = recipe_names(arena, &count), *near = is_path ? NULL : diag_suggest(name, names, count);
    if (is_path)
        error_set(error, ERROR_INPUT, "there is no recipe '%s'", path);
    else if (file_is_missing(folder))
        error_set(error, ERROR_INPUT,
                  "unknown recipe '%s': there are none, since the library is not there; looked in %s (NDARTS_LIBRARY "
                  "names another folder)",
                  name, installed_library(arena));
    else if (near)
        error_set(error, ERROR_INPUT, "unknown recipe '%s'; did you mean '%s'?", name, near);
    else
        error_set(error, ERROR_INPUT, "unknown recipe '%s'; known: %s (of %s), or a path", name, recipe_list(arena),
                  folder);
    return NULL;
}
