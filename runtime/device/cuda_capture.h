/* cuda_capture.h: what is put on a stream becomes a graph, in which each launch comes after those alone that it is told
 * to wait for. */
#ifndef NDARTS_RUNTIME_DEVICE_CUDA_CAPTURE_H
#define NDARTS_RUNTIME_DEVICE_CUDA_CAPTURE_H

#include "runtime/device/cuda_api.h"

bool cuda_stream_open(const CudaApi *api, void **stream, Error *error);
void cuda_stream_close(const CudaApi *api, void **stream);
/* Another stream in its place, after a capture that failed: who knows what a library has left there. */
bool cuda_stream_renew(const CudaApi *api, void **stream, Error *error);

bool cuda_capture_begin(const CudaApi *api, void *stream, Error *error);
/* put: all could be put there. True: *graph can be launched; else the stream is to be renewed. */
bool cuda_capture_end(const CudaApi *api, void *stream, bool put, void **graph, Error *error);

/* Nodes of a graph that is being captured. */
typedef struct CudaNodes {
    int count, capacity;
    void **nodes;
} CudaNodes;

/* Those of `more` that are not there yet. */
void cuda_nodes_add(CudaNodes *nodes, const CudaNodes *more, Arena *arena);
/* What comes next on the stream waits for these nodes and no others. */
bool cuda_capture_after(const CudaApi *api, void *stream, const CudaNodes *nodes, Error *error);
/* Adds the nodes that what comes next on the stream would wait for: the last of what was put there. */
bool cuda_capture_last(const CudaApi *api, void *stream, Arena *arena, CudaNodes *nodes, Error *error);

#endif
