/* target_cuda.c: what is known of CUDA, and the units of its modules. */
#include "codegen/cuda/cuda_product.h"

static void add_room(const char *name, size_t size, Str *out) {
    if (size)
        str_addf(out, "\nextern \"C\" __device__ uint64_t %s[%zu] = {1};\n", name, (size + 7) / 8);
}

/* Not zero throughout: it shall be in the file. */
static void add_rooms(const CgModule *module, const Plan *plan, Str *out) {
    size_t size;
    plan_bytes(module->arena, plan, &size);
    add_room("nd_plan", size, out);
    add_room("nd_weights", module->options->weights_size, out);
}

/* Kernel i is in unit i modulo their number, as in C. */
static const char *print_unit(const CgModule *module, const Plan *plan, int unit, int unit_count) {
    Str out = str_create(module->arena);
    str_add(&out, "/* Written by ndarts; docs/modules.md describes the interface. */\n");
    cg_cuda_add_prelude(&out, module->options, module->names, module->counter_count);
    for (int i = unit; i < module->kernel_count; i += unit_count)
        cg_add_kernel(module, &module->kernels[i], &out);
    if (unit == 0 && module->options->rooms)
        add_rooms(module, plan, &out);
    else if (unit == 0)
        cg_add_plan(module, plan, "extern \"C\" __device__ ", &out);
    return out.data;
}

static const WideDevice wide = {.target = "cuda",
                                .most_windows = WINDOW_MOST_INLINE,
                                .most_taps = WINDOW_MOST_TAPS,
                                .makes_inside = product_makes_inside};
const CgTarget cg_target_cuda = {.id = TARGET_cuda,
                                 .name = "cuda",
                                 .source_suffix = "cu",
                                 .module_suffix = "cubin",
                                 .assembly_suffix = "ptx",
                                 .kernel_head = "extern \"C\" __global__ void",
                                 .most_chunks = 64,
                                 .wide = &wide,
                                 .precisions = 1 << PRECISION_f32 | 1 << PRECISION_f64 | 1 << PRECISION_tf32 |
                                               1 << PRECISION_bf16,
                                 .rooms = true,
                                 .kernels_of_unit = 16,
                                 .emit_program = cg_cuda_emit_program,
                                 .finish = cg_cuda_add_helpers,
                                 .print_unit = print_unit};
