/* map.h: parts of the map schedule (map_c.c, map_group.c, map_shape.c, map_run.c). */
#ifndef NDARTS_CODEGEN_C_MAP_H
#define NDARTS_CODEGEN_C_MAP_H

#include "codegen/c/emit_c.h"

enum { MAP_MAX_PIECES = 64, MAP_MAX_RUNS = 256 };

/* Calls visit for s and everything below it; what is shared is visited once per use. */
typedef void MapVisit(const CgScalar *s, void *data);
void map_visit(const CgScalar *s, MapVisit *visit, void *data);
bool map_has_reduction(const CgScalar *s);

/* Where guards on the axis alone (concat, pad, slices of channels) change their answer: added to borders, ascending. */
void map_add_borders(const CgScalar *value, int axis, int64_t extent, int64_t *borders, int *count);
/* Vectors of one width, side by side: elements [from, to) of the vector axis. */
typedef struct MapRun {
    int64_t from, to;
    int width;
} MapRun;
/* Cuts [0, extent) at the borders, and each piece into runs of vectors as wide as they fit. */
int map_cut_runs(int64_t extent, const int64_t *borders, int border_count, int max_width, MapRun *runs);

/* The range of a result's axis in which every test that depends on this one of the result's axes holds. */
void map_find_interior(const CgStep *step, int axis, int64_t *low, int64_t *high);

/* Opens the loop over a run's vectors (a block when there is only one), names the axis and sets its range. */
void map_open_run(CgPrinter *p, int axis, const MapRun *run);
void map_close_run(CgPrinter *p, int axis);

/* map_group.c: adjacent steps over the same elements in one kernel; false when there is nothing to merge. */
bool map_emit_group(CgEmitC *e, CgProgram *program, CgStep *step);

#endif
