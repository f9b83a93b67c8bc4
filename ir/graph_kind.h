/* graph_kind.h: what a step graph is for. docs/ir.md lists inputs and outputs of each. */
#ifndef NDARTS_IR_GRAPH_KIND_H
#define NDARTS_IR_GRAPH_KIND_H

#include <stdbool.h>

typedef enum GraphKind {
    GRAPH_infer,          /* input -> logits; running statistics, no noise */
    GRAPH_eval,           /* input, labels -> logits, loss; likewise */
    GRAPH_search_alphas,  /* training mode; loss, logits; Adam on the alphas, running statistics */
    GRAPH_search_second,  /* likewise, of second order: four passes, on training and validation images */
    GRAPH_search_weights, /* training mode; loss, logits, grad_norm; clip + SGD on the weights, running statistics */
    GRAPH_train,          /* training mode with auxiliary head; loss, logits, logits_aux, grad_norm; clip + SGD */
    GRAPH_train_forward,  /* training mode without a loss; logits; running statistics */
    GRAPH_gradients, /* training mode; loss, logits (logits_aux), grad/NAME of every weight and alpha; running statistics */
    GRAPH_KIND_COUNT
} GraphKind;
/* "infer", "eval", "search-alphas", "search-second", "search-weights", "train", "train-forward", "gradients" */
const char *graph_kind_name(GraphKind kind);
bool graph_kind_parse(const char *name, GraphKind *kind);
bool graph_kind_is_training(GraphKind kind);

#endif
