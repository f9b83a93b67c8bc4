/* cuda_lanes.c: makes streams and events, and has streams wait for each other. */
#include "runtime/device/cuda_lanes.h"

static bool make_streams(const CudaApi *api, CudaLanes *l, Error *error) {
    bool ok = true;
    for (int i = 0; ok && i < l->count; i++)
        ok = cuda_check(api, api->StreamCreateWithFlags(&l->streams[i], CUDA_NON_BLOCKING), "making a stream", error);
    return ok;
}

static void destroy_streams(const CudaApi *api, CudaLanes *l) {
    for (int i = 0; i < l->count; i++) {
        if (l->streams[i])
            api->StreamDestroy(l->streams[i]);
        l->streams[i] = NULL;
    }
}

bool cuda_lanes_open(const CudaApi *api, CudaLanes *l, Error *error) {
    l->count = api->StreamWaitEvent && api->EventCreateWithFlags && api->EventRecord ? LANES : 1;
    bool ok = make_streams(api, l, error);
    for (int i = 0; ok && l->count > 1 && i < l->count; i++)
        ok = cuda_check(api, api->EventCreateWithFlags(&l->events[i], CUDA_EVENT_WITHOUT_TIME), "making an event",
                        error);
    return ok;
}

void cuda_lanes_close(const CudaApi *api, CudaLanes *l) {
    for (int i = 0; i < l->count; i++) {
        if (l->events[i])
            api->EventDestroy(l->events[i]);
    }
    destroy_streams(api, l);
}

bool cuda_lanes_renew(const CudaApi *api, CudaLanes *l, Error *error) {
    api->StreamSynchronize(l->streams[0]);
    destroy_streams(api, l);
    return make_streams(api, l, error);
}

bool cuda_capture_begin(const CudaApi *api, const CudaLanes *l, Error *error) {
    return cuda_check(api, api->StreamBeginCapture(l->streams[0], CUDA_CAPTURE_THREAD_LOCAL), "capturing a step",
                      error);
}

bool cuda_capture_end(const CudaApi *api, const CudaLanes *l, bool put, void **graph, Error *error) {
    void *captured = NULL;
    int status = api->StreamEndCapture(l->streams[0], &captured);
    bool ok = put && cuda_check(api, status, "capturing a step", error) &&
              cuda_check(api, api->GraphInstantiateWithFlags(graph, captured, 0), "capturing a step", error);
    if (captured)
        api->GraphDestroy(captured);
    return ok;
}

static bool wait_for(const CudaApi *api, void *stream, void *event, void *recorded_on, Error *error) {
    return cuda_check(api, api->EventRecord(event, recorded_on), "capturing a step", error) &&
           cuda_check(api, api->StreamWaitEvent(stream, event, 0), "capturing a step", error);
}

bool cuda_lanes_fork(const CudaApi *api, const CudaLanes *l, int count, Error *error) {
    bool ok = true;
    for (int i = 1; ok && i < count; i++)
        ok = wait_for(api, l->streams[i], l->events[0], l->streams[0], error);
    return ok;
}

bool cuda_lanes_join(const CudaApi *api, const CudaLanes *l, int count, Error *error) {
    bool ok = true;
    for (int i = 1; ok && i < count; i++)
        ok = wait_for(api, l->streams[0], l->events[i], l->streams[i], error);
    return ok;
}
