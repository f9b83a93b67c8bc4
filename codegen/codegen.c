/* codegen.c: a whole module: stages of all graphs, kernels and calls of all stages, the plan, the source texts. */
#include "codegen/codegen.h"

#include <string.h>

/* ---- the module ---- */

#define TARGET(name, starts_threads) &cg_target_##name,
const CgTarget *const cg_targets[] = {
#include "codegen/plan/targets.def"
};
#undef TARGET

const CgTarget *cg_target_find(const char *name) {
    for (int i = 0; i < TARGET_COUNT; i++)
        if (str_equal(cg_targets[i]->name, name))
            return cg_targets[i];
    return NULL;
}

int cg_chunk_count(const CgTarget *target, int64_t batch) {
    return batch < target->most_chunks ? (int)batch : target->most_chunks;
}

static void build_programs(CgModule *module, IrGraph *const *graphs, int graph_count) {
    int64_t prepared = 0;
    module->program_count = graph_count;
    module->programs = ARENA_ARRAY(module->arena, CgProgram *, graph_count);
    for (int i = 0; i < graph_count; i++) {
        module->programs[i] = cg_build_stages(module->arena, graphs[i], module->options, module->names, prepared);
        prepared = module->programs[i]->prepared_bytes;
    }
}

static void emit_programs(CgModule *module) {
    const CgTarget *target = module->options->target;
    module->graphs = ARENA_ARRAY(module->arena, PlanGraph, module->program_count);
    for (int i = 0; i < module->program_count; i++)
        target->emit_program(module, module->programs[i], &module->graphs[i]);
    if (target->finish)
        target->finish(module);
}

static CgModule *module_create(Arena *arena, IrModule *ir, IrGraph *const *graphs, int graph_count,
                               const CgOptions *options) {
    CgModule *module = ARENA_NEW(arena, CgModule);
    *module = (CgModule){.arena = arena,
                         .ir = ir,
                         .options = options,
                         .names = ARENA_NEW(arena, CgNames),
                         .kernel_of_text = str_map_create(arena),
                         .function_of_text = str_map_create(arena),
                         .loop_of_key = str_map_create(arena),
                         .tiles = options->tiles ? options->tiles : cg_tiles_create(arena)};
    build_programs(module, graphs, graph_count);
    return module;
}

static int choose_unit_count(const CgModule *module) {
    int each = module->options->target->kernels_of_unit, most = module->options->unit_count;
    int wanted = each ? 1 + module->kernel_count / each : most;
    return wanted < most ? wanted : most;
}

/* ---- the plan ---- */

static PlanTensor make_tensor(const char *name, const IrType *type, IrPlace place, int64_t offset) {
    PlanTensor tensor = {.name = name, .type = *type, .place = place, .offset = offset};
    cg_memory_order(type, tensor.order);
    return tensor;
}

static void make_params(const CgModule *module, Plan *plan) {
    const int64_t *offsets = cg_state_offsets(module->arena, module->ir, module->options);
    plan->param_count = module->ir->param_count;
    plan->params = ARENA_ARRAY(module->arena, PlanTensor, plan->param_count);
    plan->state_bytes = offsets[plan->param_count];
    for (int i = 0; i < plan->param_count; i++) {
        const IrParam *param = &module->ir->params[i];
        PlanTensor *tensor = &plan->params[i];
        *tensor = make_tensor(param->name, &param->type, PLACE_state, offsets[i]);
        tensor->kind = param->kind;
        tensor->init = param->init;
        tensor->init_scale = param->init_scale;
        tensor->auxiliary = param->auxiliary;
    }
}

static void make_inputs(Arena *arena, const IrGraph *graph, PlanGraph *to) {
    int capacity = 0;
    for (const IrNode *n = graph->first; n; n = n->next) {
        if (n->op != OP_input)
            continue;
        PlanTensor input = make_tensor(ir_attr_get_string(n, "name", ""), &n->type, PLACE_input, to->input_count);
        ARENA_PUSH(arena, to->inputs, to->input_count, capacity, input);
    }
}

