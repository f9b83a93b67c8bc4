/* cost_attach.c: what a function of a text computes, as a hash; and a table of costs put into the graph that a search is made of. */
#include "runtime/driver/cost_attach.h"

#include "base/file.h"
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

static bool are_milliseconds(const json_t *ms) {
    return json_is_number(ms) && json_number_value(ms) >= 0 && json_number_value(ms) < 1e9;
}

static bool read_items(Table *t, const json_t *items, Error *error) {
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item) {
        const char *key = json_string_value(json_object_get(item, "key"));
        json_t *ms = json_object_get(item, "ms");
        if (!key || !are_milliseconds(ms))
            return error_set(error, ERROR_INPUT, "%s: item %zu lacks a key, or milliseconds that could be", t->path,
                             i + 1);
        str_map_set(&t->milliseconds, key, ms);
    }
    return true;
}

static bool read_table(Table *t, Error *error) {
    const json_t *items = json_object_get(t->json, "items");
    if (json_integer_value(json_object_get(t->json, "version")) != 1 || !json_is_array(items))
        return error_set(error, ERROR_INPUT, "%s is no table of costs; ndarts-run cost TEXT --json prints one",
                         t->path);
    t->batch = json_integer_value(json_object_get(t->json, "batch"));
    if (t->batch < 1)
        return error_set(error, ERROR_INPUT, "%s does not say of how many images its times are: it lacks a 'batch'",
                         t->path);
    return read_items(t, items, error) &&
           (are_milliseconds(json_object_get(t->json, "rest_ms")) ||
            error_set(error, ERROR_INPUT, "%s lacks a 'rest_ms', or milliseconds that could be in it", t->path));
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

/* ---- files ---- */

const char *cost_read(Arena *arena, const char *path, Error *error) {
    enum { MOST_BYTES = 16 << 20 };
    size_t size;
    return file_read_text(arena, path, MOST_BYTES, true, &size, error);
}

static json_t *parse(const char *path, const char *text, Error *error) {
    json_error_t where;
    json_t *json = json_loads(text, 0, &where);
    if (!json)
        error_set(error, ERROR_INPUT, "%s:%d: no JSON: %s", path, where.line, where.text);
    return json;
}

const char *cost_precision(Arena *arena, const char *text) {
    json_t *json = json_loads(text, 0, NULL);
    const char *found = json_string_value(json_object_get(json, "precision"));
    const char *precision = found ? arena_strdup(arena, found) : NULL;
    json_decref(json);
    return precision;
}

bool cost_attach(IrModule *module, const char *path, const char *text, Error *error) {
    int64_t batch = ir_module_get_int(module, "search.objective.latency.images", 1);
    if (!ir_module_get(module, "search.objective.latency.target"))
        return error_set(error, ERROR_INPUT,
                         "%s is what candidates cost, for a search with the objective latency, which the text lacks",
                         path);
    Table t = {.arena = module->arena, .path = path, .milliseconds = str_map_create(module->arena)};
    text = text ? text : cost_read(module->arena, path, error);
    t.json = text ? parse(path, text, error) : NULL;
    bool ok = t.json && read_table(&t, error) &&
              (t.batch == batch || error_set(error, ERROR_INPUT, "%s is of batch %lld, and the objective of batch %lld",
                                             path, (long long)t.batch, (long long)batch)) &&
              attach(&t, module, error);
    json_decref(t.json);
    return ok;
}

const char *cost_hash(Arena *arena, const IrModule *module) {
    const IrGraph *forward = ir_graph_find(module, "forward");
    Str text = str_create(arena);
    str_addf(&text, "%lld\n", (long long)ir_module_get_int(module, "search.objective.latency.fixed", 0));
    for (const IrNode *n = forward ? forward->first : NULL; n; n = n->next) {
        const IrAttr *costs = n->op == OP_mixed ? ir_attr(n, "nanoseconds") : NULL;
        for (int i = 0; costs && i < costs->count; i++)
            str_addf(&text, "%lld%s", (long long)costs->ints[i], i + 1 < costs->count ? " " : "\n");
    }
    return str_hash(&text);
}
