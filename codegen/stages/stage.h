/* stage.h: the level between graph and source. A stage is a list of steps between two barriers; a step computes one
 * value, described once as a scalar expression of its index; two dialects (C, CUDA) print it, schedules decide how well.
 *
 * Build: every op's rule stage_NAME (named in ops.def) describes the element at a given index of the node's result.
 * cg_value_at() is the only way to read an operand: a load when it has memory, its own description when it is inlined.
 */
#ifndef NDARTS_CODEGEN_STAGES_STAGE_H
#define NDARTS_CODEGEN_STAGES_STAGE_H

#include "base/str.h"
#include "codegen/plan/plan.h"
#include "codegen/plan/target.h"
#include "ir/conditions.h"

enum { CG_MAX_AXES = 24, CG_MAX_BUFFERS = 96, CG_MAX_INTS = 8 };

/* An axis is a loop variable of a step: its result's axes first, then those of its reductions. */
typedef struct CgAxis {
    int64_t extent; /* or IR_DIM_N, IR_DIM_K */
    bool reduced;
    int parts; /* with IR_DIM_K: rows of each chunk, as in CgBuffer; 0 is 1 */
} CgAxis;

/* constant + sum of coef[a] * axis a, then divided by divisor (exactly: a CgScalar guard tests divisibility first). */
typedef struct CgIndex {
    int64_t constant;
    int64_t coef[CG_MAX_AXES];
    int64_t divisor; /* 1 unless a strided convolution runs backwards */
} CgIndex;

/* Memory of a node's value. */
typedef struct CgBuffer {
    IrNode *node;
    int id; /* number in the graph's list of buffers */
    IrPlace place;
    int64_t offset; /* bytes in its place; number of the input for PLACE_input */
    const struct CgBuffer
        *whole;    /* a part of it: beginning elsewhere, so that steps which differ in a constant index look alike */
    int64_t shift; /* elements from the beginning of the whole */
    IrType type;
    int order[IR_MAX_RANK];      /* axes from the outermost to the innermost in memory */
    int64_t stride[IR_MAX_RANK]; /* elements; that of N is one image's size, and 0 for private buffers */
    int parts;                   /* CUDA, partial sums: how many rows there are of each chunk; 0 is 1 (cuda_parts.c) */
} CgBuffer;

typedef enum CgScalarKind {
    SCALAR_constant,
    SCALAR_load,  /* buffer[index...] */
    SCALAR_run,   /* run-time scalar number `number` */
    SCALAR_index, /* index[0] as a number */
    SCALAR_op,    /* elementwise op of args */
    SCALAR_guard, /* args[0] where every lower <= index[i] < upper[i] (and divisible), else args[1] */
    SCALAR_draw, /* random number: stream hash in ints[number], element index[0] of image index[1]; args: keep probability */
    SCALAR_reduce /* args[0] over reduce_axes, in row-major order */
} CgScalarKind;
typedef enum CgReduce {
    REDUCE_sum,
    REDUCE_max,
    REDUCE_argmax /* position of the first largest, row-major over the axes */
} CgReduce;
typedef enum CgDraw { DRAW_uniform, DRAW_normal, DRAW_bernoulli } CgDraw;

typedef struct CgScalar CgScalar;
struct CgScalar {
    CgScalarKind kind;
    int id;           /* hash-consed: equal scalars of a step are one object, numbered in order of making */
    uint32_t axes;    /* bit a: depends on axis a (a reduction's own axes do not count) */
    int mark;         /* for who walks over it; 0 between walks */
    CgScalar *next;   /* in the table of stage_scalar.c */
    double value;     /* constant */
    CgBuffer *buffer; /* load */
    int number;       /* run (index into the names, -1: the batch), draw (slot in the step's ints) */
    IrOp op;          /* op */
    int arg_count;
    CgScalar **args;
    int index_count;
    CgIndex *index; /* load: one per dimension of the buffer; guard; index; draw */
    int64_t *upper; /* guard: exclusive upper bounds, one per index; lower bound is 0 */
    CgReduce reduce;
    bool in_double; /* reduce: what is accumulated */
    int reduce_count;
    int reduce_axes[4]; /* axes of the step */
    CgDraw draw;
};

typedef struct CgStep {
    IrNode *node;
    int operand;   /* of a choice: which of them this step makes the value of */
    PlanWhen when; /* numbers of choices are those of the program */
    CgBuffer *out;
    int axis_count; /* the first out->type.rank axes are the result's (K left out for partial sums, N kept as axis 0) */
    CgAxis axes[CG_MAX_AXES];
    bool partial; /* adds value to out[chunk, ...]: stored instead of added for the first image of a chunk */
    CgScalar *value;
    int int_count;
    int64_t ints[CG_MAX_INTS]; /* constants of the call: hashes of streams */
    int buffer_count;          /* buffers it reads or writes, in order of first use; out is buffers[0] */
    CgBuffer *buffers[CG_MAX_BUFFERS];
} CgStep;

typedef struct CgStage {
    PlanDomain domain;
    bool prepared; /* once, when parameters change */
    bool choosing; /* before the choices are there: nothing in it has a condition */
    int step_count, step_capacity;
    CgStep **steps;
} CgStage;

/* Names of the run-time scalars that the graphs of a module use, in order of their numbers. */
typedef struct CgNames {
    int count;
    const char *names[ND_SCALAR_COUNT];
} CgNames;

