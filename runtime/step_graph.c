/* step_graph.c: the inference graph of a text. */
#include "runtime/step_graph.h"

#include "passes/pass.h"
#include "runtime/runtime.h"

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
