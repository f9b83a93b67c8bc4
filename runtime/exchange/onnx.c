/* onnx.c: every operation of an inference graph in the words of ONNX, opset 17.
 *
 * The graph's activations are [N,H,W,C], ONNX's operators want [N,C,H,W]. A value of four axes whose first is N is
 * therefore kept channels-first ("turned"); every other value has the graph's own order of axes. An operation that sees
 * axes (slice, concat, reductions) gets its axes mapped; one that cares about the order of elements (reshape) turns its
 * operand back first, unless an extent of 1 makes both orders the same. */
#include "runtime/exchange/onnx.h"

#ifndef NDARTS_HAVE_PROTOBUF_C

bool onnx_export(Arena *arena, const IrGraph *graph, const TensorFile *weights, const char *path, Error *error) {
    (void)arena, (void)graph, (void)weights;
    return error_set(error, ERROR_MACHINE, "%s: this ndarts was built without protobuf-c, which writes ONNX files",
                     path);
}

#else

#include "runtime/exchange/onnx_build.h"

#include <string.h>

typedef struct Exporter {
    OnnxBuilder b;
    const TensorFile *weights;
    Error *error;
    const char *batch; /* the number of images as int64[1], made when first needed */
} Exporter;

static const int64_t to_first[] = {0, 3, 1, 2}, to_last[] = {0, 2, 3, 1};
/* Axis i of the graph is axis first_axis[i] of a turned value. */
static const int64_t first_axis[] = {0, 2, 3, 1};

static bool is_turned(const IrNode *n) {
    return n->type.rank == 4 && n->type.dim[0] == IR_DIM_N;
}

static int64_t map_axis(const IrNode *n, int64_t axis) {
    return is_turned(n) ? first_axis[axis] : axis;
}

/* ---- values ---- */

static const char *name_of(const IrNode *n) {
    return n->scratch;
}

static const char *make(Exporter *e, const char *op, const char *x) {
    return onnx_node(&e->b, op, 1, &x);
}

static const char *make2(Exporter *e, const char *op, const char *x, const char *y) {
    return onnx_node(&e->b, op, 2, (const char *const[]){x, y});
}

static const char *transpose(Exporter *e, const char *x, const int64_t order[4]) {
    const char *name = make(e, "Transpose", x);
    onnx_ints(&e->b, "perm", 4, order);
    return name;
}

/* Whether [N,H,W,C] and [N,C,H,W] have their elements in the same order. */
static bool order_is_same(const IrType *type) {
    return type->dim[3] == 1 || (type->dim[1] == 1 && type->dim[2] == 1);
}

/* The value in the graph's own order of axes. */
static const char *plain(Exporter *e, const IrNode *n) {
    return is_turned(n) ? transpose(e, name_of(n), to_last) : name_of(n);
}

/* What an operation gave in the graph's order, as the value is to be kept. */
static const char *keep(Exporter *e, const IrNode *n, const char *x) {
    return is_turned(n) ? transpose(e, x, to_first) : x;
}

/* int64[1]: the number of images of this run, from the first argument that has images. */
static const char *batch_size(Exporter *e, const IrGraph *g) {
    for (int i = 0; !e->batch && i < g->arg_count; i++) {
        const IrNode *arg = g->args[i];
        if (arg->type.rank > 0 && arg->type.dim[0] == IR_DIM_N) {
            e->batch = make(e, "Shape", name_of(arg));
            onnx_int(&e->b, "start", 0);
            onnx_int(&e->b, "end", 1);
        }
    }
    return e->batch;
}

