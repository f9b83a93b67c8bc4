/* statistics.h: what a pass did to a graph, counted by operation. */
#ifndef NDARTS_PASSES_STATISTICS_H
#define NDARTS_PASSES_STATISTICS_H

#include "passes/pass.h"

typedef struct PassStatistics {
    int nodes;
    int of[OP_COUNT];
} PassStatistics;

void statistics_count(const IrGraph *g, PassStatistics *s);
/* Graph, pass, nodes before and after, and by how much which operations became more or fewer. */
void statistics_print(FILE *out, const IrGraph *g, const PassInfo *pass, const PassStatistics *before,
                      const PassStatistics *after);

#endif
