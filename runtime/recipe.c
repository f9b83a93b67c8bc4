/* recipe.c: finds the texts that say how to train something. */
#include "runtime/recipe.h"

#include "base/str.h"
#include "runtime/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* specs/recipes beside the library of definitions. */
static const char *recipe_folder(Arena *arena) {
    return arena_printf(arena, "%s/../specs/recipes", rt_library_path(arena));
}

const char *recipe_list(Arena *arena) {
    Str list = str_create(arena);
    str_add(&list, "");
    struct dirent **names = NULL;
    int count = scandir(recipe_folder(arena), &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        size_t length = strlen(names[i]->d_name);
        if (str_ends_with(names[i]->d_name, ".nd"))
            str_addf(&list, "%s%.*s", list.length ? ", " : "", (int)length - 3, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return list.data;
}

const char *recipe_find(Arena *arena, const char *name, Error *error) {
    const char *folder = recipe_folder(arena);
    bool is_path = strchr(name, '/') || str_ends_with(name, ".nd");
    const char *path = is_path ? name : arena_printf(arena, "%s/%s.nd", folder, name);
    if (!file_is_missing(path))
        return path;
    if (is_path)
        error_set(error, ERROR_INPUT, "there is no recipe '%s'", path);
    else if (file_is_missing(folder))
        error_set(error, ERROR_INPUT,
                  "unknown recipe '%s': there are none, since the library is not there; looked in %s (NDARTS_LIBRARY "
                  "names another folder)",
                  name, rt_library_path(arena));
    else
        error_set(error, ERROR_INPUT, "unknown recipe '%s'; known: %s (of %s), or a path", name, recipe_list(arena),
                  folder);
    return NULL;
}
