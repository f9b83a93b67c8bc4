/* cuda_group.c: the steps of a graph, as they were planned for the CPU (edge after edge, so that little memory is needed),
 * put into an order for a GPU: few kernels, and as many side by side as the values allow.
 *
 * A step's level is one more than the highest level of the steps it has to wait for (cuda_waits.h). Steps of one level are
 * independent. A step may join the kernel of a group instead, which costs no launch, and saves reading what is in
 * registers or shared memory anyway:
 *   - a step of the same elements as the group it waits for, which reads only its own element of what the group makes,
 *     is one more line for the group's threads: statistics, scale and shift of a batch norm, the updates of a parameter;
 *   - a sum by channel of what a product or a depthwise convolution makes is added up behind each tile: the statistics of a
 *     batch norm;
 *   - sums over the same pixels that read something in common share a loop;
 *   - depthwise convolutions of one operand, the candidates of an edge, share its tile;
 *   - what merges the sums of a kernel, and what follows from that for the same few elements, is left to the last of its
 *     blocks: the tail of the group (cuda_merge.c).
 * A step joins the group that it waits for only if everything else that it waits for has a lower level, and a group beside
 * it only at its own level: so the levels stay an order. Steps of a kernel run in the same cases of a choice; what choices are
 * made of is grouped apart, since they must be there before anything depends on them.
 *
 * What is small and waits for something is done as late as possible (merged sums of gradients, their norms): there it meets
 * many of its kind, and one launch serves all. */
#include "codegen/cuda/cuda_waits.h"

enum { MOST_BUFFERS = 64 };

typedef struct DraftLevel {
    int count, capacity;
    CudaDraft **drafts;
} DraftLevel;

typedef struct Grouping {
    Arena *arena, *scratch;
    const CgProgram *program;
    CudaMemory *memory;
    int level_count, level_capacity;
    DraftLevel *levels;
    StrMap beside; /* the last group of a schedule and an edge that reads a node's images */
} Grouping;

/* ---- joining what a step waits for ---- */

static bool reads_own_element(const Grouping *g, const CgStep *step, const CgBuffer *buffer) {
    static const int own[IR_MAX_RANK] = {0, 1, 2, 3, 4, 5};
    return cuda_reads_only_at(g->scratch, step, buffer, own);
}

static bool has_room(const CudaGroup *group, int steps, int buffers) {
    return group->step_count + steps <= CUDA_GROUP_STEPS && group->buffer_count + buffers <= MOST_BUFFERS;
}

/* Threads may not write what others of the group still read: only what they themselves read at that place. */
static bool may_overwrite(const Grouping *g, const CudaGroup *group, const CgStep *step) {
    const CgBuffer *out = step->out;
    for (int i = 0; i < group->step_count; i++) {
        const CgStep *member = group->steps[i];
        for (int j = 0; j < member->buffer_count; j++) {
            const CgBuffer *buffer = member->buffers[j];
            if (!cg_buffers_overlap(g->program->options, buffer, out))
                continue;
            bool same = !buffer->whole && buffer->offset == out->offset &&
                        cuda_same_extents(&buffer->type, &out->type) && buffer->type.dtype == out->type.dtype;
            if (!same || !group->schedule->chains || !reads_own_element(g, member, buffer))
                return false;
        }
    }
    return true;
}

static bool can_chain(const Grouping *g, const CudaGroup *group, const CudaSchedule *schedule, const CgStep *step) {
    const CgStep *first = group->steps[0];
    if (!schedule->chains || group->tail || group->schedule != schedule ||
        cuda_step_launch(first) != cuda_step_launch(step) || !cuda_same_extents(&first->out->type, &step->out->type))
        return false;
    for (int i = 0; i < group->step_count; i++)
        if (!reads_own_element(g, step, group->steps[i]->out))
            return false;
    return true;
}

/* Nothing that the step reads is made by the tail, and nothing that it makes lies where the tail reads or writes. */
static bool comes_before_tail(const Grouping *g, const CudaGroup *group, const CgStep *step) {
    for (int i = cuda_body(group).step_count; i < group->step_count; i++) {
        const CgStep *member = group->steps[i];
        for (int j = 0; j < step->buffer_count; j++)
            if (cg_buffers_overlap(g->program->options, step->buffers[j], member->out))
                return false;
        for (int j = 0; j < member->buffer_count; j++)
            if (cg_buffers_overlap(g->program->options, step->out, member->buffers[j]))
                return false;
    }
    return true;
}

/* A sum behind the product or the single window that the group begins with. */
static bool can_end_in(const Grouping *g, const CudaGroup *group, const CudaSchedule *schedule, const CgStep *step) {
    const CgOptions *options = g->program->options;
    const CudaGroup body = cuda_body(group);
    if (!schedule->adds_up || !body.schedule->takes_sums || body.step_count > CUDA_GROUP_SUMS ||
        !cuda_fits_int(options, step) || !cuda_is_sum_of(g->scratch, step, group->steps[0]))
        return false;
    for (int i = 1; i < body.step_count; i++)
        if (!body.steps[i]->partial)
            return false;
    return comes_before_tail(g, group, step) && body.schedule->takes_sums(g->program, g->scratch, &body);
}

