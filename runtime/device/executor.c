/* executor.c: the CPU's way through a plan. All addresses are resolved once; what is left per run is to put in those of
 * the inputs. In every stage a thread first takes the chunks (or steps) of its own share, in order, then helps the
 * others: who computes something never changes what is computed, since a chunk's results depend on nothing that the
 * thread holds. Where a graph has choices one thread looks at them as soon as they are made, and lists the steps that run
 * then; stages without any are passed over. */
#include "runtime/device/executor.h"

#include "base/align.h"
#include "base/clock.h"
#include "base/tree_sum.h"
#include "runtime/device/machine.h"
#include "runtime/device/messages.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct BoundStep {
    const int64_t *ints;
    int kernel, first_buffer; /* in the threads' tables of addresses */
    PlanWhen when;
} BoundStep;

typedef struct BoundStage {
    PlanDomain domain;
    int step_count; /* that run */
    BoundStep *steps;
    int bound_count; /* in all */
    const BoundStep *bound;
    const RtMessages *messages; /* NULL: none */
} BoundStage;

/* An entry of the tables that is the address of an input. */
typedef struct InputSlot {
    int slot, input;
} InputSlot;

typedef struct ThreadMemory {
    void **addresses;      /* one per buffer of every step */
    char *arena;           /* private values of one image, then the kernels' scratch */
    RtExchangePart *parts; /* of the stage at hand, when it is an exchange */
} ThreadMemory;

/* The next piece of a thread's share; a line of its own, since others look at it too. */
typedef struct Share {
    _Alignas(64) atomic_long next;
} Share;

struct RtExecutor {
    const RtModule *module;
    NdKernel *const *kernels; /* of a module of the same source */
    const PlanGraph *graph;
    RtThreads *threads;
    RtArenas arenas;
    const RtShare *share; /* NULL: nobody shares the batch */
    RtExchange *exchange; /* NULL: no stage needs one */
    const RtMessages *at_end;
    int prepare_count, stage_count;
    BoundStage *prepare, *stages;
    uint64_t *chosen; /* by choice: a bit for the case it fell on */
    int slot_count, buffer_count;
    InputSlot *slots;
    size_t private_bytes;
    ThreadMemory *memory; /* one per thread */
    Share *shares[2];     /* of this stage and the next */
    Arena *arena;
    ProfileGraph *profile; /* NULL: nothing is timed */
    /* the run in progress */
    const NdRun *run;
    NdRun of_images; /* the same, for what is of images: it counts them from the first one that is here */
    const void *const *inputs;
    bool run_prepare;
};

/* ---- binding ---- */

static void bind_step(RtExecutor *x, const PlanStep *from, BoundStep *to) {
    *to = (BoundStep){from->ints, from->kernel, x->buffer_count, from->when};
    x->buffer_count += from->buffer_count;
    for (int i = 0; i < from->buffer_count; i++)
        x->slot_count += from->buffers[i].place == PLACE_input;
}

static BoundStage *bind_stages(RtExecutor *x, const PlanStage *from, int count) {
    BoundStage *stages = ARENA_ARRAY(x->arena, BoundStage, count);
    for (int i = 0; i < count; i++) {
        int step_count = from[i].step_count;
        BoundStep *bound = ARENA_ARRAY(x->arena, BoundStep, step_count);
        for (int j = 0; j < step_count; j++)
            bind_step(x, &from[i].steps[j], &bound[j]);
        stages[i] = (BoundStage){from[i].domain, step_count, bound, step_count, bound, NULL};
        if (x->graph->choice_count)
            stages[i].steps =
                memcpy(ARENA_ARRAY(x->arena, BoundStep, step_count), bound, sizeof *bound * (size_t)step_count);
    }
    return stages;
}

static void *resolve(const RtExecutor *x, const ThreadMemory *memory, const PlanBuffer *b) {
    switch (b->place) {
    case PLACE_state:
        return (char *)x->arenas.state + b->offset;
    case PLACE_prepared:
        return (char *)x->arenas.prepared + b->offset;
    case PLACE_work:
        return (char *)x->arenas.work + b->offset;
    case PLACE_private:
        return memory->arena + b->offset;
    default:
        return NULL;
    }
}

