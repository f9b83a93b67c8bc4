/* print_c.h: printing scalars of a step as C statements; the C and the CUDA dialect share it.
 *
 * A schedule opens loops with cg_c_open, says with axis_name[a] which C expression each axis of the step is, and asks
 * for the value of a scalar: cg_c_print_scalar emits the statements that compute it and returns the name of the result.
 *
 * Value numbering is by text: every computation is first printed as an expression over names that are already final,
 * and an expression that was printed before in this block or one around it is not printed again. So scalars of several
 * steps share loads and arithmetic when they are printed by one printer with the same axis names, and a value just
 * stored is not loaded again (cg_c_store enters it). A block is left with cg_c_close, which forgets what was computed
 * in it.
 *
 * Vectors. With vector_axis >= 0 the axis stands for `width` consecutive indices beginning at axis_name[vector_axis].
 * Scalars that depend on it are of type nd_vW (W lanes of T); others stay scalars and are splat where they meet.
 *   - loads with stride 1 along the vector axis are unaligned vector loads; loads that do not move along it are scalar;
 *     guards, other strides, quotients: the whole scalar is computed lane by lane in a loop (right, but slow). Guards
 *     that do not depend on the vector axis are ifs around the computation; their loads are never out of bounds.
 *   - a guard on the vector axis whose borders are multiples of the width decides for all lanes when the printer is
 *     `aligned`;
 *   - a guard on the vector axis that all lanes agree on costs nothing when the axis' range is known: set axis_least
 *     and axis_most (constants; cg_c_set_range) before printing, e.g. after cutting a loop at cg_c_segments' borders.
 * A CgPrinter with vector_axis == -1 prints plain scalar code. */
#ifndef NDARTS_CODEGEN_STAGES_PRINT_C_H
#define NDARTS_CODEGEN_STAGES_PRINT_C_H

#include "codegen/stages/stage.h"

typedef struct CgEntry {
    const char *text; /* the expression */
    const char *name; /* the temporary that holds it */
} CgEntry;

typedef struct CgPrinter {
    Arena *arena;
    Str *out;
    int indent;                         /* blocks around; each is 4 spaces */
    const CgStep *step;                 /* whose scalars are printed; change it with cg_c_set_step */
    const char *axis_name[CG_MAX_AXES]; /* C expression of each axis (an atom: a name or a number) */
    int64_t axis_least[CG_MAX_AXES], axis_most[CG_MAX_AXES]; /* what values the axis takes here */
    bool axis_known[CG_MAX_AXES];                            /* the above are set */
    bool unroll;        /* sums of few terms are printed term by term (print_scalar.c) */
    int vector_axis;    /* -1: scalar code */
    int width;          /* lanes: 16, 8, 4, 2; 1 is scalar code */
    bool aligned;       /* the vector axis stands at multiples of the width */
    CgBuffer **buffers; /* buffer i of the kernel is called bi */
    int buffer_count;
    const char *index_type; /* of loop variables: "int64_t", or "int" where that is enough and faster (CUDA) */
    const char *row;        /* variable: where partial sums go, "chunk" */
    const char *ints;       /* expression of the array of the call's constants; "ints" */
    bool merges_fours;      /* sums of chunks are added up four at a time; the same sums */
    bool reads_run;         /* the run-time block, `run`, has been mentioned */
    bool of_ranks;          /* CUDA: a rank's chunks are some of all (cuda_exchange.c) */
    int int_base;           /* where the present step's constants begin in it */
    CgEntry *entries;
    int entry_count, entry_capacity;
    int block_begin[64]; /* entry_count when each open block began */
    int temp_count;
} CgPrinter;

/* A printer for one kernel that computes step: buffers are the step's, axes of extent 1 are called "0", scalar code. */
CgPrinter *cg_printer_create(Arena *arena, Str *out, const CgStep *step);
/* Another step printed into the same kernel: its buffers are added to the kernel's, its axes still have no names. */
void cg_c_set_step(CgPrinter *p, const CgStep *step, int int_base);
void cg_c_set_range(CgPrinter *p, int axis, int64_t least, int64_t most);
void cg_c_clear_range(CgPrinter *p, int axis);

