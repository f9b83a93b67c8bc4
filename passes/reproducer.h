/* reproducer.h: what shows a bug of a pass again: the graph as it came, and the command that leads to the bug. */
#ifndef NDARTS_PASSES_REPRODUCER_H
#define NDARTS_PASSES_REPRODUCER_H

#include "passes/pass.h"

/* From here to reproducer_end, bug() on this thread writes ndarts-bug-PID.ir. text: all about the graph, as it is. */
void reproducer_begin(const PassContext *ctx, const IrGraph *g, const char *text);
bool reproducer_has_begun(void);
/* This pass is run next. */
void reproducer_add(const PassInfo *pass);
void reproducer_end(void);

#endif