/* Walks the buffers of all steps in the order bind_step numbered them. */
static int fill_addresses(RtExecutor *x, ThreadMemory *memory, const PlanStage *stages, int count, int at) {
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < stages[i].step_count; j++) {
            const PlanStep *step = &stages[i].steps[j];
            for (int k = 0; k < step->buffer_count; k++)
                memory->addresses[at++] = resolve(x, memory, &step->buffers[k]);
        }
    }
    return at;
}

static void find_slots(RtExecutor *x, const PlanStage *stages, int count, int *at, int *found) {
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < stages[i].step_count; j++) {
            const PlanStep *step = &stages[i].steps[j];
            for (int k = 0; k < step->buffer_count; k++, (*at)++) {
                if (step->buffers[k].place == PLACE_input)
                    x->slots[(*found)++] = (InputSlot){*at, (int)step->buffers[k].offset};
            }
        }
    }
}

static void make_thread_memory(RtExecutor *x, ThreadMemory *memory, void *arena) {
    memory->addresses = ARENA_ARRAY(x->arena, void *, x->buffer_count);
    memory->arena = arena;
    int at = fill_addresses(x, memory, x->graph->prepare, x->graph->prepare_count, 0);
    fill_addresses(x, memory, x->graph->stages, x->graph->stage_count, at);
}

static bool make_memory(RtExecutor *x, void *const *arenas) {
    int threads = rt_threads_count(x->threads), at = 0, found = 0;
    x->slots = ARENA_ARRAY(x->arena, InputSlot, x->slot_count);
    find_slots(x, x->graph->prepare, x->graph->prepare_count, &at, &found);
    find_slots(x, x->graph->stages, x->graph->stage_count, &at, &found);
    x->memory = ARENA_ARRAY(x->arena, ThreadMemory, threads);
    for (int i = 0; i < 2; i++) {
        x->shares[i] = aligned_alloc(64, sizeof(Share) * (size_t)threads);
        if (!x->shares[i])
            return false;
    }
    for (int t = 0; t < threads; t++)
        make_thread_memory(x, &x->memory[t], arenas[t]);
    return true;
}

/* Messages, the numbers of the largest, and the parts of the one that has most. */
static void count_exchanged(const PlanGraph *graph, int *messages, int64_t *numbers, int *parts) {
    *messages = 0;
    *numbers = *parts = 0;
    for (int i = 0; i < graph->stage_count; i++) {
        const PlanStage *stage = &graph->stages[i];
        int64_t sum = 0;
        for (int j = 0; stage->domain == DOMAIN_exchange && j < stage->step_count; j++)
            sum += stage->steps[j].ints[0];
        *messages += sum > 0;
        *numbers = sum > *numbers ? sum : *numbers;
        *parts = sum && stage->step_count > *parts ? stage->step_count : *parts;
    }
}

static bool make_exchange(RtExecutor *x, Error *error) {
    const Plan *plan = x->module->plan;
    int64_t numbers;
    int parts, messages;
    bool f64 = plan->precision == PRECISION_f64;
    count_exchanged(x->graph, &messages, &numbers, &parts);
    if (!messages)
        return true;
    if (!x->share)
        return error_set(error, ERROR_INPUT, "the module is one of %lld ranks", (long long)plan->ranks);
    for (int t = 0; t < rt_threads_count(x->threads); t++)
        x->memory[t].parts = ARENA_ARRAY(x->arena, RtExchangePart, parts);
    messages = messages < TREE_SUM_MESSAGES ? messages : TREE_SUM_MESSAGES;
    const RtMessages *planned = rt_messages_plan(x->arena, x->graph, f64, messages);
    for (int i = 0; i < x->stage_count; i++)
        x->stages[i].messages = &planned[i];
    x->at_end = &planned[x->stage_count];
    x->exchange = rt_exchange_create(x->share->ranks, plan->chunks, f64, messages, numbers, error);
    return x->exchange != NULL;
}

