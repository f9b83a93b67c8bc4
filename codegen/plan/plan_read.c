/* plan_read.c: JSON to Plan. A PlanReader carries the error; every helper says where it is by a path such as
 * graphs[1].stages[3]. */
#include "base/str.h"
#include "codegen/plan/plan_names.h"
#include "codegen/plan/plan_reader.h"

#include <jansson.h>
#include <limits.h>
#include <string.h>

static const char *within(PlanReader *r, const char *list, size_t i) {
    const char *before = r->where;
    r->where =
        *before ? arena_printf(r->arena, "%s.%s[%zu]", before, list, i) : arena_printf(r->arena, "%s[%zu]", list, i);
    return before;
}

static bool read_int(PlanReader *r, json_t *object, const char *key, int64_t low, int64_t high, int64_t *value) {
    json_t *item = json_object_get(object, key);
    if (!json_is_integer(item))
        return plan_refuse(r, arena_printf(r->arena, "'%s' should be an integer", key));
    *value = json_integer_value(item);
    if (*value < low || *value > high)
        return plan_refuse(r, arena_printf(r->arena, "'%s' is %lld, out of range", key, (long long)*value));
    return true;
}

static const char *read_string(PlanReader *r, json_t *object, const char *key) {
    json_t *item = json_object_get(object, key);
    if (json_is_string(item))
        return arena_strdup(r->arena, json_string_value(item));
    plan_refuse(r, arena_printf(r->arena, "'%s' should be a string", key));
    return NULL;
}

static bool read_bool(PlanReader *r, json_t *object, const char *key, bool *value) {
    json_t *item = json_object_get(object, key);
    *value = json_is_true(item);
    return json_is_boolean(item) || plan_refuse(r, arena_printf(r->arena, "'%s' should be true or false", key));
}

static json_t *read_list(PlanReader *r, json_t *object, const char *key) {
    json_t *item = json_object_get(object, key);
    if (json_is_array(item))
        return item;
    plan_refuse(r, arena_printf(r->arena, "'%s' should be a list", key));
    return NULL;
}

/* The number of the word at key, or -1. */
static int read_word(PlanReader *r, json_t *object, const char *key, const PlanWords *words) {
    const char *text = read_string(r, object, key);
    if (!text)
        return -1;
    for (int i = 0; i < words->count; i++) {
        if (words->words[i] && str_equal(words->words[i], text))
            return i;
    }
    plan_refuse(r, arena_printf(r->arena, "'%s' has the unknown value \"%s\"", key, text));
    return -1;
}

static const int64_t largest_count = (int64_t)1 << 44; /* elements: no product of extents overflows */

static bool read_shape(PlanReader *r, json_t *object, PlanTensor *t) {
    json_t *shape = read_list(r, object, "shape"), *order = read_list(r, object, "order");
    if (!shape || !order)
        return false;
    size_t rank = json_array_size(shape);
    if (rank > IR_MAX_RANK || json_array_size(order) != rank)
        return plan_refuse(r, "'shape' and 'order' do not fit");
    t->type.rank = (int)rank;
    unsigned seen = 0;
    int64_t elements = 1;
    for (size_t i = 0; i < rank; i++) {
        json_t *extent = json_array_get(shape, i), *axis = json_array_get(order, i);
        if (!json_is_integer(extent) || !json_is_integer(axis))
            return plan_refuse(r, "'shape' and 'order' should hold integers");
        int64_t e = json_integer_value(extent), a = json_integer_value(axis);
        if (e < IR_DIM_K || e == 0 || e > largest_count || a < 0 || a >= (int64_t)rank || (seen >> a & 1))
            return plan_refuse(r, "an extent or an axis is out of range");
        int64_t size = e == IR_DIM_N ? r->plan->batch : e == IR_DIM_K ? r->plan->chunks : e;
        if (size > largest_count / elements)
            return plan_refuse(r, "too many elements");
        elements *= size;
        seen |= 1u << a;
        t->type.dim[i] = e;
        t->order[i] = (int)a;
    }
    return true;
}

