/* cuda_conv.c: which kernels are a dense convolution and nothing else: those a library may compute instead
 * (runtime/cudnn.c). Nothing stands inline in their operands, and all values are single precision. */
#include "codegen/cuda.h"

static bool is_whole(const CgBuffer *buffer, const IrNode *node) {
    return buffer->node == node && !buffer->whole && buffer->type.dtype == DTYPE_f32 && buffer->place != PLACE_private;
}

/* The buffer number of an operand that is in memory as it is; -1: it is computed where it is used. */
static int plain_operand(const CgPrinter *p, const IrNode *node) {
    for (int i = 0; i < p->buffer_count; i++)
        if (is_whole(p->buffers[i], node))
            return i;
    return -1;
}

/* The sum of a term that is a product of two loads, guarded or not. */
static bool is_plain(const CgStep *step) {
    const CgScalar *sum = step->value;
    if (sum->kind != SCALAR_reduce || sum->reduce != REDUCE_sum)
        return false;
    const CgScalar *term = sum->args[0], *product = term->kind == SCALAR_guard ? term->args[0] : term;
    return product->kind == SCALAR_op && product->op == OP_mul && product->args[0]->kind == SCALAR_load &&
           product->args[1]->kind == SCALAR_load;
}

bool cuda_describe_conv(const CgPrinter *p, CgPrecision precision, const CgStep *step, CgConv *conv) {
    const IrNode *node = step->node;
    bool single = precision == PRECISION_f32 || precision == PRECISION_tf32;
    if (node->op != OP_conv2d || !single || ir_attr_get_int(node, "groups", 1) != 1 || !is_plain(step) ||
        p->buffer_count != 3 || !is_whole(step->out, node))
        return false;
    const int64_t *pad = ir_attr_get_ints(node, "pad"), *stride = ir_attr_get_ints(node, "stride");
    const int64_t *dilation = ir_attr_get_ints(node, "dilation"), *x = node->inputs[0]->type.dim;
    const int64_t *weight = node->inputs[1]->type.dim, *y = node->type.dim;
    *conv = (CgConv){.x = plain_operand(p, node->inputs[0]),
                     .weight = plain_operand(p, node->inputs[1]),
                     .shape = {x[1], x[2], x[3], y[1], y[2], y[3], weight[2], weight[3], pad[0], pad[1], stride[0],
                               stride[1], dilation[0], dilation[1]}};
    bool symmetric = pad[0] == pad[2] && pad[1] == pad[3], dense = weight[2] * weight[3] > 1;
    return symmetric && dense && conv->x > 0 && conv->weight > 0;
}
