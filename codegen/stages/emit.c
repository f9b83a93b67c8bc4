/* emit.c: what a module consists of while it is being emitted: kernels and functions, each text once, and their calls. */
#include "codegen/stages/emit.h"

#include "base/hash.h"
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

static int find_text(const StrMap *numbers, const char *text) {
    return (int)(intptr_t)str_map_get(numbers, text) - 1;
}

static void note_origin(CgKernel *kernel, const char *origin) {
    if (kernel->use_count < CG_NAMED_ORIGINS)
        kernel->origins[kernel->use_count] = origin;
    kernel->use_count++;
}

/* Under the next number; text stays where it is. */
static int enter_kernel(CgModule *module, CgKernel kernel) {
    int number = module->kernel_count;
    kernel.plan.name = arena_printf(module->arena, "nd_k%d", number);
    ARENA_PUSH(module->arena, module->kernels, module->kernel_count, module->kernel_capacity, kernel);
    str_map_set(&module->kernel_of_text, kernel.text, (void *)(intptr_t)(number + 1));
    return number;
}

int cg_module_add_kernel(CgModule *module, const char *text, PlanDomain domain, const CgStep *const *steps, int count) {
    int number = find_text(&module->kernel_of_text, text);
    if (number < 0)
        number = enter_kernel(
            module, (CgKernel){.plan = cg_describe_kernel(module->arena, module->options, domain, steps, count),
                               .text = arena_strdup(module->arena, text)});
    CgKernel *kernel = &module->kernels[number];
    note_origin(kernel, kernel->use_count < CG_NAMED_ORIGINS ? describe_origin(module->arena, steps[0]->node) : NULL);
    return number;
}

static void enter_function(CgModule *module, CgFunction function) {
    ARENA_PUSH(module->arena, module->functions, module->function_count, module->function_capacity, function);
    str_map_set(&module->function_of_text, function.text, (void *)(intptr_t)module->function_count);
}

const char *cg_module_add_function(CgModule *module, const char *text) {
    int number = find_text(&module->function_of_text, text);
    if (number >= 0)
        return module->functions[number].name;
    const char *name = arena_printf(module->arena, "nd_loop_%016llx", (unsigned long long)hash_string(text));
    enter_function(module, (CgFunction){name, arena_strdup(module->arena, text)});
    return name;
}

/* ---- parts ---- */

static CgModule *create(Arena *arena, IrModule *ir, const CgOptions *options, CgNames *names, const CgTiles *tiles) {
    CgModule *module = ARENA_NEW(arena, CgModule);
    *module = (CgModule){.arena = arena,
                         .ir = ir,
                         .options = options,
                         .names = names,
                         .kernel_of_text = str_map_create(arena),
                         .function_of_text = str_map_create(arena),
                         .function_of_shape = str_map_create(arena),
                         .loop_of_key = str_map_create(arena),
                         .tiles = tiles};
    return module;
}

CgModule *cg_module_create(Arena *arena, IrModule *ir, const CgOptions *options, const CgTiles *tiles) {
    return create(arena, ir, options, ARENA_NEW(arena, CgNames), tiles);
}

CgModule *cg_module_split(CgModule *whole) {
    return create(arena_create_in(whole->arena), whole->ir, whole->options, whole->names, whole->tiles);
}

static int join_kernel(CgModule *whole, const CgKernel *kernel) {
    int number = find_text(&whole->kernel_of_text, kernel->text);
    if (number < 0)
        return enter_kernel(whole, *kernel);
    CgKernel *known = &whole->kernels[number];
    for (int i = 0; i < kernel->use_count; i++)
        note_origin(known, i < CG_NAMED_ORIGINS ? kernel->origins[i] : NULL);
    if (kernel->attributes)
        known->attributes = kernel->attributes;
    return number;
}

static void renumber(PlanStage *stages, int count, const int *numbers) {
    for (int i = 0; i < count; i++)
        for (int j = 0; j < stages[i].step_count; j++)
            if (stages[i].steps[j].kernel != PLAN_NO_KERNEL)
                stages[i].steps[j].kernel = numbers[stages[i].steps[j].kernel];
}

void cg_module_join(CgModule *whole, const CgModule *part, PlanGraph *graph) {
    int *numbers = ARENA_ARRAY(part->arena, int, part->kernel_count);
    for (int i = 0; i < part->kernel_count; i++)
        numbers[i] = join_kernel(whole, &part->kernels[i]);
    for (int i = 0; i < part->function_count; i++)
        if (find_text(&whole->function_of_text, part->functions[i].text) < 0)
            enter_function(whole, part->functions[i]);
    renumber(graph->prepare, graph->prepare_count, numbers);
    renumber(graph->stages, graph->stage_count, numbers);
    if (part->scratch_bytes > whole->scratch_bytes)
        whole->scratch_bytes = part->scratch_bytes;
    if (part->counter_count > whole->counter_count)
        whole->counter_count = part->counter_count;
}

/* ---- calls ---- */

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
