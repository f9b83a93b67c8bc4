/* cudnn_graph.c: one operation is a graph of its own: tensors, the convolution and what it computes of them are
 * described, the library says which of its engines can, best first, and the first that always gives the same bits and
 * takes no more memory than allowed becomes the plan that is run. */
#include "runtime/device/cudnn_graph.h"

#include "base/library.h"

#include <stdlib.h>

enum { SUCCESS, FLOAT = 0, BFLOAT16 = 9, CROSS_CORRELATION = 1, NONDETERMINISTIC = 4, MODE_A = 3, ALIGNMENT = 16 };
/* Kinds of descriptors. */
enum { CONVOLUTION = 1, ENGINE, ENGINE_CONFIG, HEURISTICS, PLAN, FORWARD = 10, BACKWARD_WEIGHT, BACKWARD_DATA };
enum { OPERATION_GRAPH = 15, VARIANT_PACK, TENSOR };
/* Types of attributes. */
enum { IS_HANDLE = 0, IS_DATA_TYPE = 1, IS_INT64 = 3, IS_FLOAT, IS_POINTER = 6, IS_MODE, IS_HEURISTIC, IS_NOTE = 11 };
enum { IS_DESCRIPTOR = 15 };
/* Attributes. */
enum {
    CONVOLUTION_TYPE = 100,
    CONVOLUTION_MODE,
    CONVOLUTION_DILATIONS,
    CONVOLUTION_STRIDES,
    CONVOLUTION_POST_PADDINGS,
    CONVOLUTION_PRE_PADDINGS,
    CONVOLUTION_AXES
};
enum { HEURISTICS_MODE = 200, HEURISTICS_GRAPH, HEURISTICS_RESULTS };
enum { CONFIG_ENGINE = 300, PLAN_HANDLE = 400, PLAN_CONFIG, PLAN_WORKSPACE, GRAPH_HANDLE = 800, GRAPH_OPERATIONS };
enum { TENSOR_ALIGNMENT = 900, TENSOR_TYPE, TENSOR_SIZES, TENSOR_STRIDES, TENSOR_NUMBER = 906 };
enum { PACK_NUMBERS = 1000, PACK_POINTERS, PACK_WORKSPACE = 1003, ENGINE_NOTES = 1303 };

enum { MOST_DESCRIPTORS = 64, MOST_CONFIGS = 16, MOST_NOTES = 16 };

/* Tensors, and how they are numbered in what is run. */
enum { INPUT, WEIGHT, OUTPUT, TENSORS };

struct CudnnGraph {
    const CudnnGraphApi *api;
    void *handle, *plan;
    void *descriptors[MOST_DESCRIPTORS]; /* all that were made */
    int count;
    bool ok; /* the library took all so far */
    int64_t workspace;
};

bool cudnn_graph_load(void *library, CudnnGraphApi *api) {
    bool found = true;
#define CUDNN_GRAPH_FUNCTION(name, parameters) found = found && library_find(library, "cudnnBackend" #name, &api->name);
    CUDNN_GRAPH_FUNCTIONS(CUDNN_GRAPH_FUNCTION)
#undef CUDNN_GRAPH_FUNCTION
    return found;
}

/* ---- descriptors ---- */

static void *make(CudnnGraph *g, int kind) {
    void *descriptor = NULL;
    g->ok = g->ok && g->count < MOST_DESCRIPTORS && g->api->CreateDescriptor(kind, &descriptor) == SUCCESS;
    if (g->ok)
        g->descriptors[g->count++] = descriptor;
    return descriptor;
}

static void set(CudnnGraph *g, void *descriptor, int name, int type, int64_t count, const void *values) {
    g->ok = g->ok && g->api->SetAttribute(descriptor, name, type, count, values) == SUCCESS;
}

static void set_descriptor(CudnnGraph *g, void *descriptor, int name, void *value) {
    set(g, descriptor, name, IS_DESCRIPTOR, 1, &value);
}

static void finish(CudnnGraph *g, void *descriptor) {
    g->ok = g->ok && g->api->Finalize(descriptor) == SUCCESS;
}