static bool read_tensor(PlanReader *r, json_t *object, PlanTensor *t) {
    int dtype = read_word(r, object, "dtype", &plan_dtypes);
    t->name = read_string(r, object, "name");
    t->type.dtype = (IrDtype)dtype;
    return dtype >= 0 && t->name && read_shape(r, object, t);
}

static bool read_param(PlanReader *r, json_t *object, PlanTensor *t) {
    if (!read_tensor(r, object, t) || !read_int(r, object, "offset", 0, r->plan->state_bytes, &t->offset))
        return false;
    int kind = read_word(r, object, "kind", &plan_param_kinds);
    int init = read_word(r, object, "init", &plan_inits);
    json_t *scale = json_object_get(object, "init_scale");
    if (kind < 0 || init < 0)
        return false;
    if (!json_is_number(scale))
        return plan_refuse(r, "'init_scale' should be a number");
    t->place = PLACE_state;
    t->kind = (IrParamKind)kind;
    t->init = (IrInit)init;
    t->init_scale = json_number_value(scale);
    if (!read_bool(r, object, "auxiliary", &t->auxiliary))
        return false;
    if (t->type.dtype != DTYPE_f32 || ir_type_has_dim(&t->type, IR_DIM_N) || ir_type_has_dim(&t->type, IR_DIM_K))
        return plan_refuse(r, "a parameter should be f32 of fixed shape");
    if (t->offset % plan_element_bytes(r->plan->precision, DTYPE_f32) != 0 ||
        t->offset + plan_tensor_bytes(r->plan, t, 1) > r->plan->state_bytes)
        return plan_refuse(r, "the parameter lies outside the state");
    return true;
}

static bool read_output(PlanReader *r, json_t *object, const PlanGraph *g, PlanTensor *t) {
    if (!read_tensor(r, object, t))
        return false;
    int place = read_word(r, object, "place", &plan_places);
    if (place < 0)
        return false;
    if (place == PLACE_private)
        return plan_refuse(r, "an output cannot be private");
    t->place = (IrPlace)place;
    if (t->place == PLACE_input) /* an identity: the input is the output */
        return read_int(r, object, "offset", 0, g->input_count - 1, &t->offset) &&
               (ir_type_equal(&t->type, &g->inputs[t->offset].type) ||
                plan_refuse(r, "the output is not like its input"));
    int64_t size = plan_place_bytes(r->plan, g, t->place);
    if (!read_int(r, object, "offset", 0, size, &t->offset))
        return false;
    return t->offset + plan_tensor_bytes(r->plan, t, r->plan->batch) <= size ||
           plan_refuse(r, "the output lies outside its place");
}

/* ---- stages ---- */

static bool read_stage(PlanReader *r, json_t *object, const PlanGraph *g, PlanStage *stage) {
    int domain = read_word(r, object, "domain", &plan_domains);
    const char *text = json_string_value(json_object_get(object, "steps"));
    if (domain < 0)
        return false;
    if (!text || !*text)
        return plan_refuse(r, "'steps' should be a string with a step in it");
    stage->domain = (PlanDomain)domain;
    return plan_read_steps(r, text, g, stage);
}

/* The first step of every launch says which earlier ones it waits for, no other does. */
static bool check_waits(PlanReader *r, const PlanStage *stage, int *launches) {
    for (int j = 0, next = 0; j < stage->step_count; j++) {
        const PlanStep *step = &stage->steps[j];
        r->step = j;
        if ((j == next) != (step->waits != NULL))
            return plan_refuse(r,
                               j == next ? "a launch should say what it waits for" : "only a launch waits for others");
        for (int k = 0; k < step->wait_count; k++)
            if (step->waits[k] >= *launches)
                return plan_refuse(r, "a launch waits for one that is not before it");
        *launches += j == next;
        next = j == next ? j + plan_count_together(stage, j) : next;
    }
    r->step = -1;
    return true;
}

