/* plan_memory.h: what a plan of memory is made of, for the pass, its report (memory_report.h) and its test. Private to
 * passes/. */
#ifndef NDARTS_PASSES_PLAN_MEMORY_H
#define NDARTS_PASSES_PLAN_MEMORY_H

#include "passes/pass.h"

/* One value's memory. */
typedef struct MemoryValue {
    IrNode *node;
    int64_t bytes;      /* of the whole batch, or of one image in PLACE_private */
    int first, last;    /* the stages that compute it and read it last; INT_MAX: read after the run */
    int last_step;      /* id of the node that reads it last */
    int readers;        /* nodes that read it in that stage */
    IrNode *takes_over; /* the operand whose memory it goes on to use, or NULL */
    bool taken;         /* by such a step */
} MemoryValue;

typedef struct MemoryPlan {
    int count; /* by node id; node == NULL where there is no memory to plan */
    MemoryValue *values;
    int64_t state_bytes;
} MemoryPlan;

/* Bytes of an element of a value in memory. */
int64_t pass_element_size(const PassContext *ctx, const IrNode *n);
/* Sizes and lives of the values of a graph whose stages are numbered; sets the nodes' places and ids, leaves their
 * offsets. */
MemoryPlan plan_memory_describe(PassContext *ctx, IrGraph *g);

#endif
