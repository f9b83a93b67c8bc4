/* cuda_conv.c: which kernels are a dense convolution or one of its gradients and nothing else: those that a library may
 * compute instead (runtime/device/cudnn.c). All three are described by the numbers of the convolution itself:
 *     forward      %y = conv2d %x, %w
 *     input        %x = conv2d (dilate %y), %f               %f = flip_weight %w; dilate where the stride is not 1
 *     weight       %w = conv2d_grad_weight %y, %x            one part for each chunk of images
 * Nothing else stands inline in their operands. In bf16 images are stored so; the gradients of weights are left to
 * our kernels there, since a library would round them too. */
#include "codegen/cuda/cuda.h"

#include <string.h>

/* The buffer number of a value that lies in memory as it is; -1: it is computed where it is used. */
static int find_whole(const CgPrinter *p, const IrNode *node) {
    for (int i = 0; i < p->buffer_count; i++) {
        const CgBuffer *b = p->buffers[i];
        if (b->node == node && !b->whole && b->place != PLACE_private)
            return i;
    }
    return -1;
}

/* Images as the precision stores them. */
static int find_images(const CgPrinter *p, CgPrecision precision, const IrNode *node) {
    int i = find_whole(p, node);
    IrDtype dtype = precision == PRECISION_bf16 ? DTYPE_bf16 : DTYPE_f32;
    return i >= 0 && p->buffers[i]->type.dtype == dtype ? i : -1;
}

static void set_pair(PlanConv *conv, int at, const int64_t *pair) {
    memcpy(&conv->shape[at], pair, 2 * sizeof *pair);
}

static void set_images(PlanConv *conv, const IrNode *x, const IrNode *y) {
    memcpy(&conv->shape[CONV_INPUT], &x->type.dim[1], 3 * sizeof *conv->shape);
    memcpy(&conv->shape[CONV_OUTPUT], &y->type.dim[1], 3 * sizeof *conv->shape);
}

/* The network's inputs are always single precision: who uses a library converts them. */
static void describe_forward(const CgPrinter *p, CgPrecision precision, const IrNode *node, PlanConv *conv) {
    const IrNode *x = node->inputs[0], *weight = node->inputs[1];
    int input = x->op == OP_input ? find_whole(p, x) : find_images(p, precision, x);
    *conv = (PlanConv){input, find_images(p, precision, node), find_whole(p, weight), {0}};
    set_images(conv, x, node);
    set_pair(conv, CONV_KERNEL, &weight->type.dim[2]);
    set_pair(conv, CONV_PAD, ir_attr_get_ints(node, "pad"));
    set_pair(conv, CONV_STRIDE, ir_attr_get_ints(node, "stride"));
    set_pair(conv, CONV_DILATION, ir_attr_get_ints(node, "dilation"));
}

/* The other way around than passes/gradients_products.c: padding = reach - the convolution's padding. */
static void describe_grad_input(const CgPrinter *p, CgPrecision precision, const IrNode *node, PlanConv *conv) {
    const IrNode *y = node->inputs[0], *weight = node->inputs[1];
    const int64_t *stride = ir_attr_get_ints(node, "stride"), *dilation = ir_attr_get_ints(node, "dilation");
    const int64_t *pad = ir_attr_get_ints(node, "pad");
    if (stride[0] != 1 || stride[1] != 1)
        return;
    if (y->op == OP_dilate && y->inlined) {
        stride = ir_attr_get_ints(y, "stride");
        y = y->inputs[0];
    }
    *conv = (PlanConv){find_images(p, precision, node), find_images(p, precision, y), find_whole(p, weight), {0}};
    set_images(conv, node, y);
    set_pair(conv, CONV_KERNEL, &weight->type.dim[2]);
    set_pair(conv, CONV_STRIDE, stride);
    set_pair(conv, CONV_DILATION, dilation);
    for (int i = 0; i < 2; i++)
        conv->shape[CONV_PAD + i] = dilation[i] * (weight->type.dim[2 + i] - 1) - pad[i];
}

