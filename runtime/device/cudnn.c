/* cudnn.c: the legacy interface of cuDNN 9: it is small, and its deterministic algorithms are all that is wanted; where
 * it has none for bf16, the graph interface (cudnn_graph.c) is asked. The three kinds of convolution have functions
 * with the same parameters: two operands, then the result. */
#include "runtime/device/cudnn.h"

#include "base/file.h"
#include "base/library.h"
#include "base/str.h"
#include "runtime/device/cache.h"
#include "runtime/device/cache_folder.h"
#include "runtime/device/cuda_memory.h"
#include "runtime/device/cudnn_graph.h"

#include <stdlib.h>
#include <string.h>

enum { SUCCESS, FLOAT = 0, BFLOAT16 = 9, NHWC = 1, CROSS_CORRELATION = 1, DETERMINISTIC = 1 };
enum { DEFAULT_MATH = 0, FMA_MATH = 3 };
enum { MOST_ALGORITHMS = 16, MOST_WORKSPACE = 256 << 20 };

typedef struct Found {
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
} Found;

#define FIND_PARAMETERS (void *, void *, void *, void *conv, void *, int, int *, Found *)
#define SIZE_PARAMETERS (void *, void *, void *, void *conv, void *, int, size_t *)
#define RUN_PARAMETERS                                                                                                 \
    (void *, const void *, void *, const void *, void *, const void *, void *conv, int, void *, size_t, const void *,  \
     void *, void *)
/* Every function that is used: its name without "cudnn" and its parameters. Handles and descriptors are void *. */
#define CUDNN_FUNCTIONS(X)                                                                                             \
    X(Create, (void **handle))                                                                                         \
    X(Destroy, (void *handle))                                                                                         \
    X(SetStream, (void *handle, void *stream))                                                                         \
    X(CreateTensorDescriptor, (void **))                                                                               \
    X(DestroyTensorDescriptor, (void *))                                                                               \
    X(SetTensor4dDescriptorEx, (void *, int type, int n, int c, int h, int w, int ns, int cs, int hs, int ws))         \
    X(CreateFilterDescriptor, (void **))                                                                               \
    X(DestroyFilterDescriptor, (void *))                                                                               \
    X(SetFilter4dDescriptor, (void *, int type, int format, int k, int c, int h, int w))                               \
    X(CreateConvolutionDescriptor, (void **))                                                                          \
    X(DestroyConvolutionDescriptor, (void *))                                                                          \
    X(SetConvolution2dDescriptor, (void *, int, int, int, int, int, int, int mode, int type))                          \
    X(SetConvolutionMathType, (void *, int math))                                                                      \
    X(GetConvolutionForwardAlgorithm_v7, FIND_PARAMETERS)                                                              \
    X(GetConvolutionForwardWorkspaceSize, SIZE_PARAMETERS)                                                             \
    X(ConvolutionForward, RUN_PARAMETERS)                                                                              \
    X(GetConvolutionBackwardDataAlgorithm_v7, FIND_PARAMETERS)                                                         \
    X(GetConvolutionBackwardDataWorkspaceSize, SIZE_PARAMETERS)                                                        \
    X(ConvolutionBackwardData, RUN_PARAMETERS)                                                                         \
    X(GetConvolutionBackwardFilterAlgorithm_v7, FIND_PARAMETERS)                                                       \
    X(GetConvolutionBackwardFilterWorkspaceSize, SIZE_PARAMETERS)                                                      \
    X(ConvolutionBackwardFilter, RUN_PARAMETERS)

/* Of the three, in the order that a kind of convolution names them: two operands and the result. */
enum { INPUT, OUTPUT, WEIGHT, TENSORS };
typedef struct Kind {
    int order[TENSORS];
    int(*find) FIND_PARAMETERS;
    int(*size) SIZE_PARAMETERS;
    int(*run) RUN_PARAMETERS;
} Kind;

struct Cudnn {
    const CudaApi *api;
    Arena *arena;
    void *library, *handle;
    size_t version;
    const char *card;
    Kind kinds[CONV_grad_weight + 1];
    CudnnGraphApi graphs;
    bool has_graphs;
    size_t (*GetVersion)(void);
#define CUDNN_FUNCTION(name, parameters) int(*name) parameters;
    CUDNN_FUNCTIONS(CUDNN_FUNCTION)
#undef CUDNN_FUNCTION
};

