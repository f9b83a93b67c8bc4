/* cuda_exchange.c: a program of several ranks, each with a GPU. It is that of one process, with the whole batch's memory, so that
 * all kernels add up in the same order; but a rank computes its own images and its own rows of the sums of chunks. Rows lie
 * where they lie in the memory of one process, so what ranks exchange are whole rows as they are: behind each level that makes
 * some, all ranks get those of the others, and then everybody merges all alike.
 *
 *     level: sums of chunks [K,C] and what merges them,        level: sums of K / R chunks
 *            the tail of the kernel                      =>    exchange: their rows, of all ranks
 *                                                              level: the tails, kernels of their own
 *
 * An exchange waits for the exchange before it too: all ranks take part in them in the same order. */
#include "codegen/cuda/cuda.h"

/* Steps of the group from the tail on, as the group itself, for whoever waits for it. */
static void become_tail(CgProgram *program, Arena *scratch, Arena *arena, CudaGroup *group, CudaGroup *body) {
    CudaGroup tail = {.schedule = cuda_find_schedule(program, scratch, group->steps[group->tail]),
                      .buffer_count = group->buffer_count,
                      .parts = 1,
                      .before_count = 1,
                      .before = ARENA_ARRAY(arena, CudaGroup *, 1)};
    tail.before[0] = body;
    for (int i = group->tail; i < group->step_count; i++) {
        tail.steps[tail.step_count] = group->steps[i];
        tail.number[tail.step_count++] = group->number[i];
    }
    *group = tail;
}

CudaLevel cuda_split_tails(Arena *arena, CgProgram *program, CudaLevel *level) {
    Arena *scratch = arena_create();
    CudaLevel tails = {0};
    for (int i = 0; i < level->group_count; i++) {
        CudaGroup *group = level->groups[i];
        if (!group->tail)
            continue;
        level->groups[i] = ARENA_NEW(arena, CudaGroup);
        *level->groups[i] = cuda_body(group);
        become_tail(program, scratch, arena, group, level->groups[i]);
        ARENA_PUSH(arena, tails.groups, tails.group_count, tails.group_capacity, group);
    }
    arena_destroy(scratch);
    return tails;
}

/* ---- what is exchanged ---- */

static bool is_of_chunks(const CgBuffer *buffer) {
    return buffer->type.rank > 0 && buffer->type.dim[0] == IR_DIM_K;
}

/* The sums that the group makes; the number of bytes says how many rows. */
static int add_sums(CgModule *module, const CudaGroup *group, PlanStage *exchange) {
    int before = exchange->step_count;
    for (int i = 0; i < group->step_count; i++) {
        CgBuffer *out = group->steps[i]->out;
        if (!is_of_chunks(out))
            continue;
        if (out->whole)
            bug("sums of chunks are a part of another value");
        const int64_t bytes = cg_type_bytes(module->options, &out->type) * (out->parts > 1 ? out->parts : 1);
        cg_add_call(module, exchange, PLAN_NO_KERNEL, 1, &out, 1, &bytes)->when = group->steps[i]->when;
    }
    return exchange->step_count - before;
}

/* Steps of one condition are one launch: so groups are taken condition by condition. Then whoever waits for a group waits for
 * its sums. */
void cuda_exchange_sums(CgModule *module, const CudaLevel *level, CudaEdges *edges, PlanStage *exchange) {
    Arena *arena = module->arena;
    bool *done = ARENA_ARRAY(arena, bool, level->group_count);
    for (int i = 0; i < level->group_count; i++) {
        int first = exchange->step_count, wait_count = 0,
            *waits = ARENA_ARRAY(arena, int, level->group_count + 1 /* and the exchange before */);
        CudaGroup **together = ARENA_ARRAY(arena, CudaGroup *, level->group_count);
        for (int j = i; j < level->group_count; j++) {
            CudaGroup *group = level->groups[j];
            if (done[j] || !cg_same_condition(level->groups[i]->steps[0], group->steps[0]))
                continue;
            done[j] = true;
            if (!add_sums(module, group, exchange))
                continue;
            together[wait_count] = group;
            waits[wait_count++] = group->launch;
        }
        if (exchange->step_count == first)
            continue;
        int launch = cuda_edges_add_exchange(edges, &exchange->steps[first], waits, wait_count);
        for (int j = 0; j < wait_count; j++)
            together[j]->launch = launch;
    }
}

/* Where chunk number `chunk` of the rank begins among its images. The number of ranks is for the plan's sake, which is no part of
 * what a module is known by. */
void cuda_add_chunks(Str *out, const CgOptions *options, const CgNames *names) {
    str_addf(out,
             "enum { ND_RANKS = %d };\n"
             "ND_FN int64_t nd_chunk_begin(const NdRun *run, int64_t chunk) {\n"
             "    const int64_t images = (int64_t)run->scalar[%d], before = (int64_t)run->scalar[%d];\n"
             "    return (before + chunk) * images / %d - before * images / %d;\n"
             "}\n",
             options->ranks, cg_run_number(names, "batch"), cg_run_number(names, "first_chunk"), options->chunks,
             options->chunks);
}
