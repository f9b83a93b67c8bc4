/* cost.c: cuts a text's graph at its calls. Each function that is called becomes a program of its own,
 *
 *     graph @forward(%x: T) -> U { return "result" = call %x {callee=@sep_conv_3x3_16_1, name="op"} }
 *
 * and so does what is left, with the results of the calls as its inputs. */
#include "runtime/driver/cost.h"

#include "base/str.h"
#include "ir/stats.h"
#include "runtime/device/cache.h"
#include "runtime/device/cache_entry.h"
#include "runtime/device/device.h"
#include "runtime/device/fit.h"
#include "runtime/device/machine.h"
#include "runtime/device/tiles.h"
#include "runtime/driver/compilation.h"
#include "runtime/driver/cost_attach.h"

#include <math.h>
#include <string.h>

static const char empty_text[] = "graph @forward(%input: f32[N,1,1,1]) -> f32[N,1,1,1] {\n"
                                 "  %1 = neg %input : f32[N,1,1,1]\n"
                                 "  return \"result\" = %1\n"
                                 "}\n";

enum { ROUNDS = 3 };

typedef struct Cost {
    Arena *arena;
    const BenchOptions *bench;
    CostTable *table;
    IrModule *module;
    int capacity;
    StrMap known;                  /* name of a function -> its index + 1 */
    double empty;                  /* seconds of a pass that computes next to nothing */
    const char *toolchain, *tiles; /* what compiles; what a table of tiles says */
} Cost;

/* ---- the functions ---- */

static CostItem *find_item(Cost *c, IrGraph *function, const IrNode *user) {
    CostTable *t = c->table;
    size_t index = (size_t)(uintptr_t)str_map_get(&c->known, function->name);
    if (index)
        return &t->items[index - 1];
    IrStats stats = ir_count_stats(function);
    CostItem item = {.name = function->name,
                     .key = cost_key(c->arena, function),
                     .user = user,
                     .parameters = stats.parameters,
                     .macs = stats.conv_macs + stats.linear_macs};
    ARENA_PUSH(c->arena, t->items, t->count, c->capacity, item);
    str_map_set(&c->known, function->name, (void *)(uintptr_t)t->count);
    return &t->items[t->count - 1];
}

static void find_items(Cost *c, const IrGraph *forward) {
    for (const IrNode *node = forward->first; node; node = node->next) {
        if (node->op != OP_call && node->op != OP_mixed)
            continue;
        const IrAttr *callees = ir_attr(node, node->op == OP_call ? "callee" : "candidates");
        for (int i = 0; i < callees->count; i++) {
            CostItem *item = find_item(c, ir_graph_find(c->module, callees->symbols[i]), node);
            if (node->op == OP_mixed)
                item->candidate_of++;
            else
                item->called++;
        }
    }
}

/* ---- programs ---- */

static Str text_of_item(const Cost *c, const CostItem *item) {
    IrGraph *function = ir_graph_find(c->module, item->name);
    Str text = cost_text(c->arena, function);
    str_add(&text, "graph @forward(");
    for (int i = 0; i < function->arg_count; i++)
        str_addf(&text, "%s%%x%d: %s", i ? ", " : "", i, ir_type_string(c->arena, &function->args[i]->type));
    const char *type = ir_type_string(c->arena, &function->outputs[0].value->type);
    str_addf(&text, ") -> %s {\n  %%y = call ", type);
    for (int i = 0; i < function->arg_count; i++)
        str_addf(&text, "%s%%x%d", i ? ", " : "", i);
    str_addf(&text, " {callee=@%s, name=\"op\"} : %s\n  return \"result\" = %%y\n}\n", item->name, type);
    return text;
}

/* The results of calls become inputs. */
static void cut(IrGraph *forward, Arena *arena) {
    int count = 0;
    for (IrNode *node = forward->first, *next; node; node = next) {
        next = node->next;
        if (node->op != OP_call && node->op != OP_mixed)
            continue;
        IrNode *given = ir_graph_add_arg(forward, arena_printf(arena, "cut%d", count++), node->type, node->span);
        ir_replace_uses(forward, node, given);
        ir_node_remove(node);
    }
}

/* Under which a measurement is kept: all that it depends on. */
static const char *name_of_measurement(const Cost *c, const Str *text) {
    const RtProgramOptions *o = &c->table->options;
    char processor[128];
    machine_processor_name(processor, sizeof processor);
    Str all = str_create(c->arena);
    rt_cache_add_own_hash(&all);
    str_addf(&all, "\n%s\n%s\n%d %lld %d %d %d %s\n%s\n", processor, c->toolchain, machine_core_count(),
             (long long)o->batch, o->threads, o->vector_bytes, o->plain, o->device ? o->device : "cpu",
             cg_precision_name(o->precision));
    str_addf(&all, "%d %d %d %g\n", c->bench->cpu_time, c->bench->warm_up, c->bench->repeats, c->bench->seconds);
    str_add(&all, c->tiles);
    str_add(&all, text->data);
    return arena_printf(c->arena, "%s.cost", str_hash(&all));
}