static bool read_stages(PlanReader *r, json_t *object, const char *key, const PlanGraph *g, PlanStage **stages,
                        int *count) {
    json_t *list = read_list(r, object, key);
    if (!list)
        return false;
    int launches = 0;
    *count = (int)json_array_size(list);
    *stages = ARENA_ARRAY(r->arena, PlanStage, *count);
    for (int i = 0; i < *count; i++) {
        const char *before = within(r, key, (size_t)i);
        if (!read_stage(r, json_array_get(list, (size_t)i), g, &(*stages)[i]) ||
            (plan_starts_threads[r->plan->target] && !check_waits(r, &(*stages)[i], &launches)))
            return false;
        r->where = before;
    }
    return true;
}

static bool read_graph_tensors(PlanReader *r, json_t *object, PlanGraph *g) {
    json_t *inputs = read_list(r, object, "inputs"), *outputs = read_list(r, object, "outputs");
    if (!inputs || !outputs)
        return false;
    g->input_count = (int)json_array_size(inputs);
    g->inputs = ARENA_ARRAY(r->arena, PlanTensor, g->input_count);
    for (int i = 0; i < g->input_count; i++) {
        const char *before = within(r, "inputs", (size_t)i);
        if (!read_tensor(r, json_array_get(inputs, (size_t)i), &g->inputs[i]))
            return false;
        g->inputs[i].place = PLACE_input;
        g->inputs[i].offset = i;
        r->where = before;
    }
    g->output_count = (int)json_array_size(outputs);
    g->outputs = ARENA_ARRAY(r->arena, PlanTensor, g->output_count);
    for (int i = 0; i < g->output_count; i++) {
        const char *before = within(r, "outputs", (size_t)i);
        if (!read_output(r, json_array_get(outputs, (size_t)i), g, &g->outputs[i]))
            return false;
        r->where = before;
    }
    return true;
}

/* What no stage computes can only be an input. */
static bool check_stages(PlanReader *r, const PlanGraph *g) {
    bool computes = g->output_count == 0;
    for (int i = 0; i < g->output_count; i++)
        computes |= g->outputs[i].place != PLACE_input;
    return g->stage_count > 0 || !computes || plan_refuse(r, "the graph has no stages");
}

static bool check_choice(PlanReader *r, const PlanGraph *g, const PlanBuffer *b) {
    int64_t element = plan_element_bytes(r->plan->precision, DTYPE_f32);
    if (b->place == PLACE_private)
        return plan_refuse(r, "a choice cannot be private");
    if (b->place == PLACE_input)
        return (g->inputs[b->offset].type.rank == 0 && g->inputs[b->offset].type.dtype == DTYPE_f32) ||
               plan_refuse(r, "a choice is one number");
    return (b->offset % element == 0 && b->offset + element <= plan_place_bytes(r->plan, g, b->place)) ||
           plan_refuse(r, "a choice lies outside its place");
}

/* A graph without choices says nothing of them. */
static bool read_choices(PlanReader *r, json_t *object, PlanGraph *g) {
    json_t *list = json_object_get(object, "choices");
    if (!list)
        return true;
    g->choice_count = (int)json_array_size(list);
    g->choices = ARENA_ARRAY(r->arena, PlanBuffer, g->choice_count);
    for (int i = 0; i < g->choice_count; i++) {
        const char *before = within(r, "choices", (size_t)i),
                   *text = json_string_value(json_array_get(list, (size_t)i));
        if (!text || !*text)
            return plan_refuse(r, "a choice is a place and an offset");
        if (!plan_take_buffer(r, &text, g, &g->choices[i]) || !check_choice(r, g, &g->choices[i]))
            return false;
        if (*text)
            return plan_refuse(r, "a choice goes on where it should end");
        r->where = before;
    }
    return g->choice_count > 0 || plan_refuse(r, "'choices' should hold places");
}

