/* plan_reader.h: what the parts of the reader of plans share (plan_read.c, plan_steps.c). */
#ifndef NDARTS_CODEGEN_PLAN_PLAN_READER_H
#define NDARTS_CODEGEN_PLAN_PLAN_READER_H

#include "base/diag.h"
#include "codegen/plan/plan.h"

typedef struct PlanReader {
    Arena *arena;
    Error *error;
    Plan *plan;
    const char *where;
    int step; /* of the stage, or -1 */
} PlanReader;

/* "bad plan: WHERE: what". False. */
bool plan_refuse(PlanReader *r, const char *what);
/* Reads "s256" and moves the text behind it. */
bool plan_take_buffer(PlanReader *r, const char **text, const PlanGraph *g, PlanBuffer *b);
/* The steps of a stage whose domain is known; all that the runtime will touch for them is checked. */
bool plan_read_steps(PlanReader *r, const char *text, const PlanGraph *g, PlanStage *stage);

#endif
