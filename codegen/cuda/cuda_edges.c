/* cuda_edges.c: which launch waits for which. Groups know what they wait for (cuda_waits.c), on the same bytes of memory: what
 * reads for what wrote, what writes for what read or wrote before. Calls of one kernel on one level are one launch, which
 * waits for all that they wait for. An edge is left out where a path of others leads the same way; since numbers ascend along
 * every path, it is enough to look at the latest of what a launch waits for first. */
#include "codegen/cuda/cuda.h"

#include <stdlib.h>
#include <string.h>

typedef uint64_t Word;
enum { WORD_BITS = 64 };

struct CudaEdges {
    Arena *arena;
    int count, capacity;
    int last_exchange; /* number of its launch; -1: there was none */
    Word **before;     /* of each launch the numbers, as bits, of all launches that have ended when it begins */
};

static int count_words(int launch) {
    return launch / WORD_BITS + 1;
}

static bool has_bit(const Word *set, int launch) {
    return set[launch / WORD_BITS] >> launch % WORD_BITS & 1;
}

CudaEdges *cuda_edges_create(Arena *arena) {
    CudaEdges *e = ARENA_NEW(arena, CudaEdges);
    *e = (CudaEdges){.arena = arena, .last_exchange = -1};
    return e;
}

static int compare_descending(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x < y) - (x > y);
}

static int *find_waits(const CudaEdges *e, CudaGroup *const *groups, int group_count, int *count) {
    int *waits = NULL, capacity = 0;
    *count = 0;
    for (int i = 0; i < group_count; i++)
        for (int j = 0; j < groups[i]->before_count; j++)
            ARENA_PUSH(e->arena, waits, *count, capacity, groups[i]->before[j]->launch);
    if (*count)
        qsort(waits, (size_t)*count, sizeof *waits, compare_descending);
    return waits;
}

/* Of the launches in `waits`, latest first, those that no other of them has waited for. */
static void add_launch(CudaEdges *e, PlanStep *first, const int *waits, int wait_count) {
    Word *before = ARENA_ARRAY(e->arena, Word, count_words(e->count));
    int capacity = 0;
    for (int i = 0; i < wait_count; i++) {
        if (has_bit(before, waits[i]))
            continue;
        for (int w = 0; w < count_words(waits[i]); w++)
            before[w] |= e->before[waits[i]][w];
        before[waits[i] / WORD_BITS] |= (Word)1 << waits[i] % WORD_BITS;
        ARENA_PUSH(e->arena, first->waits, first->wait_count, capacity, waits[i]);
    }
    ARENA_PUSH(e->arena, e->before, e->count, e->capacity, before);
}

int cuda_edges_add_exchange(CudaEdges *e, PlanStep *first, int *waits, int wait_count) {
    if (e->last_exchange >= 0)
        waits[wait_count++] = e->last_exchange;
    qsort(waits, (size_t)wait_count, sizeof *waits, compare_descending);
    add_launch(e, first, waits, wait_count);
    return e->last_exchange = e->count - 1;
}

void cuda_edges_add(CudaEdges *e, const CudaLevel *level, PlanStage *stage) {
    for (int i = 0, count; i < stage->step_count; i += count) {
        int wait_count;
        count = plan_count_together(stage, i);
        const int *waits = find_waits(e, &level->groups[i], count, &wait_count);
        for (int j = i; j < i + count; j++)
            level->groups[j]->launch = e->count;
        add_launch(e, &stage->steps[i], waits, wait_count);
    }
}