struct CudnnConv {
    const Kind *kind;
    void *tensors[TENSORS], *conv; /* descriptors */
    int algorithm;
    CudnnGraph *graph; /* instead of an algorithm */
    void *workspace;   /* on the device */
    size_t workspace_bytes;
};

static bool forbidden;

void cudnn_forbid(void) {
    forbidden = true;
}

static bool load(Cudnn *c) {
    c->library = library_open("cudnn", 9, 9);
    bool found = c->library && library_find(c->library, "cudnnGetVersion", &c->GetVersion);
#define CUDNN_FUNCTION(name, parameters) found = found && library_find(c->library, "cudnn" #name, &c->name);
    CUDNN_FUNCTIONS(CUDNN_FUNCTION)
#undef CUDNN_FUNCTION
    c->version = found ? c->GetVersion() : 0;
    c->has_graphs = found && cudnn_graph_load(c->library, &c->graphs);
    c->kinds[CONV_forward] = (Kind){{INPUT, WEIGHT, OUTPUT},
                                    c->GetConvolutionForwardAlgorithm_v7,
                                    c->GetConvolutionForwardWorkspaceSize,
                                    c->ConvolutionForward};
    c->kinds[CONV_grad_input] = (Kind){{WEIGHT, OUTPUT, INPUT},
                                       c->GetConvolutionBackwardDataAlgorithm_v7,
                                       c->GetConvolutionBackwardDataWorkspaceSize,
                                       c->ConvolutionBackwardData};
    c->kinds[CONV_grad_weight] = (Kind){{INPUT, OUTPUT, WEIGHT},
                                        c->GetConvolutionBackwardFilterAlgorithm_v7,
                                        c->GetConvolutionBackwardFilterWorkspaceSize,
                                        c->ConvolutionBackwardFilter};
    return found;
}

const char *cudnn_describe(Arena *arena) {
    Cudnn c = {0};
    if (forbidden)
        return "not used (--no-cudnn)";
    if (!load(&c))
        return "not installed (package cudnn9-cuda-13, or `pip install nvidia-cudnn-cu13`); our own kernels do as well";
    return arena_printf(arena, "%zu.%zu.%zu", c.version / 10000, c.version / 100 % 100, c.version % 100);
}

Cudnn *cudnn_open(const CudaApi *api, const char *card) {
    Cudnn *c = calloc(1, sizeof *c);
    if (!c || forbidden || !load(c) || c->Create(&c->handle) != SUCCESS) {
        free(c);
        return NULL;
    }
    c->api = api;
    c->arena = arena_create();
    c->card = arena_strdup(c->arena, card);
    return c;
}

void cudnn_close(Cudnn *c) {
    if (!c)
        return;
    c->Destroy(c->handle);
    arena_destroy(c->arena);
    free(c);
}

/* ---- convolutions ---- */

static bool describe_images(Cudnn *c, void **descriptor, int type, int64_t n, const int64_t hwc[3]) {
    int h = (int)hwc[0], w = (int)hwc[1], channels = (int)hwc[2];
    return c->CreateTensorDescriptor(descriptor) == SUCCESS &&
           c->SetTensor4dDescriptorEx(*descriptor, type, (int)n, channels, h, w, h * w * channels, 1, w * channels,
                                      channels) == SUCCESS;
}

static bool describe_weights(Cudnn *c, void **descriptor, int type, const int64_t *shape) {
    return c->CreateFilterDescriptor(descriptor) == SUCCESS &&
           c->SetFilter4dDescriptor(*descriptor, type, NHWC, (int)shape[CONV_OUTPUTS], (int)shape[CONV_INPUTS],
                                    (int)shape[CONV_KERNEL], (int)shape[CONV_KERNEL + 1]) == SUCCESS;
}

static bool describe_conv(Cudnn *c, CudnnConv *v, const int64_t *shape, CgPrecision precision) {
    const int64_t *pad = &shape[CONV_PAD], *stride = &shape[CONV_STRIDE], *dilation = &shape[CONV_DILATION];
    return c->CreateConvolutionDescriptor(&v->conv) == SUCCESS &&
           c->SetConvolution2dDescriptor(v->conv, (int)pad[0], (int)pad[1], (int)stride[0], (int)stride[1],
                                         (int)dilation[0], (int)dilation[1], CROSS_CORRELATION, FLOAT) == SUCCESS &&
           c->SetConvolutionMathType(v->conv, precision == PRECISION_f32 ? FMA_MATH : DEFAULT_MATH) == SUCCESS;
}

