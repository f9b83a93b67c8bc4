/* cost_attach.h: tables of costs (cost.h) for the objective latency of a search. */
#ifndef NDARTS_RUNTIME_DRIVER_COST_ATTACH_H
#define NDARTS_RUNTIME_DRIVER_COST_ATTACH_H

#include "base/str.h"
#include "ir/ir.h"

/* The graph behind all that it calls, as printed IR. */
Str cost_text(Arena *arena, IrGraph *graph);
/* What a function of a text computes, as CostItem.key. */
const char *cost_key(Arena *arena, IrGraph *function);
/* Gives mixed operations the nanoseconds of their candidates, and the setting search.objective.latency.fixed what else there is, from a table
 * that `ndarts-run cost --json` printed of the same text: the file path, or
 * text (else NULL), which path names. ERROR_INPUT when the text has no such objective, or the table lacks a candidate, or is of another batch than
 * search.objective.latency.images. */
bool cost_attach(IrModule *module, const char *path, const char *text, Error *error);
/* The text of such a file, of a size that a table can have. */
const char *cost_read(Arena *arena, const char *path, Error *error);
/* In which precision the times of a table were taken; NULL: it does not say. */
const char *cost_precision(Arena *arena, const char *text);
/* Of what cost_attach has given the module: the costs themselves, whatever else the table had in it. */
const char *cost_hash(Arena *arena, const IrModule *module);

#endif