/* sizes: of images N, C, H, W, of weights O, I, H, W; the second axis is the innermost in memory. */
static void *make_tensor(CudnnGraph *g, int64_t number, int type, const int64_t sizes[4]) {
    const int64_t alignment = ALIGNMENT, strides[] = {sizes[1] * sizes[2] * sizes[3], 1, sizes[1] * sizes[3], sizes[1]};
    void *t = make(g, TENSOR);
    set(g, t, TENSOR_TYPE, IS_DATA_TYPE, 1, &type);
    set(g, t, TENSOR_SIZES, IS_INT64, 4, sizes);
    set(g, t, TENSOR_STRIDES, IS_INT64, 4, strides);
    set(g, t, TENSOR_NUMBER, IS_INT64, 1, &number);
    set(g, t, TENSOR_ALIGNMENT, IS_INT64, 1, &alignment);
    finish(g, t);
    return t;
}

static void make_tensors(CudnnGraph *g, const int64_t *shape, int64_t batch, int type, void *tensors[TENSORS]) {
    const int64_t *in = &shape[CONV_INPUT], *out = &shape[CONV_OUTPUT], *kernel = &shape[CONV_KERNEL];
    tensors[INPUT] = make_tensor(g, INPUT, type, (int64_t[]){batch, in[2], in[0], in[1]});
    tensors[OUTPUT] = make_tensor(g, OUTPUT, type, (int64_t[]){batch, out[2], out[0], out[1]});
    tensors[WEIGHT] =
        make_tensor(g, WEIGHT, type, (int64_t[]){shape[CONV_OUTPUTS], shape[CONV_INPUTS], kernel[0], kernel[1]});
}

static void *make_conv(CudnnGraph *g, const int64_t *shape) {
    const int type = FLOAT, mode = CROSS_CORRELATION;
    const int64_t axes = 2;
    void *c = make(g, CONVOLUTION);
    set(g, c, CONVOLUTION_TYPE, IS_DATA_TYPE, 1, &type);
    set(g, c, CONVOLUTION_MODE, IS_MODE, 1, &mode);
    set(g, c, CONVOLUTION_AXES, IS_INT64, 1, &axes);
    set(g, c, CONVOLUTION_DILATIONS, IS_INT64, axes, &shape[CONV_DILATION]);
    set(g, c, CONVOLUTION_STRIDES, IS_INT64, axes, &shape[CONV_STRIDE]);
    set(g, c, CONVOLUTION_PRE_PADDINGS, IS_INT64, axes, &shape[CONV_PAD]);
    set(g, c, CONVOLUTION_POST_PADDINGS, IS_INT64, axes, &shape[CONV_PAD]);
    finish(g, c);
    return c;
}

/* What is computed of the tensors: its kind of descriptor, and the attributes that name its factors, the convolution
 * and the tensors. */
typedef struct Operation {
    int kind, factor, term, conv, tensors[TENSORS];
} Operation;

static const Operation operations[] = {
    [CONV_forward] = {FORWARD, 700, 701, 702, {[WEIGHT] = 703, [INPUT] = 704, [OUTPUT] = 705}},
    [CONV_grad_input] = {BACKWARD_DATA, 706, 707, 708, {[WEIGHT] = 709, [INPUT] = 710, [OUTPUT] = 711}},
    [CONV_grad_weight] = {BACKWARD_WEIGHT, 712, 713, 714, {[WEIGHT] = 715, [INPUT] = 716, [OUTPUT] = 717}},
};

static void *make_operation(CudnnGraph *g, const Operation *o, void *conv, void *const tensors[TENSORS]) {
    const float one = 1, zero = 0;
    void *operation = make(g, o->kind);
    set(g, operation, o->factor, IS_FLOAT, 1, &one);
    set(g, operation, o->term, IS_FLOAT, 1, &zero);
    set_descriptor(g, operation, o->conv, conv);
    for (int i = 0; i < TENSORS; i++)
        set_descriptor(g, operation, o->tensors[i], tensors[i]);
    finish(g, operation);
    return operation;
}

static void *make_graph(CudnnGraph *g, const PlanConv *conv, int64_t batch, int type) {
    void *tensors[TENSORS];
    make_tensors(g, conv->shape, batch, type, tensors);
    void *operation = make_operation(g, &operations[plan_conv_kind(conv)], make_conv(g, conv->shape), tensors);
    void *graph = make(g, OPERATION_GRAPH);
    set_descriptor(g, graph, GRAPH_OPERATIONS, operation);
    if (g->handle)
        set(g, graph, GRAPH_HANDLE, IS_HANDLE, 1, &g->handle);
    finish(g, graph);
    return graph;
}

