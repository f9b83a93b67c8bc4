/* plan_print.c: a plan as JSON, which docs/modules.md describes; plan_read.c is the way back. */
#include "base/json.h"
#include "base/str.h"
#include "codegen/plan/plan_names.h"

#include <string.h>

static const char *word(const PlanWords *words, int number) {
    if (number < 0 || number >= words->count || !words->words[number])
        bug("a plan has no word for %d", number);
    return words->words[number];
}

/* ---- tensors ---- */

static json_t *shape_json(const IrType *type) {
    json_t *array = json_array();
    for (int i = 0; i < type->rank; i++)
        json_append(array, json_integer(type->dim[i]));
    return array;
}

static json_t *order_json(const PlanTensor *tensor) {
    json_t *array = json_array();
    for (int i = 0; i < tensor->type.rank; i++)
        json_append(array, json_integer(tensor->order[i]));
    return array;
}

static json_t *tensor_json(const PlanTensor *tensor) {
    json_t *object = json_object();
    json_add(object, "name", json_text(tensor->name));
    json_add(object, "dtype", json_text(word(&plan_dtypes, tensor->type.dtype)));
    json_add(object, "shape", shape_json(&tensor->type));
    json_add(object, "order", order_json(tensor));
    return object;
}

static json_t *params_json(const Plan *plan) {
    json_t *array = json_array();
    for (int i = 0; i < plan->param_count; i++) {
        const PlanTensor *param = &plan->params[i];
        json_t *object = tensor_json(param);
        json_add(object, "offset", json_integer(param->offset));
        json_add(object, "kind", json_text(word(&plan_param_kinds, param->kind)));
        json_add(object, "init", json_text(word(&plan_inits, param->init)));
        json_add(object, "init_scale", json_number(param->init_scale));
        json_add(object, "auxiliary", json_boolean(param->auxiliary));
        json_append(array, object);
    }
    return array;
}

static json_t *inputs_json(const PlanGraph *graph) {
    json_t *array = json_array();
    for (int i = 0; i < graph->input_count; i++)
        json_append(array, tensor_json(&graph->inputs[i]));
    return array;
}

static json_t *outputs_json(const PlanGraph *graph) {
    json_t *array = json_array();
    for (int i = 0; i < graph->output_count; i++) {
        json_t *object = tensor_json(&graph->outputs[i]);
        json_add(object, "place", json_text(word(&plan_places, graph->outputs[i].place)));
        json_add(object, "offset", json_integer(graph->outputs[i].offset));
        json_append(array, object);
    }
    return array;
}

/* ---- steps ---- */

/* "3 i0 s256 p0 #77": a kernel, its buffers, its constants; where threads are started, then "*images 4096"; where it is
 * called by choice, then "?2:1,3": where choice 2 is 1 or 3. The first of a launch ends with "<4,7": the launches it waits
 * for. */
static void add_step(const Plan *plan, const PlanStep *step, bool first, Str *text) {
    str_addf(text, "%s%d", text->length ? ";" : "", step->kernel);
    for (int i = 0; i < step->buffer_count; i++) {
        char letter = plan_place_letters[step->buffers[i].place];
        if (!letter)
            bug("a buffer without a place");
        str_addf(text, " %c%lld", letter, (long long)step->buffers[i].offset);
    }
    for (int i = 0; i < step->int_count; i++)
        str_addf(text, " #%lld", (long long)step->ints[i]);
    if (plan_starts_threads[plan->target])
        str_addf(text, " *%s %lld", word(&plan_launches, step->launch), (long long)step->threads);
    if (step->when.choice)
        str_addf(text, " ?%d", step->when.choice - 1);
    for (int c = 0, count = 0; step->when.choice && c < IR_MAX_CASES; c++)
        if (step->when.cases >> c & 1)
            str_addf(text, "%c%d", count++ ? ',' : ':', c);
    if (plan_starts_threads[plan->target] && first)
        str_add(text, " <");
    for (int i = 0; i < step->wait_count; i++)
        str_addf(text, "%s%d", i ? "," : "", step->waits[i]);
}

/* ["w64", "w128"] */
static json_t *choices_json(const PlanGraph *graph) {
    json_t *array = json_array();
    for (int i = 0; i < graph->choice_count; i++) {
        const PlanBuffer *b = &graph->choices[i];
        json_append(array, json_sprintf("%c%lld", plan_place_letters[b->place], (long long)b->offset));
    }
    return array;
}

