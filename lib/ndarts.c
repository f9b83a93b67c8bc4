/* ndarts.c: nets: opening, weights, what they have, and running. */
#include "lib/net.h"

#include "base/str.h"
#include "runtime/driver/predict.h"
#include "runtime/driver/weights.h"

#include <stdlib.h>
#include <string.h>

const char *ndarts_version(void) {
    return NDARTS_VERSION;
}

/* ---- opening ---- */

typedef struct OpenCall {
    const char *path;
    const NdartsOptions *options;
    bool wanted;
    NdartsNet *net;
} OpenCall;

/* What computes in training mode takes the gradient of the logits as an input. */
static RtProgram *open_program(const char *kind, RtProgramOptions *options, Error *error) {
    static const GraphKind kinds[] = {GRAPH_infer, GRAPH_train_forward, GRAPH_gradients};
    if (!kind || str_equal(kind, "infer"))
        return predict_open(options, error);
    if (!str_equal(kind, "train")) {
        error_set(error, ERROR_INPUT, "options.kind is '%s'; it should be infer or train", kind);
        return NULL;
    }
    options->kinds = kinds;
    options->kind_count = sizeof kinds / sizeof *kinds;
    options->grad_output_loss = options->input_gradient = true;
    RtProgram *program = rt_program_open(options, error);
    if (!program || (rt_has_graph(program, GRAPH_train_forward) && rt_has_graph(program, GRAPH_gradients)))
        return program;
    error_set(error, ERROR_INPUT, "the module %s only infers; the kind train is for texts", options->path);
    rt_program_close(program);
    return NULL;
}

static bool open_net(void *call, Error *error) {
    OpenCall *c = call;
    RtProgramOptions options;
    if (!c->wanted)
        return error_set(error, ERROR_INPUT, "the place for the net is NULL");
    if (!call_options(c->path, c->options, &options, error))
        return false;
    c->net = net_create();
    if (!c->net)
        return error_set(error, ERROR_MACHINE, "out of memory");
    c->net->program = open_program(c->options ? c->options->kind : NULL, &options, error);
    if (!c->net->program)
        return false;
    c->net->has_weights = rt_program_has_weights(c->net->program);
    return true;
}

NdartsStatus ndarts_open(const char *path, const NdartsOptions *options, NdartsNet **net, char **message) {
    OpenCall call = {path, options, net != NULL, NULL};
    bool lost;
    NdartsStatus status = call_guarded(open_net, &call, &lost, message);
    if (status) {
        ndarts_close(call.net);
        call.net = NULL;
    }
    if (net)
        *net = call.net;
    return status;
}

void ndarts_close(NdartsNet *net) {
    if (!net)
        return;
    rt_program_close(net->program);
    net_destroy(net);
}

/* ---- weights ---- */

typedef struct WeightsCall {
    NdartsNet *net;
    const char *path;
} WeightsCall;

static bool set_weights(void *call, Error *error) {
    WeightsCall *c = call;
    if (!c->path)
        return error_set(error, ERROR_INPUT, "the path is NULL");
    if (!net_is_usable(c->net, error) || !weights_load(c->net->program, "the net", c->path, error))
        return false;
    c->net->has_weights = true;
    return true;
}

NdartsStatus ndarts_set_weights(NdartsNet *net, const char *path, char **message) {
    WeightsCall call = {net, path};
    return net_call(net, set_weights, &call, message);
}

typedef struct ArraysCall {
    NdartsNet *net;
    const NdartsArray *arrays;
    int count;
} ArraysCall;

static bool set_arrays(void *call, Error *error) {
    ArraysCall *c = call;
    TensorFile file = {0};
    Arena *arena = arena_create();
    bool ok = net_is_usable(c->net, error) && call_tensors(arena, c->arrays, c->count, &file, error) &&
              rt_state_set(c->net->program, &file, RT_STATE_weights, error);
    c->net->has_weights |= ok;
    arena_destroy(arena);
    return ok;
}

NdartsStatus ndarts_set_parameters(NdartsNet *net, const NdartsArray *arrays, int count, char **message) {
    ArraysCall call = {net, arrays, count};
    return net_call(net, set_arrays, &call, message);
}

typedef struct InitialCall {
    NdartsNet *net;
    uint64_t seed;
} InitialCall;

static bool set_initial(void *call, Error *error) {
    InitialCall *c = call;
    if (!net_is_usable(c->net, error))
        return false;
    rt_state_initialize(c->net->program, c->seed);
    c->net->has_weights = true;
    return true;
}

NdartsStatus ndarts_initialize(NdartsNet *net, uint64_t seed, char **message) {
    InitialCall call = {net, seed};
    return net_call(net, set_initial, &call, message);
}

static void copy_parameter(const NdartsNet *net, int index, void *numbers) {
    Arena *arena = arena_create();
    Tensor t = rt_param_get(net->program, rt_param_info(net->program, index)->name, arena);
    memcpy(numbers, t.data, (size_t)tensor_count(&t) * tensor_type_size(t.type));
    arena_destroy(arena);
}