RtExecutor *rt_executor_create(const RtModule *module, const PlanGraph *graph, const RtArenas *arenas,
                               const RtShare *share, void *const *thread_arenas, RtThreads *threads, Error *error) {
    Arena *arena = arena_create();
    RtExecutor *x = ARENA_NEW(arena, RtExecutor);
    *x = (RtExecutor){.module = module,
                      .kernels = module->kernels,
                      .graph = graph,
                      .threads = threads,
                      .arenas = *arenas,
                      .share = share,
                      .arena = arena};
    x->prepare_count = graph->prepare_count;
    x->stage_count = graph->stage_count;
    x->chosen = ARENA_ARRAY(arena, uint64_t, graph->choice_count);
    x->prepare = bind_stages(x, graph->prepare, graph->prepare_count);
    x->stages = bind_stages(x, graph->stages, graph->stage_count);
    x->private_bytes = ALIGN_UP((size_t)graph->private_bytes, VALUE_ALIGNMENT);
    if (!make_memory(x, thread_arenas))
        error_set(error, ERROR_MACHINE, "out of memory");
    else if (make_exchange(x, error))
        return x;
    rt_executor_destroy(x);
    return NULL;
}

void rt_executor_destroy(RtExecutor *x) {
    if (!x)
        return;
    rt_exchange_destroy(x->exchange);
    free(x->shares[0]);
    free(x->shares[1]);
    arena_destroy(x->arena);
}

size_t rt_executor_bytes(const RtExecutor *x) {
    return rt_exchange_bytes(x->exchange);
}

void rt_executor_renew(RtExecutor *x, const RtModule *module) {
    x->kernels = module->kernels;
}

void rt_executor_profile(RtExecutor *x, ProfileGraph *profile) {
    x->profile = profile;
}

/* ---- running ---- */

/* thread is who calls; memory may be another's. */
static void call(RtExecutor *x, int thread, ThreadMemory *memory, const BoundStep *step, const NdWork *work) {
    NdKernel *kernel = x->kernels[step->kernel];
    if (!x->profile) {
        kernel(memory->addresses + step->first_buffer, step->ints, work);
        return;
    }
    double begin = clock_now();
    kernel(memory->addresses + step->first_buffer, step->ints, work);
    profile_add_calls(x->profile, thread, step->kernel, work->band == 0, begin, clock_now());
}

/* Where a chunk begins among the images that are here, and the last one ends. */
static int64_t first_image(const RtExecutor *x, int64_t chunk) {
    const NdRun *run = x->run;
    return x->share ? rt_share_image(x->share, run->chunks, chunk) - rt_share_image(x->share, run->chunks, 0)
                    : chunk * run->batch / run->chunks;
}

/* Fewer images than threads: all work on each image, a band of rows each, and meet after every step. The private values
 * are those of thread 0. An empty chunk is announced by thread 0 alone. */
static void run_bands(RtExecutor *x, const BoundStage *stage, int thread, NdWork *work) {
    const NdRun *run = work->run = &x->of_images;
    for (work->chunk = 0; work->chunk < run->chunks; work->chunk++) {
        int64_t first = first_image(x, work->chunk), end = first_image(x, work->chunk + 1);
        work->first = 1;
        work->band = thread;
        work->bands = rt_threads_count(x->threads);
        for (int64_t image = first == end ? -1 : first; image < end; image++) {
            work->image = image;
            for (int i = 0; i < stage->step_count; i++) {
                if (image >= 0 || thread == 0)
                    call(x, thread, &x->memory[0], &stage->steps[i], work);
                rt_threads_barrier(x->threads);
            }
            work->first = 0;
            if (image < 0)
                break;
        }
    }
    work->band = 0;
    work->bands = 1;
}

/* All images of a chunk, each through all steps; a chunk without images is announced as image -1. */
static void run_chunk(RtExecutor *x, int thread, const BoundStage *stage, NdWork *work) {
    ThreadMemory *memory = &x->memory[thread];
    int64_t first = first_image(x, work->chunk), end = first_image(x, work->chunk + 1);
    work->first = 1;
    work->image = -1;
    if (first == end) {
        for (int i = 0; i < stage->step_count; i++)
            call(x, thread, memory, &stage->steps[i], work);
    }
    for (int64_t image = first; image < end; image++) {
        work->image = image;
        for (int i = 0; i < stage->step_count; i++)
            call(x, thread, memory, &stage->steps[i], work);
        work->first = 0;
    }
}

