/* fit.c: builds the step graphs with as little memory as they need, sees what is left of the budget, and builds them
 * again with so much more to keep. What kept values really take depends on which of them live at the same time, so this
 * is corrected: downwards until the budget is met, upwards while much is left. */
#include "runtime/device/fit.h"

#include "base/align.h"
#include "base/str.h"
#include "codegen/codegen.h"
#include "passes/memory_report.h"

/* ---- what is needed ---- */

RtMemory rt_plan_memory(const Plan *plan, int threads) {
    bool cpu = cg_targets[plan->target]->by_image;
    RtMemory m = {.state = plan->state_bytes, .prepared = plan->prepared_bytes, .count = cpu ? threads : plan->batch};
    for (int i = 0; i < plan->graph_count; i++) {
        const PlanGraph *g = &plan->graphs[i];
        m.work = g->work_bytes > m.work ? g->work_bytes : m.work;
        int64_t each = ALIGN_UP(g->private_bytes, VALUE_ALIGNMENT);
        m.each = each > m.each ? each : m.each;
    }
    m.each += cpu ? plan->scratch_bytes : 0;
    return m;
}

int64_t rt_memory_total(const RtMemory *m) {
    return m->state + m->prepared + m->work + m->each * m->count;
}

typedef struct Attempt {
    const RtFit *fit;
    CgOptions cg;
    IrGraph **graphs;
    RtMemory memory;
    int64_t needed;
    int largest;   /* the graph whose values take most */
    bool left_out; /* of what could be kept */
} Attempt;

/* The plan says it all; making it is cheap beside compiling what it calls. */
static void measure(Attempt *a) {
    Arena *arena = arena_create();
    const Plan *plan = cg_plan(arena, a->fit->module, a->graphs, a->fit->kind_count, &a->cg);
    a->memory = rt_plan_memory(plan, a->fit->threads);
    a->needed = rt_memory_total(&a->memory);
    a->largest = 0;
    for (int i = 0; i < plan->graph_count; i++)
        if (plan->graphs[i].work_bytes > plan->graphs[a->largest].work_bytes)
            a->largest = i;
    arena_destroy(arena);
}

static bool try(Attempt *a, int64_t keep_bytes, bool wide, Error *error) {
    RtBuild build = {.cg = &a->cg, .keep_bytes = keep_bytes, .wide = wide};
    if (!a->fit->build(a->fit->data, &build, a->graphs, error))
        return false;
    a->left_out = build.left_out;
    measure(a);
    return true;
}

/* ---- what to say when it is too little ---- */

static bool try_batch(const Attempt *from, int64_t batch, Attempt *a, Error *error) {
    *a = *from;
    a->graphs = ARENA_ARRAY(from->fit->module->arena, IrGraph *, from->fit->kind_count);
    a->cg.batch = batch;
    a->cg.chunks = cg_chunk_count(a->cg.target, batch);
    return try(a, 0, false, error);
}

/* Bytes that must not be exceeded. */
static int64_t allowed(const RtFit *fit) {
    return fit->limit > fit->budget ? fit->limit : fit->budget;
}

/* Each of so many has a part of the batch that the user speaks of. */
static int64_t ranks_of(const Attempt *a) {
    return a->cg.target->by_image && a->cg.ranks > 1 ? a->cg.ranks : 1;
}

/* The largest batch that is known to fit, 0 for none: what is needed grows with the batch along a line, nearly. */
static int64_t find_batch(const Attempt *full) {
    enum { TRIES = 4 };
    Error ignored = {ERROR_NONE, ""};
    int64_t most = allowed(full->fit), fixed = full->needed - full->memory.work;
    int64_t batch = full->cg.batch * (most - fixed) / (full->memory.work + 1);
    for (int i = 0; i < TRIES && full->cg.batch > 1 && !full->fit->fixed; i++) {
        Attempt a;
        batch = batch < 1 ? 1 : batch >= full->cg.batch ? full->cg.batch - 1 : batch;
        if (!try_batch(full, batch, &a, &ignored))
            return 0;
        if (a.needed <= most)
            return batch;
        if (batch == 1)
            return 0;
        int64_t slope = (full->needed - a.needed) / (full->cg.batch - batch);
        batch -= 1 + (slope > 0 ? (a.needed - most) / slope : batch / 2);
    }
    return 0;
}

