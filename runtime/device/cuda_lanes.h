/* cuda_lanes.h: the streams of a device: its own, and those beside it, over which independent launches go. */
#ifndef NDARTS_RUNTIME_DEVICE_CUDA_LANES_H
#define NDARTS_RUNTIME_DEVICE_CUDA_LANES_H

#include "runtime/device/cuda_api.h"

enum { LANES = 8 };

typedef struct CudaLanes {
    void *streams[LANES]; /* 0: the device's own */
    void *events[LANES];  /* those say when the other streams may begin, and when they have ended */
    int count;            /* 1: the runtime has no events */
} CudaLanes;

bool cuda_lanes_open(const CudaApi *api, CudaLanes *lanes, Error *error);
void cuda_lanes_close(const CudaApi *api, CudaLanes *lanes);
/* After a capture that failed: streams that had joined it can take nothing any more. Waits for what was put on the
 * device's own before. */
bool cuda_lanes_renew(const CudaApi *api, CudaLanes *lanes, Error *error);
/* What is put on the device's own stream, and on those that wait for it, becomes a graph. */
bool cuda_capture_begin(const CudaApi *api, const CudaLanes *lanes, Error *error);
/* put: all could be put there. True: *graph can be launched; else the lanes are to be renewed. */
bool cuda_capture_end(const CudaApi *api, const CudaLanes *lanes, bool put, void **graph, Error *error);
/* In a capture: the first `count` streams wait for the device's own, and that for them. */
bool cuda_lanes_fork(const CudaApi *api, const CudaLanes *lanes, int count, Error *error);
bool cuda_lanes_join(const CudaApi *api, const CudaLanes *lanes, int count, Error *error);

#endif
