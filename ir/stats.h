/* stats.h: how large a network is and how much it computes, counted on @forward and the functions it calls. */
#ifndef NDARTS_IR_STATS_H
#define NDARTS_IR_STATS_H

#include "ir/ir.h"

/* Of one image in inference, the auxiliary head left out but for its parameters. In a supernet all candidates count. */
typedef struct IrStats {
    int64_t parameters;           /* trained numbers: weights and biases, no running statistics, no alphas */
    int64_t auxiliary_parameters; /* of the auxiliary head, not in parameters */
    int64_t conv_macs;            /* multiply-adds of convolutions */
    int64_t linear_macs;          /* multiply-adds of linear layers */
    int64_t batch_norm_elements;  /* numbers that batch norms write */
    int64_t alphas;               /* architecture parameters */
} IrStats;

IrStats ir_count_stats(const IrGraph *forward);
/* Of a module with @forward, as a table or as a line of JSON. */
void ir_print_stats(const IrModule *module, bool json, Str *out);

/* Arithmetic operations that an element of a primitive node takes, of n images, what it reads being there: the column cost
 * of ops.def. A multiply-add counts 2, a random draw what its generator does. An estimate: for choosing what is worth
 * keeping or computing twice, not for results. From IR_EXPENSIVE on, a function as exp is in it. */
enum { IR_EXPENSIVE = 16 };
double ir_element_cost(const IrNode *node, int64_t n);
/* Of the whole node. */
double ir_count_operations(const IrNode *node, int64_t n);

#endif
