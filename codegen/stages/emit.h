/* emit.h: what the two dialects share: kernels, the calls of a plan, and what is known while a module is being emitted.
 */
#ifndef NDARTS_CODEGEN_STAGES_EMIT_H
#define NDARTS_CODEGEN_STAGES_EMIT_H

#include "codegen/c/tune.h"
#include "codegen/stages/print_c.h"

/* What one call of a kernel does (work.c). */
typedef struct CgWork {
    int64_t flops; /* a multiply-add counts 2 */
    int64_t bytes; /* every element read or written, once */
} CgWork;

/* A kernel: one text, whoever calls it. */
typedef struct CgKernel {
    const char *name;
    const char *text;    /* head and body, without comments, the name written as "@" */
    Str origin;          /* comment lines: the nodes it was made for */
    const char *purpose; /* for people: operations and shapes of its steps, tag of the first node */
    CgWork work;
    CgConv conv;   /* CUDA; of kind CONV_none when it is something else */
    int use_count; /* nodes seen; only the first few are named */
} CgKernel;

/* The loops that kernels of one shape share, in C: what differs between edges (copies, operands) stays in the kernels. */
typedef struct CgFunction {
    const char *name;
    const char *text; /* the body, between braces */
} CgFunction;

/* How many threads CUDA starts: count for each image, for each chunk, or once. */
typedef enum CgLaunch { LAUNCH_once, LAUNCH_images, LAUNCH_chunks } CgLaunch;

typedef struct CgCall {
    int kernel;
    int buffer_count;
    CgBuffer **buffers;
    int int_count;
    const int64_t *ints;
    CgLaunch launch; /* CUDA */
    int64_t threads; /* CUDA */
} CgCall;

typedef struct CgCallStage {
    CgDomain domain;
    bool prepared;
    int call_count, call_capacity;
    CgCall *calls;
} CgCallStage;

typedef struct CgModule {
    Arena *arena;
    IrModule *ir;
    const CgOptions *options;
    CgNames *names;
    int program_count;
    CgProgram **programs;
    CgCallStage **stages; /* of each program */
    int *stage_counts;
    int kernel_count, kernel_capacity;
    CgKernel *kernels;
    StrMap kernel_of_text; /* to index + 1 */
    int function_count, function_capacity;
    CgFunction *functions;
    StrMap function_of_text;
    const CgTiles *tiles;
    int loop_count, loop_capacity;
    CgLoop *loops; /* each key once */
    StrMap loop_of_key;
    int64_t scratch_bytes; /* largest request of any kernel */
} CgModule;

/* The kernel with this text (made when new), and the steps of one of the stages with that domain that it computes. */
int cg_module_add_kernel(CgModule *module, const char *text, CgDomain domain, const CgStep *const *steps, int count);
CgWork cg_count_work(const CgOptions *options, CgDomain domain, const CgStep *const *steps, int count);
/* "conv2d: f32[N,32,32,16], f32[16,1,3,3] -> f32[N,32,32,16]; cells.0._ops.3" */
const char *cg_describe_purpose(Arena *arena, const CgStep *const *steps, int count);
/* The name of the function (const T *x, const T *y, T *z, int64_t from, int64_t to, int64_t first) with this body; made
 * when new. */
const char *cg_module_add_function(CgModule *module, const char *text);
/* The function of a loop, with the tile that the table says. */
const char *cg_module_add_loop(CgModule *module, CgLoop loop);
void cg_stage_add_call(CgModule *module, CgCallStage *stage, CgCall call);

/* One comment line that names a node, its shape and its source line. */
const char *cg_describe_origin(Arena *arena, const IrNode *node);
/* The plan as JSON, and with its 16 bytes of header. */
const char *cg_plan_json(CgModule *module);
unsigned char *cg_plan_bytes(Arena *arena, const char *json, size_t *size);

/* ---- the dialects ---- */
void cg_c_add_prelude(Str *out, const CgOptions *options); /* prelude_c.c */
void cg_cuda_add_prelude(Str *out, const CgOptions *options);
/* Kernels and calls of one stage. */
void cg_c_emit_stage(CgModule *module, CgProgram *program, const CgStage *stage, CgCallStage *calls);
/* Kernels and calls of all stages, put into stages of independent calls, as few as there can be. Calls of one kernel are
 * neighbours. */
CgCallStage *cg_cuda_emit_program(CgModule *module, CgProgram *program, int *stage_count);
/* Kernels that a library's convolutions need, when there are any (cuda_conv.c). */
void cg_cuda_add_helpers(CgModule *module);

#endif
