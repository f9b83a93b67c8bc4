/* builtin_ops.c: primitives on images: convolutions, pools, batch norm, linear layers, views. */
#include "frontend/builtin.h"

#include <math.h>

static int64_t int_arg(const BuiltinUse *use, int i) {
    return use->args[i].i;
}

/* An integer stands for both. */
static void pair_arg(const BuiltinUse *use, int i, int64_t out[2]) {
    const Value *value = &use->args[i];
    for (int k = 0; k < 2; k++)
        out[k] = value->kind == VALUE_list ? value->items[k].i : value->i;
}

/* top, left, bottom, right */
static void sides_arg(const BuiltinUse *use, int i, int64_t out[4]) {
    const Value *value = &use->args[i];
    for (int k = 0; k < 4; k++)
        out[k] = value->kind == VALUE_list ? value->items[k % value->count].i : value->i;
}

static const char *param_name(BuiltinUse *use, const char *what) {
    const char *name = lower_join(use->l->arena, use->l->target->prefix, what);
    return lower_claim_name(use->l, use->f, name, use->span) ? name : NULL;
}

/* A weight or a bias with its initial distribution: uniform in +-1/sqrt(fan_in). */
static IrNode *weight_node(BuiltinUse *use, const char *what, IrType type, double fan_in) {
    const char *name = param_name(use, what);
    if (!name)
        return NULL;
    IrAttr attrs[] = {ir_attr_string("name", name), ir_attr_string("kind", "weight"), ir_attr_string("init", "uniform"),
                      ir_attr_float("scale", 1 / sqrt(fan_in))};
    return ir_build0(use->b, OP_param, type, 4, attrs);
}

static IrNode *add_bias(BuiltinUse *use, IrNode *x, int64_t count, double fan_in) {
    IrNode *bias = x ? weight_node(use, "bias", ir_type(DTYPE_f32, 1, &count), fan_in) : NULL;
    return bias ? builtin_node(use, OP_add, 2, (IrNode *[]){x, bias}, 0, NULL) : NULL;
}

typedef struct ConvShape {
    int64_t out, groups, kernel[2], stride[2], pad[4], dilation[2];
    bool bias;
} ConvShape;

static Value build_conv(BuiltinUse *use, const ConvShape *c) {
    if (!builtin_need_images(use))
        return (Value){.kind = VALUE_error};
    int64_t in = use->x[0]->type.dim[3];
    if (c->out < 1 || c->kernel[0] < 1 || c->kernel[1] < 1 || c->stride[0] < 1 || c->stride[1] < 1 ||
        c->dilation[0] < 1 || c->dilation[1] < 1)
        return builtin_fail(use, "channels, kernel, stride and dilation of '%s' are at least 1", use->builtin->name);
    if (c->groups < 1 || in % c->groups || c->out % c->groups)
        return builtin_fail(use, "%lld groups do not divide %lld input and %lld output channels", (long long)c->groups,
                            (long long)in, (long long)c->out);
    int64_t shape[] = {c->out, in / c->groups, c->kernel[0], c->kernel[1]};
    double fan_in = (double)shape[1] * (double)shape[2] * (double)shape[3];
    IrNode *w = weight_node(use, "weight", ir_type(DTYPE_f32, 4, shape), fan_in);
    if (!w)
        return (Value){.kind = VALUE_error};
    IrAttr attrs[] = {ir_attr_ints("stride", 2, c->stride), ir_attr_ints("pad", 4, c->pad),
                      ir_attr_ints("dilation", 2, c->dilation), ir_attr_int("groups", c->groups)};
    IrNode *y = builtin_node(use, OP_conv2d, 2, (IrNode *[]){use->x[0], w}, 4, attrs);
    return value_tensor(c->bias ? add_bias(use, y, c->out, fan_in) : y);
}

static Value run_conv(BuiltinUse *use) {
    ConvShape c = {.out = int_arg(use, 0), .groups = int_arg(use, 5), .bias = int_arg(use, 6)};
    pair_arg(use, 1, c.kernel);
    pair_arg(use, 2, c.stride);
    sides_arg(use, 3, c.pad);
    pair_arg(use, 4, c.dilation);
    return build_conv(use, &c);
}

static Value run_depthwise(BuiltinUse *use) {
    if (!builtin_need_images(use))
        return (Value){.kind = VALUE_error};
    int64_t channels = use->x[0]->type.dim[3];
    ConvShape c = {.out = channels, .groups = channels, .bias = int_arg(use, 4)};
    pair_arg(use, 0, c.kernel);
    pair_arg(use, 1, c.stride);
    sides_arg(use, 2, c.pad);
    pair_arg(use, 3, c.dilation);
    return build_conv(use, &c);
}