/* No step may depend on what is not yet chosen. */
static bool check_choosing(PlanReader *r, json_t *object, PlanGraph *g) {
    int64_t choosing = 0;
    if (g->choice_count && !read_int(r, object, "choosing", 0, g->stage_count, &choosing))
        return false;
    g->choosing_count = (int)choosing;
    for (int i = 0; i < g->prepare_count + g->choosing_count; i++) {
        const PlanStage *stage = i < g->prepare_count ? &g->prepare[i] : &g->stages[i - g->prepare_count];
        for (int j = 0; j < stage->step_count; j++)
            if (stage->steps[j].when.choice)
                return plan_refuse(r, "a step depends on a choice before that is made");
    }
    return true;
}

static bool read_graph(PlanReader *r, json_t *object, PlanGraph *g) {
    const char *name = read_string(r, object, "name");
    if (!name)
        return false;
    if (!graph_kind_parse(name, &g->kind))
        return plan_refuse(r, arena_printf(r->arena, "the unknown graph \"%s\"", name));
    g->changes_state = graph_kind_is_training(g->kind);
    return read_int(r, object, "work_bytes", 0, INT64_MAX / 4, &g->work_bytes) &&
           read_int(r, object, "private_bytes", 0, INT64_MAX / 4, &g->private_bytes) &&
           read_graph_tensors(r, object, g) && read_choices(r, object, g) &&
           read_stages(r, object, "prepare", g, &g->prepare, &g->prepare_count) &&
           read_stages(r, object, "stages", g, &g->stages, &g->stage_count) && check_choosing(r, object, g) &&
           check_stages(r, g);
}

static bool read_params(PlanReader *r, json_t *root) {
    json_t *list = read_list(r, root, "params");
    if (!list)
        return false;
    Plan *p = r->plan;
    p->param_count = (int)json_array_size(list);
    p->params = ARENA_ARRAY(r->arena, PlanTensor, p->param_count);
    for (int i = 0; i < p->param_count; i++) {
        const char *before = within(r, "params", (size_t)i);
        if (!read_param(r, json_array_get(list, (size_t)i), &p->params[i]))
            return false;
        r->where = before;
    }
    return true;
}

static bool read_graphs(PlanReader *r, json_t *root) {
    json_t *list = read_list(r, root, "graphs");
    if (!list)
        return false;
    Plan *p = r->plan;
    p->graph_count = (int)json_array_size(list);
    if (!p->graph_count)
        return plan_refuse(r, "there are no graphs");
    p->graphs = ARENA_ARRAY(r->arena, PlanGraph, p->graph_count);
    for (int i = 0; i < p->graph_count; i++) {
        const char *before = within(r, "graphs", (size_t)i);
        if (!read_graph(r, json_array_get(list, (size_t)i), &p->graphs[i]))
            return false;
        r->where = before;
    }
    return true;
}

/* Sizes beyond what ints hold, or of other steps, are no convolution that a library could be given. */
static PlanConv read_conv(json_t *kernel) {
    enum { MOST = 1 << 24, BUFFERS = 3 };
    json_t *list = json_object_get(kernel, "conv");
    bool right = json_array_size(list) == BUFFERS + CONV_NUMBERS;
    int64_t numbers[BUFFERS + CONV_NUMBERS] = {0};
    for (size_t i = 0; right && i < BUFFERS + CONV_NUMBERS; i++) {
        numbers[i] = json_integer_value(json_array_get(list, i));
        right = numbers[i] >= 0 && numbers[i] <= MOST;
    }
    PlanConv conv = {(int)numbers[0], (int)numbers[1], (int)numbers[2], {0}};
    memcpy(conv.shape, &numbers[BUFFERS], sizeof conv.shape);
    return right ? conv : (PlanConv){0};
}

/* All but the name is for people only: nothing there can be wrong. */
static bool read_kernel(PlanReader *r, json_t *object, PlanKernel *kernel) {
    const char *origin = json_string_value(json_object_get(object, "origin"));
    *kernel = (PlanKernel){.name = read_string(r, object, "name"),
                           .origin = arena_strdup(r->arena, origin ? origin : ""),
                           .flops = json_integer_value(json_object_get(object, "flops")),
                           .bytes = json_integer_value(json_object_get(object, "bytes")),
                           .conv = read_conv(object),
                           .tensor = json_is_true(json_object_get(object, "tensor"))};
    return kernel->name != NULL;
}

