/* run_export.c: `ndarts-run export`. */
#include "tools/ndarts_run.h"

#include "runtime/exchange/export.h"

bool run_export(const Options *o, Error *error) {
    ExportOptions export = {.net = options_input(o),
                            .weights = o->weights,
                            .output = o->output,
                            .sets = o->sets.items,
                            .set_count = o->sets.count};
    if (!export.net || !export.weights || !export.output)
        return error_set(error, ERROR_INPUT,
                         "export needs a network, its weights and a file: NET.nd --weights W.safetensors -o NET.onnx");
    return export_network(o->arena, &export, error);
}
