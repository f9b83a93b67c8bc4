/* cuda_capture.c: streams, and captures of them. A stream being captured keeps a set of nodes that what is put there next
 * will wait for. Setting it before each launch makes any graph, of our kernels and of what a library does, which may be
 * several nodes. A runtime that cannot set it makes a chain, which is right too. */
#include "runtime/device/cuda_capture.h"

bool cuda_stream_open(const CudaApi *api, void **stream, Error *error) {
    return cuda_check(api, api->StreamCreateWithFlags(stream, CUDA_NON_BLOCKING), "making a stream", error);
}

void cuda_stream_close(const CudaApi *api, void **stream) {
    if (*stream)
        api->StreamDestroy(*stream);
    *stream = NULL;
}

bool cuda_stream_renew(const CudaApi *api, void **stream, Error *error) {
    cuda_stream_close(api, stream);
    return cuda_stream_open(api, stream, error);
}

bool cuda_capture_begin(const CudaApi *api, void *stream, Error *error) {
    return cuda_check(api, api->StreamBeginCapture(stream, CUDA_CAPTURE_THREAD_LOCAL), "capturing a step", error);
}

bool cuda_capture_end(const CudaApi *api, void *stream, bool put, void **graph, Error *error) {
    void *captured = NULL;
    int status = api->StreamEndCapture(stream, &captured);
    bool ok = put && cuda_check(api, status, "capturing a step", error) &&
              cuda_check(api, api->GraphInstantiateWithFlags(graph, captured, 0), "capturing a step", error);
    if (captured)
        api->GraphDestroy(captured);
    return ok;
}

void cuda_nodes_add(CudaNodes *nodes, const CudaNodes *more, Arena *arena) {
    for (int i = 0; i < more->count; i++) {
        bool known = false;
        for (int j = 0; j < nodes->count; j++)
            known = known || nodes->nodes[j] == more->nodes[i];
        if (!known)
            ARENA_PUSH(arena, nodes->nodes, nodes->count, nodes->capacity, more->nodes[i]);
    }
}

static bool has_edges(const CudaApi *api) {
    return api->StreamGetCaptureInfo && api->StreamUpdateCaptureDependencies;
}

bool cuda_capture_after(const CudaApi *api, void *stream, const CudaNodes *nodes, Error *error) {
    void *none = NULL, **set = nodes->count ? nodes->nodes : &none;
    return !has_edges(api) || cuda_check(api,
                                         api->StreamUpdateCaptureDependencies(stream, set, NULL, (size_t)nodes->count,
                                                                              CUDA_SET_CAPTURE_DEPENDENCIES),
                                         "capturing a step", error);
}

bool cuda_capture_last(const CudaApi *api, void *stream, Arena *arena, CudaNodes *nodes, Error *error) {
    int state;
    unsigned long long id;
    void *graph, *const *last = NULL;
    size_t count = 0;
    bool ok =
        !has_edges(api) || cuda_check(api, api->StreamGetCaptureInfo(stream, &state, &id, &graph, &last, NULL, &count),
                                      "capturing a step", error);
    for (size_t i = 0; ok && i < count; i++)
        ARENA_PUSH(arena, nodes->nodes, nodes->count, nodes->capacity, last[i]);
    return ok;
}