/* A shape as int64[rank], in the graph's order or turned. NULL when N is among others and there are no images. */
static const char *shape_of(Exporter *e, const IrNode *n, bool turned) {
    int64_t dims[IR_MAX_RANK];
    int rank = n->type.rank;
    for (int i = 0; i < rank; i++)
        dims[turned ? first_axis[i] : i] = n->type.dim[i];
    if (rank == 0 || n->type.dim[0] != IR_DIM_N)
        return onnx_int_list(&e->b, rank, dims);
    const char *batch = batch_size(e, n->graph);
    if (!batch || rank == 1)
        return batch;
    const char *name = make2(e, "Concat", batch, onnx_int_list(&e->b, rank - 1, dims + 1));
    onnx_int(&e->b, "axis", 0);
    return name;
}

static bool refuse(Exporter *e, const IrNode *n, const char *why) {
    return error_set(e->error, ERROR_INPUT, "the operation '%s' cannot be exported to ONNX: %s", ir_op_info[n->op].name,
                     why);
}

/* ---- sources ---- */

static bool export_param(Exporter *e, IrNode *n) {
    const char *name = ir_attr_get_string(n, "name", "");
    const Tensor *tensor = tensor_find(e->weights, name);
    if (!tensor)
        return error_set(e->error, ERROR_INPUT, "the weights lack '%s'", name);
    int64_t count = tensor_count(tensor);
    float *data = ARENA_ARRAY(e->b.arena, float, count + 1);
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)tensor_get(tensor, i);
    onnx_floats(&e->b, name, n->type.rank, n->type.dim, data);
    n->scratch = (void *)(uintptr_t)name;
    return true;
}

static void export_input(Exporter *e, IrNode *n) {
    const char *name = ir_attr_get_string(n, "name", "");
    int64_t dims[IR_MAX_RANK];
    for (int i = 0; i < n->type.rank; i++)
        dims[map_axis(n, i)] = n->type.dim[i];
    onnx_input(&e->b, name, n->type.rank, dims);
    n->scratch = (void *)(uintptr_t)name;
}

static bool export_constant(Exporter *e, IrNode *n) {
    const char *value = onnx_float(&e->b, ir_attr_get_float(n, "value", 0));
    if (n->type.rank > 0) {
        const char *shape = shape_of(e, n, is_turned(n));
        if (!shape)
            return refuse(e, n, "its number of images is not known");
        value = make2(e, "Expand", value, shape);
    }
    n->scratch = (void *)(uintptr_t)value;
    return true;
}

/* ---- elementwise ---- */

/* An operand of fewer axes, or without N, next to turned values: [C] becomes [1,C,1,1]. */
static const char *operand(Exporter *e, const IrNode *result, const IrNode *x) {
    if (!is_turned(result) || is_turned(x) || x->type.rank == 0)
        return name_of(x);
    int64_t dims[4] = {1, 1, 1, 1};
    int rank = x->type.rank;
    bool channels_only = true;
    for (int i = 0; i < rank; i++) {
        dims[4 - rank + i] = x->type.dim[i];
        channels_only &= i == rank - 1 || x->type.dim[i] == 1;
    }
    if (channels_only)
        return make2(e, "Reshape", name_of(x), onnx_int_list(&e->b, 4, (int64_t[]){1, dims[3], 1, 1}));
    const char *four = rank == 4 ? name_of(x) : make2(e, "Reshape", name_of(x), onnx_int_list(&e->b, 4, dims));
    return transpose(e, four, to_first);
}

static const char *const elementwise_names[OP_COUNT] = {
    [OP_add] = "Add",   [OP_sub] = "Sub",         [OP_mul] = "Mul",         [OP_div] = "Div",    [OP_max] = "Max",
    [OP_min] = "Min",   [OP_neg] = "Neg",         [OP_relu] = "Relu",       [OP_exp] = "Exp",    [OP_log] = "Log",
    [OP_sqrt] = "Sqrt", [OP_tanh] = "Tanh",       [OP_sigmoid] = "Sigmoid", [OP_sin] = "Sin",    [OP_cos] = "Cos",
    [OP_abs] = "Abs",   [OP_detach] = "Identity", [OP_add_n] = "Sum",       [OP_gt] = "Greater",
};