/* The same bits every time, in the arithmetic that is wanted; what memory it takes depends on that. */
static bool take(Cudnn *c, CudnnConv *v, const Found *found, CgPrecision precision, size_t most) {
    const int *order = v->kind->order;
    v->algorithm = found->algorithm;
    return found->status == SUCCESS && found->determinism == DETERMINISTIC &&
           (precision != PRECISION_f32 || found->math == FMA_MATH) &&
           c->SetConvolutionMathType(v->conv, found->math) == SUCCESS &&
           v->kind->size(c->handle, v->tensors[order[0]], v->tensors[order[1]], v->conv, v->tensors[order[2]],
                         v->algorithm, &v->workspace_bytes) == SUCCESS &&
           v->workspace_bytes <= most;
}

/* The first that can be taken: they come in the order of their speed. */
static bool choose_algorithm(Cudnn *c, CudnnConv *v, CgPrecision precision, size_t most) {
    const int *order = v->kind->order;
    Found found[MOST_ALGORITHMS];
    int count = 0;
    if (v->kind->find(c->handle, v->tensors[order[0]], v->tensors[order[1]], v->conv, v->tensors[order[2]],
                      MOST_ALGORITHMS, &count, found) != SUCCESS)
        return false;
    for (int i = 0; i < count; i++)
        if (take(c, v, &found[i], precision, most))
            return true;
    return false;
}

static bool choose_engine(Cudnn *c, CudnnConv *v, const PlanConv *conv, int64_t batch, CgPrecision precision,
                          size_t most) {
    if (precision != PRECISION_bf16 || !c->has_graphs)
        return false;
    v->graph = cudnn_graph_create(&c->graphs, c->handle, conv, batch, true, most);
    v->workspace_bytes = v->graph ? cudnn_graph_workspace(v->graph) : 0;
    return v->graph;
}

static bool describe(Cudnn *c, CudnnConv *v, const PlanConv *conv, int64_t batch, CgPrecision precision) {
    const int64_t *shape = conv->shape;
    int type = precision == PRECISION_bf16 ? BFLOAT16 : FLOAT;
    v->kind = &c->kinds[plan_conv_kind(conv)];
    return describe_images(c, &v->tensors[INPUT], type, batch, &shape[CONV_INPUT]) &&
           describe_images(c, &v->tensors[OUTPUT], type, batch, &shape[CONV_OUTPUT]) &&
           describe_weights(c, &v->tensors[WEIGHT], type, shape) && describe_conv(c, v, shape, precision);
}

CudnnConv *cudnn_conv_create(Cudnn *c, const PlanConv *conv, int64_t batch, CgPrecision precision) {
    size_t spare = cuda_memory_spare(c->api), most = spare < MOST_WORKSPACE ? spare : MOST_WORKSPACE;
    CudnnConv *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    if (describe(c, v, conv, batch, precision) &&
        (choose_algorithm(c, v, precision, most) || choose_engine(c, v, conv, batch, precision, most)) &&
        c->api->Malloc(&v->workspace, v->workspace_bytes + 1) == CUDA_SUCCESS)
        return v;
    cudnn_conv_destroy(c, v);
    return NULL;
}

CudnnAnswer cudnn_check(const PlanConv *conv, int64_t batch, CgPrecision precision) {
    Cudnn *c = calloc(1, sizeof *c);
    CudnnConv *v = calloc(1, sizeof *v);
    CudnnAnswer answer = CUDNN_missing;
    if (c && v && load(c) && c->has_graphs) {
        v->graph = cudnn_graph_create(&c->graphs, NULL, conv, batch, precision == PRECISION_bf16, 0);
        answer = describe(c, v, conv, batch, precision) && v->graph ? CUDNN_takes : CUDNN_refuses;
        cudnn_conv_destroy(c, v);
        v = NULL;
    }
    free(v);
    free(c);
    return answer;
}

