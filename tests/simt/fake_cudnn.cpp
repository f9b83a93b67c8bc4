/* fake_cudnn.cpp: the part of cuDNN that runtime/cudnn.c uses, plainly, on the stand-in for libcudart: work waits on its
 * stream and can be captured. Descriptors that do not fit together are refused, as cuDNN does. It says on stderr how
 * many convolutions ran when $FAKE_CUDNN_COUNT is set; with $FAKE_CUDNN_WRONG their results are. */
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>

int fake_cudart_put(void *stream, std::function<int()> operation);

namespace {

enum { SUCCESS = 0, BAD_PARAM = 2000 };

struct Handle {
    void *stream;
};
struct Tensor {
    int size[4], stride[4]; /* n c h w */
};
struct Filter {
    int format, k, c, h, w;
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

int runs;
struct Report {
    ~Report() {
        if (getenv("FAKE_CUDNN_COUNT"))
            fprintf(stderr, "fake cudnn: %d convolutions\n", runs);
    }
} report;

bool fit(const Tensor &x, const Filter &f, const Conv &c, const Tensor &y) {
    const int kernel[2] = {f.h, f.w};
    bool right = x.size[0] == y.size[0] && x.size[1] == f.c && y.size[1] == f.k && f.format == 1;
    for (int i = 0; i < 2; i++)
        right = right && y.size[2 + i] == (x.size[2 + i] + 2 * c.pad[i] - (kernel[i] - 1) * c.dilation[i] - 1) / c.stride[i] + 1;
    return right;
}

size_t place(const Tensor &t, int n, int c, int h, int w) {
    return (size_t)n * t.stride[0] + (size_t)c * t.stride[1] + (size_t)h * t.stride[2] + (size_t)w * t.stride[3];
}

float element(const Tensor &x, const float *from, const Filter &f, const float *weight, const Conv &c, const int at[4]) {
    double sum = 0;
    for (int i = 0; i < f.h; i++) {
        for (int j = 0; j < f.w; j++) {
            int h = at[2] * c.stride[0] + i * c.dilation[0] - c.pad[0], w = at[3] * c.stride[1] + j * c.dilation[1] - c.pad[1];
            if (h < 0 || w < 0 || h >= x.size[2] || w >= x.size[3])
                continue;
            for (int channel = 0; channel < f.c; channel++)
                sum += (double)from[place(x, at[0], channel, h, w)] * weight[((at[1] * f.h + i) * f.w + j) * f.c + channel];
        }
    }
    return (float)(getenv("FAKE_CUDNN_WRONG") ? sum + 0.1 : sum);
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
    *(Tensor *)t = {{n, c, h, w}, {ns, cs, hs, ws}};
    return type == 0 ? SUCCESS : BAD_PARAM;
}
int cudnnCreateFilterDescriptor(void **f) {
    return create<Filter>(f);
}
int cudnnDestroyFilterDescriptor(void *f) {
    return destroy<Filter>(f);
}
int cudnnSetFilter4dDescriptor(void *f, int type, int format, int k, int c, int h, int w) {
    *(Filter *)f = {format, k, c, h, w};
    return type == 0 ? SUCCESS : BAD_PARAM;
}
int cudnnCreateConvolutionDescriptor(void **c) {
    return create<Conv>(c);
}
int cudnnDestroyConvolutionDescriptor(void *c) {
    return destroy<Conv>(c);
}
int cudnnSetConvolution2dDescriptor(void *c, int ph, int pw, int sh, int sw, int dh, int dw, int mode, int type) {
    *(Conv *)c = {{ph, pw}, {sh, sw}, {dh, dw}, 0};
    return mode == 1 && type == 0 ? SUCCESS : BAD_PARAM;
}
int cudnnSetConvolutionMathType(void *c, int math) {
    ((Conv *)c)->math = math;
    return SUCCESS;
}

/* The first one cannot, the second is not deterministic. */
int cudnnGetConvolutionForwardAlgorithm_v7(void *, void *x, void *f, void *c, void *y, int most, int *count, Found *found) {
    if (!fit(*(Tensor *)x, *(Filter *)f, *(Conv *)c, *(Tensor *)y) || most < 3)
        return BAD_PARAM;
    *count = 3;
    found[0] = {7, BAD_PARAM, -1, 0, 1, 0, {}};
    found[1] = {6, SUCCESS, -1, 0, 0, 0, {}};
    found[2] = {1, SUCCESS, -1, 64, 1, 0, {}};
    return SUCCESS;
}
int cudnnGetConvolutionForwardWorkspaceSize(void *, void *, void *, void *, void *, int algorithm, size_t *bytes) {
    *bytes = 64;
    return algorithm == 1 ? SUCCESS : BAD_PARAM;
}

int cudnnTransformTensor(void *handle, const void *, void *from, const void *x, const void *, void *to, void *y) {
    Tensor a = *(Tensor *)from, b = *(Tensor *)to;
    return fake_cudart_put(((Handle *)handle)->stream, [=] {
        for (int n = 0; n < a.size[0]; n++)
            for (int c = 0; c < a.size[1]; c++)
                for (int h = 0; h < a.size[2]; h++)
                    for (int w = 0; w < a.size[3]; w++)
                        ((float *)y)[place(b, n, c, h, w)] = ((const float *)x)[place(a, n, c, h, w)];
        return 0;
    });
}

int cudnnConvolutionForward(void *handle, const void *, void *x, const void *from, void *f, const void *weight, void *c,
                            int algorithm, void *workspace, size_t bytes, const void *, void *y, void *to) {
    Tensor in = *(Tensor *)x, out = *(Tensor *)y;
    Filter filter = *(Filter *)f;
    Conv conv = *(Conv *)c;
    if (algorithm != 1 || bytes < 64 || !workspace)
        return BAD_PARAM;
    return fake_cudart_put(((Handle *)handle)->stream, [=] {
        runs++;
        for (int n = 0; n < out.size[0]; n++)
            for (int k = 0; k < out.size[1]; k++)
                for (int h = 0; h < out.size[2]; h++)
                    for (int w = 0; w < out.size[3]; w++) {
                        const int at[4] = {n, k, h, w};
                        ((float *)to)[place(out, n, k, h, w)] =
                            element(in, (const float *)from, filter, (const float *)weight, conv, at);
                    }
        return 0;
    });
}
}
