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

static void count_callees(const IrNode *node, const char *attr, Counter counter) {
    const IrAttr *callees = ir_attr(node, attr);
    for (int i = 0; i < callees->count; i++) {
        const IrGraph *callee = ir_graph_find(node->graph->module, callees->symbols[i]);
        if (!callee)
            bug("'@%s' calls '@%s', which is not there", node->graph->name, callees->symbols[i]);
        count_graph(callee, counter);
    }
}

static void count_param(const IrNode *node, Counter counter) {
    const char *kind = ir_attr_get_string(node, "kind", "weight");
    int64_t count = ir_type_count(&node->type, 1, 1);
    if (str_equal(kind, "weight"))
        add_parameters(counter, count);
    else if (str_equal(kind, "alpha"))
        add(&counter.stats->alphas, count);
}

/* A batch norm's weight and bias are made only when it is lowered. */
static void count_batch_norm(const IrNode *node, Counter counter) {
    if (ir_attr_get_int(node, "affine", 1))
        add_parameters(counter, 2 * node->type.dim[node->type.rank - 1]);
    if (!counter.auxiliary)
        add(&counter.stats->batch_norm_elements, ir_type_count(&node->type, 1, 1));
}

static void count_products(const IrNode *node, Counter counter) {
    if (counter.auxiliary)
        return;
    const IrType *weight = &node->inputs[1]->type;
    int64_t outputs = ir_type_count(&node->type, 1, 1);
    if (node->op == OP_conv2d)
        add(&counter.stats->conv_macs, saturating_multiply(outputs, ir_type_count(weight, 1, 1) / weight->dim[0]));
    else
        add(&counter.stats->linear_macs,
            saturating_multiply(outputs, weight->dim[ir_attr_get_int(node, "tb", 0) ? 1 : 0]));
}

static void count_node(const IrNode *node, Counter counter) {
    switch (node->op) {
    case OP_param:
        count_param(node, counter);
        break;
    case OP_batch_norm:
        count_batch_norm(node, counter);
        break;
    case OP_conv2d:
    case OP_matmul:
        count_products(node, counter);
        break;
    case OP_call:
        count_callees(node, "callee", counter);
        break;
    case OP_mixed:
        count_callees(node, "candidates", counter);
        break;
    case OP_auxiliary:
        counter.auxiliary = true;
        count_callees(node, "callee", counter);
        break;
    default:
        break;
    }
}

static void count_graph(const IrGraph *graph, Counter counter) {
    for (const IrNode *node = graph->first; node; node = node->next)
        count_node(node, counter);
}

IrStats ir_count_stats(const IrGraph *forward) {
    IrStats stats = {0};
    count_graph(forward, (Counter){&stats, false});
    return stats;
}

/* ---- single nodes ---- */

static double window_size(const IrNode *node) {
    const int64_t *kernel = ir_attr_get_ints(node, "kernel");
    return (double)(kernel[0] * kernel[1]);
}

double ir_count_operations(const IrNode *node, int64_t n) {
    enum { DRAW_OPERATIONS = 60 }; /* ten rounds of Philox, a logarithm, a cosine, a root */
    double elements = (double)ir_type_count(&node->type, n, 1);
    const IrType *operand = node->input_count ? &node->inputs[0]->type : &node->type;
    switch (node->op) {
    case OP_conv2d:
        operand = &node->inputs[1]->type;
        return 2 * elements * (double)(ir_type_count(operand, 1, 1) / operand->dim[0]);
    case OP_matmul:
        return 2 * elements * (double)operand->dim[operand->rank - 1];
    case OP_max_pool:
    case OP_max_pool_index:
    case OP_avg_pool:
        return elements * window_size(node);
    case OP_reduce_sum:
    case OP_reduce_max:
        return (double)ir_type_count(operand, n, 1);
    case OP_draw:
        return elements * DRAW_OPERATIONS;
    default:
        return elements;
    }
}