/* The tail stays at the end; it has a step's own schedule, another than the group's. */
static void add_step(CudaGroup *group, CgStep *step, int number, bool to_tail) {
    int at = group->step_count;
    for (; group->tail && !to_tail && at > group->tail; at--) {
        group->steps[at] = group->steps[at - 1];
        group->number[at] = group->number[at - 1];
    }
    group->tail = to_tail && !group->tail ? at : group->tail && !to_tail ? group->tail + 1 : group->tail;
    group->steps[at] = step;
    group->number[at] = number;
    group->step_count++;
    group->buffer_count += step->buffer_count;
}

/* Steps stay in the order of their numbers. */
static void merge(Arena *arena, CudaDraft *into, CudaDraft *from) {
    CudaGroup *a = &into->group, *b = &from->group,
              both = {.schedule = a->schedule, .buffer_count = a->buffer_count + b->buffer_count};
    for (int i = 0, j = 0; i < a->step_count || j < b->step_count;) {
        bool first = j == b->step_count || (i < a->step_count && a->number[i] < b->number[j]);
        const CudaGroup *next = first ? a : b;
        int at = first ? i++ : j++;
        both.steps[both.step_count] = next->steps[at];
        both.number[both.step_count++] = next->number[at];
    }
    *a = both;
    from->joined = into;
    for (int i = 0; i < from->before_count; i++)
        ARENA_PUSH(arena, into->before, into->before_count, into->before_capacity, from->before[i]);
}

/* Everything at the highest level that the step waits for becomes one group with it. */
static CudaDraft *join_waits(const Grouping *g, const CudaWaits *waits, const CudaSchedule *schedule, CgStep *step,
                             int number) {
    int steps = 1, buffers = step->buffer_count;
    bool tail = false;
    if (waits->more || waits->count == 0)
        return NULL;
    for (int i = 0; i < waits->count; i++) {
        const CudaGroup *group = &waits->drafts[i]->group;
        bool chain = can_chain(g, group, schedule, step),
             end = waits->count == 1 && can_end_in(g, group, schedule, step);
        tail = !chain && !end && waits->count == 1 && schedule->chains &&
               cuda_fits_tail(g->program, g->scratch, group, step);
        if (!(chain || end || tail) || !cg_same_condition(group->steps[0], step) ||
            !(tail || may_overwrite(g, group, step)))
            return NULL;
        steps += i ? group->step_count : 0;
        buffers += i ? group->buffer_count : 0;
    }
    CudaDraft *into = waits->drafts[0];
    if (!has_room(&into->group, steps, buffers))
        return NULL;
    for (int i = 1; i < waits->count; i++)
        merge(g->arena, into, waits->drafts[i]);
    add_step(&into->group, step, number, tail);
    return into;
}

/* ---- joining what is beside a step ---- */

static bool can_stand_beside(const Grouping *g, const CudaDraft *draft, int level, const CudaSchedule *schedule,
                             const CgStep *step) {
    const CudaGroup *group = &draft->group, body = cuda_body(group);
    return draft->level == level && group->schedule == schedule && has_room(group, 1, step->buffer_count) &&
           cg_same_condition(group->steps[0], step) && schedule->stands_beside(&body, step) &&
           comes_before_tail(g, group, step);
}

/* Edges keep to themselves: so they find their kernels alike. */
static const char *beside_key(Arena *arena, const CudaSchedule *schedule, const CgStep *step, const CgBuffer *buffer) {
    const char *tag = step->node->tag;
    return arena_printf(arena, "%s %s of %d in %s", schedule->name,
                        schedule->adds_up ? ir_type_string(arena, &step->out->type) : "", buffer->node->id,
                        tag ? tag : "");
}

/* A window is known by its operand, a sum by the images that it reads. */
static const CgScalar **find_images(const Grouping *g, const CudaSchedule *schedule, const CgStep *step, int *count) {
    int load_count;
    *count = 0;
    if (!schedule->stands_beside)
        return NULL;
    const CgScalar **loads = cuda_find_loads(g->scratch, step, &load_count);
    for (int i = 0; i < load_count; i++)
        if (ir_type_has_dim(&loads[i]->buffer->type, IR_DIM_N))
            loads[(*count)++] = loads[i];
    return loads;
}

static CudaDraft *join_beside(const Grouping *g, int level, const CudaSchedule *schedule, CgStep *step, int number) {
    int count;
    const CgScalar **images = find_images(g, schedule, step, &count);
    for (int i = 0; i < count; i++) {
        CudaDraft *draft = str_map_get(&g->beside, beside_key(g->scratch, schedule, step, images[i]->buffer));
        draft = draft ? cuda_draft_root(draft) : NULL;
        if (draft && can_stand_beside(g, draft, level, schedule, step)) {
            add_step(&draft->group, step, number, false);
            return draft;
        }
    }
    return NULL;
}

