/* predict.c: packs a batch of every input, runs it, takes the batch's part of every output. */
#include "runtime/driver/predict.h"

#include "runtime/driver/step.h"

RtProgram *predict_open(const RtProgramOptions *options, Error *error) {
    static const GraphKind kinds[] = {GRAPH_infer};
    RtProgramOptions o = *options;
    o.kinds = kinds;
    o.kind_count = 1;
    RtProgram *program = rt_program_open(&o, error);
    if (!program || rt_has_graph(program, GRAPH_infer))
        return program;
    error_set(error, ERROR_INPUT, "%s has no graph 'infer'; ndartsc --graph=infer makes one", o.path);
    rt_program_close(program);
    return NULL;
}

static void take_numbers(const Tensor *part, const Tensor *to, int64_t at) {
    int64_t elements = tensor_count(part);
    if (to->type == TENSOR_f64)
        for (int64_t k = 0; k < elements; k++)
            ((double *)to->data)[at + k] = tensor_get(part, k);
    else
        for (int64_t k = 0; k < elements; k++)
            ((float *)to->data)[at + k] = (float)tensor_get(part, k);
}

static void take_outputs(const RtProgram *p, int64_t first, int64_t count, const Tensor *outputs, Arena *arena) {
    for (int i = 0; i < rt_output_count(p, GRAPH_infer); i++) {
        const RtTensorInfo *info = rt_output_info_at(p, GRAPH_infer, i);
        if (!outputs[i].data)
            continue;
        Tensor part = rt_output_get(p, GRAPH_infer, info->name, arena);
        bool of_images = info->rank > 0 && info->shape[0] == -1;
        take_numbers(&part, &outputs[i], of_images ? first * (tensor_count(&part) / count) : 0);
    }
}

static bool run_batch(RtProgram *p, const Tensor *inputs, int64_t first, int64_t count, const Tensor *outputs,
                      Arena *arena, Error *error) {
    int input_count = rt_input_count(p, GRAPH_infer);
    RtInput *packed = ARENA_ARRAY(arena, RtInput, input_count);
    for (int i = 0; i < input_count; i++) {
        const char *name = rt_input_info_at(p, GRAPH_infer, i)->name;
        packed[i] = (RtInput){name, rt_input_pack(p, GRAPH_infer, name, &inputs[i], first, count, arena, error)};
        if (!packed[i].data)
            return false;
    }
    RtRun run = rt_step(GRAPH_infer, NULL, 0, NULL);
    run.batch = count;
    run.image_base = (uint64_t)first;
    run.input_count = input_count;
    run.inputs = packed;
    if (!rt_run(p, &run, error))
        return false;
    take_outputs(p, first, count, outputs, arena);
    return true;
}

bool predict_run(RtProgram *p, const Tensor *inputs, const Tensor *outputs, Error *error) {
    int64_t images = inputs[0].shape[0], batch = rt_program_batch(p);
    bool ok = true;
    for (int64_t first = 0; ok && first < images; first += batch) {
        Arena *arena = arena_create();
        ok = run_batch(p, inputs, first, images - first < batch ? images - first : batch, outputs, arena, error);
        arena_destroy(arena);
    }
    return ok;
}

bool predict_check(const RtProgram *p, const char *net, Error *error) {
    return (rt_output_info(p, GRAPH_infer, "logits") && rt_input_count(p, GRAPH_infer) == 1) ||
           error_set(error, ERROR_INPUT, "%s is not a network with one input and the output 'logits'", net);
}

bool predict_logits(RtProgram *p, const Tensor *images, float *logits, Error *error) {
    Arena *arena = arena_create();
    const RtTensorInfo *info = rt_output_info(p, GRAPH_infer, "logits");
    Tensor *outputs = ARENA_ARRAY(arena, Tensor, rt_output_count(p, GRAPH_infer));
    outputs[info - rt_output_info_at(p, GRAPH_infer, 0)] = (Tensor){.type = TENSOR_f32, .data = logits};
    bool ok = predict_run(p, images, outputs, error);
    arena_destroy(arena);
    return ok;
}
