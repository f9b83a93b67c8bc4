/* loop_describe.c: what a run leaves about itself: the network as textual IR, which other commands take in place of the
 * text, and run.json for the report. */
#include "runtime/loops/loop.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/tensor_file.h"
#include "ir/stats.h"
#include "runtime/device/machine.h"

#include <string.h>

/* "a", 1, 0.5, true, ["a", "b"] */
static json_t *setting_value(const IrAttr *value) {
    switch (value->kind) {
    case ATTR_int:
        return json_integer(value->i);
    case ATTR_float:
        return json_number(value->f);
    case ATTR_bool:
        return json_boolean(value->i);
    case ATTR_string:
        return json_text(value->s);
    case ATTR_symbols: {
        json_t *list = json_array();
        for (int i = 0; i < value->count; i++)
            json_append(list, json_text(value->symbols[i]));
        return list;
    }
    default:
        return json_null();
    }
}

static json_t *describe_settings(const IrModule *module) {
    json_t *settings = json_object();
    for (int i = 0; i < module->setting_count; i++)
        json_add(settings, module->settings[i].key, setting_value(&module->settings[i].value));
    return settings;
}

static json_t *describe_machine(const Loop *l) {
    char name[256];
    machine_processor_name(name, sizeof(name));
    return json_pack("{s:o, s:i, s:s, s:i, s:f}", "processor", json_text(name), "cores", machine_core_count(), "device",
                     l->options.device ? l->options.device : "cpu", "threads", rt_program_threads(l->program),
                     "memory_gib", (double)machine_memory_bytes() / (1 << 30));
}

static json_t *describe_network(const Loop *l) {
    IrStats s = ir_count_stats(ir_graph_find(l->module, "forward"));
    return json_pack("{s:I, s:I, s:I, s:I}", "parameters", (json_int_t)s.parameters, "auxiliary_parameters",
                     (json_int_t)s.auxiliary_parameters, "alphas", (json_int_t)s.alphas, "macs",
                     (json_int_t)(s.conv_macs + s.linear_macs));
}

static bool write_run(const Loop *l, const char *command, Error *error) {
    json_t *run = json_object();
    json_add(run, "command", json_text(command));
    json_add(run, "text", json_text(l->options.path));
    json_add(run, "recipe", l->options.recipe ? json_text(l->options.recipe) : json_null());
    json_add(run, "seed", json_integer((json_int_t)l->at.seed));
    json_add(run, "version", json_text(NDARTS_VERSION));
    json_add(run, "identity", json_text(rt_program_identity(l->program)));
    json_add(run, "machine", describe_machine(l));
    json_add(run, "network", describe_network(l));
    json_add(run, "settings", describe_settings(l->module));
    const char *text = json_print(l->arena, run, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    json_decref(run);
    return file_write_atomic(loop_file(l, "run.json"), text, strlen(text), error);
}

bool loop_describe(const Loop *l, const char *command, Error *error) {
    bool is_there = !file_is_missing(loop_file(l, "network.ir")) && !file_is_missing(loop_file(l, "run.json"));
    if (l->options.resume && is_there)
        return true;
    Arena *arena = arena_create();
    Str text = str_create(arena);
    ir_print_module(l->module, &text);
    bool ok =
        file_write_atomic(loop_file(l, "network.ir"), text.data, text.length, error) && write_run(l, command, error);
    arena_destroy(arena);
    return ok;
}

bool loop_save_weights(const Loop *l, const char *name, Error *error) {
    if (!loop_writes(l))
        return true;
    Arena *arena = arena_create();
    TensorFile file = {0};
    for (int i = 0; i < rt_param_count(l->program); i++) {
        const RtTensorInfo *info = rt_param_info(l->program, i);
        if (info->kind == PARAM_weight || info->kind == PARAM_statistic)
            tensor_file_add(arena, &file, rt_param_get(l->program, info->name, arena));
    }
    bool ok = safetensors_write(loop_file(l, name), &file, error);
    arena_destroy(arena);
    return ok;
}
