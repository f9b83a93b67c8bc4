/* stats.c: parameters and multiply-adds of a graph as the frontend makes it, functions called included; and what single
 * primitive nodes cost. */
#include "ir/stats.h"

#include "base/saturate.h"

/* Where the numbers of a node go. */
typedef struct Counter {
    IrStats *stats;
    bool auxiliary; /* inside the auxiliary head: only parameters count, and apart */
} Counter;

static void count_graph(const IrGraph *graph, Counter counter);

static void add(int64_t *sum, int64_t count) {
    *sum = saturating_add(*sum, count);
}

static void add_parameters(Counter counter, int64_t count) {
    add(counter.auxiliary ? &counter.stats->auxiliary_parameters : &counter.stats->parameters, count);
}

/* ---- what an element is made of ---- */

/* Of a conv2d: products for an element of the result. */
static int64_t weight_taps(const IrNode *node) {
    const IrType *weight = &node->inputs[1]->type;
    return ir_type_count(weight, 1, 1) / weight->dim[0];
}

/* Of a conv2d_grad_input. */
static int64_t input_taps(const IrNode *node) {
    const IrType *weight = &node->inputs[1]->type;
    return ir_type_count(weight, 1, 1) / weight->dim[1] / ir_attr_get_int(node, "groups", 1);
}

/* Of a conv2d_grad_weight: the pixels that a weight is multiplied with. */
static int64_t gradient_pixels(const IrNode *node, int64_t n) {
    const IrType *dy = &node->inputs[0]->type;
    return ir_type_count(dy, n, 1) / dy->dim[dy->rank - 1];
}

/* Of a matmul: the extent that both operands have. */
static int64_t contracted(const IrNode *node, int64_t n) {
    const IrType *x = &node->inputs[0]->type;
    int64_t extent = x->dim[x->rank - (ir_attr_get_int(node, "ta", 0) ? 2 : 1)];
    return extent == IR_DIM_N ? n : extent;
}

static int64_t window_taps(const IrNode *node) {
    const int64_t *kernel = ir_attr_get_ints(node, "kernel");
    return kernel[0] * kernel[1];
}

/* Of a reduction: elements of the operand for one of the result. */
static int64_t reduced(const IrNode *node, int64_t n) {
    return ir_type_count(&node->inputs[0]->type, n, 1) / ir_type_count(&node->type, n, 1);
}

/* ---- one rule for each name in the column stats of ops.def ---- */

typedef void StatsRule(const IrNode *node, Counter counter);

static void stats_none(const IrNode *node, Counter counter) {
    (void)node;
    (void)counter;
}

static void stats_parameter(const IrNode *node, Counter counter) {
    const char *kind = ir_attr_get_string(node, "kind", "weight");
    int64_t count = ir_type_count(&node->type, 1, 1);
    if (str_equal(kind, "weight"))
        add_parameters(counter, count);
    else if (str_equal(kind, "alpha"))
        add(&counter.stats->alphas, count);
}

/* A batch norm's weight and bias are made only when it is lowered. */
static void stats_batch_norm(const IrNode *node, Counter counter) {
    if (ir_attr_get_int(node, "affine", 1))
        add_parameters(counter, 2 * node->type.dim[node->type.rank - 1]);
    if (!counter.auxiliary)
        add(&counter.stats->batch_norm_elements, ir_type_count(&node->type, 1, 1));
}

static void add_products(const IrNode *node, Counter counter, int64_t *sum, int64_t for_each) {
    if (!counter.auxiliary)
        add(sum, saturating_multiply(ir_type_count(&node->type, 1, 1), for_each));
}

static void stats_convolution(const IrNode *node, Counter counter) {
    add_products(node, counter, &counter.stats->conv_macs, weight_taps(node));
}

static void stats_linear(const IrNode *node, Counter counter) {
    add_products(node, counter, &counter.stats->linear_macs, contracted(node, 1));
}

/* What it calls: one function or several. */
static void stats_callees(const IrNode *node, Counter counter) {
    for (int i = 0; i < node->attr_count; i++) {
        const IrAttr *callees = &node->attrs[i];
        for (int j = 0; callees->kind == ATTR_symbols && j < callees->count; j++) {
            const IrGraph *callee = ir_graph_find(node->graph->module, callees->symbols[j]);
            if (!callee)
                bug("'@%s' calls '@%s', which is not there", node->graph->name, callees->symbols[j]);
            count_graph(callee, counter);
        }
    }
}

static void stats_auxiliary(const IrNode *node, Counter counter) {
    counter.auxiliary = true;
    stats_callees(node, counter);
}

static StatsRule *const rules[OP_COUNT] = {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes) stats_##stats,
#include "ir/ops.def"
#undef OP
};

static void count_graph(const IrGraph *graph, Counter counter) {
    for (const IrNode *node = graph->first; node; node = node->next)
        rules[node->op](node, counter);
}

IrStats ir_count_stats(const IrGraph *forward) {
    IrStats stats = {0};
    count_graph(forward, (Counter){&stats, false});
    return stats;
}

/* ---- single nodes ---- */

enum { DRAW = 60 /* ten rounds of Philox, a logarithm, a cosine, a root */, TRANSCENDENTAL = 16 };

static int64_t not_primitive(const IrNode *node) {
    bug("%s has no cost before it is lowered", ir_op_info[node->op].name);
}

double ir_element_cost(const IrNode *node, int64_t n) {
#define none not_primitive(node)
    switch (node->op) {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    case OP_##id:                                                                                                      \
        return (double)(cost);
#include "ir/ops.def"
#undef OP
    case OP_COUNT:
        break;
    }
#undef none
    bug("op %d has no row", node->op);
}

double ir_count_operations(const IrNode *node, int64_t n) {
    return (double)ir_type_count(&node->type, n, 1) * ir_element_cost(node, n);
}
