/* step_graph.c: the inference graph of a text. */
#include "runtime/driver/step_graph.h"

#include "passes/pass.h"
#include "runtime/driver/runtime.h"
#include "runtime/driver/weights_fit.h"
#include "runtime/driver/weights_names.h"

#include <string.h>

IrGraph *rt_inference_graph(Arena *arena, const char *path, const char *const *sets, int set_count, bool fold,
                            Error *error) {
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
                       .without = PASS_EXECUTION | (fold ? 0 : PASS_FOLDING),
                       .out = stderr};
    IrGraph *graph = pipeline_build_graph(&ctx);
    if (!graph)
        error_set(error, ERROR_INPUT, "%s: no graph 'infer' can be made of this text", path);
    return graph;
}

const RtTensorInfo *rt_weights_wanted(Arena *arena, const IrModule *module) {
    RtTensorInfo *wanted = ARENA_ARRAY(arena, RtTensorInfo, module->param_count + 1);
    for (int i = 0; i < module->param_count; i++) {
        const IrParam *param = &module->params[i];
        wanted[i] = (RtTensorInfo){.name = param->name, .rank = param->type.rank};
        memcpy(wanted[i].shape, param->type.dim, sizeof param->type.dim);
    }
    return wanted;
}

bool rt_weights_check(Arena *arena, const IrModule *module, const char *net, const char *path, TensorFile *file,
                      Error *error) {
    Error inner = {ERROR_NONE, ""};
    const RtTensorInfo *wanted = rt_weights_wanted(arena, module);
    *file = weights_adapt(arena, wanted, NULL, module->param_count, file);
    return weights_fit(arena, wanted, NULL, module->param_count, file, false, &inner) ||
           error_set(error, inner.kind, "%s does not fit %s: %s; nothing was written", path, net, inner.message);
}
