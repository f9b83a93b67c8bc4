/* plan.c: the plan that a module carries, as JSON; docs/modules.md describes it. */
#include "codegen/stages/emit.h"

#include "base/json.h"

#include <string.h>

static json_t *shape_json(const IrType *type) {
    json_t *array = json_array();
    for (int i = 0; i < type->rank; i++)
        json_append(array, json_integer(type->dim[i]));
    return array;
}

static json_t *order_json(const IrType *type) {
    json_t *array = json_array();
    int order[IR_MAX_RANK];
    cg_memory_order(type, order);
    for (int i = 0; i < type->rank; i++)
        json_append(array, json_integer(order[i]));
    return array;
}

static const char *dtype_name(IrDtype dtype) {
    return dtype == DTYPE_f32 ? "f32" : dtype == DTYPE_i32 ? "i32" : "u8";
}

static const char *place_name(IrPlace place) {
    static const char *const names[] = {
        [PLACE_none] = "none", [PLACE_state] = "state",     [PLACE_input] = "input",
        [PLACE_work] = "work", [PLACE_private] = "private", [PLACE_prepared] = "prepared"};
    return names[place];
}

char cg_place_letter(IrPlace place) {
    switch (place) {
    case PLACE_state:
        return 's';
    case PLACE_input:
        return 'i';
    case PLACE_work:
        return 'w';
    case PLACE_private:
        return 'p';
    case PLACE_prepared:
        return 'r';
    default:
        bug("a buffer without a place");
    }
}

static json_t *value_json(const char *name, const IrType *type) {
    json_t *object = json_object();
    json_add(object, "name", json_text(name));
    json_add(object, "dtype", json_text(dtype_name(type->dtype)));
    json_add(object, "shape", shape_json(type));
    json_add(object, "order", order_json(type));
    return object;
}

static json_t *params_json(const CgModule *module) {
    static const char *const kinds[] = {[PARAM_weight] = "weight",
                                        [PARAM_alpha] = "alpha",
                                        [PARAM_statistic] = "statistic",
                                        [PARAM_optimizer] = "optimizer"};
    static const char *const inits[] = {
        [INIT_zeros] = "zeros", [INIT_ones] = "ones", [INIT_uniform_fan_in] = "uniform", [INIT_normal] = "normal"};
    json_t *array = json_array();
    const int64_t *offsets = cg_state_offsets(module->arena, module->ir, module->options);
    for (int i = 0; i < module->ir->param_count; i++) {
        const IrParam *param = &module->ir->params[i];
        json_t *object = value_json(param->name, &param->type);
        json_add(object, "offset", json_integer(offsets[i]));
        json_add(object, "kind", json_text(kinds[param->kind]));
        json_add(object, "init", json_text(inits[param->init]));
        json_add(object, "init_scale", json_number(param->init_scale));
        json_add(object, "auxiliary", json_boolean(param->auxiliary));
        json_append(array, object);
    }
    return array;
}

/* ---- graphs ---- */

static json_t *inputs_json(const IrGraph *graph) {
    json_t *array = json_array();
    for (const IrNode *n = graph->first; n; n = n->next)
        if (n->op == OP_input)
            json_append(array, value_json(ir_attr_get_string(n, "name", ""), &n->type));
    return array;
}

static json_t *outputs_json(const CgProgram *program) {
    json_t *array = json_array();
    for (int i = 0; i < program->graph->output_count; i++) {
        const IrOutput *output = &program->graph->outputs[i];
        const CgBuffer *buffer = program->buffer_of[output->value->id];
        if (!buffer || buffer->place == PLACE_private)
            bug("output \"%s\" of @%s has no memory that outlives its stage", output->name, program->graph->name);
        json_t *object = value_json(output->name, &output->value->type);
        json_add(object, "place", json_text(place_name(buffer->place)));
        json_add(object, "offset", json_integer(buffer->offset));
        json_append(array, object);
    }
    return array;
}

/* "3 i0 s256 p0 #77": a kernel, its buffers, its constants; on CUDA then "*images 4096". */
static void add_call(const CgModule *module, const CgCall *call, Str *text) {
    static const char *const launches[] = {
        [LAUNCH_once] = "once", [LAUNCH_images] = "images", [LAUNCH_chunks] = "chunks"};
    str_addf(text, "%s%d", text->length ? ";" : "", call->kernel);
    for (int i = 0; i < call->buffer_count; i++)
        str_addf(text, " %c%lld", cg_place_letter(call->buffers[i]->place), (long long)call->buffers[i]->offset);
    for (int i = 0; i < call->int_count; i++)
        str_addf(text, " #%lld", (long long)call->ints[i]);
    if (module->options->target == TARGET_cuda)
        str_addf(text, " *%s %lld", launches[call->launch], (long long)call->threads);
}