void cudnn_conv_destroy(Cudnn *c, CudnnConv *v) {
    if (!v)
        return;
    if (v->tensors[INPUT])
        c->DestroyTensorDescriptor(v->tensors[INPUT]);
    if (v->tensors[OUTPUT])
        c->DestroyTensorDescriptor(v->tensors[OUTPUT]);
    if (v->tensors[WEIGHT])
        c->DestroyFilterDescriptor(v->tensors[WEIGHT]);
    if (v->conv)
        c->DestroyConvolutionDescriptor(v->conv);
    cudnn_graph_destroy(v->graph);
    if (v->workspace)
        c->api->Free(v->workspace);
    free(v);
}

size_t cudnn_conv_bytes(const CudnnConv *v) {
    return v->workspace_bytes;
}

bool cudnn_conv_run(Cudnn *c, CudnnConv *v, void *stream, void *input, void *output, void *weight) {
    const float one = 1, zero = 0;
    void *const addresses[] = {[INPUT] = input, [OUTPUT] = output, [WEIGHT] = weight};
    const int *order = v->kind->order;
    if (c->SetStream(c->handle, stream) != SUCCESS)
        return false;
    if (v->graph)
        return cudnn_graph_run(v->graph, input, output, weight, v->workspace);
    return v->kind->run(c->handle, &one, v->tensors[order[0]], addresses[order[0]], v->tensors[order[1]],
                        addresses[order[1]], v->conv, v->algorithm, v->workspace, v->workspace_bytes, &zero,
                        v->tensors[order[2]], addresses[order[2]]) == SUCCESS;
}

/* ---- choices ---- */

/* NULL: there is no place for it. */
static const char *choices_path(Arena *arena) {
    Error ignored = {ERROR_NONE, ""};
    const char *folder = rt_cache_folder(arena, &ignored);
    return folder ? arena_printf(arena, "%s/cudnn-choices", folder) : NULL;
}

/* "f32 batch 64 shape 32 32 3 ...; cuDNN 91900; NVIDIA H100 ..."; before "batch" what it is a gradient of. */
static const char *choice_key(const Cudnn *c, Arena *arena, const PlanConv *conv, int64_t batch,
                              CgPrecision precision) {
    static const char *const kinds[] = {
        [CONV_forward] = "", [CONV_grad_input] = "gradient of input ", [CONV_grad_weight] = "gradient of weight "};
    Str s = str_create(arena);
    str_addf(&s, "%s %sbatch %lld shape", cg_precision_name(precision), kinds[plan_conv_kind(conv)], (long long)batch);
    for (int i = 0; i < CONV_NUMBERS; i++)
        str_addf(&s, " %lld", (long long)conv->shape[i]);
    str_addf(&s, "; cuDNN %zu; %s\n", c->version, c->card);
    return s.data;
}

static const char *read_choices(Arena *arena) {
    Error ignored = {ERROR_NONE, ""};
    const char *path = choices_path(arena);
    SourceFile *file = path ? source_read(arena, path, &ignored) : NULL;
    return file ? file->text : "";
}

int cudnn_recall(const Cudnn *c, const PlanConv *conv, int64_t batch, CgPrecision precision) {
    Arena *arena = arena_create();
    const char *choices = read_choices(arena), *key = choice_key(c, arena, conv, batch, precision);
    int choice = strstr(choices, arena_printf(arena, "cudnn: %s", key)) ? 1
                 : strstr(choices, arena_printf(arena, "own: %s", key)) ? 0
                                                                        : -1;
    arena_destroy(arena);
    return choice;
}

/* The text without one of its lines. */
static const char *leave_out(Arena *arena, const char *text, const char *line) {
    const char *at = strstr(text, line);
    return at ? arena_printf(arena, "%.*s%s", (int)(at - text), text, at + strlen(line)) : text;
}

/* A file that cannot be written costs a trial next time. */
void cudnn_remember(const Cudnn *c, const PlanConv *conv, int64_t batch, CgPrecision precision, bool chosen) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    const char *key = choice_key(c, arena, conv, batch, precision), *text = read_choices(arena);
    text = leave_out(arena, text, arena_printf(arena, "cudnn: %s", key));
    text = leave_out(arena, text, arena_printf(arena, "own: %s", key));
    text = arena_printf(arena, "%s%s: %s", text, chosen ? "cudnn" : "own", key);
    if (choices_path(arena))
        file_write_atomic(choices_path(arena), text, strlen(text), &ignored);
    arena_destroy(arena);
}
