/* installed.c: the definitions and recipes that come with ndarts are found from where the code itself lies, so a
 * prefix can be staged, moved, or reached through a link. In a build folder they are those of the source tree. */
#include "base/installed.h"

#include "base/str.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char anchor = 0; /* lies where this code does */

const char *installed_file(void) {
    Dl_info info;
    struct link_map *map = NULL;
    bool found = dladdr1(&anchor, &info, (void **)&map, RTLD_DL_LINKMAP) && map && *map->l_name;
    return found ? map->l_name : "/proc/self/exe";
}

static bool is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Without links; NULL when it is not there. */
static const char *real_path(Arena *arena, const char *path) {
    char buffer[PATH_MAX];
    return realpath(path, buffer) ? arena_strdup(arena, buffer) : NULL;
}

static bool is_inside(Arena *arena, const char *path, const char *folder) {
    const char *real = real_path(arena, folder);
    return real && str_starts_with(path, arena_printf(arena, "%s/", real));
}

enum { MOST_PLACES = 4 };

/* Where the definitions can be, best first. */
static int list_places(Arena *arena, const char *places[MOST_PLACES]) {
    static const char *const from[] = {NDARTS_DATA_FROM_BIN, NDARTS_DATA_FROM_LIB};
    const char *file = real_path(arena, installed_file());
    int count = 0;
    for (int i = 0; file && i < 2 && !(i && str_equal(from[0], from[1])); i++) {
        const char *place = arena_printf(arena, "%.*s/%s", (int)(strrchr(file, '/') - file), file, from[i]);
        const char *data = real_path(arena, place);
        places[count++] = arena_printf(arena, "%s/genotypes", data ? data : place);
    }
    if (file && is_inside(arena, file, NDARTS_BUILD_DIR))
        places[count++] = NDARTS_SOURCE_DIR "/genotypes";
    places[count++] = NDARTS_LIBRARY_DIR "/genotypes";
    return count;
}

const char *installed_library(Arena *arena) {
    const char *chosen = getenv("NDARTS_LIBRARY"), *places[MOST_PLACES];
    if (chosen && *chosen)
        return arena_strdup(arena, chosen);
    int count = list_places(arena, places);
    Str all = str_create(arena);
    for (int i = 0; i < count; i++) {
        if (is_folder(places[i]))
            return places[i];
        str_addf(&all, "%s%s", i ? ", " : "", places[i]);
    }
    return all.data;
}