static void run_piece(RtExecutor *x, int thread, const BoundStage *stage, int64_t piece, NdWork *work) {
    if (stage->domain == DOMAIN_images) {
        work->run = &x->of_images;
        work->chunk = piece;
        run_chunk(x, thread, stage, work);
    } else {
        *work = (NdWork){.image = -1, .chunk = 0, .first = 1, .run = x->run, .bands = 1, .scratch = work->scratch};
        call(x, thread, &x->memory[thread], &stage->steps[piece], work);
    }
}

/* Every thread lists the parts for itself. */
static RtExchangePart *list_parts(RtExecutor *x, const BoundStage *stage, int thread) {
    ThreadMemory *memory = &x->memory[thread];
    for (int i = 0; i < stage->step_count; i++) {
        void *const *at = memory->addresses + stage->steps[i].first_buffer;
        memory->parts[i] = (RtExchangePart){at[0], at[1], stage->steps[i].ints[0]};
    }
    return memory->parts;
}

static void begin_exchange(RtExecutor *x, const BoundStage *stage, int thread) {
    int threads = rt_threads_count(x->threads), count = stage->step_count, message = stage->messages->own;
    const RtExchangePart *parts = list_parts(x, stage, thread);
    rt_exchange_add_own(x->exchange, message, parts, count, thread, threads);
    rt_threads_barrier(x->threads);
    if (thread == 0)
        rt_exchange_begin(x->exchange, message, parts, count);
}

/* Of stages of which nothing ran nothing is under way. */
static void end_exchanges(RtExecutor *x, const RtMessages *messages, int thread) {
    double begin = x->profile ? clock_now() : 0;
    if (!messages->due_count)
        return;
    for (int i = 0; thread == 0 && i < messages->due_count; i++) {
        const BoundStage *stage = &x->stages[messages->due[i]];
        if (stage->step_count)
            rt_exchange_end(x->exchange, stage->messages->own);
    }
    rt_threads_barrier(x->threads);
    for (int i = 0; i < messages->due_count; i++) {
        const BoundStage *stage = &x->stages[messages->due[i]];
        rt_exchange_add_all(x->exchange, stage->messages->own, list_parts(x, stage, thread), stage->step_count, thread,
                            rt_threads_count(x->threads));
    }
    if (x->profile)
        profile_add_stage(x->profile, thread, x->prepare_count + messages->due[0], begin, clock_now());
    rt_threads_barrier(x->threads);
}

static void run_stage(RtExecutor *x, const BoundStage *stage, Share *shares, int thread, NdWork *work) {
    int threads = rt_threads_count(x->threads);
    if (stage->domain == DOMAIN_serial) {
        for (int i = 0; thread == 0 && i < stage->step_count; i++)
            run_piece(x, thread, stage, i, work);
        return;
    }
    if (stage->domain == DOMAIN_exchange) {
        begin_exchange(x, stage, thread);
        return;
    }
    if (stage->domain == DOMAIN_images && x->module->plan->bands && x->run->batch < threads) {
        run_bands(x, stage, thread, work);
        return;
    }
    int64_t pieces = stage->domain == DOMAIN_images ? x->run->chunks : stage->step_count;
    for (int i = 0; i < threads; i++) {
        int owner = (thread + i) % threads;
        int64_t begin = owner * pieces / threads, end = (owner + 1) * pieces / threads;
        for (;;) {
            int64_t piece = begin + atomic_fetch_add_explicit(&shares[owner].next, 1, memory_order_relaxed);
            if (piece >= end)
                break;
            run_piece(x, thread, stage, piece, work);
        }
    }
}

static void clear_shares(RtExecutor *x, int which) {
    for (int t = 0; t < rt_threads_count(x->threads); t++)
        atomic_store_explicit(&x->shares[which][t].next, 0, memory_order_relaxed);
}