static void note_beside(Grouping *g, CudaDraft *draft, const CudaSchedule *schedule, const CgStep *step) {
    int count;
    const CgScalar **images = find_images(g, schedule, step, &count);
    for (int i = 0; i < count; i++)
        str_map_set(&g->beside, beside_key(g->arena, schedule, step, images[i]->buffer), draft);
}

/* ---- levels ---- */

static CudaDraft *start_group(Grouping *g, int level, const CudaSchedule *schedule, CgStep *step, int number) {
    CudaDraft *draft = ARENA_NEW(g->arena, CudaDraft);
    *draft = (CudaDraft){.level = level, .group.schedule = schedule};
    add_step(&draft->group, step, number, false);
    while (g->level_count < level) {
        DraftLevel empty = {0};
        ARENA_PUSH(g->arena, g->levels, g->level_count, g->level_capacity, empty);
    }
    DraftLevel *at = &g->levels[level - 1];
    ARENA_PUSH(g->arena, at->drafts, at->count, at->capacity, draft);
    return draft;
}

static void place_step(Grouping *g, CgStep *step, int number) {
    const CudaSchedule *schedule = cuda_find_schedule(g->program, g->scratch, step);
    CudaWaits waits = cuda_memory_find_waits(g->memory, g->scratch, step);
    CudaDraft *draft = NULL;
    if (!g->program->options->plain) {
        draft = join_waits(g, &waits, schedule, step, number);
        draft = draft ? draft : join_beside(g, waits.level + 1, schedule, step, number);
    }
    draft = draft ? draft : start_group(g, waits.level + 1, schedule, step, number);
    if (draft->group.schedule == schedule)
        note_beside(g, draft, schedule, step);
    for (int i = 0; i < waits.all_count; i++)
        ARENA_PUSH(g->arena, draft->before, draft->before_count, draft->before_capacity, waits.all[i]);
    cuda_memory_note(g->memory, step, draft);
    arena_reset(g->scratch);
}

/* ---- as late as possible ---- */

static bool may_be_late(const CudaDraft *draft) {
    return draft->group.schedule->is_late && draft->before_count &&
           cuda_step_launch(draft->group.steps[0]) == LAUNCH_once;
}

/* Whatever waits for a draft has its final level when the draft's turn comes. */
static void delay(const Grouping *g, CudaDraft *draft) {
    if (may_be_late(draft))
        draft->level = draft->latest ? draft->latest : g->level_count;
    for (int i = 0; i < draft->before_count; i++) {
        CudaDraft *before = cuda_draft_root(draft->before[i]);
        if (before != draft && (!before->latest || before->latest >= draft->level))
            before->latest = draft->level - 1;
    }
}

/* The groups of what the draft waits for. */
static void add_before(Arena *arena, const CudaDraft *draft) {
    CudaGroup *group = draft->made;
    int capacity = 0;
    for (int i = 0; i < draft->before_count; i++) {
        const CudaDraft *before = cuda_draft_root(draft->before[i]);
        if (before != draft)
            ARENA_PUSH(arena, group->before, group->before_count, capacity, before->made);
    }
}

static CudaLevel *finish(Grouping *g, Arena *arena) {
    CudaLevel *levels = ARENA_ARRAY(arena, CudaLevel, g->level_count);
    for (int i = g->level_count - 1; i >= 0; i--)
        for (int j = 0; j < g->levels[i].count && !g->program->options->plain; j++)
            if (!g->levels[i].drafts[j]->joined)
                delay(g, g->levels[i].drafts[j]);
    for (int i = 0; i < g->level_count; i++) {
        for (int j = 0; j < g->levels[i].count; j++) {
            CudaDraft *draft = g->levels[i].drafts[j];
            CudaLevel *level = &levels[draft->level - 1];
            if (draft->joined)
                continue;
            draft->made = ARENA_NEW(arena, CudaGroup);
            *draft->made = draft->group;
            ARENA_PUSH(arena, level->groups, level->group_count, level->group_capacity, draft->made);
        }
    }
    for (int i = 0; i < g->level_count; i++)
        for (int j = 0; j < g->levels[i].count; j++)
            if (!g->levels[i].drafts[j]->joined)
                add_before(arena, g->levels[i].drafts[j]);
    return levels;
}

static CudaRound round_of(const CgStage *stage) {
    return stage->prepared ? CUDA_PREPARED : stage->choosing ? CUDA_CHOOSING : CUDA_REST;
}

CudaLevel *cuda_group_steps(Arena *arena, const CgProgram *program, CudaRound round, int *level_count) {
    Arena *own = arena_create();
    int number = 0;
    Grouping g = {.arena = own,
                  .scratch = arena_create(),
                  .program = program,
                  .memory = cuda_memory_create(own, program->options),
                  .beside = str_map_create(own)};
    for (int i = 0; i < program->stage_count; i++) {
        const CgStage *stage = program->stages[i];
        for (int j = 0; round_of(stage) == round && j < stage->step_count; j++)
            place_step(&g, stage->steps[j], number++);
    }
    CudaLevel *levels = finish(&g, arena);
    *level_count = g.level_count;
    arena_destroy(g.scratch);
    arena_destroy(own);
    return levels;
}