static const char *cast(Exporter *e, const char *x, int type) {
    const char *name = make(e, "Cast", x);
    onnx_int(&e->b, "to", type);
    return name;
}

static const char *export_elementwise(Exporter *e, const IrNode *n) {
    const char **inputs = ARENA_ARRAY(e->b.arena, const char *, n->input_count);
    for (int i = 0; i < n->input_count; i++)
        inputs[i] = operand(e, n, n->inputs[i]);
    if (n->op == OP_select) {
        inputs[0] = cast(e, inputs[0], ONNX__TENSOR_PROTO__DATA_TYPE__BOOL);
        return onnx_node(&e->b, "Where", 3, inputs);
    }
    const char *name = onnx_node(&e->b, elementwise_names[n->op], n->input_count, inputs);
    return n->op == OP_gt ? cast(e, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) : name;
}

/* ---- views ---- */

static const char *export_slice(Exporter *e, const IrNode *n) {
    int64_t axis = map_axis(n, ir_attr_get_int(n, "axis", 0));
    int64_t begin = ir_attr_get_int(n, "begin", 0), end = ir_attr_get_int(n, "end", 0);
    const char *inputs[] = {name_of(n->inputs[0]), onnx_int_list(&e->b, 1, &begin), onnx_int_list(&e->b, 1, &end),
                            onnx_int_list(&e->b, 1, &axis)};
    return onnx_node(&e->b, "Slice", 4, inputs);
}

static const char *pad_axis(Exporter *e, const char *x, int rank, int64_t axis, int64_t begin, int64_t end) {
    int64_t pads[2 * IR_MAX_RANK] = {0};
    pads[axis] = begin;
    pads[rank + axis] = end;
    return make2(e, "Pad", x, onnx_int_list(&e->b, 2 * rank, pads));
}

static const char *export_pad(Exporter *e, const IrNode *n) {
    return pad_axis(e, name_of(n->inputs[0]), n->type.rank, map_axis(n, ir_attr_get_int(n, "axis", 0)),
                    ir_attr_get_int(n, "begin", 0), ir_attr_get_int(n, "end", 0));
}

static const char *export_concat(Exporter *e, const IrNode *n) {
    const char **inputs = ARENA_ARRAY(e->b.arena, const char *, n->input_count);
    for (int i = 0; i < n->input_count; i++)
        inputs[i] = name_of(n->inputs[i]);
    const char *name = onnx_node(&e->b, "Concat", n->input_count, inputs);
    onnx_int(&e->b, "axis", map_axis(n, ir_attr_get_int(n, "axis", 0)));
    return name;
}

/* Takes one element of an axis, which goes: a slice, then Squeeze. */
static const char *export_index(Exporter *e, const IrNode *n) {
    int64_t axis = ir_attr_get_int(n, "axis", 0), at = ir_attr_get_int(n, "at", 0), end = at + 1;
    const char *inputs[] = {plain(e, n->inputs[0]), onnx_int_list(&e->b, 1, &at), onnx_int_list(&e->b, 1, &end),
                            onnx_int_list(&e->b, 1, &axis)};
    const char *part = onnx_node(&e->b, "Slice", 4, inputs);
    return keep(e, n, make2(e, "Squeeze", part, onnx_int_list(&e->b, 1, &axis)));
}

static const char *export_place(Exporter *e, const IrNode *n) {
    int64_t axis = ir_attr_get_int(n, "axis", 0), at = ir_attr_get_int(n, "at", 0);
    const char *raised = make2(e, "Unsqueeze", plain(e, n->inputs[0]), onnx_int_list(&e->b, 1, &axis));
    return keep(e, n, pad_axis(e, raised, n->type.rank, axis, at, ir_attr_get_int(n, "size", 1) - at - 1));
}

