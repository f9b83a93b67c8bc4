/* step_graph.c: the inference graph of a text. */
#include "runtime/step_graph.h"

#include "passes/pass.h"
#include "runtime/runtime.h"
#include "runtime/tensors.h"

#include <string.h>

IrGraph *rt_inference_graph(Arena *arena, const char *path, const char *const *sets, int set_count, bool fold,
                            Error *error) {
    static const char *const left_out[] = {"fuse-mixed-op", "recompute",   "split-reductions",
                                           "fuse",          "plan-memory", "fold-batch-norm"};
    enum { COUNT = sizeof left_out / sizeof left_out[0] };
    IrModule *module = rt_text_load(arena, path, sets, set_count, error);
    if (!module)
        return NULL;
    PassContext ctx = {.arena = arena,
                       .diag = diag_create(arena, stderr),
                       .module = module,
                       .kind = GRAPH_infer,
                       .batch = 1,
                       .chunks = 1,
                       .element_size = 4,
                       .disabled = left_out,
                       .disabled_count = fold ? COUNT - 1 : COUNT,
                       .out = stderr};
    IrGraph *graph = pipeline_build_graph(&ctx);
    if (!graph)
        error_set(error, ERROR_INPUT, "%s: no graph 'infer' can be made of this text", path);
    return graph;
}

/* ---- weights against the table of parameters ---- */

typedef struct Comparison {
    Arena *arena;
    Str list;
    int missing, different, left_over;
} Comparison;

static bool has_shape(const IrParam *param, const Tensor *tensor) {
    bool equal = param->type.rank == tensor->rank;
    for (int i = 0; equal && i < tensor->rank; i++)
        equal = param->type.dim[i] == tensor->shape[i];
    return equal;
}

static void compare_param(Comparison *c, const IrParam *param, const TensorFile *file) {
    const Tensor *tensor = tensor_find(file, param->name);
    const char *shape = rt_shape_string(c->arena, param->type.rank, param->type.dim);
    if (!tensor) {
        c->missing++;
        str_addf(&c->list, "  missing: %s %s\n", param->name, shape);
    } else if (!has_shape(param, tensor)) {
        c->different++;
        str_addf(&c->list, "  %s: expected %s, found %s\n", param->name, shape,
                 rt_shape_string(c->arena, tensor->rank, tensor->shape));
    }
}

static bool may_be_left_over(const char *name) {
    return strchr(name, '/') || str_starts_with(name, "alphas") || str_starts_with(name, "auxiliary_head.") ||
           str_ends_with(name, ".num_batches_tracked");
}

static void compare_tensor(Comparison *c, const IrModule *module, const Tensor *tensor) {
    if (ir_module_find_param(module, tensor->name) || may_be_left_over(tensor->name))
        return;
    c->left_over++;
    str_addf(&c->list, "  left over: %s %s\n", tensor->name, rt_shape_string(c->arena, tensor->rank, tensor->shape));
}

bool rt_weights_check(Arena *arena, const IrModule *module, const char *net, const char *path, const TensorFile *file,
                      Error *error) {
    Comparison c = {.arena = arena, .list = str_create(arena)};
    for (int i = 0; i < module->param_count; i++)
        compare_param(&c, &module->params[i], file);
    for (size_t i = 0; i < file->count; i++)
        compare_tensor(&c, module, &file->tensors[i]);
    if (!c.missing && !c.different && !c.left_over)
        return true;
    fputs(c.list.data, stderr);
    return error_set(error, ERROR_INPUT,
                     "%s does not fit %s: %d missing, %d of another shape, %d left over; nothing was written", path,
                     net, c.missing, c.different, c.left_over);
}
