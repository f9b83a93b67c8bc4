/* memory_report.h: what is said about the memory of a graph that is planned. */
#ifndef NDARTS_PASSES_MEMORY_REPORT_H
#define NDARTS_PASSES_MEMORY_REPORT_H

#include "passes/pass.h"

/* Text for --mem-report: a table of buffers and the sizes of the places. */
void memory_report(PassContext *ctx, IrGraph *g, Str *out);
/* The values of the whole batch over stages and offsets: with letters, and as an SVG with one picture below the other.
 * contexts: of each graph. */
void memory_picture_text(PassContext *ctx, IrGraph *g, Str *out);
void memory_picture_svg(PassContext *contexts, IrGraph *const *graphs, int count, Str *out);
/* Where the values of the whole batch take most: "stage 57: cells.1 34.5 MB (12 values), stem 8.2 MB (2 values)". */
const char *memory_describe_peak(PassContext *ctx, IrGraph *g);
/* Which part of the network a value belongs to: "cells.3", "stem", or "the rest". */
const char *memory_owner(Arena *arena, const IrNode *node);

#endif