/* ---- engines ---- */

static bool is_deterministic(CudnnGraph *g, void *config) {
    int notes[MOST_NOTES];
    int64_t count = 0;
    void *engine = make(g, ENGINE);
    bool found = g->ok && g->api->GetAttribute(config, CONFIG_ENGINE, IS_DESCRIPTOR, 1, &count, &engine) == SUCCESS &&
                 g->api->GetAttribute(engine, ENGINE_NOTES, IS_NOTE, MOST_NOTES, &count, notes) == SUCCESS;
    for (int64_t i = 0; found && i < count && i < MOST_NOTES; i++)
        found = notes[i] != NONDETERMINISTIC;
    return found;
}

/* An engine that cannot after all is passed over. */
static bool make_plan(CudnnGraph *g, void *config, size_t most) {
    int64_t count = 0;
    void *plan = make(g, PLAN);
    set(g, plan, PLAN_HANDLE, IS_HANDLE, 1, &g->handle);
    set_descriptor(g, plan, PLAN_CONFIG, config);
    if (!g->ok || g->api->Finalize(plan) != SUCCESS ||
        g->api->GetAttribute(plan, PLAN_WORKSPACE, IS_INT64, 1, &count, &g->workspace) != SUCCESS || g->workspace < 0 ||
        (size_t)g->workspace > most)
        return false;
    g->plan = plan;
    return true;
}

static bool choose_engine(CudnnGraph *g, void *graph, size_t most) {
    const int mode = MODE_A;
    void *configs[MOST_CONFIGS], *heuristics = make(g, HEURISTICS);
    int64_t count = 0;
    set_descriptor(g, heuristics, HEURISTICS_GRAPH, graph);
    set(g, heuristics, HEURISTICS_MODE, IS_HEURISTIC, 1, &mode);
    finish(g, heuristics);
    for (int i = 0; i < MOST_CONFIGS; i++)
        configs[i] = make(g, ENGINE_CONFIG);
    if (!g->ok ||
        g->api->GetAttribute(heuristics, HEURISTICS_RESULTS, IS_DESCRIPTOR, MOST_CONFIGS, &count, configs) != SUCCESS)
        return false;
    for (int64_t i = 0; i < count && i < MOST_CONFIGS; i++)
        if (is_deterministic(g, configs[i]) && make_plan(g, configs[i], most))
            return true;
    return false;
}

/* ---- convolutions ---- */

CudnnGraph *cudnn_graph_create(const CudnnGraphApi *api, void *handle, const PlanConv *conv, int64_t batch, bool half,
                               size_t most) {
    CudnnGraph *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    *g = (CudnnGraph){.api = api, .handle = handle, .ok = true};
    void *graph = make_graph(g, conv, batch, half ? BFLOAT16 : FLOAT);
    if (g->ok && (!handle || choose_engine(g, graph, most)))
        return g;
    cudnn_graph_destroy(g);
    return NULL;
}

void cudnn_graph_destroy(CudnnGraph *g) {
    if (!g)
        return;
    while (g->count > 0)
        g->api->DestroyDescriptor(g->descriptors[--g->count]);
    free(g);
}

size_t cudnn_graph_workspace(const CudnnGraph *g) {
    return (size_t)g->workspace;
}

/* The pack lives for one run: calls of one shape have addresses of their own. */
bool cudnn_graph_run(CudnnGraph *g, void *input, void *output, void *weight, void *workspace) {
    const int64_t numbers[] = {INPUT, WEIGHT, OUTPUT};
    void *pointers[] = {[INPUT] = input, [WEIGHT] = weight, [OUTPUT] = output};
    int before = g->count;
    void *pack = make(g, VARIANT_PACK);
    set(g, pack, PACK_NUMBERS, IS_INT64, TENSORS, numbers);
    set(g, pack, PACK_POINTERS, IS_POINTER, TENSORS, pointers);
    set(g, pack, PACK_WORKSPACE, IS_POINTER, 1, &workspace);
    finish(g, pack);
    bool ok = g->ok && g->api->Execute(g->handle, g->plan, pack) == SUCCESS;
    if (g->count > before)
        g->api->DestroyDescriptor(g->descriptors[--g->count]);
    return ok;
}
