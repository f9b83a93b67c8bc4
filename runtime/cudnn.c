/* cudnn.c: the legacy interface of cuDNN 9: it is small, and its deterministic algorithms are all that is wanted.
 * Activations are NHWC on both sides; weights are HWIO here and OHWI there, so they are turned around before. */
#include "runtime/cudnn.h"

#include "base/library.h"
#include "base/str.h"
#include "base/tensor_file.h"
#include "runtime/cache.h"

#include <stdlib.h>
#include <string.h>

enum { SUCCESS, FLOAT = 0, NHWC = 1, CROSS_CORRELATION = 1, DEFAULT_MATH = 0, FMA_MATH = 3, DETERMINISTIC = 1 };
enum { MOST_ALGORITHMS = 16, MOST_WORKSPACE = 256 << 20 };

typedef struct Found {
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
} Found;

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
    X(GetConvolutionForwardAlgorithm_v7, (void *, void *, void *, void *, void *, int, int *, Found *))                \
    X(GetConvolutionForwardWorkspaceSize, (void *, void *, void *, void *, void *, int, size_t *))                     \
    X(TransformTensor, (void *, const void *, void *, const void *, const void *, void *, void *))                     \
    X(ConvolutionForward, (void *, const void *, void *, const void *, void *, const void *, void *, int, void *,      \
                           size_t, const void *, void *, void *))

struct Cudnn {
    const CudaApi *api;
    Arena *arena;
    void *library, *handle;
    size_t version;
    const char *card;
    size_t (*GetVersion)(void);
#define CUDNN_FUNCTION(name, parameters) int(*name) parameters;
    CUDNN_FUNCTIONS(CUDNN_FUNCTION)
#undef CUDNN_FUNCTION
};

struct CudnnConv {
    void *x, *y, *filter, *conv;      /* descriptors */
    void *weight_here, *weight_there; /* the same numbers, in two orders */
    int algorithm;
    void *turned, *workspace; /* on the device */
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
    return found;
}

