/* emit_c.h: how well a step is computed in C. Schedules are tried in the order of cg_schedules (schedule_table.c) for
 * each step, unless --plain; the last one takes whatever it can vectorise, and the plain schedule takes the rest.
 *
 * A schedule either returns false and has emitted nothing, or prints a kernel body into a Str and enters it:
 *
 *     bool cg_schedule_mine(CgEmitC *e, CgProgram *program, CgStep *step) {
 *         if (!fits(step)) return false;
 *         Str body = str_create(e->arena);
 *         CgPrinter *p = cg_emit_begin(e, &body, step);   // prints the head; p->indent is 1
 *         ... cg_c_open_axis, cg_c_line, cg_c_print_scalar, ...
 *         cg_emit_end(e, p);                              // enters kernel and call
 *         return true;
 *     }
 *
 * Within a body: bI is the base address of buffer I of the printer (T, int32_t or uint8_t *; bases of the whole batch),
 * `image`, `chunk`, `first`, `run`, `ints` and `scratch` (64-byte aligned, per thread; ask with cg_emit_need_scratch) are
 * variables. In stages over images axis 0 of the step is called "image"; bodies are not run for empty chunks (image < 0),
 * except that cg_emit_begin's head has then zeroed the step's partial sums.
 *
 * Partial sums: within an image in f32 (T) in an order that the schedule documents and that does not depend on the vector
 * width; cg_emit_store_partial then adds or, for the first image of a chunk, stores. */
#ifndef NDARTS_CODEGEN_C_EMIT_C_H
#define NDARTS_CODEGEN_C_EMIT_C_H

#include "codegen/stages/emit.h"

typedef struct CgEmitC {
    CgModule *module;
    Arena *arena; /* of the kernel being printed: most texts turn out to be known already */
    CgProgram *program;
    const CgStage *stage;
    int position; /* of the step in the stage */
    int consumed; /* steps computed by the schedule: 1 unless it sets more (it and the following ones) */
    PlanStage *calls;
    const CgStep *steps[64]; /* of the kernel between begin and end */
    int step_count;
    bool banded; /* the kernel between begin and end heeds band and bands */
    int64_t ints[CG_MAX_INTS * 8];
    int int_count;
} CgEmitC;

typedef bool CgSchedule(CgEmitC *e, CgProgram *program, CgStep *step);
/* Ends with NULL. */
extern CgSchedule *const cg_schedules[];
bool cg_schedule_step(CgEmitC *e, CgProgram *program, CgStep *step);

/* Begins a kernel whose first step is step. The head (declarations of buffers, image < 0) is printed by cg_emit_end, when
 * all buffers are known. */
CgPrinter *cg_emit_begin(CgEmitC *e, Str *body, const CgStep *step);
/* Goes on with another step in the same kernel: buffers, ints; its image axis is named. */
void cg_emit_continue(CgEmitC *e, CgPrinter *p, const CgStep *step);
void cg_emit_end(CgEmitC *e, CgPrinter *p);
void cg_emit_need_scratch(CgEmitC *e, int64_t bytes);
/* name: the image's sum for the element at the present axes. */
void cg_emit_store_partial(CgPrinter *p, const char *offset, const char *name, bool vector);

/* The calls of the program's stages, and what every unit begins with (prelude_c.c). */
void cg_c_emit_program(CgModule *module, CgProgram *program, PlanGraph *calls);
void cg_c_add_prelude(Str *out, const CgOptions *options);
void cg_c_add_prelude_bf16(Str *out, int max_width);

/* schedule_window.c: convolutions and the gradients of their weights. */
CgSchedule cg_schedule_window;
/* schedule_shuffle.c: shuffles of channels. */
CgSchedule cg_schedule_shuffle;
/* map_c.c: loops over the result, vectors along its innermost axis in memory; adjacent steps over the same
 * [N,H,W,C] elements (maps and sums over an image) in one loop nest. */
CgSchedule cg_schedule_map;

#endif
