/* plan_memory.c: gives every value that has memory its place and offset.
 *     PLACE_state     parameters and what assigns them; offsets are the code generator's, one table for all graphs
 *     PLACE_input     inputs; offset: which one
 *     PLACE_prepared  computed from parameters alone, in graphs that do not change them; never reused
 *     PLACE_private   one image per thread: made and read within one stage over images; none of them when memory is not
 *                     shared over time (wide), so that equal steps have equal kernels wherever they stand
 *     PLACE_work      the rest: the whole batch, all chunks
 * With `half` the images that are computed, unless somebody reads them after the run, are stored as bf16.
 * A work value lives from its stage to the last stage that reads it, also through inlined nodes; threads are at
 * different images of a stage, so two values of one stage never share memory. A private value lives from its step to
 * its last reader's. Offsets: in order of time, the smallest free gap that is large enough. An elementwise step whose
 * operand is read for the last time there, element by element, goes on in the operand's memory (accumulation). */
#include "passes/plan_memory.h"

#include "base/align.h"
#include "passes/staging.h"

#include <limits.h>
#include <string.h>

/* ---- liveness ---- */

int64_t pass_element_size(const PassContext *ctx, const IrNode *n) {
    if (n->half)
        return 2;
    return n->type.dtype == DTYPE_u8 ? 1 : n->type.dtype == DTYPE_i32 ? 4 : (int64_t)ctx->element_size;
}

/* Images are often whole pages. So that not all of them begin at the same place of a page, and a kernel that walks
 * through ten of them side by side has its ten lines in the one set of eight that the nearest cache has for that place,
 * each is followed by a gap. */
static int64_t size_of(const PassContext *ctx, const IrNode *n) {
    enum { PAGE = 4096, GAP = 5 * VALUE_ALIGNMENT };
    int64_t chunks = ctx->chunks ? ctx->chunks : ctx->batch < 16 ? ctx->batch : 16;
    int64_t images = n->place == PLACE_private ? 1 : ctx->batch;
    int64_t bytes = ALIGN_UP(ir_type_count(&n->type, images, chunks) * pass_element_size(ctx, n), VALUE_ALIGNMENT);
    return bytes > 0 && bytes % PAGE == 0 && !ctx->wide ? bytes + GAP : bytes;
}

typedef struct Liveness {
    MemoryPlan *plan;
    int position;
} Liveness;

static void extend_life(void *data, IrNode *reader, IrNode *value) {
    (void)reader;
    Liveness *at = data;
    MemoryValue *v = &at->plan->values[value->id];
    if (v->node && v->last_step != at->position) {
        int stage = at->plan->values[at->position].first;
        v->readers = v->last < stage ? 1 : v->readers + 1;
        v->last = stage;
        v->last_step = at->position;
    }
}

static bool is_planned(const IrNode *n) {
    return n->stage >= 0 && !n->inlined && !ir_is(n, OP_EFFECT);
}

static void find_lives(IrGraph *g, MemoryPlan *plan) {
    for (IrNode *n = g->first; n; n = n->next) {
        MemoryValue *v = &plan->values[n->id];
        *v = (MemoryValue){.node = is_planned(n) ? n : NULL, .first = n->stage, .last = n->stage, .last_step = n->id};
        if (n->stage >= 0 && !n->inlined) {
            Liveness at = {plan, n->id};
            staging_visit_loads(n, extend_life, &at);
        }
    }
    for (int i = 0; i < g->output_count; i++) {
        MemoryValue *v = &plan->values[g->outputs[i].value->id];
        v->last = v->last_step = INT_MAX;
    }
}

/* ---- places ---- */

static void choose_place(const PassContext *ctx, IrGraph *g, IrNode *n, const MemoryValue *v, bool prepared) {
    n->offset = 0;
    if (ir_param_name(n)) {
        n->place = PLACE_state;
    } else if (n->op == OP_input) {
        n->place = PLACE_input;
        while (n->offset < g->arg_count && g->args[n->offset] != n) {
            n->offset++;
        }
    } else if (!v->node) {
        n->place = PLACE_none;
    } else if (prepared) {
        n->place = PLACE_prepared;
    } else {
        bool image = n->type.rank > 0 && n->type.dim[0] == IR_DIM_N;
        n->place = image && v->last == v->first && !ctx->wide ? PLACE_private : PLACE_work;
    }
}