static bool read_names(PlanReader *r, json_t *root) {
    json_t *scalars = read_list(r, root, "scalars"), *kernels = read_list(r, root, "kernels");
    if (!scalars || !kernels)
        return false;
    Plan *p = r->plan;
    if (json_array_size(scalars) > ND_SCALAR_COUNT)
        return plan_refuse(r, "too many scalars");
    p->scalar_count = (int)json_array_size(scalars);
    for (int i = 0; i < p->scalar_count; i++) {
        const char *name = json_string_value(json_array_get(scalars, (size_t)i));
        if (!name)
            return plan_refuse(r, "'scalars' should hold strings");
        p->scalars[i] = arena_strdup(r->arena, name);
    }
    p->kernel_count = (int)json_array_size(kernels);
    p->kernels = ARENA_ARRAY(r->arena, PlanKernel, p->kernel_count);
    for (int i = 0; i < p->kernel_count; i++) {
        const char *before = within(r, "kernels", (size_t)i);
        if (!read_kernel(r, json_array_get(kernels, (size_t)i), &p->kernels[i]))
            return false;
        r->where = before;
    }
    return true;
}

static bool read_numbers(PlanReader *r, json_t *root) {
    Plan *p = r->plan;
    int64_t version, vector;
    if (!read_int(r, root, "version", 0, INT64_MAX, &version))
        return false;
    if (version != PLAN_VERSION)
        return plan_refuse(
            r, arena_printf(r->arena, "version %lld; this program reads version %d", (long long)version, PLAN_VERSION));
    int target = read_word(r, root, "target", &plan_targets),
        precision = read_word(r, root, "precision", &plan_precisions);
    if (target < 0 || precision < 0 || !read_int(r, root, "vector_bytes", 0, 4096, &vector))
        return false;
    p->target = (CgTargetId)target;
    p->precision = (CgPrecision)precision;
    p->vector_bytes = (int)vector;
    const int64_t most = INT64_MAX / 4;
    p->ranks = 1; /* what is not said */
    return read_bool(r, root, "bands", &p->bands) &&
           (!json_object_get(root, "ranks") || read_int(r, root, "ranks", 1, 1 << 16, &p->ranks)) &&
           read_int(r, root, "batch", 1, 1 << 24, &p->batch) && read_int(r, root, "chunks", 1, 1 << 16, &p->chunks) &&
           read_int(r, root, "scratch_bytes", 0, most, &p->scratch_bytes) &&
           read_int(r, root, "state_bytes", 0, most, &p->state_bytes) &&
           read_int(r, root, "prepared_bytes", 0, most, &p->prepared_bytes);
}

Plan *plan_parse(Arena *arena, const char *json, size_t length, Error *error) {
    json_error_t mistake;
    json_t *root = json_loadb(json, length, 0, &mistake);
    if (!root) {
        error_set(error, ERROR_INPUT, "bad plan: line %d: %s", mistake.line, mistake.text);
        return NULL;
    }
    PlanReader r = {arena, error, ARENA_NEW(arena, Plan), "", -1};
    bool ok = read_numbers(&r, root) && read_names(&r, root) && read_params(&r, root) && read_graphs(&r, root);
    json_decref(root);
    return ok ? r.plan : NULL;
}

Plan *plan_read(Arena *arena, const unsigned char *bytes, size_t available, Error *error) {
    if (available < PLAN_HEADER || memcmp(bytes, PLAN_MAGIC, PLAN_MAGIC_BYTES) != 0) {
        error_set(error, ERROR_INPUT, "bad plan: it does not begin with \"ndplan\", 0, 1");
        return NULL;
    }
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[PLAN_MAGIC_BYTES + i];
    if (length > available - PLAN_HEADER) {
        error_set(error, ERROR_INPUT, "bad plan: %llu bytes expected, %zu found", (unsigned long long)length,
                  available - PLAN_HEADER);
        return NULL;
    }
    return plan_parse(arena, (const char *)bytes + PLAN_HEADER, length, error);
}
