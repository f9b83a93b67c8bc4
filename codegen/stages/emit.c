/* emit.c: what a module consists of while it is being emitted: kernels and functions, each text once, and their calls. */
#include "codegen/stages/emit.h"

#include "base/quote.h"

#include <string.h>

/* One comment line that names a node, its shape and its source line. */
static const char *describe_origin(Arena *arena, const IrNode *node) {
    Str s = str_create(arena);
    str_addf(&s, "%s: %%%d = %s %s", node->graph->name, node->id, ir_op_info[node->op].name,
             ir_type_string(arena, &node->type));
    if (node->tag)
        str_addf(&s, ", %s", node->tag);
    if (node->span.file)
        str_addf(&s, ", %s:%u", node->span.file->path, node->span.line);
    Str text = str_create(arena);
    quote_comment(&text, s.data);
    return text.data;
}

int cg_module_add_kernel(CgModule *module, const char *text, PlanDomain domain, const CgStep *const *steps, int count) {
    int number = (int)(intptr_t)str_map_get(&module->kernel_of_text, text) - 1;
    if (number < 0) {
        number = module->kernel_count;
        CgKernel kernel = {.plan = cg_describe_kernel(module->arena, module->options, domain, steps, count),
                           .text = arena_strdup(module->arena, text),
                           .origin = str_create(module->arena)};
        kernel.plan.name = arena_printf(module->arena, "nd_k%d", number);
        ARENA_PUSH(module->arena, module->kernels, module->kernel_count, module->kernel_capacity, kernel);
        str_map_set(&module->kernel_of_text, text, (void *)(intptr_t)(number + 1));
    }
    CgKernel *kernel = &module->kernels[number];
    if (kernel->use_count++ < CG_NAMED_ORIGINS)
        str_addf(&kernel->origin, "/* %s */\n", describe_origin(module->arena, steps[0]->node));
    return number;
}

const char *cg_module_add_function(CgModule *module, const char *text) {
    int number = (int)(intptr_t)str_map_get(&module->function_of_text, text) - 1;
    if (number < 0) {
        number = module->function_count;
        CgFunction function = {.name = arena_printf(module->arena, "nd_loop%d", number),
                               .text = arena_strdup(module->arena, text)};
        ARENA_PUSH(module->arena, module->functions, module->function_count, module->function_capacity, function);
        str_map_set(&module->function_of_text, text, (void *)(intptr_t)(number + 1));
    }
    return module->functions[number].name;
}

static void *copy(Arena *arena, const void *from, size_t bytes) {
    return memcpy(arena_alloc(arena, bytes), from, bytes);
}

PlanStep *cg_add_call(CgModule *module, PlanStage *stage, int kernel, int buffer_count, CgBuffer *const *buffers,
                      int int_count, const int64_t *ints) {
    PlanStep step = {.kernel = kernel, .buffer_count = buffer_count, .int_count = int_count};
    step.buffers = ARENA_ARRAY(module->arena, PlanBuffer, buffer_count);
    for (int i = 0; i < buffer_count; i++)
        step.buffers[i] = (PlanBuffer){buffers[i]->place, buffers[i]->offset};
    step.ints = copy(module->arena, ints, sizeof *ints * (size_t)int_count);
    ARENA_PUSH(module->arena, stage->steps, stage->step_count, stage->step_capacity, step);
    return &stage->steps[stage->step_count - 1];
}

void cg_add_stage(CgModule *module, PlanGraph *graph, bool prepared, PlanStage stage) {
    if (prepared)
        ARENA_PUSH(module->arena, graph->prepare, graph->prepare_count, graph->prepare_capacity, stage);
    else
        ARENA_PUSH(module->arena, graph->stages, graph->stage_count, graph->stage_capacity, stage);
}
