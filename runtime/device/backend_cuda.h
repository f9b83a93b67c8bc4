/* backend_cuda.h: what the files of the CUDA backend share. Private to it. */
#ifndef NDARTS_RUNTIME_DEVICE_BACKEND_CUDA_H
#define NDARTS_RUNTIME_DEVICE_BACKEND_CUDA_H

#include "runtime/device/backend.h"
#include "runtime/device/cuda_capture.h"
#include "runtime/device/cuda_module.h"
#include "runtime/device/cudnn.h"
#include "runtime/device/nccl.h"

struct RtDevice {
    CudaApi api;
    Arena *arena;
    int number, threads; /* threads: for compiling */
    const char *arch;    /* "sm_90" */
    void *stream;
    void *private_memory; /* one image's private values for each image; graphs run one at a time, so they share it */
    size_t private_bytes;
    Cudnn *cudnn; /* NULL: not there, or not wanted; opened when the first plan has a use for it */
    bool cudnn_tried;
    Nccl *nccl;            /* NULL: there are no other ranks */
    double launch_seconds; /* of an empty kernel, when something is profiled; 0: unknown */
    Error failure;         /* of a copy, which has no other way to say so */
};

typedef struct CudaConv CudaConv; /* cudnn_conv.c: a kernel's calls as cuDNN computes them */

/* Calls of one kernel that are started together: grid.y of them, each with a row of the table. */
typedef struct Launch {
    int kernel; /* PLAN_NO_KERNEL: an exchange with the other ranks, whose steps are grid.y */
    CudaDim grid;
    void *rows;
    const PlanStep *steps; /* the first of grid.y, which says what the launch waits for */
    CudaConv *conv;        /* not NULL: cuDNN computes it */
} Launch;

/* What is replayed: captured as a CUDA graph, or launched one by one. */
typedef struct Part {
    const PlanStage *stages;
    int count;
    int launch_count;
    int before; /* launches of the graph's stages that are in a part before this one */
    Launch *launches;
    void *captured;
} Part;

typedef struct Input {
    void *memory, *pinned;
    size_t bytes, image_bytes; /* image_bytes 0: no images in front */
} Input;

/* Run-time blocks: of the images and chunks that are here, and of all ranks', for what is computed once; the same for one
 * process. */
enum { RUN_own, RUN_all, RUN_COUNT };

struct RtBound {
    const CudaModule *module;
    const PlanGraph *graph;
    RtArenas arenas;
    const RtShare *share; /* NULL: nobody shares the batch */
    Arena *arena;
    Part prepare, choosing, stages; /* choosing: of a graph with choices, up to where they are there */
    double *choices; /* pinned: what they fell on, each a number of the module's precision in the place of a double */
    Input *inputs;
    NdRun *run_pinned, *run; /* RUN_COUNT of them; the second on the device, as is the next */
    void *table;
    size_t private_image_bytes, table_bytes, bytes;
    bool table_made;
    void *conv_copy, *conv_clear; /* the module's kernels for what cuDNN computes (docs/modules.md), or NULL */
    CudaConv **convs;             /* by kernel; NULL: none is computed by cuDNN */
    ProfileGraph *profile;        /* NULL: nothing is timed */
};

/* ---- cuda_memory.c ---- */

/* The device's address of a step's buffer. */
void *cuda_resolve(const RtDevice *d, const RtBound *b, const PlanBuffer *buffer);
/* Copies after all that is on the device's stream, and waits for the end; a status of CUDA. */
int cuda_copy(RtDevice *d, void *to, const void *from, size_t bytes, int kind);

/* ---- cuda_exchange.c ---- */

/* Bytes from the beginning of the step's buffer to the rows of this rank's chunks, where the step computes chunks. */
int64_t cuda_rows_before(const RtBound *b, const PlanStep *step, int buffer);
/* Puts the exchange on a stream: to all ranks the rows of all; a status of NCCL. */
int cuda_exchange_on(const RtDevice *d, const RtBound *b, const Launch *launch, void *stream);

/* ---- cudnn_conv.c ---- */

/* Sets conv of those launches that cuDNN shall compute; the tables are made. */
void cuda_choose_convs(RtDevice *d, RtBound *b);
/* Puts a launch on a stream, by cuDNN or as our kernel; a status of CUDA. */
int cuda_start_on(RtDevice *d, RtBound *b, const Launch *launch, void *stream);
/* Leaves a kernel's calls to our kernel, from now on: cuDNN could not be captured. */
void cuda_drop_conv(RtDevice *d, RtBound *b, int kernel);
void cuda_destroy_convs(RtDevice *d, RtBound *b);

#endif