static Value run_pool(BuiltinUse *use) {
    if (!builtin_need_images(use))
        return (Value){.kind = VALUE_error};
    int64_t kernel[2], stride[2], pad[4];
    pair_arg(use, 0, kernel);
    pair_arg(use, 1, stride);
    sides_arg(use, 2, pad);
    if (kernel[0] < 1 || kernel[1] < 1 || stride[0] < 1 || stride[1] < 1)
        return builtin_fail(use, "kernel and stride of '%s' are at least 1", use->builtin->name);
    IrAttr attrs[] = {ir_attr_ints("kernel", 2, kernel), ir_attr_ints("stride", 2, stride),
                      ir_attr_ints("pad", 4, pad)};
    return value_tensor(builtin_node(use, use->builtin->op, 1, use->x, 3, attrs));
}

static Value run_batch_norm(BuiltinUse *use) {
    static const char *const parts[] = {"running_mean", "running_var", "weight", "bias"};
    bool affine = int_arg(use, 0);
    for (int i = 0; i < (affine ? 4 : 2); i++)
        if (!param_name(use, parts[i]))
            return (Value){.kind = VALUE_error};
    double eps, momentum;
    value_number(&use->args[1], &eps);
    value_number(&use->args[2], &momentum);
    if (!(eps >= 0 && momentum >= 0 && momentum <= 1))
        return builtin_fail(use, "'eps' of a batch norm is at least 0, its 'momentum' 0 to 1");
    IrAttr attrs[] = {ir_attr_string("name", use->l->target->prefix), ir_attr_float("eps", eps),
                      ir_attr_float("momentum", momentum), ir_attr_bool("affine", affine)};
    return value_tensor(builtin_node(use, OP_batch_norm, 1, use->x, 4, attrs));
}

static IrNode *reshape(BuiltinUse *use, IrNode *x, int rank, const int64_t *shape) {
    IrAttr attr = ir_attr_ints("shape", rank, shape);
    return builtin_node(use, OP_reshape, 1, &x, 1, &attr);
}

static IrNode *flatten(BuiltinUse *use, IrNode *x) {
    if (x->type.rank == 2)
        return x;
    if (x->type.rank != 4 || x->type.dim[1] != 1 || x->type.dim[2] != 1) {
        builtin_fail(use, "'%s' takes [N,C] or [N,1,1,C], not %s; pool before it", use->builtin->name,
                     ir_type_string(use->l->arena, &x->type));
        return NULL;
    }
    return reshape(use, x, 2, (int64_t[]){IR_DIM_N, x->type.dim[3]});
}

static Value run_flatten(BuiltinUse *use) {
    return value_tensor(flatten(use, use->x[0]));
}

static Value run_linear(BuiltinUse *use) {
    IrNode *x = flatten(use, use->x[0]);
    if (!x)
        return (Value){.kind = VALUE_error};
    int64_t out = int_arg(use, 0), in = x->type.dim[1];
    if (out < 1)
        return builtin_fail(use, "'linear' needs at least 1 output, not %lld", (long long)out);
    IrNode *w = weight_node(use, "weight", ir_type(DTYPE_f32, 2, (int64_t[]){out, in}), (double)in);
    IrAttr transposed = ir_attr_bool("tb", true);
    IrNode *y = w ? builtin_node(use, OP_matmul, 2, (IrNode *[]){x, w}, 1, &transposed) : NULL;
    return value_tensor(y && int_arg(use, 1) ? add_bias(use, y, out, (double)in) : y);
}

/* Named like a parameter would be, so that each has draws of its own. */
static Value run_dropout(BuiltinUse *use) {
    double probability;
    value_number(&use->args[0], &probability);
    if (!(probability >= 0 && probability < 1))
        return builtin_fail(use, "a probability of dropout is at least 0 and below 1, not %g", probability);
    if (!param_name(use, "dropout"))
        return (Value){.kind = VALUE_error};
    IrAttr attrs[] = {ir_attr_string("name", use->l->target->prefix), ir_attr_float("probability", probability)};
    return value_tensor(builtin_node(use, OP_dropout, 1, use->x, 2, attrs));
}