/* Statistics, logits and losses are no images. */
static bool is_half(const PassContext *ctx, const IrNode *n, const MemoryValue *v) {
    bool computed = n->place == PLACE_work || n->place == PLACE_private;
    return ctx->half && computed && n->type.dtype == DTYPE_f32 && n->type.rank == 4 && n->type.dim[0] == IR_DIM_N &&
           v->last != INT_MAX;
}

/* ---- gaps: free memory between the values that live ---- */

typedef struct Gap {
    int64_t offset, bytes;
} Gap;

typedef struct Heap {
    Arena *arena;
    Gap *gaps; /* by offset; neighbours are joined */
    int gap_count, gap_capacity;
    int64_t end; /* largest size so far */
} Heap;

static void remove_gap(Heap *heap, int i) {
    heap->gap_count--;
    memmove(&heap->gaps[i], &heap->gaps[i + 1], sizeof(Gap) * (size_t)(heap->gap_count - i));
}

static int64_t heap_take(Heap *heap, int64_t bytes) {
    int best = -1;
    for (int i = 0; i < heap->gap_count; i++) {
        if (heap->gaps[i].bytes >= bytes && (best < 0 || heap->gaps[i].bytes < heap->gaps[best].bytes)) {
            best = i;
        }
    }
    if (best < 0) {
        Gap *last = heap->gap_count ? &heap->gaps[heap->gap_count - 1] : NULL;
        bool at_end = last && last->offset + last->bytes == heap->end;
        int64_t offset = at_end ? last->offset : heap->end;
        heap->gap_count -= at_end;
        heap->end = offset + bytes;
        return offset;
    }
    int64_t offset = heap->gaps[best].offset;
    heap->gaps[best].offset += bytes;
    heap->gaps[best].bytes -= bytes;
    if (heap->gaps[best].bytes == 0) {
        remove_gap(heap, best);
    }
    return offset;
}

static void heap_give(Heap *heap, int64_t offset, int64_t bytes) {
    int i = heap->gap_count;
    while (i > 0 && heap->gaps[i - 1].offset > offset) {
        i--;
    }
    ARENA_PUSH(heap->arena, heap->gaps, heap->gap_count, heap->gap_capacity, (Gap){0});
    memmove(&heap->gaps[i + 1], &heap->gaps[i], sizeof(Gap) * (size_t)(heap->gap_count - 1 - i));
    heap->gaps[i] = (Gap){offset, bytes};
    if (i + 1 < heap->gap_count && offset + bytes == heap->gaps[i + 1].offset) {
        heap->gaps[i].bytes += heap->gaps[i + 1].bytes;
        remove_gap(heap, i + 1);
    }
    if (i > 0 && heap->gaps[i - 1].offset + heap->gaps[i - 1].bytes == offset) {
        heap->gaps[i - 1].bytes += heap->gaps[i].bytes;
        remove_gap(heap, i);
    }
}

/* ---- in place ---- */

/* Does the expression of n read value at n's own index only? On the way no index may change: elementwise, n's type. */
static bool reads_in_step(const IrNode *n, const IrNode *value, bool straight) {
    straight = straight && ir_is(n, OP_ELEMENTWISE | OP_LAZY) && ir_type_equal(&n->type, &value->type);
    for (int i = 0; i < n->input_count; i++) {
        const IrNode *x = n->inputs[i];
        if ((x == value && !straight) || (x->inlined && !reads_in_step(x, value, straight))) {
            return false;
        }
    }
    return true;
}

typedef struct Takeover {
    MemoryPlan *plan;
    MemoryValue *taker;
} Takeover;

static void consider_takeover(void *data, IrNode *reader, IrNode *value) {
    (void)reader;
    Takeover *search = data;
    MemoryValue *taker = search->taker, *v = &search->plan->values[value->id];
    IrNode *n = taker->node;
    bool dies = v->node && v->last_step == n->id && v->last == n->stage;
    bool alone = staging_is_images(n) || v->readers == 1; /* other steps of a once stage may run at the same time */
    if (!taker->takes_over && dies && alone && !v->taken && value->place == n->place && value->half == n->half &&
        ir_type_equal(&value->type, &n->type) && reads_in_step(n, value, true)) {
        taker->takes_over = value;
    }
}

/* ---- offsets ---- */

static void place_value(const PassContext *ctx, MemoryPlan *plan, Heap *heap, MemoryValue *v) {
    if (ctx->wide) {
        v->node->offset = heap_take(heap, v->bytes);
        return;
    }
    Takeover search = {plan, v};
    staging_visit_loads(v->node, consider_takeover, &search);
    if (v->takes_over) {
        plan->values[v->takes_over->id].taken = true;
        v->node->offset = v->takes_over->offset;
    } else {
        v->node->offset = heap_take(heap, v->bytes);
    }
}

