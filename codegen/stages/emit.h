/* emit.h: what the two dialects share: kernels, the calls of a plan, and what is known while a module is being emitted.
 */
#ifndef NDARTS_CODEGEN_STAGES_EMIT_H
#define NDARTS_CODEGEN_STAGES_EMIT_H

#include "codegen/stages/print_c.h"

enum { CG_NAMED_ORIGINS = 4 };

/* A kernel: one text, whoever calls it. */
typedef struct CgKernel {
    PlanKernel plan;
    const char *text;       /* parameters and body, without comments */
    const char *attributes; /* before its name; NULL: none */
    int use_count;          /* nodes that it was made for; the first few are named */
    const char *origins[CG_NAMED_ORIGINS];
} CgKernel;

/* The loops that kernels of one shape share, in C: what differs between edges (copies, operands) stays in the kernels. */
typedef struct CgFunction {
    const char *name;
    const char *text; /* the body, between braces */
} CgFunction;

typedef struct CgLoop CgLoop; /* codegen/c/loop_tiles.h */

struct CgModule {
    Arena *arena;
    IrModule *ir;
    const CgOptions *options;
    CgNames *names; /* shared with the modules that were split off */
    int program_count;
    CgProgram **programs;
    PlanGraph *graphs; /* the calls of each program */
    int kernel_count, kernel_capacity;
    CgKernel *kernels;
    StrMap kernel_of_text; /* to index + 1 */
    int function_count, function_capacity;
    CgFunction *functions;
    StrMap function_of_text;
    StrMap function_of_shape; /* C target: names by what loops are known by, whose texts need not be printed again */
    const CgTiles *tiles;
    int loop_count, loop_capacity;
    CgLoop *loops; /* each key once */
    StrMap loop_of_key;
    int64_t prepared_bytes; /* of all programs */
    int64_t scratch_bytes;  /* largest request of any kernel */
    int counter_count;      /* most counters that a graph's calls need (CUDA) */
};

CgModule *cg_module_create(Arena *arena, IrModule *ir, const CgOptions *options, const CgTiles *tiles);
/* An empty module of the same kind, for the kernels of one program; a thread can emit them beside others. */
CgModule *cg_module_split(CgModule *whole);
/* Takes over the kernels and functions of part, but not what whole has already, by text; graph has the calls of part's kernels, and then
 * of whole's. */
void cg_module_join(CgModule *whole, const CgModule *part, PlanGraph *graph);
/* The kernel with this text (made when new), and the steps of one of the stages with that domain that it computes. */
int cg_module_add_kernel(CgModule *module, const char *text, PlanDomain domain, const CgStep *const *steps, int count);
/* The name of the function (const T *x, const T *y, T *z, int64_t from, int64_t to, int64_t first) with this body; made
 * when new. It follows from the body. */
const char *cg_module_add_function(CgModule *module, const char *text);
/* A call of a kernel, from copies of what it is called with. */
PlanStep *cg_add_call(CgModule *module, PlanStage *stage, int kernel, int buffer_count, CgBuffer *const *buffers,
                      int int_count, const int64_t *ints);
void cg_add_stage(CgModule *module, PlanGraph *graph, bool prepared, PlanStage stage);

/* What one call of a kernel does, and what for: "conv2d: f32[N,32,32,16], f32[16,1,3,3] -> f32[N,32,32,16]; cells.0"
 * (work.c). */
PlanKernel cg_describe_kernel(Arena *arena, const CgOptions *options, PlanDomain domain, const CgStep *const *steps,
                              int count);

/* ---- source.c ---- */
/* An array of bytes as string literals, with octal escapes. */
void cg_add_byte_string(Str *s, const unsigned char *bytes, size_t size);
/* Comments, head and body. */
void cg_add_kernel(const CgModule *module, const CgKernel *kernel, Str *out);
void cg_add_plan(const CgModule *module, const Plan *plan, const char *qualifiers, Str *out);

#endif
