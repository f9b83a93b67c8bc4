/* fake_cudnn.cpp: the part of cuDNN that runtime/device/cudnn.c uses, plainly, on the stand-in for libcudart: work waits on its
 * stream and can be captured. Descriptors that do not fit together are refused, as cuDNN does; so is an algorithm with other math than the one it is offered with, and with
 * less memory than that wants. It says on stderr how
 * many convolutions of each kind ran when $FAKE_CUDNN_COUNT is set; with $FAKE_CUDNN_WRONG=forward, input or weight those
 * compute something else, and want more memory than there is with $FAKE_CUDNN_GREEDY=forward, input or weight. With
 * $FAKE_CUDNN_LEGACY=none the legacy interface has no deterministic algorithm; the graph interface has one always. */
#include "fake_cudart.h"

#include <cstddef>
#include <cstdio>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

namespace {

enum { SUCCESS = 0, BAD_PARAM = 2000, FLOAT = 0, BFLOAT16 = 9 };
enum Math { DEFAULT, TENSOR_OP, TENSOR_OP_ALLOW_CONVERSION, FMA };

struct Handle {
    void *stream;
};
struct Tensor {
    int type, size[4], stride[4]; /* n c h w */
};
struct Filter {
    int type, format, k, c, h, w;
};
struct Conv {
    int pad[2], stride[2], dilation[2], math;
};
struct Found {
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
};

enum Kind { FORWARD, INPUT, WEIGHT, KINDS };
const char *const names[KINDS] = {"forward", "input", "weight"};
int runs[KINDS];
struct Report {
    ~Report() {
        if (getenv("FAKE_CUDNN_COUNT"))
            fprintf(stderr, "fake cudnn: %d forward, %d input, %d weight\n", runs[FORWARD], runs[INPUT], runs[WEIGHT]);
    }
} report;

bool is_asked(const char *variable, Kind kind) {
    const char *value = getenv(variable);
    return value && strcmp(value, names[kind]) == 0;
}

/* All of one type, and as many rows and columns as there must be. */
bool fit(const Tensor &x, const Filter &f, const Conv &c, const Tensor &y) {
    const int kernel[2] = {f.h, f.w};
    bool right = x.size[0] == y.size[0] && x.size[1] == f.c && y.size[1] == f.k && f.format == 1 && x.type == f.type && y.type == f.type;
    for (int i = 0; i < 2; i++)
        right = right && y.size[2 + i] == (x.size[2 + i] + 2 * c.pad[i] - (kernel[i] - 1) * c.dilation[i] - 1) / c.stride[i] + 1;
    return right;
}

size_t place(const Tensor &t, int n, int c, int h, int w) {
    return (size_t)n * t.stride[0] + (size_t)c * t.stride[1] + (size_t)h * t.stride[2] + (size_t)w * t.stride[3];
}

double load(int type, const void *memory, size_t at) {
    if (type == FLOAT)
        return ((const float *)memory)[at];
    uint32_t bits = (uint32_t)((const uint16_t *)memory)[at] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void store(int type, void *memory, size_t at, double sum) {
    float value = (float)sum;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (type == FLOAT)
        ((float *)memory)[at] = value;
    else
        ((uint16_t *)memory)[at] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

size_t count(const Tensor &t) {
    return (size_t)t.size[0] * t.size[1] * t.size[2] * t.size[3];
}

/* Every product of an element of x, one of the weights and one of y: the one of them that is computed adds up the others'. */
void compute(Kind kind, const Tensor &x, const void *in, const Filter &f, const void *weight, const Conv &c, const Tensor &y,
             const void *out, void *result) {
    std::vector<double> sums(kind == FORWARD ? count(y) : kind == INPUT ? count(x) : (size_t)f.k * f.h * f.w * f.c, is_asked("FAKE_CUDNN_WRONG", kind) ? 0.1 : 0);
    for (int n = 0; n < y.size[0]; n++)
        for (int h = 0; h < y.size[2]; h++)
            for (int w = 0; w < y.size[3]; w++)
                for (int i = 0; i < f.h * f.w; i++) {
                    int row = h * c.stride[0] + i / f.w * c.dilation[0] - c.pad[0], column = w * c.stride[1] + i % f.w * c.dilation[1] - c.pad[1];
                    if (row < 0 || column < 0 || row >= x.size[2] || column >= x.size[3])
                        continue;
                    for (int k = 0; k < f.k; k++)
                        for (int channel = 0; channel < f.c; channel++) {
                            size_t at_x = place(x, n, channel, row, column), at_y = place(y, n, k, h, w), at_w = ((size_t)k * f.h * f.w + i) * f.c + channel;
                            if (kind == FORWARD)
                                sums[at_y] += load(x.type, in, at_x) * load(f.type, weight, at_w);
                            else if (kind == INPUT)
                                sums[at_x] += load(y.type, out, at_y) * load(f.type, weight, at_w);
                            else
                                sums[at_w] += load(y.type, out, at_y) * load(x.type, in, at_x);
                        }
                }
    for (size_t i = 0; i < sums.size(); i++)
        store(f.type, result, i, sums[i]);
}

enum { ROUNDS = 2, COMPUTES = 1 }; /* algorithms */

/* The first one cannot, the second is not deterministic, the third rounds what is single precision. */
int find(const Tensor *x, const Filter *f, const Conv *c, const Tensor *y, int most, int *count, Found *found) {
    if (!fit(*x, *f, *c, *y) || most < 4)
        return BAD_PARAM;
    *count = 0;
    found[(*count)++] = {7, BAD_PARAM, -1, 0, 1, DEFAULT, {}};
    found[(*count)++] = {6, SUCCESS, -1, 0, 0, c->math, {}};
    const char *legacy = getenv("FAKE_CUDNN_LEGACY");
    if (legacy && strcmp(legacy, "none") == 0)
        return SUCCESS;
    if (c->math == FMA)
        found[(*count)++] = {ROUNDS, SUCCESS, -1, 64, 1, DEFAULT, {}};
    found[(*count)++] = {COMPUTES, SUCCESS, -1, 64, 1, c->math == FMA ? FMA : TENSOR_OP, {}};
    return SUCCESS;
}

size_t workspace_of(int math) {
    return math == TENSOR_OP ? 128 : 64;
}

int size(Kind kind, const void *conv, int algorithm, size_t *bytes) {
    *bytes = is_asked("FAKE_CUDNN_GREEDY", kind) ? (size_t)200 << 20 : workspace_of(((const Conv *)conv)->math);
    return algorithm == COMPUTES || algorithm == ROUNDS ? SUCCESS : BAD_PARAM;
}

int run(Kind kind, void *handle, const void *x, const void *in, const void *f, const void *weight, const void *c, const void *y,
        const void *out, void *result, int algorithm, const void *workspace, size_t bytes) {
    Tensor input = *(const Tensor *)x, output = *(const Tensor *)y;
    Filter filter = *(const Filter *)f;
    Conv conv = *(const Conv *)c;
    if (algorithm != COMPUTES || bytes < workspace_of(conv.math) || conv.math == DEFAULT || !workspace || !fit(input, filter, conv, output))
        return BAD_PARAM;
    return fake_cudart_put(((Handle *)handle)->stream, [=] {
        runs[kind]++;
        compute(kind, input, in, filter, weight, conv, output, out, result);
        return 0;
    });
}

/* ---- the graph interface: kinds and attributes have the library's numbers ---- */

enum { CONVOLUTION = 1, ENGINE, CONFIG, HEURISTICS, PLAN, OPERATION_FORWARD = 10, OPERATION_WEIGHT, OPERATION_INPUT, GRAPH = 15, PACK, TENSOR };
const int widths[] = {8, 4, 1, 8, 4, 8, 8, 4, 4, 4, 0, 4, 4, 4, 4, 8}; /* of an element, by the type of the attribute */

struct Descriptor {
    int kind;
    bool finished;
    std::map<int, std::vector<char>> attributes;

    template <class T> T get(int name, size_t index = 0) const {
        T value = T();
        auto found = attributes.find(name);
        if (found != attributes.end() && found->second.size() >= (index + 1) * sizeof(T))
            memcpy(&value, found->second.data() + index * sizeof(T), sizeof value);
        return value;
    }
    const Descriptor *at(int name) const {
        return get<const Descriptor *>(name);
    }
};

Tensor tensor_of(const Descriptor *d) {
    Tensor t = {d->get<int>(901), {}, {}};
    for (size_t i = 0; i < 4; i++) {
        t.size[i] = (int)d->get<int64_t>(902, i);
        t.stride[i] = (int)d->get<int64_t>(903, i);
    }
    return t;
}

Filter filter_of(const Descriptor *d) {
    Tensor t = tensor_of(d);
    return {t.type, t.stride[1] == 1, t.size[0], t.size[1], t.size[2], t.size[3]};
}

Conv conv_of(const Descriptor *d) {
    Conv c = {{}, {}, {}, TENSOR_OP};
    for (size_t i = 0; i < 2; i++) {
        c.pad[i] = d->get<int64_t>(104, i) == d->get<int64_t>(105, i) ? (int)d->get<int64_t>(105, i) : -1;
        c.stride[i] = (int)d->get<int64_t>(103, i);
        c.dilation[i] = (int)d->get<int64_t>(102, i);
    }
    return c;
}

/* Its tensors: the input, the weights, the output. */
void tensors_of(const Descriptor *operation, const Descriptor *tensors[3]) {
    const int names[3][3] = {{704, 703, 705}, {716, 715, 717}, {710, 709, 711}};
    for (int i = 0; i < 3; i++)
        tensors[i] = operation->at(names[operation->kind - OPERATION_FORWARD][i]);
}

Kind kind_of(const Descriptor *operation) {
    return operation->kind == OPERATION_FORWARD ? FORWARD : operation->kind == OPERATION_INPUT ? INPUT : WEIGHT;
}

bool is_right(const Descriptor *d) {
    if (d->kind < OPERATION_FORWARD || d->kind > OPERATION_INPUT)
        return true;
    const Descriptor *tensors[3], *conv = d->at(d->kind == OPERATION_FORWARD ? 702 : d->kind == OPERATION_INPUT ? 708 : 714);
    tensors_of(d, tensors);
    return conv && tensors[0] && tensors[1] && tensors[2] && conv->finished && tensors[0]->finished &&
           fit(tensor_of(tensors[0]), filter_of(tensors[1]), conv_of(conv), tensor_of(tensors[2]));
}

/* The plan's operation. */
const Descriptor *operation_of(const Descriptor *plan) {
    return plan->at(401)->at(1300)->at(801);
}

int execute(Handle *handle, const Descriptor *plan, const Descriptor *pack) {
    const Descriptor *operation = operation_of(plan), *tensors[3];
    if (plan->at(401)->get<char>(1303) == 4)
        return BAD_PARAM;
    tensors_of(operation, tensors);
    void *addresses[3] = {};
    for (size_t i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            if (tensors[j]->get<int64_t>(906) == pack->get<int64_t>(1000, i))
                addresses[j] = pack->get<void *>(1001, i);
    Tensor x = tensor_of(tensors[0]), y = tensor_of(tensors[2]);
    Filter f = filter_of(tensors[1]);
    Conv c = conv_of(operation->at(operation->kind == OPERATION_FORWARD ? 702 : operation->kind == OPERATION_INPUT ? 708 : 714));
    Kind kind = kind_of(operation);
    void *result = addresses[kind == FORWARD ? 2 : kind == INPUT ? 0 : 1];
    return run(kind, handle, &x, addresses[0], &f, addresses[1], &c, &y, addresses[2], result, COMPUTES, pack->get<void *>(1003), 128);
}

/* Two engines: the first is not deterministic, and fails. */
int get_attribute(const Descriptor *d, int name, int64_t most, int64_t *count, void *values) {
    Descriptor **descriptors = (Descriptor **)values;
    if (d->kind == HEURISTICS && name == 202) {
        *count = 2;
        for (int64_t i = 0; i < 2 && i < most; i++) {
            const Descriptor *graph = d->at(201);
            descriptors[i]->attributes[1300].assign((const char *)&graph, (const char *)(&graph + 1));
            descriptors[i]->attributes[1303].assign(1, i == 0 ? 4 : 0); /* a note */
            descriptors[i]->finished = true;
        }
        return SUCCESS;
    }
    if (d->kind == CONFIG && name == 300) {
        *count = 1;
        descriptors[0]->attributes = d->attributes;
        return SUCCESS;
    }
    if (d->kind == ENGINE && name == 1303) {
        *count = 1;
        *(int *)values = d->get<char>(1303);
        return SUCCESS;
    }
    if (d->kind == PLAN && name == 402) {
        *count = 1;
        *(int64_t *)values = 128;
        return SUCCESS;
    }
    return BAD_PARAM;
}

template <class T> int create(void **descriptor) {
    *descriptor = new T();
    return SUCCESS;
}
template <class T> int destroy(void *descriptor) {
    delete (T *)descriptor;
    return SUCCESS;
}

} // namespace

extern "C" {

size_t cudnnGetVersion() {
    return 99999;
}
int cudnnCreate(void **handle) {
    return create<Handle>(handle);
}
int cudnnDestroy(void *handle) {
    return destroy<Handle>(handle);
}
int cudnnSetStream(void *handle, void *stream) {
    ((Handle *)handle)->stream = stream;
    return SUCCESS;
}
int cudnnCreateTensorDescriptor(void **t) {
    return create<Tensor>(t);
}
int cudnnDestroyTensorDescriptor(void *t) {
    return destroy<Tensor>(t);
}
int cudnnSetTensor4dDescriptorEx(void *t, int type, int n, int c, int h, int w, int ns, int cs, int hs, int ws) {
    *(Tensor *)t = {type, {n, c, h, w}, {ns, cs, hs, ws}};
    return type == FLOAT || type == BFLOAT16 ? SUCCESS : BAD_PARAM;
}
int cudnnCreateFilterDescriptor(void **f) {
    return create<Filter>(f);
}
int cudnnDestroyFilterDescriptor(void *f) {
    return destroy<Filter>(f);
}
int cudnnSetFilter4dDescriptor(void *f, int type, int format, int k, int c, int h, int w) {
    *(Filter *)f = {type, format, k, c, h, w};
    return type == FLOAT || type == BFLOAT16 ? SUCCESS : BAD_PARAM;
}
int cudnnCreateConvolutionDescriptor(void **c) {
    return create<Conv>(c);
}
int cudnnDestroyConvolutionDescriptor(void *c) {
    return destroy<Conv>(c);
}
int cudnnSetConvolution2dDescriptor(void *c, int ph, int pw, int sh, int sw, int dh, int dw, int mode, int type) {
    *(Conv *)c = {{ph, pw}, {sh, sw}, {dh, dw}, 0};
    return mode == 1 && type == FLOAT ? SUCCESS : BAD_PARAM;
}
int cudnnSetConvolutionMathType(void *c, int math) {
    ((Conv *)c)->math = math;
    return SUCCESS;
}

int cudnnGetConvolutionForwardAlgorithm_v7(void *, Tensor *x, Filter *f, Conv *c, Tensor *y, int most, int *count, Found *found) {
    return find(x, f, c, y, most, count, found);
}
int cudnnGetConvolutionBackwardDataAlgorithm_v7(void *, Filter *f, Tensor *y, Conv *c, Tensor *x, int most, int *count, Found *found) {
    return find(x, f, c, y, most, count, found);
}
int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void *, Tensor *x, Tensor *y, Conv *c, Filter *f, int most, int *count, Found *found) {
    return find(x, f, c, y, most, count, found);
}
int cudnnGetConvolutionForwardWorkspaceSize(void *, void *, void *, void *c, void *, int algorithm, size_t *bytes) {
    return size(FORWARD, c, algorithm, bytes);
}
int cudnnGetConvolutionBackwardDataWorkspaceSize(void *, void *, void *, void *c, void *, int algorithm, size_t *bytes) {
    return size(INPUT, c, algorithm, bytes);
}
int cudnnGetConvolutionBackwardFilterWorkspaceSize(void *, void *, void *, void *c, void *, int algorithm, size_t *bytes) {
    return size(WEIGHT, c, algorithm, bytes);
}

int cudnnConvolutionForward(void *handle, const void *, void *x, const void *in, void *f, const void *weight, void *c, int algorithm,
                            void *workspace, size_t bytes, const void *, void *y, void *out) {
    return run(FORWARD, handle, x, in, f, weight, c, y, out, out, algorithm, workspace, bytes);
}
int cudnnConvolutionBackwardData(void *handle, const void *, void *f, const void *weight, void *y, const void *out, void *c, int algorithm,
                                 void *workspace, size_t bytes, const void *, void *x, void *in) {
    return run(INPUT, handle, x, in, f, weight, c, y, out, in, algorithm, workspace, bytes);
}
int cudnnConvolutionBackwardFilter(void *handle, const void *, void *x, const void *in, void *y, const void *out, void *c, int algorithm,
                                   void *workspace, size_t bytes, const void *, void *f, void *weight) {
    return run(WEIGHT, handle, x, in, f, weight, c, y, out, weight, algorithm, workspace, bytes);
}

int cudnnBackendCreateDescriptor(int kind, void **descriptor) {
    *descriptor = new Descriptor{kind, false, {}};
    return SUCCESS;
}
int cudnnBackendDestroyDescriptor(void *descriptor) {
    return destroy<Descriptor>(descriptor);
}
int cudnnBackendSetAttribute(void *descriptor, int name, int type, int64_t count, const void *values) {
    std::vector<char> &attribute = ((Descriptor *)descriptor)->attributes[name];
    attribute.assign((const char *)values, (const char *)values + count * widths[type]);
    return ((Descriptor *)descriptor)->finished ? BAD_PARAM : SUCCESS;
}
int cudnnBackendGetAttribute(const void *descriptor, int name, int, int64_t most, int64_t *count, void *values) {
    return get_attribute((const Descriptor *)descriptor, name, most, count, values);
}
int cudnnBackendFinalize(void *descriptor) {
    ((Descriptor *)descriptor)->finished = true;
    return is_right((const Descriptor *)descriptor) ? SUCCESS : BAD_PARAM;
}
int cudnnBackendExecute(void *handle, void *plan, void *pack) {
    return execute((Handle *)handle, (const Descriptor *)plan, (const Descriptor *)pack);
}
}