static const char *export_reshape(Exporter *e, const IrNode *n) {
    const IrNode *x = n->inputs[0];
    const char *from = is_turned(x) && !order_is_same(&x->type) ? plain(e, x) : name_of(x);
    bool direct = is_turned(n) && order_is_same(&n->type);
    const char *shape = shape_of(e, n, direct);
    if (!shape)
        return NULL;
    const char *name = make2(e, "Reshape", from, shape);
    return direct ? name : keep(e, n, name);
}

/* The channels as groups of channels, which two axes change places for. */
static const char *export_shuffle(Exporter *e, const IrNode *n) {
    int rank = n->type.rank;
    int64_t whole[IR_MAX_RANK], parted[IR_MAX_RANK + 1], order[IR_MAX_RANK + 1];
    int64_t at = map_axis(n, rank - 1), groups = ir_attr_get_int(n, "groups", 1);
    for (int i = 0; i < rank; i++)
        whole[map_axis(n, i)] = n->type.dim[i] == IR_DIM_N ? 0 : n->type.dim[i]; /* 0: as it is */
    for (int i = 0; i <= rank; i++) {
        parted[i] = whole[i <= at ? i : i - 1];
        order[i] = i;
    }
    parted[at] = groups, parted[at + 1] = whole[at] / groups;
    order[at] = at + 1, order[at + 1] = at;
    const char *apart = make2(e, "Reshape", name_of(n->inputs[0]), onnx_int_list(&e->b, rank + 1, parted));
    const char *mixed = make(e, "Transpose", apart);
    onnx_ints(&e->b, "perm", rank + 1, order);
    return make2(e, "Reshape", mixed, onnx_int_list(&e->b, rank, whole));
}

static const char *export_broadcast(Exporter *e, const IrNode *n) {
    const char *shape = shape_of(e, n, is_turned(n));
    return shape ? make2(e, "Expand", operand(e, n, n->inputs[0]), shape) : NULL;
}

/* ---- reductions ---- */

/* Removing axes leaves the rest in the graph's order only when the channels go or are all that is left. */
static bool reduces_in_place(const IrNode *n, const IrAttr *axes, bool keeps) {
    bool has[IR_MAX_RANK] = {false};
    for (int i = 0; i < axes->count; i++)
        has[axes->ints[i]] = true;
    return !is_turned(n) || keeps || has[3] || (has[1] && has[2]);
}

static const char *export_reduce(Exporter *e, const IrNode *n) {
    const IrNode *x = n->inputs[0];
    const IrAttr *attr = ir_attr(n, "axes");
    bool keeps = ir_attr_get_int(n, "keep", 0), in_place = reduces_in_place(x, attr, keeps);
    if (is_turned(x) && attr->ints[0] == 0)
        return NULL; /* over the images */
    int64_t axes[IR_MAX_RANK];
    for (int i = 0; i < attr->count; i++)
        axes[i] = in_place ? map_axis(x, attr->ints[i]) : attr->ints[i];
    const char *from = in_place ? name_of(x) : plain(e, x), *name;
    if (n->op == OP_reduce_sum) {
        name = make2(e, "ReduceSum", from, onnx_int_list(&e->b, attr->count, axes));
    } else {
        name = make(e, "ReduceMax", from);
        onnx_ints(&e->b, "axes", attr->count, axes);
    }
    onnx_int(&e->b, "keepdims", keeps);
    return name;
}

/* ---- products and windows ---- */

static const char *export_conv(Exporter *e, const IrNode *n) {
    const char *name = make2(e, "Conv", name_of(n->inputs[0]), name_of(n->inputs[1]));
    const IrType *weight = &n->inputs[1]->type;
    onnx_ints(&e->b, "kernel_shape", 2, weight->dim + 2);
    onnx_ints(&e->b, "strides", 2, ir_attr_get_ints(n, "stride"));
    onnx_ints(&e->b, "pads", 4, ir_attr_get_ints(n, "pad"));
    onnx_ints(&e->b, "dilations", 2, ir_attr_get_ints(n, "dilation"));
    onnx_int(&e->b, "group", ir_attr_get_int(n, "groups", 1));
    return name;
}