static double megabytes(int64_t bytes) {
    return (double)bytes / 1e6;
}

static const char *explain(const Attempt *a) {
    Arena *arena = a->fit->module->arena;
    const IrGraph *g = a->graphs[a->largest];
    PassContext ctx = {.arena = arena,
                       .module = a->fit->module,
                       .batch = a->cg.batch,
                       .chunks = a->cg.chunks,
                       .element_size = a->cg.precision == PRECISION_f64 ? 8 : 4,
                       .half = a->cg.precision == PRECISION_bf16};
    graph_kind_parse(g->name, &ctx.kind);
    const char *peak = memory_describe_peak(&ctx, a->graphs[a->largest]);
    int64_t batch = find_batch(a) * ranks_of(a);
    const char *advice = batch > 0       ? arena_printf(arena, "a batch of %lld would fit (%s%lld)", (long long)batch,
                                                        a->fit->batch_option, (long long)batch)
                         : a->fit->fixed ? "a smaller batch takes less"
                                         : "not even a batch of 1 would fit";
    return arena_printf(arena,
                        "parameters and optimiser %.2f MB, values of the batch in %s %.2f MB, values of one image and "
                        "scratch %lld x %.2f MB, "
                        "prepared %.2f MB;\nmost are alive in %s;\n%s",
                        megabytes(a->memory.state), g->name, megabytes(a->memory.work), (long long)a->memory.count,
                        megabytes(a->memory.each), megabytes(a->memory.prepared), peak, advice);
}

static bool refuse(const Attempt *a, Error *error) {
    const char *format = a->fit->limit ? "%.2f MB of memory, which is what this process may have, are too little"
                                       : "the memory budget of %.2f MB is too small";
    const char *what = arena_printf(a->fit->module->arena, format, megabytes(allowed(a->fit)));
    return error_set(error, ERROR_INPUT, "%s: at least %.2f MB are needed for a batch of %lld:\n%s", what,
                     megabytes(a->needed), (long long)(a->cg.batch * ranks_of(a)), explain(a));
}

/* ---- keeping to it ---- */

/* Fills the room that is left. The last attempt that fits must be the one built last. */
static bool fill_room(Attempt *a, Error *error) {
    enum { TRIES = 6 };
    int64_t budget = a->fit->budget, keep = budget - a->needed, best = 0;
    for (int i = 0; i < TRIES && keep > 0; i++) {
        if (!try(a, keep, false, error))
            return false;
        if (a->needed > budget) {
            keep -= (a->needed - budget) + keep / 50;
            if (keep <= best)
                break;
            continue;
        }
        best = keep;
        if (!a->left_out || budget - a->needed < budget / 20)
            return true;
        keep += budget - a->needed;
    }
    return try(a, best, false, error);
}

bool rt_fit_graphs(const RtFit *fit, IrGraph **graphs, Error *error) {
    Attempt a = {.fit = fit, .cg = fit->cg, .graphs = graphs};
    RtBuild plain = {.cg = &a.cg, .keep_bytes = PASS_KEEP_WORTHWHILE, .wide = fit->wide};
    if (fit->budget == 0)
        return fit->build(fit->data, &plain, graphs, error);
    if (fit->wide && !fit->fixed) {
        if (!try(&a, 0, true, error))
            return false;
        if (a.needed <= fit->budget)
            return true;
    }
    if (!try(&a, 0, false, error))
        return false;
    if (a.needed > allowed(fit))
        return refuse(&a, error);
    return fit->fixed || a.needed > fit->budget || fill_room(&a, error);
}
