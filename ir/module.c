/* module.c: what a module holds besides its graphs: the table of parameters and the settings. */
#include "ir/internal.h"

#include <stddef.h>
#include <string.h>

static const char *const param_kind_names[] = {"weight", "alpha", "statistic", "optimizer"};
static const char *const init_names[] = {"zeros", "ones", "uniform", "normal"};
static const char *const place_names[] = {"none", "state", "input", "work", "private", "prepared"};

static int name_index(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (str_equal(names[i], name))
            return i;
    return -1;
}

const char *ir_param_kind_name(IrParamKind kind) {
    return param_kind_names[kind];
}

const char *ir_init_name(IrInit init) {
    return init_names[init];
}

const char *ir_place_name(int place) {
    return place_names[place];
}

bool ir_param_kind_parse(const char *name, IrParamKind *kind) {
    int index = name_index(param_kind_names, 4, name);
    if (index >= 0)
        *kind = (IrParamKind)index;
    return index >= 0;
}

bool ir_init_parse(const char *name, IrInit *init) {
    int index = name_index(init_names, 4, name);
    if (index >= 0)
        *init = (IrInit)index;
    return index >= 0;
}

IrModule *ir_module_create(Arena *arena, const char *name) {
    IrModule *module = ARENA_NEW(arena, IrModule);
    module->arena = arena;
    module->name = arena_strdup(arena, name ? name : "");
    module->param_index = str_map_create(arena);
    module->graph_index = str_map_create(arena);
    return module;
}

/* ---- parameters ---- */

/* The index holds position + 1; it is brought up to date here, so whoever appends to params need not know of it. */
static size_t param_position(IrModule *module, const char *name) {
    for (size_t i = module->param_index.count; i < (size_t)module->param_count; i++)
        str_map_set(&module->param_index, module->params[i].name, (void *)(i + 1));
    return (size_t)str_map_get(&module->param_index, name);
}

IrParam *ir_module_find_param(const IrModule *module, const char *name) {
    size_t position = param_position((IrModule *)(uintptr_t)module, name);
    return position ? &module->params[position - 1] : NULL;
}

IrParam *ir_module_add_param(IrModule *module, IrParam param) {
    IrParam *known = ir_module_find_param(module, param.name);
    if (known) {
        if (!ir_type_equal(&known->type, &param.type))
            bug("parameter %s is %s and %s", param.name, ir_type_string(module->arena, &known->type),
                ir_type_string(module->arena, &param.type));
        return known;
    }
    param.name = arena_strdup(module->arena, param.name);
    ARENA_PUSH(module->arena, module->params, module->param_count, module->param_capacity, param);
    return &module->params[module->param_count - 1];
}

/* ---- settings ---- */

static IrSetting *setting_find(const IrModule *module, const char *key) {
    for (int i = 0; i < module->setting_count; i++)
        if (str_equal(module->settings[i].key, key))
            return &module->settings[i];
    return NULL;
}

void ir_module_set(IrModule *module, const char *key, IrAttr value, Span span) {
    IrAttr copy = ir_attr_copy(module->arena, &value);
    copy.name = NULL;
    IrSetting *known = setting_find(module, key);
    if (known) {
        known->value = copy;
        known->span = span;
        return;
    }
    IrSetting setting = {.key = arena_strdup(module->arena, key), .value = copy, .span = span};
    ARENA_PUSH(module->arena, module->settings, module->setting_count, module->setting_capacity, setting);
}

const IrAttr *ir_module_get(const IrModule *module, const char *key) {
    IrSetting *setting = setting_find(module, key);
    return setting ? &setting->value : NULL;
}

Span ir_module_get_span(const IrModule *module, const char *key) {
    IrSetting *setting = setting_find(module, key);
    return setting ? setting->span : (Span){0};
}

int64_t ir_module_get_int(const IrModule *module, const char *key, int64_t otherwise) {
    const IrAttr *value = ir_module_get(module, key);
    return value && (value->kind == ATTR_int || value->kind == ATTR_bool) ? value->i : otherwise;
}

/* An integer serves where a float is asked for: a person may write 0 for 0.0. */
double ir_module_get_float(const IrModule *module, const char *key, double otherwise) {
    const IrAttr *value = ir_module_get(module, key);
    if (value && value->kind == ATTR_int)
        return (double)value->i;
    return value && value->kind == ATTR_float ? value->f : otherwise;
}

const char *ir_module_get_string(const IrModule *module, const char *key, const char *otherwise) {
    const IrAttr *value = ir_module_get(module, key);
    return value && value->kind == ATTR_string ? value->s : otherwise;
}

/* ---- parts ---- */

/* Adds g to the list behind the functions that it calls. */
static void collect_functions(const IrModule *module, IrGraph *g, IrModule *list) {
    for (int i = 0; i < list->graph_count; i++) {
        if (list->graphs[i] == g)
            return;
    }
    for (const IrNode *n = g->first; n; n = n->next) {
        for (int i = 0; i < n->attr_count; i++) {
            for (int j = 0; n->attrs[i].kind == ATTR_symbols && j < n->attrs[i].count; j++) {
                IrGraph *callee = ir_graph_find(module, n->attrs[i].symbols[j]);
                if (callee)
                    collect_functions(module, callee, list);
            }
        }
    }
    ARENA_PUSH(module->arena, list->graphs, list->graph_count, list->graph_capacity, g);
}

IrModule ir_module_part(IrGraph *graph) {
    IrModule part = *graph->module;
    part.graphs = NULL;
    part.graph_count = part.graph_capacity = 0;
    collect_functions(graph->module, graph, &part);
    return part;
}

static void copy_tables(IrModule *to, const IrModule *from) {
    for (int i = 0; i < from->param_count; i++)
        ir_module_add_param(to, from->params[i]);
    for (int i = 0; i < from->setting_count; i++)
        ir_module_set(to, from->settings[i].key, from->settings[i].value, from->settings[i].span);
}

IrModule *ir_module_split(Arena *arena, IrGraph *graph) {
    const IrModule whole = ir_module_part(graph);
    IrModule *part = ir_module_create(arena, whole.name);
    for (int i = 0; i < whole.graph_count; i++)
        ir_graph_clone_into(part, whole.graphs[i], whole.graphs[i]->name);
    copy_tables(part, &whole);
    return part;
}

static void insert_graph(IrModule *module, IrGraph *g, int at) {
    ARENA_PUSH(module->arena, module->graphs, module->graph_count, module->graph_capacity, g);
    memmove(module->graphs + at + 1, module->graphs + at, sizeof g * (size_t)(module->graph_count - 1 - at));
    module->graphs[at] = g;
    str_map_set(&module->graph_index, g->name, g);
    g->module = module;
}

/* Behind the last of the graphs that the module has, too, part has its step graphs; what stands before, such as a function's wrapper,
 * goes behind what it stands behind there. */
void ir_module_join(IrModule *module, IrModule *part) {
    int shared = 0, at = 0;
    for (int i = 0; i < part->graph_count; i++)
        if (ir_graph_find(module, part->graphs[i]->name))
            shared = i + 1;
    for (int i = 0; i < part->graph_count; i++) {
        const IrGraph *known = ir_graph_find(module, part->graphs[i]->name);
        if (!known)
            insert_graph(module, part->graphs[i], i < shared ? at++ : module->graph_count);
        else
            for (at = 1; module->graphs[at - 1] != known;)
                at++;
    }
    part->graph_count = 0;
    copy_tables(module, part);
}
