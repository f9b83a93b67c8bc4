/* loop_tiles.h: which tile a loop of schedule_core.c has: from a table by the loop's key, else by the formulas there. Tiles
 * never change the order of additions, so results do not depend on the table. */
#ifndef NDARTS_CODEGEN_C_LOOP_TILES_H
#define NDARTS_CODEGEN_C_LOOP_TILES_H

#include "codegen/c/schedule_core.h"
#include "codegen/stages/emit.h"

typedef enum CgLoopKind { LOOP_depthwise, LOOP_dense, LOOP_depthwise_gradient, LOOP_dense_gradient } CgLoopKind;

/* A loop that a module has. */
struct CgLoop {
    CgLoopKind kind;
    bool flipped;
    CoreWindow shape;
    const char *key;
};

/* "dense f32x16 16>48 3x3 stride 1 dilation 1 width 32": what a tile depends on. */
const char *cg_loop_key(Arena *arena, const CgLoop *loop, CgPrecision precision);
/* The parameters of a loop's function, x, y, z, from, to and first, and its body. */
extern const char cg_loop_parameters[];
const char *cg_loop_body(Arena *arena, const CgLoop *loop);
/* Tiles worth trying; the first is {0, 0}. Returns how many of at most CG_MAX_CANDIDATES. */
enum { CG_MAX_CANDIDATES = 24 };
int cg_loop_candidates(const CgLoop *loop, CoreTile *tiles);
/* The module's function of a loop, with the tile that the table says. */
const char *cg_module_add_loop(CgModule *module, CgLoop loop);
void cg_module_join_loops(CgModule *whole, const CgModule *part); /* behind cg_module_join */

/* The table: what loop_tiles.def says, then what is set, which counts more. */
CgTiles *cg_tiles_create(Arena *arena);
void cg_tiles_set(CgTiles *tiles, const char *key, CoreTile tile);
CoreTile cg_tiles_find(const CgTiles *tiles, const char *key); /* {0, 0} when there is none */

#endif