struct CgProgram { /* one graph */
    Arena *arena;
    IrGraph *graph;
    const CgOptions *options;
    const CgNames *names;
    int64_t prepared_base; /* where this graph's part of the prepared memory begins, bytes */
    int64_t work_bytes, private_bytes;
    int64_t *state_offsets; /* cg_state_offsets */
    int choice_count, choice_capacity;
    IrNode **choices;
    const IrCondition *needed; /* by node id, as is the next */
    const bool *choosing;      /* a choice, or what one is made of */
    StrMap assigned;           /* parameters that a step so far has written */
    int stage_count, stage_capacity;
    CgStage **stages;
    CgBuffer **buffer_of; /* by node id; NULL for inlined nodes */
};

/* prepared_base: bytes of prepared memory that the module's graphs before this one take. */
CgProgram *cg_build_stages(Arena *arena, IrGraph *graph, const CgOptions *options, const CgNames *names,
                           int64_t prepared_base);
/* Where the graph's part of the prepared memory ends. */
int64_t cg_prepared_end(const IrGraph *graph, const CgOptions *options, int64_t prepared_base);
/* Do the steps run in the same cases of the same choice, or both always? */
bool cg_same_condition(const CgStep *a, const CgStep *b);
void cg_print_program(const CgProgram *program, Str *out);

/* Bytes of a whole value at the largest batch. */
int64_t cg_type_bytes(const CgOptions *options, const IrType *type);
/* Where each of the module's parameters lies in the state, in their order, each aligned to 64 bytes; one more: bytes of all. */
int64_t *cg_state_offsets(Arena *arena, const IrModule *module, const CgOptions *options);
bool cg_buffers_overlap(const CgOptions *options, const CgBuffer *a, const CgBuffer *b); /* some byte in common */
/* The order of a value's axes in memory, outermost first: HWIO for rank 4 (without N; K stays outermost), else row-major. */
void cg_memory_order(const IrType *type, int order[IR_MAX_RANK]);

/* ---- for the rules (stage_rules*.c) and the schedules ---- */
typedef struct CgMemo CgMemo;
enum { CG_TABLE_SIZE = 512 };
typedef struct CgBuild {
    CgProgram *program;
    CgStep *step;
    Arena *scratch; /* for the memo */
    int scalar_count;
    CgScalar *scalars[CG_TABLE_SIZE]; /* hash-consing */
    CgMemo *memo[CG_TABLE_SIZE];      /* elements already described, by node and index */
} CgBuild;
typedef CgScalar *CgRule(CgBuild *b, IrNode *node, const CgIndex *index);
extern CgRule *const cg_rules[OP_COUNT];
/* The rules that ops.def names: stage_rules.c, stage_windows.c. */
#define AT_LEAST(n) (-1 - (n))
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes)               \
    CgRule stage_##stage;
#include "ir/ops.def"
#undef OP
/* The element of node's value at index[0..rank). */
CgScalar *cg_value_at(CgBuild *b, IrNode *node, const CgIndex *index);
/* The same by the node's own rule, though it has memory. */
CgScalar *cg_describe(CgBuild *b, IrNode *node, const CgIndex *index);
/* Whoever reads that element of an inlined node gets this scalar. */
void cg_describe_as(CgBuild *b, IrNode *node, const CgIndex *index, CgScalar *scalar);
int cg_add_axis(CgBuild *b, int64_t extent, bool reduced); /* number of the new axis */
CgIndex cg_index_axis(int axis);
CgIndex cg_index_constant(int64_t value);
CgIndex cg_index_add(CgIndex a, CgIndex b);
CgIndex cg_index_scale(CgIndex a, int64_t factor);
CgIndex cg_index_shift(CgIndex a, int64_t distance); /* a + distance */
CgIndex cg_index_divide(CgIndex a, int64_t divisor); /* exact where it is used: a guard says so */
bool cg_index_equal(const CgIndex *a, const CgIndex *b);
/* Smallest and largest numerator over the step's axes; false when it depends on N or K. */
bool cg_index_range(const CgStep *step, const CgIndex *index, int64_t *least, int64_t *most);
uint32_t cg_index_axes(const CgIndex *index);
/* Where the axis stands at a multiple of the width: does the index, too, and goes on by 1 along the axis? */
bool cg_index_is_aligned(const CgStep *step, const CgIndex *index, int axis, int width);
CgScalar *cg_constant(CgBuild *b, double value);
CgScalar *cg_number(CgBuild *b, CgIndex index); /* the index as a number */
/* 1 where the operand, a whole number, equals the index; 0 elsewhere */
CgScalar *cg_equal(CgBuild *b, IrNode *operand, const CgIndex *at, CgIndex index);
CgScalar *cg_run(CgBuild *b, const char *name);
/* Gives a run-time scalar its number in the block, which all programs of a module share; the images of this process need none. */
void cg_name_scalar(CgNames *names, const CgOptions *options, const char *name);
int cg_run_number(const CgNames *names, const char *name);
CgScalar *cg_draw(CgBuild *b, CgDraw draw, const char *stream, int index_count, const CgIndex *index, CgScalar *keep);
CgScalar *cg_load(CgBuild *b, CgBuffer *buffer, const CgIndex *index);
CgScalar *cg_op2(CgBuild *b, IrOp op, CgScalar *x, CgScalar *y);
CgScalar *cg_op(CgBuild *b, IrOp op, int count, CgScalar *const *args);
CgScalar *cg_guard(CgBuild *b, int count, const CgIndex *index, const int64_t *upper, CgScalar *inside,
                   CgScalar *outside);
CgScalar *cg_reduce(CgBuild *b, CgReduce kind, bool in_double, int count, const int *axes, CgScalar *body);

#endif
