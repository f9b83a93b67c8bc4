/* plan_names.h: the words of the printed plan, which the printer writes and the reader looks for. Private to both. */
#ifndef NDARTS_CODEGEN_PLAN_PLAN_NAMES_H
#define NDARTS_CODEGEN_PLAN_PLAN_NAMES_H

#include "codegen/plan/plan.h"

/* By the number that each enumerator has; a word that is NULL stands in no plan. */
typedef struct PlanWords {
    int count;
    const char *const *words;
} PlanWords;

extern const PlanWords plan_targets, plan_precisions, plan_dtypes, plan_places, plan_param_kinds, plan_inits,
    plan_domains, plan_launches;
/* Do the steps say how many threads are started? */
extern const bool plan_starts_threads[TARGET_COUNT];
/* How steps write a place: s state, i input, w work, p private, r prepared; 0 where none is. */
extern const char plan_place_letters[PLACE_prepared + 1];

/* What the bytes of a plan begin with: so many, then the length of the JSON. */
#define PLAN_MAGIC "ndplan\0\1"
enum { PLAN_MAGIC_BYTES = 8, PLAN_HEADER = 16 };

#endif