typedef struct ParameterCall {
    NdartsNet *net;
    int index;
    void *numbers;
} ParameterCall;

static bool get_parameter(void *call, Error *error) {
    ParameterCall *c = call;
    if (!net_is_usable(c->net, error))
        return false;
    if (c->index < 0 || c->index >= rt_param_count(c->net->program))
        return error_set(error, ERROR_INPUT, "there is no parameter %d", c->index);
    if (!c->numbers)
        return error_set(error, ERROR_INPUT, "the place for the numbers is NULL");
    copy_parameter(c->net, c->index, c->numbers);
    return true;
}

NdartsStatus ndarts_get_parameter(NdartsNet *net, int index, void *numbers, char **message) {
    ParameterCall call = {net, index, numbers};
    return net_call(net, get_parameter, &call, message);
}

static bool check_place(const NdartsNet *net, const NdartsArray *array, Error *error) {
    int index = array->name ? rt_param_find(net->program, array->name) : -1;
    if (index < 0)
        return error_set(error, ERROR_INPUT, "there is no parameter '%s'", array->name ? array->name : "");
    const RtTensorInfo *info = rt_param_info(net->program, index);
    bool same = (TensorType)array->type == info->type && array->rank == info->rank && array->data;
    for (int i = 0; same && i < info->rank; i++)
        same = array->shape[i] == info->shape[i];
    return same || error_set(error, ERROR_INPUT, "the place for '%s' should have its type and shape", info->name);
}

static bool get_parameters(void *call, Error *error) {
    const ArraysCall *c = call;
    if (!net_is_usable(c->net, error) || !call_check_count("arrays", c->arrays, c->count, error))
        return false;
    for (int i = 0; i < c->count; i++)
        if (!check_place(c->net, &c->arrays[i], error))
            return false;
    for (int i = 0; i < c->count; i++)
        copy_parameter(c->net, rt_param_find(c->net->program, c->arrays[i].name), c->arrays[i].data);
    return true;
}

NdartsStatus ndarts_get_parameters(NdartsNet *net, const NdartsArray *arrays, int count, char **message) {
    ArraysCall call = {net, arrays, count};
    return net_call(net, get_parameters, &call, message);
}

int ndarts_has_weights(NdartsNet *net) {
    if (!net)
        return 0;
    pthread_mutex_lock(&net->mutex);
    int has = net->has_weights;
    pthread_mutex_unlock(&net->mutex);
    return has;
}

/* ---- what it takes and gives: fixed when it was opened ---- */

int64_t ndarts_batch(const NdartsNet *net) {
    return net ? rt_program_batch(net->program) : 0;
}

int ndarts_input_count(const NdartsNet *net) {
    return net ? rt_input_count(net->program, GRAPH_infer) : 0;
}

int ndarts_output_count(const NdartsNet *net) {
    return net ? rt_output_count(net->program, GRAPH_infer) : 0;
}

static bool has_images(const RtTensorInfo *info) {
    return info->rank > 0 && info->shape[0] == -1;
}

static void describe(const RtTensorInfo *info, NdartsTensor *tensor) {
    *tensor = (NdartsTensor){.name = info->name,
                             .type = (NdartsType)info->type,
                             .rank = info->rank,
                             .size = 1,
                             .kind = (NdartsKind)info->kind};
    for (int i = 0; i < info->rank; i++) {
        tensor->shape[i] = info->shape[i];
        tensor->size *= info->shape[i] == -1 ? 1 : info->shape[i];
    }
}

NdartsStatus ndarts_input(const NdartsNet *net, int index, NdartsTensor *tensor) {
    if (!tensor || index < 0 || index >= ndarts_input_count(net))
        return NDARTS_ERROR_INPUT;
    describe(rt_input_info_at(net->program, GRAPH_infer, index), tensor);
    return NDARTS_OK;
}

NdartsStatus ndarts_output(const NdartsNet *net, int index, NdartsTensor *tensor) {
    if (!tensor || index < 0 || index >= ndarts_output_count(net))
        return NDARTS_ERROR_INPUT;
    describe(rt_output_info_at(net->program, GRAPH_infer, index), tensor);
    return NDARTS_OK;
}

int ndarts_parameter_count(const NdartsNet *net) {
    return net ? rt_param_count(net->program) : 0;
}

NdartsStatus ndarts_parameter(const NdartsNet *net, int index, NdartsTensor *tensor) {
    if (!tensor || index < 0 || index >= ndarts_parameter_count(net))
        return NDARTS_ERROR_INPUT;
    describe(rt_param_info(net->program, index), tensor);
    return NDARTS_OK;
}

/* ---- running ---- */

typedef struct RunCall {
    NdartsNet *net;
    const NdartsArray *inputs, *outputs; /* as many as the net has */
} RunCall;

