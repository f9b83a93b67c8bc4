/* cudnn_graph.h: a convolution by cuDNN's graph interface, whose engines say themselves whether they give the same bits
 * every time: for bf16, of which the legacy interface may have no such algorithm. */
#ifndef NDARTS_RUNTIME_DEVICE_CUDNN_GRAPH_H
#define NDARTS_RUNTIME_DEVICE_CUDNN_GRAPH_H

#include "codegen/plan/plan.h"

/* Every function that is used: its name without "cudnnBackend" and its parameters. Descriptors are void *. */
#define CUDNN_GRAPH_FUNCTIONS(X)                                                                                       \
    X(CreateDescriptor, (int kind, void **descriptor))                                                                 \
    X(DestroyDescriptor, (void *descriptor))                                                                           \
    X(SetAttribute, (void *descriptor, int name, int type, int64_t count, const void *values))                         \
    X(GetAttribute, (const void *descriptor, int name, int type, int64_t most, int64_t *count, void *values))          \
    X(Finalize, (void *descriptor))                                                                                    \
    X(Execute, (void *handle, void *plan, void *pack))

typedef struct CudnnGraphApi {
#define CUDNN_GRAPH_FUNCTION(name, parameters) int(*name) parameters;
    CUDNN_GRAPH_FUNCTIONS(CUDNN_GRAPH_FUNCTION)
#undef CUDNN_GRAPH_FUNCTION
} CudnnGraphApi;

typedef struct CudnnGraph CudnnGraph;

/* False: the library has no such interface. */
bool cudnn_graph_load(void *library, CudnnGraphApi *api);
/* Operands and result are bf16 (half), or single precision; it adds up in single precision. most: bytes that it may take
 * beside them. NULL when the library cannot. Without a handle, so without a card, the descriptions are made and checked
 * by the library, and nothing can be run. */
CudnnGraph *cudnn_graph_create(const CudnnGraphApi *api, void *handle, const PlanConv *conv, int64_t batch, bool half,
                               size_t most);
void cudnn_graph_destroy(CudnnGraph *graph); /* NULL is allowed */
size_t cudnn_graph_workspace(const CudnnGraph *graph);
/* On the handle's stream; false: the library's mistake. Input and output NHWC, weights OHWI. */
bool cudnn_graph_run(CudnnGraph *graph, void *input, void *output, void *weight, void *workspace);

#endif
