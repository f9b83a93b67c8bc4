/* cost_table.c: a table of costs as JSON. */
#include "runtime/driver/cost.h"

#include "base/json.h"

#include "runtime/device/machine.h"

#include <math.h>

static const double milli = 1e3;

static json_t *dims_of(const IrType *type) {
    json_t *dims = json_array();
    for (int i = 1; i < type->rank; i++)
        json_append(dims, json_integer((json_int_t)type->dim[i]));
    return dims;
}

static json_t *item_to_json(const CostItem *item) {
    json_t *json = json_pack("{s:s, s:s}", "name", item->name, "key", item->key);
    json_add(json, "input", dims_of(&item->user->inputs[0]->type));
    json_add(json, "output", dims_of(&item->user->type));
    json_add(json, "edges", json_integer(item->candidate_of));
    json_add(json, "calls", json_integer(item->called));
    json_add(json, "ms", json_number(item->seconds * milli));
    json_add(json, "bytes", json_integer((json_int_t)item->memory));
    json_add(json, "multiply_adds", json_integer((json_int_t)item->macs));
    json_add(json, "parameters", json_integer((json_int_t)item->parameters));
    return json;
}

const char *cost_table_text(Arena *arena, const CostTable *t) {
    const RtProgramOptions *o = &t->options;
    char processor[128];
    machine_processor_name(processor, sizeof processor);
    json_t *items = json_array();
    for (int i = 0; i < t->count; i++)
        json_append(items, item_to_json(&t->items[i]));
    json_t *json = json_pack("{s:i}", "version", 1);
    json_add(json, "text", json_text(o->path));
    json_add(json, "processor", json_text(processor));
    json_add(json, "device", json_text(cost_device(arena, t)));
    json_add(json, "precision", json_text(cg_precision_name(o->precision)));
    json_add(json, "batch", json_integer((json_int_t)o->batch));
    json_add(json, "threads", json_integer(o->threads ? o->threads : machine_core_count()));
    json_add(json, "items", items);
    json_add(json, "rest_ms", json_number(t->rest * milli));
    json_add(json, "sum_ms", json_number(t->sum * milli));
    json_add(json, "whole_ms", json_number(t->whole > 0 ? t->whole * milli : NAN));
    const char *text = json_print(arena, json, 0);
    json_decref(json);
    return text;
}