static bool check_input(const RtTensorInfo *info, const NdartsArray *input, int64_t images, Error *error) {
    if (!input->data)
        return error_set(error, ERROR_INPUT, "the input '%s' is NULL", info->name);
    if (!has_images(info))
        return error_set(error, ERROR_INPUT, "the input '%s' does not tell images apart", info->name);
    if (!call_check_array(info->name, input, error))
        return false;
    return (input->rank > 0 && input->shape[0] == images) ||
           error_set(error, ERROR_INPUT, "the input '%s' has another number of images than the first", info->name);
}

static bool check_run(const RunCall *c, Error *error) {
    if (!net_is_usable(c->net, error))
        return false;
    if (!c->net->has_weights)
        return error_set(error, ERROR_INPUT, "the net has no weights yet; ndarts_set_weights gives it some");
    if (!c->inputs || !c->outputs)
        return error_set(error, ERROR_INPUT, "the inputs or the outputs are NULL");
    int64_t images = c->inputs[0].rank > 0 ? c->inputs[0].shape[0] : 1;
    if (images < 1)
        return error_set(error, ERROR_INPUT, "%lld images; at least 1 is needed", (long long)images);
    for (int i = 0; i < ndarts_input_count(c->net); i++)
        if (!check_input(rt_input_info_at(c->net->program, GRAPH_infer, i), &c->inputs[i], images, error))
            return false;
    return true;
}

Tensor net_tensor(const RtTensorInfo *info, const NdartsArray *array) {
    Tensor tensor = {.name = info->name, .type = (TensorType)array->type, .rank = array->rank, .data = array->data};
    memcpy(tensor.shape, array->shape, sizeof tensor.shape);
    return tensor;
}

bool net_check_output(const RtTensorInfo *info, const NdartsArray *array, Error *error) {
    return array->type == NDARTS_f32 || array->type == NDARTS_f64 ||
           error_set(error, ERROR_INPUT, "the output '%s' should be of type f32 or f64", info->name);
}

static bool take_outputs(const RunCall *c, Tensor *outputs, Error *error) {
    for (int i = 0; i < ndarts_output_count(c->net); i++) {
        const RtTensorInfo *info = rt_output_info_at(c->net->program, GRAPH_infer, i);
        outputs[i] = net_tensor(info, &c->outputs[i]);
        if (outputs[i].data && !net_check_output(info, &c->outputs[i], error))
            return false;
    }
    return true;
}

static bool run_net(void *call, Error *error) {
    RunCall *c = call;
    if (!check_run(c, error))
        return false;
    int count = ndarts_input_count(c->net);
    Arena *arena = arena_create();
    Tensor *inputs = ARENA_ARRAY(arena, Tensor, count),
           *outputs = ARENA_ARRAY(arena, Tensor, ndarts_output_count(c->net));
    for (int i = 0; i < count; i++)
        inputs[i] = net_tensor(rt_input_info_at(c->net->program, GRAPH_infer, i), &c->inputs[i]);
    bool ok = take_outputs(c, outputs, error) && predict_run(c->net->program, inputs, outputs, error);
    arena_destroy(arena);
    return ok;
}

NdartsStatus ndarts_run_arrays(NdartsNet *net, const NdartsArray *inputs, const NdartsArray *outputs, char **message) {
    RunCall call = {net, inputs, outputs};
    return net_call(net, run_net, &call, message);
}

/* The same with arrays of f32 whose shapes are those of the net. */
typedef struct ImagesCall {
    NdartsNet *net;
    int64_t images;
    const float *const *inputs;
    float *const *outputs;
} ImagesCall;

static NdartsArray array_of(const RtTensorInfo *info, int64_t images, const float *numbers) {
    NdartsArray array = {.name = info->name, .type = NDARTS_f32, .rank = info->rank, .data = (void *)numbers};
    memcpy(array.shape, info->shape, sizeof array.shape);
    if (has_images(info))
        array.shape[0] = images;
    return array;
}

static bool run_images(void *call, Error *error) {
    const ImagesCall *c = call;
    const RtProgram *program = c->net->program;
    Arena *arena = arena_create();
    NdartsArray *inputs = ARENA_ARRAY(arena, NdartsArray, ndarts_input_count(c->net)),
                *outputs = ARENA_ARRAY(arena, NdartsArray, ndarts_output_count(c->net));
    for (int i = 0; i < ndarts_input_count(c->net); i++)
        inputs[i] = array_of(rt_input_info_at(program, GRAPH_infer, i), c->images, c->inputs ? c->inputs[i] : NULL);
    for (int i = 0; i < ndarts_output_count(c->net); i++)
        outputs[i] = array_of(rt_output_info_at(program, GRAPH_infer, i), c->images, c->outputs ? c->outputs[i] : NULL);
    bool ok = run_net(&(RunCall){c->net, inputs, outputs}, error);
    arena_destroy(arena);
    return ok;
}

NdartsStatus ndarts_run(NdartsNet *net, int64_t images, const float *const *inputs, float *const *outputs,
                        char **message) {
    ImagesCall call = {net, images, inputs, outputs};
    return net_call(net, run_images, &call, message);
}
