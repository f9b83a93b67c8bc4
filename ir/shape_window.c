/* shape_window.c: the types of results of convolutions, pools and their gradients: whatever slides a window over height
 * and width. Activations are NHWC, weights OIHW. */
#include "ir/shape.h"

#include <string.h>

enum { IR_MAX_CROP = 1 << 20 };

typedef struct Window {
    int64_t kernel[2], stride[2], dilation[2], pad[4];
} Window;

static bool window_read(const ShapeArgs *a, bool dilated, Window *w) {
    if (!shape_need_list(a, "stride", 2, 1) || !shape_need_list(a, "pad", 4, dilated ? -IR_MAX_CROP : 0) ||
        (dilated && !shape_need_list(a, "dilation", 2, 1)))
        return false;
    memcpy(w->stride, shape_attr_list(a, "stride")->ints, sizeof w->stride);
    memcpy(w->pad, shape_attr_list(a, "pad")->ints, sizeof w->pad);
    w->dilation[0] = w->dilation[1] = 1;
    if (dilated)
        memcpy(w->dilation, shape_attr_list(a, "dilation")->ints, sizeof w->dilation);
    return true;
}

/* Convolutions may have negative padding, which crops: gradients of 1x1 windows with padding need it. */
/* out = floor((in + pad before + pad after - dilated kernel) / stride) + 1, for height and width. */
static bool window_output(const ShapeArgs *a, const Window *w, const int64_t in[2], int64_t out[2]) {
    for (int i = 0; i < 2; i++) {
        int64_t room = in[i] + w->pad[i] + w->pad[i + 2] - (w->dilation[i] * (w->kernel[i] - 1) + 1);
        if (in[i] < 1 || room < 0)
            return ir_fail(a->error, "a window of %lld does not fit in %s %lld with padding %lld and %lld",
                           (long long)(w->dilation[i] * (w->kernel[i] - 1) + 1), i ? "width" : "height",
                           (long long)in[i], (long long)w->pad[i], (long long)w->pad[i + 2]);
        out[i] = room / w->stride[i] + 1;
    }
    return true;
}

/* Operand 0 is the gradient of a result of this height and width. */
static bool check_gradient_size(const ShapeArgs *a, const Window *w, const int64_t in[2]) {
    int64_t out[2];
    return window_output(a, w, in, out) &&
           shape_need_equal(a, "the height of operand 0", shape_input(a, 0)->dim[1], out[0]) &&
           shape_need_equal(a, "the width of operand 0", shape_input(a, 0)->dim[2], out[1]);
}

static bool need_images(const ShapeArgs *a, int i) {
    return shape_need_dtype(a, i, DTYPE_f32) && shape_need_rank(a, i, 4);
}

static bool check_groups(const ShapeArgs *a, int64_t in_channels, int64_t out_channels) {
    int64_t groups = shape_attr_int(a, "groups");
    if (in_channels < 1 || out_channels < 1)
        return ir_fail(a->error, "the number of channels is symbolic");
    if (groups >= 1 && in_channels % groups == 0 && out_channels % groups == 0)
        return true;
    return ir_fail(a->error, "%lld groups of %lld input and %lld output channels", (long long)groups,
                   (long long)in_channels, (long long)out_channels);
}

static bool need_weight(const ShapeArgs *a, Window *w) {
    if (!need_images(a, 1))
        return false;
    const IrType *weight = shape_input(a, 1);
    if (ir_type_has_dim(weight, IR_DIM_N) || ir_type_has_dim(weight, IR_DIM_K))
        return ir_fail(a->error, "the weight has a symbolic extent");
    w->kernel[0] = weight->dim[2];
    w->kernel[1] = weight->dim[3];
    return true;
}

/* x [N,H,W,I], weight [O,I/groups,kh,kw] -> [N,OH,OW,O] */
bool shape_conv2d(const ShapeArgs *a, IrType *result) {
    Window w;
    int64_t out[2];
    if (!need_images(a, 0) || !window_read(a, true, &w) || !need_weight(a, &w))
        return false;
    const IrType *x = shape_input(a, 0), *weight = shape_input(a, 1);
    if (!check_groups(a, x->dim[3], weight->dim[0]) ||
        !shape_need_equal(a, "the weight's number of input channels", weight->dim[1],
                          x->dim[3] / shape_attr_int(a, "groups")) ||
        !window_output(a, &w, &x->dim[1], out))
        return false;
    *result = ir_type(DTYPE_f32, 4, (int64_t[]){x->dim[0], out[0], out[1], weight->dim[0]});
    return true;
}

/* dy [N,OH,OW,O], weight -> [N,H,W,I] */
bool shape_conv2d_grad_input(const ShapeArgs *a, IrType *result) {
    Window w;
    if (!need_images(a, 0) || !window_read(a, true, &w) || !need_weight(a, &w) || !shape_need_list(a, "size", 2, 1))
        return false;
    const IrType *dy = shape_input(a, 0), *weight = shape_input(a, 1);
    const int64_t *size = shape_attr_list(a, "size")->ints;
    int64_t channels = weight->dim[1] * shape_attr_int(a, "groups");
    if (!shape_need_equal(a, "the weight's number of output channels", weight->dim[0], dy->dim[3]) ||
        !check_groups(a, channels, dy->dim[3]) || !check_gradient_size(a, &w, size))
        return false;
    *result = ir_type(DTYPE_f32, 4, (int64_t[]){dy->dim[0], size[0], size[1], channels});
    return true;
}