static Value run_global_avg_pool(BuiltinUse *use) {
    if (!builtin_need_images(use))
        return (Value){.kind = VALUE_error};
    double count = (double)(use->x[0]->type.dim[1] * use->x[0]->type.dim[2]);
    IrAttr attrs[] = {ir_attr_ints("axes", 2, (int64_t[]){1, 2}), ir_attr_bool("keep", true)};
    IrNode *sum = builtin_node(use, OP_reduce_sum, 1, use->x, 2, attrs);
    return sum ? value_tensor(builtin_node(use, OP_mul, 2, (IrNode *[]){sum, ir_constant(use->b, 1 / count)}, 0, NULL))
               : (Value){.kind = VALUE_error};
}

static Value run_identity(BuiltinUse *use) {
    return value_tensor(use->x[0]);
}

static Value run_concat(BuiltinUse *use) {
    IrAttr axis = ir_attr_int("axis", use->x[0]->type.rank - 1);
    return use->count == 1 ? value_tensor(use->x[0])
                           : value_tensor(builtin_node(use, OP_concat, use->count, use->x, 1, &axis));
}

/* The channels before `at`, and those from it on. */
static Value run_split(BuiltinUse *use) {
    IrNode *x = use->x[0];
    int last = x->type.rank - 1;
    int64_t channels = last < 0 ? 1 : x->type.dim[last], at = int_arg(use, 0);
    if (at < 1 || at >= channels)
        return builtin_fail(use, "'split' at %lld of %lld channels leaves a part without any", (long long)at,
                            (long long)channels);
    Value *parts = ARENA_ARRAY(use->l->arena, Value, 2);
    for (int i = 0; i < 2; i++) {
        IrAttr attrs[] = {ir_attr_int("axis", last), ir_attr_int("begin", i ? at : 0),
                          ir_attr_int("end", i ? channels : at)};
        parts[i] = value_tensor(builtin_node(use, OP_slice, 1, use->x, 3, attrs));
    }
    return value_list(2, parts);
}

static Value run_shuffle(BuiltinUse *use) {
    IrAttr groups = ir_attr_int("groups", int_arg(use, 0));
    return value_tensor(builtin_node(use, OP_shuffle, 1, use->x, 1, &groups));
}

/* The parameters are top, left, bottom, right: what is cut off, or added as zeros. */
static Value run_sides(BuiltinUse *use) {
    if (!builtin_need_images(use))
        return (Value){.kind = VALUE_error};
    bool crop = use->builtin->op == OP_slice;
    IrNode *x = use->x[0];
    for (int axis = 1; axis <= 2 && x; axis++) {
        int64_t before = int_arg(use, axis - 1), after = int_arg(use, axis + 1);
        int64_t size = x->type.dim[axis];
        if (before < 0 || after < 0 || (crop && before + after >= size))
            return builtin_fail(use, "'%s' by %lld and %lld of %lld leaves nothing or is negative", use->builtin->name,
                                (long long)before, (long long)after, (long long)size);
        IrAttr attrs[] = {ir_attr_int("axis", axis), ir_attr_int("begin", before),
                          ir_attr_int("end", crop ? size - after : after)};
        if (before || after)
            x = builtin_node(use, use->builtin->op, 1, &x, 3, attrs);
    }
    return value_tensor(x);
}

static Value run_extent(BuiltinUse *use) {
    if (!builtin_need_images(use))
        return (Value){.kind = VALUE_error};
    const char *name = use->builtin->name;
    return value_int(use->x[0]->type.dim[name[0] == 'h' ? 1 : name[0] == 'w' ? 2 : 3]);
}

static Value run_length(BuiltinUse *use) {
    return value_int(use->args[0].count);
}

/* The logits of an auxiliary head, which count in the training loss only. */
static Value run_auxiliary(BuiltinUse *use) {
    Lower *l = use->l;
    const Stage *head = use->args[0].stage;
    if (head->kind != STAGE_op)
        return builtin_fail(use, "the head is an operation of the text, not '%s'", head->name);
    Instance *instance = lower_instance(l, use->f, head, 1, &use->x[0]->type, use->span);
    if (!instance)
        return (Value){.kind = VALUE_error};
    for (size_t i = 0; i < instance->names.count; i++)
        if (!param_name(use, instance->names.entries[i].key))
            return (Value){.kind = VALUE_error};
    double weight;
    value_number(&use->args[1], &weight);
    if (weight < 0)
        return builtin_fail(use, "'weight' of the auxiliary head's loss is at least 0");
    IrAttr attrs[] = {ir_attr_symbols("callee", 1, &instance->graph->name), ir_attr_string("name", l->target->prefix),
                      ir_attr_float("weight", weight)};
    IrNode *logits = builtin_node(use, OP_auxiliary, 1, use->x, 3, attrs);
    if (!logits)
        return (Value){.kind = VALUE_error};
    if (ir_graph_find_output(use->b->graph, "logits_aux"))
        return builtin_fail(use, "there is an auxiliary head already; a network has one");
    ir_graph_add_output(use->b->graph, "logits_aux", logits);
    ir_module_set(l->module, "auxiliary.weight", ir_attr_float("", weight), use->span);
    return value_tensor(logits);
}

