/* tiles.h: the file that extends the compiler's table of tiles (codegen/c/loop_tiles.h):
 *     {"version": 1, "tiles": {"dense f32x16 16>48 3x3 stride 1 dilation 1 width 32": [12, 2], ...}} */
#ifndef NDARTS_RUNTIME_DEVICE_TILES_H
#define NDARTS_RUNTIME_DEVICE_TILES_H

#include "base/diag.h"
#include "codegen/c/loop_tiles.h"

typedef struct RtTile {
    const char *key;
    CoreTile tile;
} RtTile;

typedef struct RtTiles {
    const char *path;
    int count, capacity;
    RtTile *items;
} RtTiles;

/* path NULL: $XDG_CONFIG_HOME/ndarts/tune.json, else ~/.config/ndarts/tune.json, which need not be there; one
 * that cannot be read is warned of, and is none. A file that is no such table is ERROR_INPUT. */
bool rt_tiles_read(Arena *arena, const char *path, RtTiles *tiles, Error *error);
/* Makes the folders of the path. */
bool rt_tiles_write(const RtTiles *tiles, Error *error);
/* The table of the compiler with the file's tiles. */
const CgTiles *rt_tiles_table(Arena *arena, const RtTiles *tiles);
/* What the file says, for keys of caches; "" when it says nothing. */
const char *rt_tiles_text(Arena *arena, const RtTiles *tiles);

#endif