const char *cudnn_describe(Arena *arena) {
    Cudnn c = {0};
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

static bool describe_images(Cudnn *c, void **descriptor, int64_t n, const int64_t hwc[3]) {
    int h = (int)hwc[0], w = (int)hwc[1], channels = (int)hwc[2];
    return c->CreateTensorDescriptor(descriptor) == SUCCESS &&
           c->SetTensor4dDescriptorEx(*descriptor, FLOAT, (int)n, channels, h, w, h * w * channels, 1, w * channels,
                                      channels) == SUCCESS;
}

/* OIHW as seen by both, in memory HWIO and OHWI. */
static bool describe_weights(Cudnn *c, CudnnConv *v, const int64_t *shape) {
    int o = (int)shape[CONV_OUTPUTS], i = (int)shape[CONV_INPUTS], h = (int)shape[CONV_KERNEL],
        w = (int)shape[CONV_KERNEL + 1];
    return c->CreateTensorDescriptor(&v->weight_here) == SUCCESS &&
           c->SetTensor4dDescriptorEx(v->weight_here, FLOAT, o, i, h, w, 1, o, w * i * o, i * o) == SUCCESS &&
           c->CreateTensorDescriptor(&v->weight_there) == SUCCESS &&
           c->SetTensor4dDescriptorEx(v->weight_there, FLOAT, o, i, h, w, h * w * i, 1, w * i, i) == SUCCESS &&
           c->CreateFilterDescriptor(&v->filter) == SUCCESS &&
           c->SetFilter4dDescriptor(v->filter, FLOAT, NHWC, o, i, h, w) == SUCCESS;
}

static bool describe_conv(Cudnn *c, CudnnConv *v, const int64_t *shape, CgPrecision precision) {
    const int64_t *pad = &shape[CONV_PAD], *stride = &shape[CONV_STRIDE], *dilation = &shape[CONV_DILATION];
    return c->CreateConvolutionDescriptor(&v->conv) == SUCCESS &&
           c->SetConvolution2dDescriptor(v->conv, (int)pad[0], (int)pad[1], (int)stride[0], (int)stride[1],
                                         (int)dilation[0], (int)dilation[1], CROSS_CORRELATION, FLOAT) == SUCCESS &&
           c->SetConvolutionMathType(v->conv, precision == PRECISION_tf32 ? DEFAULT_MATH : FMA_MATH) == SUCCESS;
}

/* The first that gives the same bits every time. */
static bool choose_algorithm(Cudnn *c, CudnnConv *v) {
    Found found[MOST_ALGORITHMS];
    int count = 0;
    if (c->GetConvolutionForwardAlgorithm_v7(c->handle, v->x, v->filter, v->conv, v->y, MOST_ALGORITHMS, &count,
                                             found) != SUCCESS)
        return false;
    for (int i = 0; i < count; i++) {
        v->algorithm = found[i].algorithm;
        if (found[i].status == SUCCESS && found[i].determinism == DETERMINISTIC &&
            c->GetConvolutionForwardWorkspaceSize(c->handle, v->x, v->filter, v->conv, v->y, v->algorithm,
                                                  &v->workspace_bytes) == SUCCESS &&
            v->workspace_bytes <= MOST_WORKSPACE)
            return true;
    }
    return false;
}

static bool allocate(Cudnn *c, CudnnConv *v, const int64_t *shape) {
    int64_t weights = shape[CONV_OUTPUTS] * shape[CONV_INPUTS] * shape[CONV_KERNEL] * shape[CONV_KERNEL + 1];
    return c->api->Malloc(&v->turned, (size_t)weights * sizeof(float)) == CUDA_SUCCESS &&
           c->api->Malloc(&v->workspace, v->workspace_bytes + 1) == CUDA_SUCCESS;
}

CudnnConv *cudnn_conv_create(Cudnn *c, const PlanConv *conv, int64_t batch, CgPrecision precision) {
    const int64_t *shape = conv->shape;
    CudnnConv *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    if (describe_images(c, &v->x, batch, &shape[CONV_INPUT]) && describe_images(c, &v->y, batch, &shape[CONV_OUTPUT]) &&
        describe_weights(c, v, shape) && describe_conv(c, v, shape, precision) && choose_algorithm(c, v) &&
        allocate(c, v, shape))
        return v;
    cudnn_conv_destroy(c, v);
    return NULL;
}

void cudnn_conv_destroy(Cudnn *c, CudnnConv *v) {
    if (!v)
        return;
    void *const tensors[] = {v->x, v->y, v->weight_here, v->weight_there};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        if (tensors[i])
            c->DestroyTensorDescriptor(tensors[i]);
    if (v->filter)
        c->DestroyFilterDescriptor(v->filter);
    if (v->conv)
        c->DestroyConvolutionDescriptor(v->conv);
    if (v->turned)
        c->api->Free(v->turned);
    if (v->workspace)
        c->api->Free(v->workspace);
    free(v);
}

bool cudnn_conv_run(Cudnn *c, CudnnConv *v, void *stream, const void *x, const void *weight, void *y) {
    const float one = 1, zero = 0;
    return c->SetStream(c->handle, stream) == SUCCESS &&
           c->TransformTensor(c->handle, &one, v->weight_here, weight, &zero, v->weight_there, v->turned) == SUCCESS &&
           c->ConvolutionForward(c->handle, &one, v->x, x, v->filter, v->turned, v->conv, v->algorithm, v->workspace,
                                 v->workspace_bytes, &zero, v->y, y) == SUCCESS;
}

/* ---- choices ---- */

static const char *choices_path(Arena *arena) {
    return arena_printf(arena, "%s/cudnn-choices", rt_cache_folder(arena));
}

/* "f32 batch 64 shape 32 32 3 ...; cuDNN 91900; NVIDIA H100 ..." */
static const char *choice_key(const Cudnn *c, Arena *arena, const PlanConv *conv, int64_t batch,
                              CgPrecision precision) {
    Str s = str_create(arena);
    str_addf(&s, "%s batch %lld shape", cg_precision_name(precision), (long long)batch);
    for (int i = 0; i < CONV_NUMBERS; i++)
        str_addf(&s, " %lld", (long long)conv->shape[i]);
    str_addf(&s, "; cuDNN %zu; %s\n", c->version, c->card);
    return s.data;
}

static const char *read_choices(Arena *arena) {
    Error ignored = {ERROR_NONE, ""};
    SourceFile *file = source_read(arena, choices_path(arena), &ignored);
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

/* A file that cannot be written costs a trial next time. */
void cudnn_remember(const Cudnn *c, const PlanConv *conv, int64_t batch, CgPrecision precision, bool chosen) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""};
    const char *text = arena_printf(arena, "%s%s: %s", read_choices(arena), chosen ? "cudnn" : "own",
                                    choice_key(c, arena, conv, batch, precision));
    file_write_atomic(choices_path(arena), text, strlen(text), &ignored);
    arena_destroy(arena);
}
