/* cards.h: GPUs that need not be there, by what their makers say of them. */
#ifndef NDARTS_RUNTIME_DEVICE_CARDS_H
#define NDARTS_RUNTIME_DEVICE_CARDS_H

#include "codegen/plan/plan.h"

/* Single precision without tensor cores, with them in tf32 and bf16 (dense, added up in single precision), and memory. */
typedef struct Card {
    const char *name;
    double flops, tf32, bf16, bytes; /* per second */
} Card;

/* ERROR_INPUT, with the known ones, when there is none of this name. */
const Card *card_find(const char *name, Error *error);
/* Seconds of one call of a kernel by a card that reached its peak of arithmetic or of memory, whatever takes longer: its
 * roofline (Williams, Waterman and Patterson, 2009). */
double card_roofline(const Card *card, CgPrecision precision, const PlanKernel *kernel);
/* Seconds of a run: the rooflines of all calls, and what it takes until a stage begins when the one before has ended. */
double card_estimate(const Card *card, const Plan *plan, const PlanGraph *graph);

#endif