/* Gives back what is read for the last time in a stage. ends: lists of values by their last stage. */
static void free_stage(MemoryPlan *plan, Heap *heap, const int *first_ending, const int *next_ending, int stage) {
    for (int id = first_ending[stage]; id >= 0; id = next_ending[id]) {
        if (!plan->values[id].taken) {
            heap_give(heap, plan->values[id].node->offset, plan->values[id].bytes);
        }
    }
}

/* Walks the nodes of one place; a value's memory is free again after the last stage that reads it. */
static int64_t assign_work(PassContext *ctx, IrGraph *g, MemoryPlan *plan, int stage_count) {
    Heap heap = {.arena = ctx->arena};
    int *first_ending = ARENA_ARRAY(ctx->arena, int, stage_count + 1);
    int *next_ending = ARENA_ARRAY(ctx->arena, int, plan->count);
    memset(first_ending, -1, sizeof(int) * (size_t)(stage_count + 1));
    int stage = 0;
    for (IrNode *n = g->first; n; n = n->next) {
        MemoryValue *v = &plan->values[n->id];
        if (!v->node || n->place != PLACE_work) {
            continue;
        }
        for (; stage < v->first; stage++) {
            free_stage(plan, &heap, first_ending, next_ending, stage);
        }
        place_value(ctx, plan, &heap, v);
        if (v->last < stage_count && !ctx->wide) {
            next_ending[n->id] = first_ending[v->last];
            first_ending[v->last] = n->id;
        }
    }
    return heap.end;
}

/* Within a stage steps follow each other, image by image: memory is free again after the last step that reads it. */
static int64_t assign_private(PassContext *ctx, IrGraph *g, MemoryPlan *plan) {
    Heap heap = {.arena = ctx->arena};
    int *first_ending = ARENA_ARRAY(ctx->arena, int, plan->count);
    int *next_ending = ARENA_ARRAY(ctx->arena, int, plan->count);
    memset(first_ending, -1, sizeof(int) * (size_t)plan->count);
    for (IrNode *n = g->first; n; n = n->next) {
        MemoryValue *v = &plan->values[n->id];
        if (v->node && n->place == PLACE_private) {
            place_value(ctx, plan, &heap, v);
            next_ending[n->id] = first_ending[v->last_step];
            first_ending[v->last_step] = n->id;
        }
        free_stage(plan, &heap, first_ending, next_ending, n->id);
    }
    return heap.end;
}

static int64_t assign_prepared(IrGraph *g, const MemoryPlan *plan) {
    int64_t end = 0;
    for (IrNode *n = g->first; n; n = n->next) {
        if (n->place == PLACE_prepared) {
            n->offset = end;
            end += plan->values[n->id].bytes;
        }
    }
    return end;
}

static int64_t count_state(const PassContext *ctx, const IrGraph *g) {
    int64_t bytes = 0;
    for (int i = 0; i < g->module->param_count; i++) {
        bytes +=
            ALIGN_UP(ir_type_count(&g->module->params[i].type, 1, 1) * (int64_t)ctx->element_size, VALUE_ALIGNMENT);
    }
    return bytes;
}

MemoryPlan plan_memory_describe(PassContext *ctx, IrGraph *g) {
    bool *prepared = staging_find_prepared(ctx, g); /* numbers the nodes */
    MemoryPlan plan = {.count = g->next_id, .values = ARENA_ARRAY(ctx->arena, MemoryValue, g->next_id)};
    find_lives(g, &plan);
    for (IrNode *n = g->first; n; n = n->next) {
        int64_t offset = n->offset;
        choose_place(ctx, g, n, &plan.values[n->id], prepared[n->id]);
        n->offset = n->place == PLACE_input ? n->offset : offset;
        n->half = is_half(ctx, n, &plan.values[n->id]);
        plan.values[n->id].bytes = size_of(ctx, n);
    }
    plan.state_bytes = count_state(ctx, g);
    return plan;
}

bool pass_plan_memory(PassContext *ctx, IrGraph *g) {
    MemoryPlan plan = plan_memory_describe(ctx, g);
    int stage_count = 0;
    for (IrNode *n = g->first; n; n = n->next) {
        n->offset = n->place == PLACE_input ? n->offset : 0;
        stage_count = n->stage >= stage_count ? n->stage + 1 : stage_count;
    }
    assign_work(ctx, g, &plan, stage_count);
    assign_private(ctx, g, &plan);
    assign_prepared(g, &plan);
    return true;
}
