/* staging.h: the order in which a step graph is computed, and where its barriers are. Private to passes/.
 *
 * A value is of the images when it has an image or a chunk of images in front (N, K): threads compute it image by
 * image, depth first. Everything else (vectors of channels, weights, scalars) is computed once. The two kinds
 * alternate: what is computed once from partial sums needs a barrier before it and one behind. */
#ifndef NDARTS_PASSES_STAGING_H
#define NDARTS_PASSES_STAGING_H

#include "ir/conditions.h"
#include "passes/pass.h"

/* Has N or K among its extents. */
bool staging_is_images(const IrNode *n);
/* Part of an edge of a cell ("cells.0._ops.3"), not of the cell as such. */
bool staging_is_edge(const char *tag);

/* Whether two tags are of one pass: "pass2/cells.0._ops.3" and "pass2/". A graph may have several, one after the other;
 * tags without a '/' are those of its own. */
bool staging_same_pass(const char *tag, const char *other);

/* Runs of nodes of one tag, by node id. Elementwise nodes of a cell that use the edge before them belong to it: the
 * sums of a node's edges. Ids must be fresh. */
int *staging_find_groups(IrGraph *g, Arena *arena);
/* Sorts each group by the number of barriers each node has to wait for in it, so that what can be computed together is.
 * Only for wide devices and several ranks (staging.c). */
void staging_sort_groups(IrGraph *g, Arena *arena);
/* After ->inlined is decided: numbers the stages and puts the nodes in their order. */
void staging_number_stages(PassContext *ctx, IrGraph *g);

/* By node id: computed from parameters alone, in graphs that do not change them (empty otherwise). */
bool *staging_find_prepared(PassContext *ctx, IrGraph *g);

/* Calls visit for every value with memory of its own that node n reads, through inlined nodes, once per path. */
typedef void StagingVisit(void *data, IrNode *reader, IrNode *value);
void staging_visit_loads(IrNode *n, StagingVisit *visit, void *data);

#endif
