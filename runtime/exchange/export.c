/* export.c: `ndarts-run export`: a network and its weights for other programs: ONNX, or safetensors with exactly the
 * network's weights (of a checkpoint, say) under the names of the PyTorch state_dict. */
#include "runtime/driver/step_graph.h"
#include "runtime/exchange/onnx.h"
#include "runtime/loops/args.h"

typedef struct Export {
    Arena *arena;
    const char *net, *weights, *output;
    ArgList sets;
    TensorFile file;
} Export;

static bool parse_command(Export *c, int argc, char **argv, Error *error) {
    Arg args[] = {{NULL, ARG_text, &c->net, 0, 0},
                  {"--weights", ARG_text, &c->weights, 0, 0},
                  {"-o", ARG_text, &c->output, 0, 0},
                  {"--set", ARG_list, &c->sets, 0, 0}};
    if (!args_parse(c->arena, argc, argv, args, sizeof args / sizeof args[0], error))
        return false;
    if (!c->net || !c->weights || !c->output)
        return error_set(error, ERROR_INPUT,
                         "export needs a network, its weights and a file: NET.nd --weights W.safetensors -o NET.onnx");
    return str_ends_with(c->output, ".onnx") || str_ends_with(c->output, ".safetensors") ||
           error_set(error, ERROR_INPUT, "export writes .onnx or .safetensors, not '%s'", c->output);
}

static bool write_weights(Export *c, const IrModule *module, Error *error) {
    TensorFile own = {0};
    for (int i = 0; i < module->param_count; i++)
        tensor_file_add(c->arena, &own, *tensor_find(&c->file, module->params[i].name));
    return safetensors_write(c->output, &own, error);
}

static bool export(Export *c, int argc, char **argv, Error *error) {
    if (!parse_command(c, argc, argv, error) || !safetensors_read(c->arena, c->weights, &c->file, error))
        return false;
    IrGraph *graph = rt_inference_graph(c->arena, c->net, c->sets.items, c->sets.count, true, error);
    if (!graph || !rt_weights_check(c->arena, graph->module, c->net, c->weights, &c->file, error))
        return false;
    return str_ends_with(c->output, ".onnx") ? onnx_export(c->arena, graph, &c->file, c->output, error)
                                             : write_weights(c, graph->module, error);
}

int rt_export_main(int argc, char **argv) {
    Export c = {.arena = arena_create()};
    Error error = {ERROR_NONE, ""};
    bool ok = export(&c, argc, argv, &error);
    arena_destroy(c.arena);
    return ok ? 0 : error_report(&error);
}
