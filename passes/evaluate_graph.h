/* evaluate_graph.h: what a small graph without images computes, in double: how alphas are weighed, outside of a run. */
#ifndef NDARTS_PASSES_EVALUATE_GRAPH_H
#define NDARTS_PASSES_EVALUATE_GRAPH_H

#include "ir/ir.h"

/* The graph's only output, of its only argument (values of its elements, in order). Elementwise operations, softmax,
 * reductions, index, slice, concat and reshape; a schedule has the value it ends with. NULL and ERROR_INPUT when there is
 * anything else in it. */
const double *evaluate_graph(Arena *arena, const IrGraph *graph, const double *argument, Error *error);
/* Softmax of one row. */
void evaluate_softmax(const double *values, int64_t count, double *weights);

#endif
