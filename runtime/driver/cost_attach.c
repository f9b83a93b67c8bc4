/* cost_attach.c: what a function of a text computes, as a hash; and a table of costs put into the graph that a search is made of. */
#include "runtime/driver/cost_attach.h"

#include "base/json.h"

#include <math.h>

/* ---- names for what is computed ---- */

Str cost_text(Arena *arena, IrGraph *graph) {
    IrModule part = ir_module_part(graph);
    part.setting_count = part.param_count = 0;
    part.name = "cost"; /* whatever file it is in */
    Str out = str_create(arena);
    ir_print_module(&part, &out);
    return out;
}

const char *cost_key(Arena *arena, IrGraph *function) {
    Str text = cost_text(arena, function);
    return str_hash(&text);
}

/* ---- the table ---- */

typedef struct Table {
    Arena *arena;
    const char *path;
    StrMap milliseconds; /* key of a function -> its "ms" */
    int64_t batch;
    json_t *json;
} Table;

static bool read_table(Table *t, Error *error) {
    size_t i;
    json_t *item;
    json_t *items = json_object_get(t->json, "items");
    if (json_integer_value(json_object_get(t->json, "version")) != 1 || !json_is_array(items) ||
        !json_is_number(json_object_get(t->json, "rest_ms")))
        return error_set(error, ERROR_INPUT, "%s is no table of costs; ndarts-run cost TEXT --json prints one",
                         t->path);
    t->batch = json_integer_value(json_object_get(t->json, "batch"));
    json_array_foreach(items, i, item) {
        const char *key = json_string_value(json_object_get(item, "key"));
        json_t *ms = json_object_get(item, "ms");
        if (!key || !json_is_number(ms) || !(json_number_value(ms) >= 0 && json_number_value(ms) < 1e9))
            return error_set(error, ERROR_INPUT, "%s: item %zu lacks a key, or milliseconds that could be", t->path,
                             i + 1);
        str_map_set(&t->milliseconds, key, ms);
    }
    return true;
}

/* -1, with an error: the table lacks it. */
static int64_t nanoseconds_of(const Table *t, IrGraph *function, Error *error) {
    json_t *ms = str_map_get(&t->milliseconds, cost_key(t->arena, function));
    if (ms)
        return llround(json_number_value(ms) * 1e6);
    error_set(error, ERROR_INPUT,
              "%s does not have %s of this text; ndarts-run cost TEXT --json prints a table that does", t->path,
              function->name);
    return -1;
}

static bool attach_to(const Table *t, IrNode *mixed, Error *error) {
    const IrAttr *candidates = ir_attr(mixed, "candidates");
    int64_t *costs = ARENA_ARRAY(t->arena, int64_t, candidates->count);
    for (int i = 0; i < candidates->count; i++)
        if ((costs[i] = nanoseconds_of(t, ir_graph_find(mixed->graph->module, candidates->symbols[i]), error)) < 0)
            return false;
    ir_attr_set(mixed, ir_attr_ints("nanoseconds", candidates->count, costs));
    return true;
}

static bool attach(const Table *t, IrModule *module, Error *error) {
    int64_t fixed = llround(json_number_value(json_object_get(t->json, "rest_ms")) * 1e6);
    IrGraph *forward = ir_graph_find(module, "forward");
    for (IrNode *n = forward ? forward->first : NULL; n; n = n->next) {
        int64_t cost = 0;
        if (n->op == OP_mixed && !attach_to(t, n, error))
            return false;
        if (n->op == OP_call &&
            (cost = nanoseconds_of(t, ir_graph_find(module, ir_attr(n, "callee")->symbols[0]), error)) < 0)
            return false;
        fixed += cost;
    }
    ir_module_set(module, "search.objective.latency.fixed", ir_attr_int("", fixed), (Span){0});
    return true;
}

bool cost_attach(IrModule *module, const char *path, const char *text, Error *error) {
    int64_t batch = ir_module_get_int(module, "search.objective.latency.images", 1);
    if (!ir_module_get(module, "search.objective.latency.target"))
        return error_set(error, ERROR_INPUT,
                         "%s is what candidates cost, for a search with the objective latency, which the text lacks",
                         path);
    Table t = {.arena = module->arena, .path = path, .milliseconds = str_map_create(module->arena)};
    t.json = text ? json_loads(text, 0, NULL) : json_read(path, error);
    if (!t.json && !error->kind)
        error_set(error, ERROR_INPUT, text ? "%s is no JSON" : "cannot read %s: there is no such file", path);
    bool ok = t.json && read_table(&t, error) &&
              (t.batch == batch || error_set(error, ERROR_INPUT, "%s is of batch %lld, and the objective of batch %lld",
                                             path, (long long)t.batch, (long long)batch)) &&
              attach(&t, module, error);
    json_decref(t.json);
    return ok;
}
