/* plan.h: the plan of a module: its memory, its kernels, and the list of their calls. The code generator builds this
 * value, plan_print.c writes it into the module as JSON (docs/modules.md), plan_read.c reads it there, and runtimes run
 * it. Nothing that is read is trusted: whatever passes plan_read is consistent in itself, every offset inside its place,
 * every index inside its table. */
#ifndef NDARTS_CODEGEN_PLAN_PLAN_H
#define NDARTS_CODEGEN_PLAN_PLAN_H

#include "base/arena.h"
#include "codegen/plan/abi.h"
#include "codegen/plan/options.h"
#include "ir/graph_kind.h"
#include "ir/ir.h"

enum { PLAN_VERSION = 2 }; /* a reader knows only its own */

typedef struct PlanTensor {
    const char *name;
    IrType type;            /* IR_DIM_N and IR_DIM_K among the dims */
    int order[IR_MAX_RANK]; /* axes from the outermost to the innermost in memory */
    IrPlace place;          /* params: PLACE_state; inputs: PLACE_input */
    int64_t offset;         /* bytes in its place; number of the input for PLACE_input */
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
typedef enum PlanLaunch { LAUNCH_once, LAUNCH_images, LAUNCH_chunks, LAUNCH_COUNT } PlanLaunch;

/* A call is made where the choice is one of the cases. */
typedef struct PlanWhen {
    int choice;     /* of the graph's, from 1; 0: always */
    uint64_t cases; /* bit c: where it is c */
} PlanWhen;

enum { PLAN_NO_KERNEL = -1 };

typedef struct PlanStep {
    int kernel; /* PLAN_NO_KERNEL in stages of the domain exchange: the buffers are the result and the chunks, and one number
                   says how many elements a chunk has; target cuda: the chunks of all ranks, and how many bytes they are */
    PlanWhen when;
    int buffer_count;
    PlanBuffer *buffers;
    int int_count;
    int64_t *ints;
    PlanLaunch launch; /* target cuda, as are the next */
    int64_t threads;
    int wait_count; /* the first of those that are started together: launches that must have ended before, by number */
    int *waits;
} PlanStep;

typedef enum PlanDomain {
    DOMAIN_images,   /* chunks in parallel; in each, image by image, all steps in order */
    DOMAIN_parallel, /* steps are independent of one another */
    DOMAIN_serial,
    DOMAIN_exchange, /* no kernels: sums of the chunks of all ranks, in one message */
} PlanDomain;

typedef struct PlanStage {
    PlanDomain domain;
    int step_count, step_capacity;
    PlanStep *steps;
} PlanStage;

typedef struct PlanGraph {
    GraphKind kind;
    int64_t work_bytes, private_bytes;
    int input_count, output_count, prepare_count, prepare_capacity, stage_count, stage_capacity;
    PlanTensor *inputs, *outputs;
    PlanStage *prepare, *stages; /* prepare: once, when parameters change */
    int choosing_count; /* of the stages: when they have run, the choices are there; no step of them has a condition */
    int choice_count;
    PlanBuffer *choices; /* whole numbers, of one element of the module's precision */
    bool changes_state;  /* a step may write parameters: every graph but infer and eval */
} PlanGraph;

/* The numbers of a dense convolution: rows, columns and channels of input and output, rows and columns of window, padding
 * (the same on both sides), stride and dilation. */
enum {
    CONV_INPUT = 0,
    CONV_INPUTS = 2,
    CONV_OUTPUT = 3,
    CONV_OUTPUTS = 5,
    CONV_KERNEL = 6,
    CONV_PAD = 8,
    CONV_STRIDE = 10,
    CONV_DILATION = 12,
    CONV_NUMBERS = 14
};

/* A kernel of CUDA that is a dense convolution or one of its gradients and nothing else, so that a library may compute
 * it: the numbers of input, output and weights (or of their gradients) among its calls' buffers, where 0 is the one that
 * is computed. */
typedef struct PlanConv {
    int input, output, weight;
    int64_t shape[CONV_NUMBERS];
} PlanConv;
typedef enum PlanConvKind { CONV_none, CONV_forward, CONV_grad_input, CONV_grad_weight } PlanConvKind;
/* CONV_none: the three numbers are not 0, 1 and 2. */
PlanConvKind plan_conv_kind(const PlanConv *conv);
/* Kernels for who uses a library; no step of a plan calls them (docs/modules.md). */
#define PLAN_CONV_COPY "nd_conv_copy"
#define PLAN_CONV_CLEAR "nd_conv_clear"

/* What a kernel is for, and what one call of it does: for one image in stages over images; on a GPU for all images of
 * the largest batch. Zero and "" in plans that do not say. */
typedef struct PlanKernel {
    const char *name;
    const char *origin;   /* for people: operations and shapes of its steps, tag of the first node */
    int64_t flops, bytes; /* a multiply-add counts 2; every element read or written, once */
    PlanConv conv;
    bool tensor; /* its products are made by tensor cores */
} PlanKernel;

typedef struct Plan {
    CgTargetId target;
    CgPrecision precision;
    int vector_bytes;
    bool bands; /* kernels compute bands of rows */
    int64_t batch, chunks;
    int64_t ranks; /* each has that batch and those chunks of a larger one, or, target cuda, a part of them */
    int scalar_count;
    const char *scalars[ND_SCALAR_COUNT];
    int kernel_count;
    PlanKernel *kernels;
    int64_t scratch_bytes, state_bytes, prepared_bytes;
    int param_count;
    PlanTensor *params;
    int graph_count;
    PlanGraph *graphs;
} Plan;

/* ---- plan_print.c ---- */
/* As JSON, and as the bytes of nd_plan: "ndplan\0\1", 8 bytes of little-endian length, then that many bytes of JSON. */
const char *plan_print(Arena *arena, const Plan *plan);
unsigned char *plan_bytes(Arena *arena, const Plan *plan, size_t *size);

/* ---- plan_read.c ---- */
/* The way back from either; available is how many bytes may be read. NULL with ERROR_INPUT, naming what is wrong. */
Plan *plan_read(Arena *arena, const unsigned char *bytes, size_t available, Error *error);
Plan *plan_parse(Arena *arena, const char *json, size_t length, Error *error);

/* ---- plan.c ---- */
const PlanGraph *plan_find_graph(const Plan *plan, GraphKind kind); /* NULL when absent */
/* The bit of the case that a choice fell on, in PlanWhen.cases; 0: on none. */
uint64_t plan_case(double fell_on);
/* Neighbours of a stage of independent steps that are started together, by one launch: how many, from this one on. They
 * have one kernel and one condition. The launches of a graph's stages are counted from 0, those of `prepare` too. */
int plan_count_together(const PlanStage *stage, int first);
int plan_count_launches(const PlanStage *stages, int count);
/* How large a place of the graph is; of inputs and what has none 0. */
int64_t plan_place_bytes(const Plan *plan, const PlanGraph *g, IrPlace place);
/* The most launches of which each waits for the one before. Stages on the two sides of `choosing` wait as a whole. */
int plan_longest_chain(Arena *arena, const PlanGraph *graph);
/* Bytes of an element of memory where numbers have this precision. */
int64_t plan_element_bytes(CgPrecision precision, IrDtype dtype);
/* Bytes of a tensor with n images. */
int64_t plan_tensor_bytes(const Plan *plan, const PlanTensor *tensor, int64_t n);

#endif
