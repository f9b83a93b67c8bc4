/* codegen.c: a whole module: stages of all graphs, kernels and calls of all stages, the plan, the source texts. */
#include "codegen/stages/emit.h"

#include "base/quote.h"

#include <string.h>

enum { NAMED_ORIGINS = 4 };

const char *cg_describe_origin(Arena *arena, const IrNode *node) {
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

int cg_module_add_kernel(CgModule *module, const char *text, CgDomain domain, const CgStep *const *steps, int count) {
    int number = (int)(intptr_t)str_map_get(&module->kernel_of_text, text) - 1;
    if (number < 0) {
        number = module->kernel_count;
        CgKernel kernel = {.name = arena_printf(module->arena, "nd_k%d", number),
                           .text = arena_strdup(module->arena, text),
                           .origin = str_create(module->arena),
                           .purpose = cg_describe_purpose(module->arena, steps, count),
                           .work = cg_count_work(module->options, domain, steps, count)};
        ARENA_PUSH(module->arena, module->kernels, module->kernel_count, module->kernel_capacity, kernel);
        str_map_set(&module->kernel_of_text, text, (void *)(intptr_t)(number + 1));
    }
    CgKernel *kernel = &module->kernels[number];
    if (kernel->use_count++ < NAMED_ORIGINS)
        str_addf(&kernel->origin, "/* %s */\n", cg_describe_origin(module->arena, steps[0]->node));
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

const char *cg_module_add_loop(CgModule *module, CgLoop loop) {
    Arena *arena = arena_create();
    loop.key = cg_loop_key(arena, &loop, module->options->precision);
    loop.shape.tile = cg_tiles_find(module->tiles, loop.key);
    const char *name = cg_module_add_function(module, cg_loop_body(arena, &loop));
    if (!str_map_get(&module->loop_of_key, loop.key)) {
        loop.key = arena_strdup(module->arena, loop.key);
        str_map_set(&module->loop_of_key, loop.key, module);
        ARENA_PUSH(module->arena, module->loops, module->loop_count, module->loop_capacity, loop);
    }
    arena_destroy(arena);
    return name;
}

void cg_stage_add_call(CgModule *module, CgCallStage *stage, CgCall call) {
    ARENA_PUSH(module->arena, stage->calls, stage->call_count, stage->call_capacity, call);
}

void cg_add_byte_string(Str *s, const unsigned char *bytes, size_t size) {
    str_add(s, "    \"");
    for (size_t i = 0; i < size; i++) {
        if (i && i % 100 == 0)
            str_add(s, "\"\n    \"");
        if (bytes[i] == '"' || bytes[i] == '\\')
            str_addf(s, "\\%c", bytes[i]);
        else if (bytes[i] >= 32 && bytes[i] < 127 && bytes[i] != '?')
            str_addf(s, "%c", bytes[i]);
        else
            str_addf(s, "\\%03o", bytes[i]);
    }
    str_add(s, "\"");
}

/* ---- source ---- */

static void add_kernel(Str *out, const CgKernel *kernel) {
    str_add(out, "\n");
    str_add(out, kernel->origin.data);
    if (kernel->use_count > NAMED_ORIGINS)
        str_addf(out, "/* and %d more */\n", kernel->use_count - NAMED_ORIGINS);
    const char *name = strchr(kernel->text, '@');
    str_add_bytes(out, kernel->text, (size_t)(name - kernel->text));
    str_add(out, kernel->name);
    str_add(out, name + 1);
}

/* C++ insists on room for the literal's terminating zero. */
static void add_plan(const CgModule *module, const char *json, const char *qualifiers, Str *out) {
    size_t size;
    unsigned char *bytes = cg_plan_bytes(module->arena, json, &size);
    str_addf(out, "\n%sconst unsigned char nd_plan[%zu] =\n", qualifiers, size + 1);
    cg_add_byte_string(out, bytes, size);
    str_add(out, ";\n");
}

static void add_kernel_table(const CgModule *module, Str *out) {
    str_add(out, "\n");
    for (int i = 0; i < module->kernel_count; i++)
        str_addf(out, "ND_HIDDEN NdKernel %s;\n", module->kernels[i].name);
    str_add(out, "NdKernel *const nd_kernels[] = {");
    for (int i = 0; i < module->kernel_count; i++)
        str_addf(out, "%s%s,", i % 10 ? " " : "\n    ", module->kernels[i].name);
    str_add(out, "\n    0};\n");
}

/* All are declared in every unit, and defined in one. */
static void add_functions(const CgModule *module, int unit, Str *out) {
    static const char parameters[] =
        "(const T *restrict x, const T *restrict y, T *restrict z, int64_t from, int64_t to, int64_t first)";
    for (int i = 0; i < module->function_count; i++)
        str_addf(out, "ND_HIDDEN void %s%s;\n", module->functions[i].name, parameters);
    for (int i = unit; i < module->function_count; i += module->options->unit_count)
        str_addf(out, "\nND_HIDDEN void %s%s\n{\n%s}\n", module->functions[i].name, parameters,
                 module->functions[i].text);
}

/* Kernels go to the units in turn: neighbours are alike in size, so the units are too. */
static const char *c_unit(const CgModule *module, const char *json, int unit) {
    Str out = str_create(module->arena);
    str_add(&out, "/* Written by ndarts; docs/modules.md describes the interface. */\n");
    cg_c_add_prelude(&out, module->options);
    if (module->options->standalone)
        str_add(&out, "#undef ND_HIDDEN\n#define ND_HIDDEN static __attribute__((noinline))\n");
    add_functions(module, unit, &out);
    for (int i = unit; i < module->kernel_count; i += module->options->unit_count)
        add_kernel(&out, &module->kernels[i]);
    if (unit == 0 && !module->options->standalone) {
        add_kernel_table(module, &out);
        add_plan(module, json, "", &out);
    }
    return out.data;
}

static void add_room(const char *name, size_t size, Str *out) {
    if (size)
        str_addf(out, "\nextern \"C\" __device__ uint64_t %s[%zu] = {1};\n", name, (size + 7) / 8);
}

/* Not zero throughout: it shall be in the file. */
static void add_rooms(const CgModule *module, const char *json, Str *out) {
    size_t size;
    cg_plan_bytes(module->arena, json, &size);
    add_room("nd_plan", size, out);
    add_room("nd_weights", module->options->weights_size, out);
}

/* Kernel i is in unit i modulo their number, as in C. */
static const char *cuda_unit(const CgModule *module, const char *json, int unit, int unit_count) {
    Str out = str_create(module->arena);
    str_add(&out, "/* Written by ndarts; docs/modules.md describes the interface. */\n");
    cg_cuda_add_prelude(&out, module->options);
    for (int i = unit; i < module->kernel_count; i += unit_count)
        add_kernel(&out, &module->kernels[i]);
    if (unit == 0 && module->options->rooms)
        add_rooms(module, json, &out);
    else if (unit == 0)
        add_plan(module, json, "extern \"C\" __device__ ", &out);
    return out.data;
}

/* ---- the module ---- */

int cg_chunk_count(CgTarget target, int64_t batch) {
    int most = target == TARGET_cuda ? 64 : 16;
    return batch < most ? (int)batch : most;
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

static CgCallStage *emit_c_stages(CgModule *module, CgProgram *program) {
    CgCallStage *stages = ARENA_ARRAY(module->arena, CgCallStage, program->stage_count + 1);
    for (int i = 0; i < program->stage_count; i++) {
        stages[i].domain = program->stages[i]->domain;
        stages[i].prepared = program->stages[i]->prepared;
        cg_c_emit_stage(module, program, program->stages[i], &stages[i]);
    }
    return stages;
}

static void emit_programs(CgModule *module) {
    module->stages = ARENA_ARRAY(module->arena, CgCallStage *, module->program_count);
    module->stage_counts = ARENA_ARRAY(module->arena, int, module->program_count);
    for (int i = 0; i < module->program_count; i++) {
        CgProgram *program = module->programs[i];
        module->stage_counts[i] = program->stage_count;
        module->stages[i] = module->options->target == TARGET_c
                                ? emit_c_stages(module, program)
                                : cg_cuda_emit_program(module, program, &module->stage_counts[i]);
    }
    if (module->options->target == TARGET_cuda)
        cg_cuda_add_helpers(module);
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

/* A unit of CUDA pays for its prelude with as much time as one or two kernels take. */
static int choose_unit_count(const CgModule *module) {
    enum { KERNELS_OF_UNIT = 16 };
    int wanted = 1 + module->kernel_count / KERNELS_OF_UNIT, most = module->options->unit_count;
    return module->options->target == TARGET_cuda && wanted < most ? wanted : most;
}

CgOutput *cg_generate(Arena *arena, IrModule *ir, IrGraph *const *graphs, int graph_count, const CgOptions *options) {
    CgModule *module = module_create(arena, ir, graphs, graph_count, options);
    emit_programs(module);
    CgOutput *output = ARENA_NEW(arena, CgOutput);
    output->plan = cg_plan_json(module);
    output->precision = options->precision;
    output->unit_count = choose_unit_count(module);
    output->loop_count = module->loop_count;
    output->loops = module->loops;
    output->units = ARENA_ARRAY(arena, const char *, output->unit_count);
    for (int i = 0; i < output->unit_count; i++)
        output->units[i] = options->target == TARGET_c ? c_unit(module, output->plan, i)
                                                       : cuda_unit(module, output->plan, i, output->unit_count);
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
