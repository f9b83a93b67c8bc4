/* conditions.h: what of a graph is needed whatever is chosen, and what only where a choice falls on it.
 *
 *     %c = argmax %w                          needed: a choice always is
 *     %a = conv2d %x, %v                      needed where %c is 0
 *     %b = max_pool %x                        needed where %c is 1
 *     %y = choose %c, %a, %b                  needed, if somebody reads it
 *     assign %m, %c {param="mean", cases=[1]} %m is needed where %c is 1
 *
 * A value is needed where something that is needed reads it. So whatever may be left out follows from the operations: no
 * pass has to carry it along, and none can lose it. A value that several choices lead to counts as always needed. */
#ifndef NDARTS_IR_CONDITIONS_H
#define NDARTS_IR_CONDITIONS_H

#include "ir/ir.h"

typedef struct IrCondition {
    IrNode *choice; /* NULL: needed whatever is chosen */
    uint64_t cases; /* bit c: needed where the choice is c; no bit: nothing needs it */
    int count;      /* of the values there are to choose from, as far as known; 0: unknown */
} IrCondition;

/* By node id; numbers the graph. */
IrCondition *ir_find_conditions(IrGraph *graph, Arena *arena);
/* Where either holds. */
IrCondition ir_condition_join(IrCondition a, IrCondition b);
/* Wherever a holds b does. */
bool ir_condition_implies(const IrCondition *a, const IrCondition *b);
/* By node id: a choice, or what one is made of. Numbers the graph. */
bool *ir_find_choosing(IrGraph *graph, Arena *arena);
/* Where an assignment takes place. */
IrCondition ir_condition_of_assignment(const IrNode *node);
/* The choice of a choose or of an assignment with cases; NULL: it has none. */
IrNode *ir_choice_of(const IrNode *node);

#endif
