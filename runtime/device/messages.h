/* messages.h: when what a rank exchanges with others is waited for: as late as can be, so that it is under way meanwhile. */
#ifndef NDARTS_RUNTIME_DEVICE_MESSAGES_H
#define NDARTS_RUNTIME_DEVICE_MESSAGES_H

#include "base/arena.h"
#include "codegen/plan/plan.h"

/* Of a stage of a plan. */
typedef struct RtMessages {
    int own;        /* that of a stage which exchanges, among those under way; else -1 */
    const int *due; /* stages whose messages are waited for before this one begins */
    int due_count;
} RtMessages;

/* Of every stage of a graph, and at last one for its end. At most `most` are under way. f64: numbers are doubles. */
const RtMessages *rt_messages_plan(Arena *arena, const PlanGraph *graph, bool f64, int most);

#endif