static const char *export_pool(Exporter *e, const IrNode *n) {
    const char *name = make(e, n->op == OP_max_pool ? "MaxPool" : "AveragePool", name_of(n->inputs[0]));
    onnx_ints(&e->b, "kernel_shape", 2, ir_attr_get_ints(n, "kernel"));
    onnx_ints(&e->b, "strides", 2, ir_attr_get_ints(n, "stride"));
    onnx_ints(&e->b, "pads", 4, ir_attr_get_ints(n, "pad"));
    if (n->op == OP_avg_pool)
        onnx_int(&e->b, "count_include_pad", 0);
    return name;
}

static const char *export_matmul(Exporter *e, const IrNode *n) {
    const char *name = make2(e, "Gemm", name_of(n->inputs[0]), name_of(n->inputs[1]));
    onnx_int(&e->b, "transA", ir_attr_get_int(n, "ta", 0));
    onnx_int(&e->b, "transB", ir_attr_get_int(n, "tb", 0));
    return name;
}

/* ---- the graph ---- */

static const char *export_other(Exporter *e, const IrNode *n) {
    switch (n->op) {
    case OP_slice:
        return export_slice(e, n);
    case OP_pad:
        return export_pad(e, n);
    case OP_concat:
        return export_concat(e, n);
    case OP_index:
        return export_index(e, n);
    case OP_place:
        return export_place(e, n);
    case OP_reshape:
        return export_reshape(e, n);
    case OP_shuffle:
        return export_shuffle(e, n);
    case OP_broadcast:
        return export_broadcast(e, n);
    case OP_reduce_sum:
    case OP_reduce_max:
        return export_reduce(e, n);
    case OP_conv2d:
        return export_conv(e, n);
    case OP_max_pool:
    case OP_avg_pool:
        return export_pool(e, n);
    case OP_matmul:
        return export_matmul(e, n);
    default:
        return NULL;
    }
}

static const char *why_not(const IrNode *n) {
    return n->op == OP_draw     ? "a model gives the same for the same images, and this is drawn"
           : n->op == OP_scalar ? "its value is that of a run, which a model is not part of"
                                : "there is no such operator";
}

static bool export_node(Exporter *e, IrNode *n) {
    if (n->op == OP_param)
        return export_param(e, n);
    if (n->op == OP_constant)
        return export_constant(e, n);
    bool elementwise = elementwise_names[n->op] || n->op == OP_select;
    const char *name = elementwise ? export_elementwise(e, n) : export_other(e, n);
    n->scratch = (void *)(uintptr_t)name;
    return name || refuse(e, n, why_not(n));
}

static void export_outputs(Exporter *e, const IrGraph *g) {
    for (int i = 0; i < g->output_count; i++) {
        const IrNode *n = g->outputs[i].value;
        int64_t dims[IR_MAX_RANK];
        for (int k = 0; k < n->type.rank; k++)
            dims[map_axis(n, k)] = n->type.dim[k];
        make(e, "Identity", name_of(n));
        onnx_rename(&e->b, g->outputs[i].name);
        onnx_output(&e->b, g->outputs[i].name, n->type.rank, dims);
    }
}

bool onnx_export(Arena *arena, const IrGraph *graph, const TensorFile *weights, const char *path, Error *error) {
    Exporter e = {.weights = weights, .error = error};
    const char *name = graph->module->name;
    onnx_begin(&e.b, arena, name && *name ? name : "network");
    for (int i = 0; i < graph->arg_count; i++)
        export_input(&e, graph->args[i]);
    for (IrNode *n = graph->first; n; n = n->next) {
        if (n->op != OP_input && !export_node(&e, n))
            return false;
    }
    export_outputs(&e, graph);
    return onnx_write(&e.b, path, error);
}

#endif