/* There are tens of thousands of steps: a list of objects would take most of the time that opening a module takes. */
static json_t *stages_json(const CgModule *module, const CgCallStage *stages, int count, bool prepared) {
    static const char *const domains[] = {
        [DOMAIN_images] = "images", [DOMAIN_parallel] = "parallel", [DOMAIN_serial] = "serial"};
    json_t *array = json_array();
    Arena *arena = arena_create();
    for (int i = 0; i < count; i++) {
        if (stages[i].prepared != prepared)
            continue;
        Str steps = str_create(arena);
        for (int j = 0; j < stages[i].call_count; j++)
            add_call(module, &stages[i].calls[j], &steps);
        json_append(array, json_pack("{s:s,s:s}", "domain", domains[stages[i].domain], "steps", steps.data));
    }
    arena_destroy(arena);
    return array;
}

static json_t *graphs_json(const CgModule *module) {
    json_t *array = json_array();
    for (int i = 0; i < module->program_count; i++) {
        const CgProgram *program = module->programs[i];
        json_t *object = json_object();
        json_add(object, "name", json_text(program->graph->name));
        json_add(object, "work_bytes", json_integer(program->work_bytes));
        json_add(object, "private_bytes", json_integer(program->private_bytes));
        json_add(object, "inputs", inputs_json(program->graph));
        json_add(object, "outputs", outputs_json(program));
        json_add(object, "prepare", stages_json(module, module->stages[i], module->stage_counts[i], true));
        json_add(object, "stages", stages_json(module, module->stages[i], module->stage_counts[i], false));
        json_append(array, object);
    }
    return array;
}

static json_t *names_json(const CgModule *module) {
    json_t *array = json_array();
    for (int i = 0; i < module->names->count; i++)
        json_append(array, json_text(module->names->names[i]));
    return array;
}

static json_t *kernel_json(const CgKernel *kernel) {
    json_t *object = json_pack("{s:s,s:o,s:I,s:I}", "name", kernel->name, "origin", json_text(kernel->purpose), "flops",
                               (json_int_t)kernel->work.flops, "bytes", (json_int_t)kernel->work.bytes);
    if (strstr(kernel->text, "nd_mma_"))
        json_add(object, "tensor", json_true());
    if (cg_conv_kind(&kernel->conv) != CONV_none) {
        json_t *conv = json_pack("[i,i,i]", kernel->conv.input, kernel->conv.output, kernel->conv.weight);
        for (int i = 0; i < CONV_NUMBERS; i++)
            json_append(conv, json_integer(kernel->conv.shape[i]));
        json_add(object, "conv", conv);
    }
    return object;
}

static json_t *kernels_json(const CgModule *module) {
    json_t *array = json_array();
    for (int i = 0; i < module->kernel_count; i++)
        json_append(array, kernel_json(&module->kernels[i]));
    return array;
}

const char *cg_plan_json(CgModule *module) {
    const CgOptions *options = module->options;
    int64_t prepared = 0;
    for (int i = 0; i < module->program_count; i++)
        prepared = module->programs[i]->prepared_bytes;
    json_t *plan = json_object();
    json_add(plan, "version", json_integer(CG_PLAN_VERSION));
    json_add(plan, "target", json_text(options->target == TARGET_c ? "c" : "cuda"));
    json_add(plan, "precision", json_text(cg_precision_name(options->precision)));
    json_add(plan, "vector_bytes", json_integer(options->vector_bytes));
    json_add(plan, "bands", json_boolean(options->bands));
    json_add(plan, "batch", json_integer(options->batch));
    json_add(plan, "chunks", json_integer(options->chunks));
    json_add(plan, "scalars", names_json(module));
    json_add(plan, "kernels", kernels_json(module));
    json_add(plan, "scratch_bytes", json_integer(module->scratch_bytes));
    json_add(plan, "state_bytes",
             json_integer(cg_state_offsets(module->arena, module->ir, options)[module->ir->param_count]));
    json_add(plan, "params", params_json(module));
    json_add(plan, "prepared_bytes", json_integer(prepared));
    json_add(plan, "graphs", graphs_json(module));
    const char *text = json_print(module->arena, plan, JSON_COMPACT);
    json_decref(plan);
    return text;
}

unsigned char *cg_plan_bytes(Arena *arena, const char *json, size_t *size) {
    uint64_t length = strlen(json);
    unsigned char *bytes = arena_alloc(arena, 16 + length);
    memcpy(bytes, "ndplan\0\1", 8);
    for (int i = 0; i < 8; i++)
        bytes[8 + i] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + 16, json, length);
    *size = 16 + length;
    return bytes;
}
