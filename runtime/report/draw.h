/* draw.h: pictures by other programs, gnuplot and Graphviz. */
#ifndef NDARTS_RUNTIME_REPORT_DRAW_H
#define NDARTS_RUNTIME_REPORT_DRAW_H

#include "base/arena.h"

/* The SVG document that a program makes of a text: "gnuplot", "dot -Tsvg". NULL when there is no such program, or it
 * fails. */
const char *draw_svg(Arena *arena, const char *program, const char *text);

#endif
