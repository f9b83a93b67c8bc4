/* target_c.c: what is known of C, and the units of its modules. */
#include "codegen/c/emit_c.h"
#include "codegen/c/loop_tiles.h"

static void add_kernel_table(const CgModule *module, Str *out) {
    str_add(out, "\n");
    for (int i = 0; i < module->kernel_count; i++)
        str_addf(out, "ND_HIDDEN NdKernel %s;\n", module->kernels[i].plan.name);
    str_add(out, "NdKernel *const nd_kernels[] = {");
    for (int i = 0; i < module->kernel_count; i++)
        str_addf(out, "%s%s,", i % 10 ? " " : "\n    ", module->kernels[i].plan.name);
    str_add(out, "\n    0};\n");
    if (module->options->precision == PRECISION_bf16) /* asked for by who loads the module */
        str_add(out, "#if defined(__AVX512BF16__)\nconst char nd_avx512bf16 = 1;\n#endif\n");
}

/* All are declared in every unit, and defined in one. */
static void add_functions(const CgModule *module, int unit, int unit_count, Str *out) {
    for (int i = 0; i < module->function_count; i++)
        str_addf(out, "ND_HIDDEN void %s%s;\n", module->functions[i].name, cg_loop_parameters);
    for (int i = unit; i < module->function_count; i += unit_count)
        str_addf(out, "\nND_HIDDEN void %s%s\n{\n%s}\n", module->functions[i].name, cg_loop_parameters,
                 module->functions[i].text);
}

static const CgDefinitions *list_definitions(const CgModule *module, const Plan *plan) {
    Arena *arena = module->arena;
    CgDefinitions *all = ARENA_NEW(arena, CgDefinitions);
    Str prelude = str_create(arena), table = str_create(arena);
    cg_c_add_prelude(&prelude, module->options);
    add_kernel_table(module, &table);
    cg_add_plan(module, plan, "", &table);
    *all = (CgDefinitions){.prelude = prelude.data, .table = table.data};
    all->list = ARENA_ARRAY(arena, CgDefinition, module->function_count + module->kernel_count);
    for (int i = 0; i < module->function_count; i++)
        all->list[all->count++] =
            (CgDefinition){module->functions[i].name,
                           arena_printf(arena, "%s\n{\n%s}\n", cg_loop_parameters, module->functions[i].text)};
    for (int i = 0; i < module->kernel_count; i++)
        all->list[all->count++] = (CgDefinition){module->kernels[i].plan.name, module->kernels[i].text};
    return all;
}

/* Kernels go to the units in turn: neighbours are alike in size, so the units are too. */
static const char *print_unit(const CgModule *module, const Plan *plan, int unit, int unit_count) {
    Str out = str_create(module->arena);
    str_add(&out, "/* Written by ndarts; docs/modules.md describes the interface. */\n");
    cg_c_add_prelude(&out, module->options);
    if (module->options->standalone)
        str_add(&out, "#undef ND_HIDDEN\n#define ND_HIDDEN static __attribute__((noinline))\n");
    add_functions(module, unit, unit_count, &out);
    for (int i = unit; i < module->kernel_count; i += unit_count)
        cg_add_kernel(module, &module->kernels[i], &out);
    if (unit == 0 && !module->options->standalone) {
        add_kernel_table(module, &out);
        cg_add_plan(module, plan, "", &out);
    }
    return out.data;
}

const CgTarget cg_target_c = {.id = TARGET_c,
                              .name = "c",
                              .source_suffix = "c",
                              .module_suffix = "so",
                              .kernel_head = "ND_HIDDEN void",
                              .most_chunks = 16,
                              .by_image = true,
                              .vectors = true,
                              .precisions = 1 << PRECISION_f32 | 1 << PRECISION_f64 | 1 << PRECISION_bf16,
                              .emit_program = cg_c_emit_program,
                              .print_unit = print_unit,
                              .list_definitions = list_definitions};
