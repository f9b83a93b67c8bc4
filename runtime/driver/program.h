/* program.h: what a program consists of; shared by program.c (opening and running), compile.c and state.c (parameters). */
#ifndef NDARTS_RUNTIME_DRIVER_PROGRAM_H
#define NDARTS_RUNTIME_DRIVER_PROGRAM_H

#include "ir/schedules.h"
#include "runtime/device/backend.h"
#include "runtime/driver/child.h"
#include "runtime/driver/runtime.h"
#include "runtime/driver/step_log.h"

/* A step graph of the program, ready to run. */
typedef struct ProgramGraph {
    const PlanGraph *plan;
    RtBound *bound;
    RtTensorInfo *inputs, *outputs;
    const void **addresses;    /* of the inputs, for the run in progress */
    int64_t last_batch;        /* images of the latest run, of all ranks */
    int64_t last_images;       /* likewise, its own */
    uint64_t prepared_version; /* of the state from which the prepared values were made */
} ProgramGraph;

/* What a run-time scalar of the plan is: a row of run_scalars.def, or, with row -1, a schedule. */
typedef struct ProgramScalar {
    int row;
    Schedule schedule;
} ProgramScalar;

struct RtProgram {
    Arena *arena;
    const RtBackend *backend;
    RtDevice *device;
    RtModule *module;
    RtModule *better; /* compiled from the same source while module, a draft, ran; or NULL */
    RtChild *later;   /* compiles it; or NULL */
    const char *key;  /* it will be found under */
    const Plan *plan;
    int64_t batch;            /* largest number of images, of all ranks */
    RtShare share;            /* ranks NULL: there are no others */
    const Settings *settings; /* of the text; NULL: loaded from a file */
    const char *identity;
    RtArenas memory;
    size_t state_bytes, prepared_bytes, work_bytes;
    ProgramGraph graphs[GRAPH_KIND_COUNT]; /* plan NULL: not compiled */
    RtTensorInfo *params;
    StrMap param_index;                     /* name -> PlanTensor */
    Profile *profile;                       /* NULL: nothing is timed */
    ProgramScalar scalars[ND_SCALAR_COUNT]; /* as the plan numbers them */
    StepLog *log;                           /* NULL: nothing is written down */
    uint64_t state_version;                 /* counts changes; starts at 1 */
};

/* Fills in params and gives the state its initial values, then the module's embedded ones. */
bool program_make_state(RtProgram *program, uint64_t seed, Error *error);

#endif
