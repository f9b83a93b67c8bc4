/* stage.h: the level between graph and source. A stage is a list of steps between two barriers; a step computes one
 * value, described once as a scalar expression of its index; two dialects (C, CUDA) print it, schedules decide how well.
 *
 * Build: every op's rule stage_NAME (named in ops.def) describes the element at a given index of the node's result.
 * cg_value_at() is the only way to read an operand: a load when it has memory, its own description when it is inlined.
 */
#ifndef NDARTS_CODEGEN_STAGE_H
#define NDARTS_CODEGEN_STAGE_H

#include "codegen/codegen.h"

enum { CG_MAX_AXES = 12 };

/* An axis is a loop variable of a step: its result's axes first, then those of its reductions. */
typedef struct CgAxis {
    int64_t extent;      /* or IR_DIM_N, IR_DIM_K */
    bool reduced;
} CgAxis;

/* constant + sum of coef[a] * axis a, then divided by divisor (exactly: a CgScalar guard tests divisibility first). */
typedef struct CgIndex {
    int64_t constant;
    int64_t coef[CG_MAX_AXES];
    int64_t divisor;     /* 1 unless a strided convolution runs backwards */
} CgIndex;

/* Memory of a node's value. */
typedef struct CgBuffer {
    IrNode *node;
    int id;                         /* number in the graph's list of buffers */
    IrPlace place;
    int64_t offset;                 /* bytes in its place; number of the input for PLACE_input */
    IrType type;
    int order[IR_MAX_RANK];         /* axes from the outermost to the innermost in memory */
    int64_t stride[IR_MAX_RANK];    /* elements; that of N is one image's size, and 0 for private buffers */
} CgBuffer;

typedef enum CgScalarKind {
    SCALAR_constant,
    SCALAR_load,       /* buffer[index...] */
    SCALAR_run,        /* run-time scalar number `number` */
    SCALAR_index,      /* index[0] as a number */
    SCALAR_op,         /* elementwise op of args */
    SCALAR_guard,      /* args[0] where every lower <= index[i] < upper[i] (and divisible), else args[1] */
    SCALAR_draw,       /* random number: stream hash in ints[number], element index[0] within the image; args: keep probability */
    SCALAR_reduce      /* args[0] over reduce_axes, in row-major order */
} CgScalarKind;
typedef enum CgReduce { REDUCE_sum, REDUCE_max, REDUCE_argmax /* position of the first largest, row-major over the axes */ } CgReduce;
typedef enum CgDraw { DRAW_uniform, DRAW_normal, DRAW_bernoulli } CgDraw;

typedef struct CgScalar CgScalar;
struct CgScalar {
    CgScalarKind kind;
    int id;                         /* hash-consed: equal scalars of a step are one object, numbered in order of making */
    double value;                   /* constant */
    CgBuffer *buffer;               /* load */
    int number;                     /* run, draw (slot in the step's ints) */
    IrOp op;                        /* op */
    int arg_count;
    CgScalar **args;
    int index_count;
    CgIndex *index;                 /* load: one per dimension of the buffer; guard; index; draw */
    int64_t *upper;                 /* guard: exclusive upper bounds, one per index; lower bound is 0 */
    CgReduce reduce;
    bool wide;                      /* reduce: accumulate in double */
    int reduce_count;
    int reduce_axes[4];             /* axes of the step */
    CgDraw draw;
};

typedef struct CgStep {
    IrNode *node;
    CgBuffer *out;
    int axis_count;                 /* the first out->type.rank axes are the result's (K left out for partial sums, N kept as axis 0) */
    CgAxis axes[CG_MAX_AXES];
    bool partial;                   /* adds value to out[chunk, ...]: stored instead of added for the first image of a chunk */
    CgScalar *value;
    int int_count;
    int64_t ints[8];                /* constants of the call: hashes of streams */
    int buffer_count;               /* buffers it reads or writes, in order of first use; out is buffers[0] */
    CgBuffer *buffers[96];
} CgStep;

typedef enum CgDomain { DOMAIN_images, DOMAIN_parallel, DOMAIN_serial } CgDomain;
typedef struct CgStage {
    CgDomain domain;
    bool prepared;                  /* once, when parameters change */
    int step_count, step_capacity;
    CgStep **steps;
} CgStage;

typedef struct CgProgram {          /* one graph */
    Arena *arena;
    IrGraph *graph;
    const CgOptions *options;
    int stage_count, stage_capacity;
    CgStage **stages;
    CgBuffer **buffer_of;           /* by node id; NULL for inlined nodes */
} CgProgram;

CgProgram *cg_build_stages(Arena *arena, IrGraph *graph, const CgOptions *options);

/* ---- for the rules (stage_rules*.c) and the schedules ---- */
typedef struct CgBuild {
    CgProgram *program;
    CgStep *step;
} CgBuild;
/* The element of node's value at index[0..rank). */
CgScalar *cg_value_at(CgBuild *b, IrNode *node, const CgIndex *index);
int cg_add_axis(CgBuild *b, int64_t extent, bool reduced);      /* number of the new axis */
CgIndex cg_index_axis(int axis);
CgIndex cg_index_constant(int64_t value);
CgIndex cg_index_add(CgIndex a, CgIndex b);                     /* both with divisor 1 */
CgIndex cg_index_scale(CgIndex a, int64_t factor);
CgScalar *cg_constant(CgBuild *b, double value);
CgScalar *cg_op(CgBuild *b, IrOp op, int count, CgScalar *const *args);
CgScalar *cg_guard(CgBuild *b, int count, const CgIndex *index, const int64_t *upper, CgScalar *inside, CgScalar *outside);
CgScalar *cg_reduce(CgBuild *b, CgReduce kind, bool wide, int count, const int *axes, CgScalar *body);

#endif
