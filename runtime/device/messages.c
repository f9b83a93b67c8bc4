/* messages.c: a message is due before the first stage that touches what comes of it; what lies in that memory earlier is gone
 * when the message begins, since the memory plan counts its results from there. */
#include "runtime/device/messages.h"

#include <stdlib.h>

/* Of a result: where it lies. */
typedef struct Range {
    IrPlace place;
    int64_t begin, end;
} Range;

typedef struct UnderWay {
    int stage, message;
    Range *ranges; /* by place and begin */
    int range_count;
} UnderWay;

typedef struct Planning {
    Arena *arena;
    const PlanGraph *graph;
    RtMessages *stages;
    UnderWay *under_way; /* those that began first come first */
    int count;
} Planning;

static int compare_ranges(const void *a, const void *b) {
    const Range *x = a, *y = b;
    int places = (x->place > y->place) - (x->place < y->place);
    return places ? places : (x->begin > y->begin) - (x->begin < y->begin);
}

static Range *list_results(Arena *arena, const PlanStage *stage, int64_t size) {
    Range *ranges = ARENA_ARRAY(arena, Range, stage->step_count);
    for (int i = 0; i < stage->step_count; i++) {
        const PlanBuffer *result = &stage->steps[i].buffers[0];
        ranges[i] = (Range){result->place, result->offset, result->offset + stage->steps[i].ints[0] * size};
    }
    qsort(ranges, (size_t)stage->step_count, sizeof *ranges, compare_ranges);
    return ranges;
}

static int find_range(const void *key, const void *element) {
    const Range *at = key, *range = element;
    if (at->place != range->place || at->begin < range->begin)
        return compare_ranges(at, range);
    return at->begin >= range->end;
}

static bool touches(const PlanStage *stage, const UnderWay *u) {
    for (int i = 0; i < stage->step_count; i++) {
        const PlanStep *step = &stage->steps[i];
        for (int j = 0; j < step->buffer_count; j++) {
            Range at = {step->buffers[j].place, step->buffers[j].offset, 0};
            if (bsearch(&at, u->ranges, (size_t)u->range_count, sizeof at, find_range))
                return true;
        }
    }
    return false;
}

/* Message number `which` of those under way is waited for before a stage. */
static void end_before(Planning *p, int stage, int which) {
    RtMessages *at = &p->stages[stage];
    int *due = ARENA_ARRAY(p->arena, int, at->due_count + 1);
    for (int i = 0; i < at->due_count; i++)
        due[i] = at->due[i];
    due[at->due_count++] = p->under_way[which].stage;
    at->due = due;
    p->count--;
    for (int i = which; i < p->count; i++)
        p->under_way[i] = p->under_way[i + 1];
}

static int find_free(const Planning *p) {
    int message = 0;
    for (int i = 0; i < p->count; i++) {
        if (p->under_way[i].message == message) {
            message++;
            i = -1;
        }
    }
    return message;
}

static void begin_at(Planning *p, int number, int64_t size, int most) {
    const PlanStage *stage = &p->graph->stages[number];
    if (p->count == most)
        end_before(p, number, 0);
    int message = find_free(p);
    p->stages[number].own = message;
    p->under_way[p->count++] = (UnderWay){number, message, list_results(p->arena, stage, size), stage->step_count};
}

const RtMessages *rt_messages_plan(Arena *arena, const PlanGraph *graph, bool f64, int most) {
    Planning p = {arena, graph, ARENA_ARRAY(arena, RtMessages, graph->stage_count + 1), NULL, 0};
    int64_t size = f64 ? sizeof(double) : sizeof(float);
    p.under_way = ARENA_ARRAY(arena, UnderWay, most + 1);
    for (int i = 0; i < graph->stage_count; i++) {
        const PlanStage *stage = &graph->stages[i];
        p.stages[i].own = -1;
        for (int j = p.count - 1; j >= 0; j--)
            if (touches(stage, &p.under_way[j]))
                end_before(&p, i, j);
        if (stage->domain == DOMAIN_exchange && stage->step_count)
            begin_at(&p, i, size, most);
    }
    p.stages[graph->stage_count].own = -1;
    while (p.count)
        end_before(&p, graph->stage_count, 0);
    return p.stages;
}