/* dy [N,OH,OW,O], x [N,H,W,I] -> [O,I/groups,kh,kw] */
bool shape_conv2d_grad_weight(const ShapeArgs *a, IrType *result) {
    Window w;
    if (!need_images(a, 0) || !need_images(a, 1) || !window_read(a, true, &w) || !shape_need_list(a, "kernel", 2, 1))
        return false;
    memcpy(w.kernel, shape_attr_list(a, "kernel")->ints, sizeof w.kernel);
    const IrType *dy = shape_input(a, 0), *x = shape_input(a, 1);
    if (!shape_need_equal(a, "the number of images of operand 1", x->dim[0], dy->dim[0]) ||
        !check_groups(a, x->dim[3], dy->dim[3]) || !check_gradient_size(a, &w, &x->dim[1]))
        return false;
    *result = ir_type(DTYPE_f32, 4,
                      (int64_t[]){dy->dim[3], x->dim[3] / shape_attr_int(a, "groups"), w.kernel[0], w.kernel[1]});
    return shape_make_partial(a, x->dim[0], result);
}

static bool pool_read(const ShapeArgs *a, Window *w) {
    if (!window_read(a, false, w) || !shape_need_list(a, "kernel", 2, 1))
        return false;
    memcpy(w->kernel, shape_attr_list(a, "kernel")->ints, sizeof w->kernel);
    for (int i = 0; i < 4; i++)
        if (w->pad[i] >= w->kernel[i % 2])
            return ir_fail(a->error, "padding %lld leaves a window of %lld with nothing but padding",
                           (long long)w->pad[i], (long long)w->kernel[i % 2]);
    return true;
}

bool shape_pool(const ShapeArgs *a, IrType *result) {
    Window w;
    int64_t out[2];
    const IrType *x = shape_input(a, 0);
    if (!need_images(a, 0) || !pool_read(a, &w) || !window_output(a, &w, &x->dim[1], out))
        return false;
    *result = ir_type(DTYPE_f32, 4, (int64_t[]){x->dim[0], out[0], out[1], x->dim[3]});
    return true;
}

bool shape_pool_index(const ShapeArgs *a, IrType *result) {
    if (!shape_pool(a, result))
        return false;
    const int64_t *kernel = shape_attr_list(a, "kernel")->ints;
    if (kernel[0] * kernel[1] > 256)
        return ir_fail(a->error, "a window of %lld positions; a u8 counts 256", (long long)(kernel[0] * kernel[1]));
    result->dtype = DTYPE_u8;
    return true;
}

/* dy [N,OH,OW,C] (and the index, u8 of the same shape) -> [N,H,W,C] */
bool shape_pool_grad(const ShapeArgs *a, IrType *result) {
    Window w;
    if (!need_images(a, 0) || !pool_read(a, &w) || !shape_need_list(a, "size", 2, 1))
        return false;
    const int64_t *size = shape_attr_list(a, "size")->ints;
    IrType index = *shape_input(a, 0);
    index.dtype = DTYPE_u8;
    if (!check_gradient_size(a, &w, size))
        return false;
    if (a->input_count == 2 && !ir_type_equal(&index, shape_input(a, 1)))
        return ir_fail(a->error, "operand 1 must be the index, u8 of the shape of operand 0");
    *result = *shape_input(a, 0);
    result->dim[1] = size[0];
    result->dim[2] = size[1];
    return true;
}

/* ---- views that make a convolution's gradient a convolution ---- */

bool shape_flip_weight(const ShapeArgs *a, IrType *result) {
    int64_t groups = shape_attr_int(a, "groups");
    if (!need_images(a, 0))
        return false;
    *result = *shape_input(a, 0);
    if (groups == result->dim[0] && result->dim[1] == 1)
        return true;
    if (groups != 1)
        return ir_fail(a->error, "%lld groups; it takes 1, or as many as output channels", (long long)groups);
    result->dim[0] = shape_input(a, 0)->dim[1];
    result->dim[1] = shape_input(a, 0)->dim[0];
    return true;
}

bool shape_dilate(const ShapeArgs *a, IrType *result) {
    if (!need_images(a, 0) || !shape_need_list(a, "stride", 2, 1) || !shape_need_list(a, "size", 2, 1))
        return false;
    const int64_t *stride = shape_attr_list(a, "stride")->ints, *size = shape_attr_list(a, "size")->ints;
    *result = *shape_input(a, 0);
    for (int i = 0; i < 2; i++) {
        if ((size[i] - 1) / stride[i] >= result->dim[i + 1])
            return ir_fail(a->error, "%s %lld at stride %lld cannot fill %lld", i ? "width" : "height",
                           (long long)result->dim[i + 1], (long long)stride[i], (long long)size[i]);
        result->dim[i + 1] = size[i];
    }
    return true;
}
