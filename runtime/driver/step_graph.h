/* step_graph.h: the inference graph of a text, for those who do not run it: primitives only, batch norm folded or not,
 * nothing fused and no memory planned. */
#ifndef NDARTS_RUNTIME_DRIVER_STEP_GRAPH_H
#define NDARTS_RUNTIME_DRIVER_STEP_GRAPH_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/tensor_file.h"
#include "ir/ir.h"
#include "runtime/driver/runtime.h"

/* Mistakes in the text are printed to stderr as they are found. NULL on failure. The graph's module has the table of
 * its parameters. */
IrGraph *rt_inference_graph(Arena *arena, const char *path, const char *const *sets, int set_count, bool fold,
                            Error *error);
/* What a network wants, as many as the module has parameters. */
const RtTensorInfo *rt_weights_wanted(Arena *arena, const IrModule *module);
/* Are the weights those of the network, as weights_fit asks? A prefix that all of them have is taken off their names.
 * net and path name both in the message. */
bool rt_weights_check(Arena *arena, const IrModule *module, const char *net, const char *path, TensorFile *file,
                      Error *error);

#endif
