/* plan.h: the plan of a module, read from its JSON (docs/modules.md). Nothing in it is trusted: whatever passes
 * plan_read is consistent in itself, every offset inside its place, every index inside its table. */
#ifndef NDARTS_RUNTIME_DEVICE_PLAN_H
#define NDARTS_RUNTIME_DEVICE_PLAN_H

#include "base/arena.h"
#include "base/diag.h"
#include "codegen/codegen.h"
#include "passes/pass.h"

typedef struct PlanTensor {
    const char *name;
    IrType type;            /* IR_DIM_N and IR_DIM_K among the dims */
    int order[IR_MAX_RANK]; /* axes from the outermost to the innermost in memory */
    IrPlace place;          /* params: PLACE_state; inputs: PLACE_input */
    int64_t offset;         /* bytes in its place */
    IrParamKind kind;       /* params only, as are the next three */
    IrInit init;
    double init_scale;
    bool auxiliary;
} PlanTensor;

typedef struct PlanBuffer {
    IrPlace place;
    int64_t offset; /* bytes; number of the input for PLACE_input */
} PlanBuffer;

/* How many threads a GPU starts: `threads` for each image, for each chunk, or once. */
typedef enum PlanLaunch { LAUNCH_once, LAUNCH_images, LAUNCH_chunks } PlanLaunch;

typedef struct PlanStep {
    int kernel;
    int buffer_count;
    PlanBuffer *buffers;
    int int_count;
    int64_t *ints;
    PlanLaunch launch; /* target cuda, as is the next */
    int64_t threads;
} PlanStep;

typedef enum PlanDomain {
    DOMAIN_images,   /* chunks in parallel; in each, image by image, all steps in order */
    DOMAIN_parallel, /* steps are independent of one another */
    DOMAIN_serial
} PlanDomain;

typedef struct PlanStage {
    PlanDomain domain;
    int step_count;
    PlanStep *steps;
} PlanStage;

typedef struct PlanGraph {
    GraphKind kind;
    int64_t work_bytes, private_bytes;
    int input_count, output_count, prepare_count, stage_count;
    PlanTensor *inputs, *outputs;
    PlanStage *prepare, *stages;
    bool changes_state; /* a step may write parameters: every graph but infer and eval */
} PlanGraph;

/* What a kernel is for, and what one call of it does: for one image in stages over images; on a GPU for all images of
 * the largest batch. Zero and "" in plans that do not say. */
typedef struct PlanWork {
    const char *origin;
    int64_t flops, bytes;
    CgConv conv;
    bool tensor; /* its products are made by tensor cores */
} PlanWork;

typedef struct Plan {
    CgTarget target;
    CgPrecision precision;
    int vector_bytes;
    bool bands; /* kernels compute bands of rows */
    int64_t batch, chunks;
    int scalar_count;
    const char *scalars[ND_SCALAR_COUNT];
    int kernel_count;
    const char **kernels;
    PlanWork *work; /* of each kernel */
    int64_t scratch_bytes, state_bytes, prepared_bytes;
    int param_count;
    PlanTensor *params;
    int graph_count;
    PlanGraph *graphs;
} Plan;

/* Reads the bytes of nd_plan: "ndplan\0\1", length, JSON; available is how many may be read. NULL with ERROR_INPUT,
 * naming what is wrong. */
Plan *plan_read(Arena *arena, const unsigned char *bytes, size_t available, Error *error);
Plan *plan_parse(Arena *arena, const char *json, size_t length, Error *error);
const PlanGraph *plan_find_graph(const Plan *plan, GraphKind kind); /* NULL when absent */
size_t plan_element_size(const Plan *plan, IrDtype dtype);
/* Bytes of a tensor with n images. */
int64_t plan_tensor_bytes(const Plan *plan, const PlanTensor *tensor, int64_t n);

#endif