/* There are tens of thousands of steps: a list of objects would take most of the time that opening a module takes. */
static json_t *stages_json(const Plan *plan, const PlanStage *stages, int count) {
    json_t *array = json_array();
    Arena *arena = arena_create();
    for (int i = 0; i < count; i++) {
        Str steps = str_create(arena);
        for (int j = 0, end = 0; j < stages[i].step_count; j++) {
            add_step(plan, &stages[i].steps[j], j == end, &steps);
            end = j == end ? end + plan_count_together(&stages[i], j) : end;
        }
        json_append(array,
                    json_pack("{s:s,s:s}", "domain", word(&plan_domains, stages[i].domain), "steps", steps.data));
    }
    arena_destroy(arena);
    return array;
}

static json_t *graphs_json(Arena *arena, const Plan *plan) {
    json_t *array = json_array();
    for (int i = 0; i < plan->graph_count; i++) {
        const PlanGraph *graph = &plan->graphs[i];
        json_t *object = json_object();
        json_add(object, "name", json_text(graph_kind_name(graph->kind)));
        json_add(object, "work_bytes", json_integer(graph->work_bytes));
        json_add(object, "private_bytes", json_integer(graph->private_bytes));
        json_add(object, "inputs", inputs_json(graph));
        json_add(object, "outputs", outputs_json(graph));
        json_add(object, "prepare", stages_json(plan, graph->prepare, graph->prepare_count));
        json_add(object, "stages", stages_json(plan, graph->stages, graph->stage_count));
        if (plan_starts_threads[plan->target])
            json_add(object, "chain", json_integer(plan_longest_chain(arena, graph)));
        if (graph->choice_count) {
            json_add(object, "choices", choices_json(graph));
            json_add(object, "choosing", json_integer(graph->choosing_count));
        }
        json_append(array, object);
    }
    return array;
}

/* ---- the whole ---- */

static json_t *scalars_json(const Plan *plan) {
    json_t *array = json_array();
    for (int i = 0; i < plan->scalar_count; i++)
        json_append(array, json_text(plan->scalars[i]));
    return array;
}

static json_t *kernel_json(const PlanKernel *kernel) {
    json_t *object = json_pack("{s:s,s:o,s:I,s:I}", "name", kernel->name, "origin", json_text(kernel->origin), "flops",
                               (json_int_t)kernel->flops, "bytes", (json_int_t)kernel->bytes);
    if (kernel->tensor)
        json_add(object, "tensor", json_true());
    if (plan_conv_kind(&kernel->conv) != CONV_none) {
        json_t *conv = json_pack("[i,i,i]", kernel->conv.input, kernel->conv.output, kernel->conv.weight);
        for (int i = 0; i < CONV_NUMBERS; i++)
            json_append(conv, json_integer(kernel->conv.shape[i]));
        json_add(object, "conv", conv);
    }
    return object;
}

static json_t *kernels_json(const Plan *plan) {
    json_t *array = json_array();
    for (int i = 0; i < plan->kernel_count; i++)
        json_append(array, kernel_json(&plan->kernels[i]));
    return array;
}

const char *plan_print(Arena *arena, const Plan *plan) {
    json_t *object = json_object();
    json_add(object, "version", json_integer(PLAN_VERSION));
    json_add(object, "target", json_text(word(&plan_targets, plan->target)));
    json_add(object, "precision", json_text(word(&plan_precisions, plan->precision)));
    json_add(object, "vector_bytes", json_integer(plan->vector_bytes));
    json_add(object, "bands", json_boolean(plan->bands));
    json_add(object, "batch", json_integer(plan->batch));
    json_add(object, "chunks", json_integer(plan->chunks));
    if (plan->ranks > 1)
        json_add(object, "ranks", json_integer(plan->ranks));
    json_add(object, "scalars", scalars_json(plan));
    json_add(object, "kernels", kernels_json(plan));
    json_add(object, "scratch_bytes", json_integer(plan->scratch_bytes));
    json_add(object, "state_bytes", json_integer(plan->state_bytes));
    json_add(object, "params", params_json(plan));
    json_add(object, "prepared_bytes", json_integer(plan->prepared_bytes));
    json_add(object, "graphs", graphs_json(arena, plan));
    const char *text = json_print(arena, object, JSON_COMPACT);
    json_decref(object);
    return text;
}

unsigned char *plan_bytes(Arena *arena, const Plan *plan, size_t *size) {
    const char *json = plan_print(arena, plan);
    uint64_t length = strlen(json);
    unsigned char *bytes = arena_alloc(arena, PLAN_HEADER + length);
    memcpy(bytes, PLAN_MAGIC, PLAN_MAGIC_BYTES);
    for (int i = 0; i < 8; i++)
        bytes[PLAN_MAGIC_BYTES + i] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + PLAN_HEADER, json, length);
    *size = PLAN_HEADER + length;
    return bytes;
}