#define REQUIRED(name, type)                                                                                           \
    { name, TYPE_##type, DEFAULT_none, 0 }
#define OPTIONAL(name, type, value)                                                                                    \
    { name, TYPE_##type, DEFAULT_given, value }
#define WINDOW REQUIRED("k", pair), OPTIONAL("stride", pair, 1), OPTIONAL("pad", sides, 0)
#define SIDES OPTIONAL("top", int, 0), OPTIONAL("left", int, 0), OPTIONAL("bottom", int, 0), OPTIONAL("right", int, 0)

const Builtin builtin_primitives[] = {
    {"conv",
     BUILTIN_tensor,
     run_conv,
     OP_conv2d,
     {REQUIRED("C", int), WINDOW, OPTIONAL("dilation", pair, 1), OPTIONAL("groups", int, 1), OPTIONAL("bias", bool, 0)},
     "conv(C, k, stride = 1, pad = 0, dilation = 1, groups = 1, bias = false)"},
    {"depthwise",
     BUILTIN_tensor,
     run_depthwise,
     OP_conv2d,
     {WINDOW, OPTIONAL("dilation", pair, 1), OPTIONAL("bias", bool, 0)},
     "depthwise(k, stride = 1, pad = 0, dilation = 1, bias = false)"},
    {"max_pool", BUILTIN_tensor, run_pool, OP_max_pool, {WINDOW}, "max_pool(k, stride = 1, pad = 0)"},
    {"avg_pool", BUILTIN_tensor, run_pool, OP_avg_pool, {WINDOW}, "avg_pool(k, stride = 1, pad = 0)"},
    {"global_avg_pool", BUILTIN_tensor, run_global_avg_pool, OP_COUNT, {{0}}, "global_avg_pool"},
    {"batch_norm",
     BUILTIN_tensor,
     run_batch_norm,
     OP_batch_norm,
     {{"affine", TYPE_bool, DEFAULT_implicit, 1}, OPTIONAL("eps", number, 1e-5), OPTIONAL("momentum", number, 0.1)},
     "batch_norm(affine ?= true, eps = 1e-5, momentum = 0.1)"},
    {"dropout", BUILTIN_tensor, run_dropout, OP_dropout, {REQUIRED("probability", number)}, "dropout(probability)"},
    {"linear",
     BUILTIN_tensor,
     run_linear,
     OP_matmul,
     {REQUIRED("C", int), OPTIONAL("bias", bool, 1)},
     "linear(C, bias = true)"},
    {"flatten", BUILTIN_tensor, run_flatten, OP_reshape, {{0}}, "flatten"},
    {"identity", BUILTIN_tensor, run_identity, OP_COUNT, {{0}}, "identity"},
    {"concat", BUILTIN_tensors, run_concat, OP_concat, {{0}}, "concat(x, y, ...)"},
    {"split", BUILTIN_tensor, run_split, OP_slice, {REQUIRED("at", int)}, "split(x, at)"},
    {"shuffle", BUILTIN_tensor, run_shuffle, OP_shuffle, {REQUIRED("groups", int)}, "shuffle(x, groups)"},
    {"crop", BUILTIN_tensor, run_sides, OP_slice, {SIDES}, "crop(top = 0, left = 0, bottom = 0, right = 0)"},
    {"pad", BUILTIN_tensor, run_sides, OP_pad, {SIDES}, "pad(top = 0, left = 0, bottom = 0, right = 0)"},
    {"channels", BUILTIN_tensor, run_extent, OP_COUNT, {{0}}, "channels(x)"},
    {"height", BUILTIN_tensor, run_extent, OP_COUNT, {{0}}, "height(x)"},
    {"width", BUILTIN_tensor, run_extent, OP_COUNT, {{0}}, "width(x)"},
    {"auxiliary_loss",
     BUILTIN_tensor,
     run_auxiliary,
     OP_auxiliary,
     {REQUIRED("head", stage), REQUIRED("weight", number)},
     "auxiliary_loss(head, weight)"},
    {"length", BUILTIN_math, run_length, OP_COUNT, {REQUIRED("list", list)}, "length(list)"},
    {0},
};