static void run_stage_timed(RtExecutor *x, const BoundStage *stage, int number, Share *shares, int thread,
                            NdWork *work) {
    double begin = x->profile ? clock_now() : 0;
    run_stage(x, stage, shares, thread, work);
    if (x->profile)
        profile_add_stage(x->profile, thread, number, begin, clock_now());
}

/* The shares of the next stage are cleared while nobody can be using them: all have left the one before this. number:
 * of the first stage, for the profile. */
static int run_stages(RtExecutor *x, const BoundStage *stages, int count, int number, int thread, int which) {
    NdWork work = {.run = x->run, .bands = 1, .scratch = x->memory[thread].arena + x->private_bytes};
    for (int i = 0; i < count; i++) {
        if (stages[i].messages)
            end_exchanges(x, stages[i].messages, thread);
        if (!stages[i].step_count)
            continue;
        if (thread == 0)
            clear_shares(x, 1 - which);
        if (thread == 0 && x->exchange)
            rt_exchange_look(x->exchange);
        run_stage_timed(x, &stages[i], number + i, x->shares[which], thread, &work);
        rt_threads_barrier(x->threads);
        which = 1 - which;
    }
    return which;
}

/* ---- choices ---- */

static uint64_t read_choice(const RtExecutor *x, const PlanBuffer *choice) {
    const void *at = choice->place == PLACE_input ? x->inputs[choice->offset] : resolve(x, &x->memory[0], choice);
    return plan_case(x->module->plan->precision == PRECISION_f64 ? *(const double *)at : *(const float *)at);
}

/* Lists the steps that run, of the stages behind the choices. */
static void choose_steps(RtExecutor *x) {
    for (int i = 0; i < x->graph->choice_count; i++)
        x->chosen[i] = read_choice(x, &x->graph->choices[i]);
    for (int i = x->graph->choosing_count; i < x->stage_count; i++) {
        BoundStage *stage = &x->stages[i];
        stage->step_count = 0;
        for (int j = 0; j < stage->bound_count; j++) {
            const PlanWhen *when = &stage->bound[j].when;
            if (!when->choice || (when->cases & x->chosen[when->choice - 1]))
                stage->steps[stage->step_count++] = stage->bound[j];
        }
    }
}

static void run_graph(RtExecutor *x, int thread) {
    int which = 0, first = x->graph->choosing_count;
    if (x->run_prepare)
        which = run_stages(x, x->prepare, x->prepare_count, 0, thread, which);
    which = run_stages(x, x->stages, first, x->prepare_count, thread, which);
    if (x->graph->choice_count) {
        if (thread == 0)
            choose_steps(x);
        rt_threads_barrier(x->threads);
    }
    run_stages(x, x->stages + first, x->stage_count - first, x->prepare_count + first, thread, which);
    if (x->at_end)
        end_exchanges(x, x->at_end, thread);
}

static void executor_job(void *argument, int thread) {
    RtExecutor *x = argument;
    bool flush = x->module->plan->precision == PRECISION_bf16;
    unsigned before = flush ? machine_flush_subnormals() : 0;
    run_graph(x, thread);
    if (flush)
        machine_restore_subnormals(before);
}

bool rt_executor_run(RtExecutor *x, const void *const *inputs, const NdRun *run, bool prepare, Error *error) {
    for (int t = 0; t < rt_threads_count(x->threads); t++) {
        for (int i = 0; i < x->slot_count; i++)
            x->memory[t].addresses[x->slots[i].slot] = (void *)(uintptr_t)inputs[x->slots[i].input];
    }
    x->run = run;
    x->of_images = *run;
    if (x->share)
        x->of_images.image_base += (uint64_t)rt_share_image(x->share, run->chunks, 0);
    x->inputs = inputs;
    x->run_prepare = prepare;
    clear_shares(x, 0);
    if (x->profile)
        profile_begin_run(x->profile);
    bool ok = rt_threads_run(x->threads, executor_job, x, error);
    if (x->profile)
        profile_end_run(x->profile);
    return ok;
}