void cg_c_line(CgPrinter *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints "HEAD {" and begins a block; cg_c_close prints "}". */
void cg_c_open(CgPrinter *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cg_c_close(CgPrinter *p);
/* for (int64_t NAME = 0; NAME < EXTENT; NAME++) { and axis_name[axis] = NAME; extents N and K are run-time values; an
 * axis of extent 1 gets a plain block. */
void cg_c_open_axis(CgPrinter *p, int axis);
/* How often an axis of extent N or K is gone through. */
const char *cg_c_extent(CgPrinter *p, int axis);
/* A fresh name: PREFIX and a number. */
const char *cg_c_name(CgPrinter *p, const char *prefix);

/* Emits what computes s here; the name (or literal) of the result: T, or nd_vW when cg_c_is_vector(p, s). */
const char *cg_c_print_scalar(CgPrinter *p, const CgScalar *s);
/* The same, always nd_vW when the printer's width is above 1. */
const char *cg_c_print_vector(CgPrinter *p, const CgScalar *s);
/* Who prints s at the present axes, in this block, gets the name: of a load, a guard, a reduction, an index, a vector. */
void cg_c_use_name(CgPrinter *p, const CgScalar *s, const char *name);
/* The condition of a guard as text; never: it cannot hold. Empty: it always holds. *lanes: lanes may disagree. */
const char *cg_c_condition(CgPrinter *p, const CgScalar *s, bool *never, bool *lanes);
/* Emits the parts of s that do not depend on the axes of mask (bit a: axis a), so that a loop over those finds them
 * computed. What stands in a guard stays there. */
void cg_c_hoist(CgPrinter *p, const CgScalar *s, uint32_t mask);
/* The loads in s that depend on the axes of mask, each with the guards around it where what is outside is a constant
 * (print_ahead.c); 0 when there are none, or more, or they cannot be loaded ahead. */
enum { CG_MOST_AHEAD = 4 };
int cg_c_find_ahead(const CgScalar *s, uint32_t mask, const CgScalar *reads[CG_MOST_AHEAD]);
/* Emits them, into variables of these names; and has s, printed at the same axes, take them from there. A variable is not
 * set where s does not need it. */
void cg_c_load_ahead(CgPrinter *p, const CgScalar *s, uint32_t mask, const char *const *names);
void cg_c_use_ahead(CgPrinter *p, const CgScalar *s, uint32_t mask, const char *const *names);
/* Emits the parts of s that do not depend on the axes of mask, those in guards too that test nothing else. */
void cg_c_hoist_still(CgPrinter *p, const CgScalar *s, uint32_t mask);
/* Draws in one go: `count` vectors of s, the first at the present axes, each `stride` elements after the one before; the
 * name of the array they are in. cg_c_use_row says that s, at the present axes, is the vector at an offset in it. */
const char *cg_c_draw_row(CgPrinter *p, const CgScalar *s, int64_t stride, int64_t count);
void cg_c_use_row(CgPrinter *p, const CgScalar *s, const char *row, const char *offset);
bool cg_c_is_vector(const CgPrinter *p, const CgScalar *s);
/* Does s, of the step, add up all chunks? That has an order of its own (print_scalar.c). */
bool cg_is_merge(const CgStep *step, const CgScalar *s);
/* "T" or "nd_v16". */
const char *cg_c_type(const CgPrinter *p, bool vector);
/* An index as an expression in parentheses where needed. */
const char *cg_c_index(CgPrinter *p, const CgIndex *index);
/* The element offset within a buffer. */
const char *cg_c_offset(CgPrinter *p, const CgBuffer *buffer, const CgIndex *index);
int cg_c_buffer(const CgPrinter *p, const CgBuffer *buffer);
/* "T", "int32_t", "uint8_t" or "nd_bf16": elements of the buffer. */
const char *cg_c_element(const CgBuffer *buffer);
/* The expression of a scalar load. */
const char *cg_c_load_text(CgPrinter *p, const CgBuffer *buffer, const char *offset);
/* Stores a value at an offset; later loads of the same element in this block use the name. vector: name is nd_vW and
 * consecutive elements are written. */
void cg_c_store(CgPrinter *p, const CgBuffer *buffer, const char *offset, const char *name, bool vector);
/* The offset of the step's result at the present axes; for partial sums axis 0 is the printer's row. */
const char *cg_c_result_offset(CgPrinter *p);

/* Cuts extent into pieces of at most max_width lanes, widths powers of 2: 36 -> 16+16+4. Returns their number. */
enum { CG_MAX_SEGMENTS = 1024 };
int cg_c_segments(int64_t extent, int max_width, int *offsets, int *widths);
/* Lanes of the widest vector the options allow; 1 for scalar code. */
int cg_c_max_width(const CgOptions *options);

#endif