static void describe_grad_weight(const CgPrinter *p, CgPrecision precision, const IrNode *node, PlanConv *conv) {
    const IrNode *y = node->inputs[0], *x = node->inputs[1];
    if (precision == PRECISION_bf16 || !ir_attr_get_int(node, "partial", 0))
        return;
    *conv = (PlanConv){find_images(p, precision, x), find_images(p, precision, y), find_whole(p, node), {0}};
    set_images(conv, x, y);
    set_pair(conv, CONV_KERNEL, ir_attr_get_ints(node, "kernel"));
    set_pair(conv, CONV_PAD, ir_attr_get_ints(node, "pad"));
    set_pair(conv, CONV_STRIDE, ir_attr_get_ints(node, "stride"));
    set_pair(conv, CONV_DILATION, ir_attr_get_ints(node, "dilation"));
}

/* Is that many rows and columns what the same padding on both sides gives? */
static bool fits(const int64_t *shape) {
    bool right = true;
    for (int i = 0; i < 2; i++) {
        int64_t reach = shape[CONV_DILATION + i] * (shape[CONV_KERNEL + i] - 1), pad = shape[CONV_PAD + i];
        int64_t room = shape[CONV_INPUT + i] + 2 * pad - reach - 1;
        right = right && pad >= 0 && room >= 0 && room / shape[CONV_STRIDE + i] + 1 == shape[CONV_OUTPUT + i];
    }
    return right;
}

void cuda_describe_conv(const CgPrinter *p, CgPrecision precision, const CgStep *step, PlanConv *conv) {
    const IrNode *node = step->node;
    PlanConv found = {0};
    if (precision == PRECISION_f64 || p->buffer_count != 3 || ir_attr_get_int(node, "groups", 1) != 1 ||
        plan_conv_kind(conv) != CONV_none)
        return;
    if (ir_is_convolution(node))
        (node->inputs[1]->op == OP_flip_weight ? describe_grad_input : describe_forward)(p, precision, node, &found);
    else if (ir_is_weight_gradient(node))
        describe_grad_weight(p, precision, node, &found);
    bool window = found.shape[CONV_KERNEL] * found.shape[CONV_KERNEL + 1] > 1;
    if (plan_conv_kind(&found) != CONV_none && window && fits(found.shape))
        *conv = found;
}

/* ---- what a library needs beside them ---- */

/* Weights turned around and converted, and back again: to[o][m][i] = from[start + strides * (o, m, i)], zeros from
 * `count` on. */
static const char copy_text[] =
    "(const T *from, %1$s *to, int64_t count, int64_t most, int64_t middle, int64_t "
    "inner,\n"
    "    int64_t start, int64_t outer_stride, int64_t middle_stride, int64_t inner_stride)\n"
    "{\n"
    "    int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    for (; e < most; e += (int64_t)gridDim.x * blockDim.x) {\n"
    "        const int64_t i = e %% inner, m = e / inner %% middle, o = e / inner / middle;\n"
    "        const int64_t at = start + o * outer_stride + m * middle_stride + i * inner_stride;\n"
    "        to[e] = e < count ? (%1$s)from[at] : (%1$s)0;\n"
    "    }\n"
    "}\n";

/* Zeros for the images that are not there in a run with fewer than the most, since a library adds up all. */
static const char clear_text[] = "(T *images, const NdRun *run, int64_t most, int64_t each)\n"
                                 "{\n"
                                 "    int64_t e = run->batch * each + (int64_t)blockIdx.x * blockDim.x + threadIdx.x;\n"
                                 "    for (; e < most * each; e += (int64_t)gridDim.x * blockDim.x)\n"
                                 "        images[e] = 0;\n"
                                 "}\n";

static void add_helper(CgModule *module, const char *name, const char *text, const char *purpose) {
    CgKernel kernel = {.plan = {.name = name, .origin = purpose}, .text = text, .use_count = 1, .origins = {purpose}};
    ARENA_PUSH(module->arena, module->kernels, module->kernel_count, module->kernel_capacity, kernel);
}

void cg_cuda_add_helpers(CgModule *module) {
    bool kinds[CONV_grad_weight + 1] = {false};
    for (int i = 0; i < module->kernel_count; i++)
        kinds[plan_conv_kind(&module->kernels[i].plan.conv)] = true;
    const char *element = module->options->precision == PRECISION_bf16 ? "nd_bf16" : "T";
    if (kinds[CONV_forward] || kinds[CONV_grad_input] || kinds[CONV_grad_weight])
        add_helper(module, PLAN_CONV_COPY, arena_printf(module->arena, copy_text, element), "copies for a library");
    if (kinds[CONV_grad_weight])
        add_helper(module, PLAN_CONV_CLEAR, clear_text, "images that are not there, for a library");
}
