/* codegen.c: a whole module: stages of all graphs, kernels and calls of all stages, the plan, the source texts. */
#include "codegen/codegen.h"

#include "base/parallel.h"

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

/* Of all programs, in the order of the graphs. */
static void name_scalars(const CgModule *module, IrGraph *const *graphs) {
    const CgOptions *options = module->options;
    for (int i = 0; i < module->program_count; i++)
        for (const IrNode *n = graphs[i]->first; n; n = n->next)
            if (n->op == OP_scalar)
                cg_name_scalar(module->names, options, ir_attr_get_string(n, "name", ""));
    if (options->ranks > 1 && !options->target->by_image) { /* where a rank's chunks begin */
        cg_name_scalar(module->names, options, "batch");
        cg_name_scalar(module->names, options, "first_chunk");
    }
}

static CgModule *module_create(Arena *arena, IrModule *ir, int graph_count, const CgOptions *options) {
    CgModule *module = cg_module_create(arena, ir, options, options->tiles ? options->tiles : cg_tiles_create(arena));
    module->program_count = graph_count;
    module->programs = ARENA_ARRAY(arena, CgProgram *, graph_count);
    module->graphs = ARENA_ARRAY(arena, PlanGraph, graph_count);
    return module;
}

/* One graph's stages and kernels. */
typedef struct Piece {
    CgModule *module; /* its own */
    IrGraph *graph;
    int64_t prepared_base;
    CgProgram *program;
    PlanGraph *calls; /* NULL: stages are all that is wanted */
} Piece;

static void make_piece(void *data, int index) {
    Piece *piece = (Piece *)data + index;
    CgModule *module = piece->module;
    piece->program = cg_build_stages(module->arena, piece->graph, module->options, module->names, piece->prepared_base);
    if (piece->calls)
        module->options->target->emit_program(module, piece->program, piece->calls);
}

/* Each graph in a thread; then the module has everything as if one had been made after the other. */
static void make_programs(CgModule *module, IrGraph *const *graphs, bool emit) {
    Piece *pieces = ARENA_ARRAY(module->arena, Piece, module->program_count);
    name_scalars(module, graphs);
    for (int i = 0; i < module->program_count; i++) {
        pieces[i] =
            (Piece){cg_module_split(module), graphs[i], module->prepared_bytes, NULL, emit ? &module->graphs[i] : NULL};
        module->prepared_bytes = cg_prepared_end(graphs[i], module->options, module->prepared_bytes);
    }
    ir_module_find_param(module->ir, ""); /* brings its index up to date, which threads then only read */
    parallel_run(module->program_count, make_piece, pieces);
    for (int i = 0; i < module->program_count; i++) {
        module->programs[i] = pieces[i].program;
        if (!emit)
            continue;
        cg_module_join(module, pieces[i].module, &module->graphs[i]);
        cg_module_join_loops(module, pieces[i].module);
    }
    if (emit && module->options->target->finish)
        module->options->target->finish(module);
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
                   .prepared_bytes = module->prepared_bytes,
                   .scratch_bytes = module->scratch_bytes,
                   .graph_count = module->program_count,
                   .graphs = module->graphs};
    memcpy(plan->scalars, module->names->names, sizeof plan->scalars);
    plan->kernels = ARENA_ARRAY(module->arena, PlanKernel, plan->kernel_count);
    for (int i = 0; i < plan->kernel_count; i++)
        plan->kernels[i] = module->kernels[i].plan;
    make_params(module, plan);
    for (int i = 0; i < plan->graph_count; i++)
        make_graph(module->programs[i], &plan->graphs[i]);
    return plan;
}

/* ---- the whole ---- */

const Plan *cg_plan(Arena *arena, IrModule *ir, IrGraph *const *graphs, int graph_count, const CgOptions *options) {
    CgModule *module = module_create(arena, ir, graph_count, options);
    make_programs(module, graphs, true);
    return make_plan(module);
}

CgOutput *cg_generate(Arena *arena, IrModule *ir, IrGraph *const *graphs, int graph_count, const CgOptions *options) {
    CgModule *module = module_create(arena, ir, graph_count, options);
    make_programs(module, graphs, true);
    CgOutput *output = ARENA_NEW(arena, CgOutput);
    *output = (CgOutput){.plan = make_plan(module), .loop_count = module->loop_count, .loops = module->loops};
    if (!options->unit_count) {
        output->definitions = options->target->list_definitions(module, output->plan);
        return output;
    }
    output->unit_count = choose_unit_count(module);
    output->units = ARENA_ARRAY(arena, const char *, output->unit_count);
    for (int i = 0; i < output->unit_count; i++)
        output->units[i] = options->target->print_unit(module, output->plan, i, output->unit_count);
    return output;
}

const char *cg_print_stages(Arena *arena, IrModule *ir, IrGraph *const *graphs, int graph_count,
                            const CgOptions *options) {
    CgModule *module = module_create(arena, ir, graph_count, options);
    make_programs(module, graphs, false);
    Str out = str_create(arena);
    for (int i = 0; i < graph_count; i++)
        cg_print_program(module->programs[i], &out);
    return out.data;
}
