/* export.c: a network and its weights for other programs: ONNX, or safetensors with exactly the
 * network's weights (of a checkpoint, say) under the names of the PyTorch state_dict. */
#include "runtime/exchange/export.h"

#include "base/str.h"
#include "runtime/driver/step_graph.h"
#include "runtime/exchange/onnx.h"

static bool write_weights(Arena *arena, const IrModule *module, const TensorFile *file, const char *path,
                          Error *error) {
    TensorFile own = {0};
    for (int i = 0; i < module->param_count; i++)
        tensor_file_add(arena, &own, *tensor_find(file, module->params[i].name));
    return safetensors_write(path, &own, error);
}

bool export_network(Arena *arena, const ExportOptions *o, Error *error) {
    TensorFile file = {0};
    bool onnx = str_ends_with(o->output, ".onnx");
    if (!onnx && !str_ends_with(o->output, ".safetensors"))
        return error_set(error, ERROR_INPUT, "export writes .onnx or .safetensors, not '%s'", o->output);
    if (!safetensors_read(arena, o->weights, &file, error))
        return false;
    IrGraph *graph = rt_inference_graph(arena, o->net, o->sets, o->set_count, true, error);
    if (!graph || !rt_weights_check(arena, graph->module, o->net, o->weights, &file, error))
        return false;
    return onnx ? onnx_export(arena, graph, &file, o->output, error)
                : write_weights(arena, graph->module, &file, o->output, error);
}
