/* tiles.c: reads and writes tables of tiles. */
#include "runtime/device/tiles.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { VERSION = 1, MOST_LENGTH = 64, MOST_WIDTH = 16 };

static const char *default_path(Arena *arena) {
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config && *config)
        return arena_printf(arena, "%s/ndarts/tune.json", config);
    return home && *home ? arena_printf(arena, "%s/.config/ndarts/tune.json", home) : NULL;
}

static bool read_tile(json_t *value, CoreTile *tile) {
    json_t *length = json_array_get(value, 0), *width = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(length) || !json_is_integer(width))
        return false;
    json_int_t l = json_integer_value(length), w = json_integer_value(width);
    *tile = (CoreTile){(int)l, (int)w};
    return l >= 0 && l <= MOST_LENGTH && w >= 0 && w <= MOST_WIDTH;
}

static bool read_table(Arena *arena, json_t *root, RtTiles *tiles, Error *error) {
    json_t *table = json_object_get(root, "tiles"), *value;
    const char *key;
    if (json_integer_value(json_object_get(root, "version")) != VERSION || !json_is_object(table))
        return error_set(error, ERROR_INPUT, "%s is no table of tiles: expected \"version\": %d and \"tiles\"",
                         tiles->path, VERSION);
    json_object_foreach(table, key, value) {
        RtTile tile = {.key = arena_strdup(arena, key)};
        if (!read_tile(value, &tile.tile))
            return error_set(error, ERROR_INPUT, "%s: the tile of '%s' should be two numbers, at most %d and %d",
                             tiles->path, key, MOST_LENGTH, MOST_WIDTH);
        ARENA_PUSH(arena, tiles->items, tiles->count, tiles->capacity, tile);
    }
    return true;
}

/* Nobody asked for it. Told once. */
static bool go_without(const Error *error) {
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&told))
        fprintf(diag_stream(), "warning: %s; tiles are those that are compiled in\n", error->message);
    return true;
}

bool rt_tiles_read(Arena *arena, const char *path, RtTiles *tiles, Error *error) {
    *tiles = (RtTiles){.path = path ? path : default_path(arena)};
    if (!tiles->path || (!path && file_is_missing(tiles->path)))
        return true;
    Error unreadable = {ERROR_NONE, ""};
    SourceFile *file = source_read(arena, tiles->path, path ? error : &unreadable);
    if (!file)
        return !path && go_without(&unreadable);
    json_error_t mistake;
    json_t *root = json_loadb(file->text, file->size, 0, &mistake);
    if (!root)
        return error_set(error, ERROR_INPUT, "%s:%d: %s", tiles->path, mistake.line, mistake.text);
    bool ok = read_table(arena, root, tiles, error);
    json_decref(root);
    return ok;
}

static int compare_keys(const void *a, const void *b) {
    return strverscmp(((const RtTile *)a)->key, ((const RtTile *)b)->key);
}

bool rt_tiles_write(const RtTiles *tiles, Error *error) {
    Arena *arena = arena_create();
    Str out = str_create(arena);
    RtTile *sorted = ARENA_ARRAY(arena, RtTile, tiles->count + 1);
    for (int i = 0; i < tiles->count; i++)
        sorted[i] = tiles->items[i];
    qsort(sorted, (size_t)tiles->count, sizeof *sorted, compare_keys);
    json_t *members = json_object(), *table = json_pack("{s:i, s:o}", "version", VERSION, "tiles", members);
    for (int i = 0; i < tiles->count; i++)
        json_add(members, sorted[i].key, json_pack("[i, i]", sorted[i].tile.length, sorted[i].tile.width));
    str_addf(&out, "%s\n", json_print(arena, table, JSON_INDENT(2)));
    json_decref(table);
    const char *slash = strrchr(tiles->path, '/');
    if (slash) /* a failure shows when the file is written */
        file_make_folders(arena, arena_strndup(arena, tiles->path, (size_t)(slash - tiles->path)), 0777);
    bool ok = file_write_atomic(tiles->path, out.data, out.length, error);
    arena_destroy(arena);
    return ok;
}

const CgTiles *rt_tiles_table(Arena *arena, const RtTiles *tiles) {
    CgTiles *table = cg_tiles_create(arena);
    for (int i = 0; i < tiles->count; i++)
        cg_tiles_set(table, tiles->items[i].key, tiles->items[i].tile);
    return table;
}

const char *rt_tiles_text(Arena *arena, const RtTiles *tiles) {
    Str text = str_create(arena);
    for (int i = 0; i < tiles->count; i++)
        str_addf(&text, "tile %s %d %d\n", tiles->items[i].key, tiles->items[i].tile.length,
                 tiles->items[i].tile.width);
    return text.data;
}