static void make_outputs(const CgProgram *program, PlanGraph *to) {
    to->output_count = program->graph->output_count;
    to->outputs = ARENA_ARRAY(program->arena, PlanTensor, to->output_count);
    for (int i = 0; i < to->output_count; i++) {
        const IrOutput *output = &program->graph->outputs[i];
        const CgBuffer *buffer = program->buffer_of[output->value->id];
        if (!buffer || buffer->place == PLACE_private)
            bug("output \"%s\" of @%s has no memory that outlives its stage", output->name, program->graph->name);
        to->outputs[i] = make_tensor(output->name, &output->value->type, buffer->place, buffer->offset);
    }
}

/* graph has the calls already. */
static void make_graph(const CgProgram *program, PlanGraph *graph) {
    if (!graph_kind_parse(program->graph->name, &graph->kind))
        bug("@%s is not the name of a step graph", program->graph->name);
    graph->changes_state = graph_kind_is_training(graph->kind);
    graph->work_bytes = program->work_bytes;
    graph->private_bytes = program->private_bytes;
    graph->choice_count = program->choice_count;
    graph->choices = ARENA_ARRAY(program->arena, PlanBuffer, graph->choice_count);
    for (int i = 0; i < graph->choice_count; i++) {
        const CgBuffer *buffer = program->buffer_of[program->choices[i]->id];
        graph->choices[i] = (PlanBuffer){buffer->place, buffer->offset};
    }
    make_inputs(program->arena, program->graph, graph);
    make_outputs(program, graph);
}

static Plan *make_plan(CgModule *module) {
    const CgOptions *options = module->options;
    Plan *plan = ARENA_NEW(module->arena, Plan);
    *plan = (Plan){.target = options->target->id,
                   .precision = options->precision,
                   .vector_bytes = options->vector_bytes,
                   .bands = options->bands,
                   .batch = options->batch,
                   .chunks = options->chunks,
                   .ranks = options->ranks > 1 ? options->ranks : 1,
                   .scalar_count = module->names->count,
                   .kernel_count = module->kernel_count,
                   .scratch_bytes = module->scratch_bytes,
                   .graph_count = module->program_count,
                   .graphs = module->graphs};
    memcpy(plan->scalars, module->names->names, sizeof plan->scalars);
    plan->kernels = ARENA_ARRAY(module->arena, PlanKernel, plan->kernel_count);
    for (int i = 0; i < plan->kernel_count; i++)
        plan->kernels[i] = module->kernels[i].plan;
    make_params(module, plan);
    for (int i = 0; i < plan->graph_count; i++) {
        make_graph(module->programs[i], &plan->graphs[i]);
        plan->prepared_bytes = module->programs[i]->prepared_bytes;
    }
    return plan;
}

/* ---- the whole ---- */

const Plan *cg_plan(Arena *arena, IrModule *ir, IrGraph *const *graphs, int graph_count, const CgOptions *options) {
    CgModule *module = module_create(arena, ir, graphs, graph_count, options);
    emit_programs(module);
    return make_plan(module);
}

CgOutput *cg_generate(Arena *arena, IrModule *ir, IrGraph *const *graphs, int graph_count, const CgOptions *options) {
    CgModule *module = module_create(arena, ir, graphs, graph_count, options);
    emit_programs(module);
    CgOutput *output = ARENA_NEW(arena, CgOutput);
    *output = (CgOutput){.unit_count = choose_unit_count(module),
                         .plan = make_plan(module),
                         .loop_count = module->loop_count,
                         .loops = module->loops};
    if (options->target->list_definitions)
        output->definitions = options->target->list_definitions(module, output->plan);
    output->units = ARENA_ARRAY(arena, const char *, output->unit_count);
    for (int i = 0; i < output->unit_count; i++)
        output->units[i] = options->target->print_unit(module, output->plan, i, output->unit_count);
    return output;
}

const char *cg_print_stages(Arena *arena, IrModule *ir, IrGraph *const *graphs, int graph_count,
                            const CgOptions *options) {
    CgModule *module = module_create(arena, ir, graphs, graph_count, options);
    Str out = str_create(arena);
    for (int i = 0; i < graph_count; i++)
        cg_print_program(module->programs[i], &out);
    return out.data;
}