static bool recall(const Cost *c, const char *name, double *seconds, int64_t *memory) {
    size_t size;
    const char *text = rt_cache_read(c->arena, name, &size);
    double found[2];
    if (!text || size != sizeof found)
        return false;
    memcpy(found, text, sizeof found);
    *seconds = found[0];
    *memory = (int64_t)found[1];
    return true;
}

/* The best pass of several programs, since where their values lie in memory matters, and so does what else the machine does. */
static bool measure_rounds(const Cost *c, const RtProgramOptions *options, double *seconds, int64_t *memory,
                           Error *error) {
    bool ok = true;
    *seconds = INFINITY;
    for (int round = 0; ok && round < ROUNDS; round++) {
        BenchResult result;
        RtProgram *program = rt_program_open(options, error);
        ok = program && bench_graph(program, GRAPH_infer, c->bench, c->arena, &result, error);
        if (ok) {
            *seconds = fmin(*seconds, bench_quantile(&result, 0));
            *memory = (int64_t)rt_program_memory(program);
        }
        rt_program_close(program);
    }
    return ok;
}

static bool estimate(const Cost *c, const RtProgramOptions *options, double *seconds, int64_t *memory, Error *error) {
    Arena *arena = arena_create();
    CgOptions cg;
    const CgOutput *output = rt_text_generate(arena, options, &cg_target_cuda, &cg, error);
    if (output) {
        const RtMemory needed = rt_plan_memory(output->plan, 1);
        *seconds = card_estimate(c->table->card, output->plan, &output->plan->graphs[0]);
        *memory = rt_memory_total(&needed);
    }
    arena_destroy(arena);
    return output != NULL;
}

/* text: IR. Seconds of a pass, and the bytes of its program. */
static bool measure(const Cost *c, const char *what, const Str *text, double *seconds, int64_t *memory, Error *error) {
    RtProgramOptions options = c->table->options;
    options.path = arena_printf(c->arena, "%s, %s", options.path, what);
    options.text = text->data;
    options.sets = NULL;
    options.set_count = 0;
    options.recipe = NULL;
    if (c->table->card)
        return estimate(c, &options, seconds, memory, error);
    const char *name = name_of_measurement(c, text);
    if (recall(c, name, seconds, memory))
        return true;
    bool ok = measure_rounds(c, &options, seconds, memory, error);
    const double kept[2] = {*seconds, (double)*memory};
    if (ok)
        rt_cache_write(name, kept, sizeof kept, &(Error){ERROR_NONE, ""}); /* without it, it is measured again */
    return ok;
}

static double less_empty(const Cost *c, double seconds) {
    return seconds > c->empty ? seconds - c->empty : 0;
}

static bool measure_items(Cost *c, Error *error) {
    CostTable *t = c->table;
    for (int i = 0; i < t->count; i++) {
        CostItem *item = &t->items[i];
        Str text = text_of_item(c, item);
        if (!measure(c, item->name, &text, &item->seconds, &item->memory, error))
            return false;
        item->seconds = less_empty(c, item->seconds);
        t->sum += item->seconds * (item->called + item->candidate_of);
    }
    return true;
}

static bool measure_rest(Cost *c, IrGraph *forward, Error *error) {
    int64_t memory;
    bool is_network = true;
    for (int i = 0; i < c->table->count; i++)
        is_network = is_network && !c->table->items[i].candidate_of;
    Str whole = cost_text(c->arena, forward);
    if (is_network && !measure(c, "the whole", &whole, &c->table->whole, &memory, error))
        return false;
    cut(forward, c->arena);
    Str rest = cost_text(c->arena, forward);
    if (!measure(c, "the rest", &rest, &c->table->rest, &memory, error))
        return false;
    c->table->rest = less_empty(c, c->table->rest);
    c->table->sum += c->table->rest;
    return true;
}

const char *cost_device(Arena *arena, const CostTable *t) {
    return t->card             ? arena_printf(arena, "%s, estimated", t->card->name)
           : t->options.device ? t->options.device
                               : "cpu";
}

bool cost_measure(Arena *arena, const RtProgramOptions *options, const BenchOptions *bench, const Card *card,
                  CostTable *table, Error *error) {
    static const GraphKind infer[] = {GRAPH_infer};
    Cost c = {.arena = arena, .bench = bench, .table = table, .known = str_map_create(arena)};
    *table = (CostTable){.options = *options, .card = card};
    c.module = rt_text_load_options(arena, options, error);
    IrGraph *forward = c.module ? ir_graph_find(c.module, "forward") : NULL;
    if (c.module && !forward)
        error_set(error, ERROR_INPUT, "%s has no @forward, whose operations would be measured", options->path);
    RtTiles tiles = {0};
    if (!forward || !rt_tiles_read(arena, options->tune, &tiles, error))
        return false;
    c.tiles = rt_tiles_text(arena, &tiles);
    c.toolchain = card ? "" : rt_device_toolchain(arena, options->device, compilation_vector_bytes(options), error);
    if (!c.toolchain)
        return false;
    table->options.kinds = infer;
    table->options.kind_count = 1;
    find_items(&c, forward);
    Str empty = str_create(arena);
    int64_t memory;
    str_add(&empty, empty_text);
    return measure(&c, "nothing", &empty, &c.empty, &memory, error) && measure_items(&c, error) &&
           measure_rest(&c, forward, error);
}
