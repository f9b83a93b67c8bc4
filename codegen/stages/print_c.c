/* print_c.c: statements, blocks, names, offsets; print_scalar.c prints the scalars themselves. */
#include "codegen/stages/print_c.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Sets the names of axes that need no loop. */
static void name_unit_axes(CgPrinter *p) {
    for (int a = 0; a < p->step->axis_count; a++) {
        p->axis_name[a] = p->step->axes[a].extent == 1 ? "0" : NULL;
        p->axis_known[a] = false;
    }
}

CgPrinter *cg_printer_create(Arena *arena, Str *out, const CgStep *step) {
    CgPrinter *p = ARENA_NEW(arena, CgPrinter);
    *p = (CgPrinter){.arena = arena,
                     .out = out,
                     .vector_axis = -1,
                     .width = 1,
                     .row = "chunk",
                     .ints = "ints",
                     .index_type = "int64_t"};
    p->buffers = ARENA_ARRAY(arena, CgBuffer *, CG_MAX_BUFFERS);
    cg_c_set_step(p, step, 0);
    return p;
}

/* Each description of a step has parts of its own. */
static bool is_same_buffer(const CgBuffer *a, const CgBuffer *b) {
    return a == b || (a->whole && a->whole == b->whole && a->shift == b->shift);
}

void cg_c_set_step(CgPrinter *p, const CgStep *step, int int_base) {
    p->step = step;
    p->int_base = int_base;
    for (int i = 0; i < step->buffer_count; i++) {
        int known = 0;
        while (known < p->buffer_count && !is_same_buffer(p->buffers[known], step->buffers[i]))
            known++;
        if (known == CG_MAX_BUFFERS)
            bug("a kernel has more than %d buffers", CG_MAX_BUFFERS);
        if (known == p->buffer_count)
            p->buffers[p->buffer_count++] = step->buffers[i];
    }
    name_unit_axes(p);
}

void cg_c_set_range(CgPrinter *p, int axis, int64_t least, int64_t most) {
    p->axis_least[axis] = least;
    p->axis_most[axis] = most;
    p->axis_known[axis] = true;
}

void cg_c_clear_range(CgPrinter *p, int axis) {
    p->axis_known[axis] = false;
}

static void begin_line(CgPrinter *p) {
    for (int i = 0; i < p->indent; i++)
        str_add(p->out, "    ");
}

void cg_c_line(CgPrinter *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    begin_line(p);
    str_add(p->out, arena_vprintf(p->arena, format, args));
    str_add(p->out, "\n");
    va_end(args);
}

void cg_c_open(CgPrinter *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    begin_line(p);
    const char *head = arena_vprintf(p->arena, format, args);
    str_add(p->out, head);
    str_add(p->out, *head ? " {\n" : "{\n");
    va_end(args);
    if (p->indent == (int)(sizeof p->block_begin / sizeof *p->block_begin))
        bug("blocks nest too deeply");
    p->block_begin[p->indent++] = p->entry_count;
}

void cg_c_close(CgPrinter *p) {
    p->indent--;
    p->entry_count = p->block_begin[p->indent];
    begin_line(p);
    str_add(p->out, "}\n");
}

const char *cg_c_extent(CgPrinter *p, int axis) {
    const CgAxis *a = &p->step->axes[axis];
    p->reads_run = true;
    return a->extent == IR_DIM_K ? "run->chunks" : "run->batch";
}

void cg_c_open_axis(CgPrinter *p, int axis) {
    int64_t extent = p->step->axes[axis].extent;
    if (extent == 1) {
        p->axis_name[axis] = "0";
        cg_c_open(p, "%s", "");
        return;
    }
    const char *name = cg_c_name(p, "i");
    p->axis_name[axis] = name;
    if (extent < 0)
        cg_c_open(p, "for (%s %s = 0; %s < %s; %s++)", p->index_type, name, name, cg_c_extent(p, axis), name);
    else
        cg_c_open(p, "for (%s %s = 0; %s < %lld; %s++)", p->index_type, name, name, (long long)extent, name);
}

const char *cg_c_name(CgPrinter *p, const char *prefix) {
    return arena_printf(p->arena, "%s%d", prefix, p->temp_count++);
}

const char *cg_c_type(const CgPrinter *p, bool vector) {
    return vector && p->width > 1 ? arena_printf(p->arena, "nd_v%d", p->width) : "T";
}

const char *cg_c_element(const CgBuffer *buffer) {
    static const char *const names[] = {
        [DTYPE_f32] = "T", [DTYPE_i32] = "int32_t", [DTYPE_u8] = "uint8_t", [DTYPE_bf16] = "nd_bf16"};
    return names[buffer->type.dtype];
}

int cg_c_buffer(const CgPrinter *p, const CgBuffer *buffer) {
    for (int i = 0; i < p->buffer_count; i++)
        if (is_same_buffer(p->buffers[i], buffer))
            return i;
    bug("a buffer that the kernel does not have");
}

/* ---- indices ---- */

static void add_term(Str *s, int64_t coef, const char *name) {
    str_add(s, s->length ? (coef < 0 ? " - " : " + ") : coef < 0 ? "-" : "");
    int64_t size = coef < 0 ? -coef : coef;
    str_add(s, name);
    if (size != 1)
        str_addf(s, " * %lld", (long long)size);
}

static void add_number(Str *s, int64_t value) {
    if (!s->length)
        str_addf(s, "%lld", (long long)value);
    else if (value)
        str_addf(s, " %c %lld", value < 0 ? '-' : '+', (long long)(value < 0 ? -value : value));
}

static const char *axis_name(const CgPrinter *p, int axis) {
    if (!p->axis_name[axis])
        bug("axis %d of %%%d has no name here", axis, p->step->node->id);
    return p->axis_name[axis];
}

typedef struct Term {
    int64_t coef;
    const char *name;
} Term;

static bool comes_before(const Term *a, const Term *b) {
    int64_t x = a->coef < 0 ? -a->coef : a->coef, y = b->coef < 0 ? -b->coef : b->coef;
    return x != y ? x > y : strcmp(a->name, b->name) < 0;
}

static int insert_term(Term *terms, int count, Term term) {
    int at = count;
    for (; at > 0 && comes_before(&term, &terms[at - 1]); at--)
        terms[at] = terms[at - 1];
    terms[at] = term;
    return count + 1;
}

/* Axes that are called by a number join the constant. Terms are sorted, so that steps which number their axes differently
 * print the same text for the same offset. */
static const char *numerator(CgPrinter *p, const CgIndex *index) {
    Str s = str_create(p->arena);
    Term terms[CG_MAX_AXES];
    int count = 0;
    int64_t constant = index->constant;
    for (int a = 0; a < p->step->axis_count; a++) {
        if (!index->coef[a])
            continue;
        const char *name = axis_name(p, a);
        if (*name >= '0' && *name <= '9')
            constant += index->coef[a] * strtoll(name, NULL, 10);
        else
            count = insert_term(terms, count, (Term){index->coef[a], name});
    }
    for (int i = 0; i < count; i++)
        add_term(&s, terms[i].coef, terms[i].name);
    add_number(&s, constant);
    return s.data;
}

const char *cg_c_index(CgPrinter *p, const CgIndex *index) {
    const char *text = numerator(p, index);
    if (index->divisor != 1)
        return arena_printf(p->arena, "(%s) / %lld", text, (long long)index->divisor);
    return text;
}

/* With narrow indices the image alone counts in 64 bits, in front of all that is added up in 32: so NVRTC finds out which accesses
 * are neighbours. Takes it out of the index. */
static const char *take_image(CgPrinter *p, CgIndex *index) {
    for (int a = 0; a < p->step->axis_count && str_equal(p->index_type, "int"); a++) {
        if (!index->coef[a] || !str_equal(axis_name(p, a), "image"))
            continue;
        CgIndex image = cg_index_scale(cg_index_axis(a), index->coef[a]);
        index->coef[a] = 0;
        return numerator(p, &image);
    }
    return NULL;
}

/* Affine parts are added up over the dimensions before printing; quotients are separate terms. */
const char *cg_c_offset(CgPrinter *p, const CgBuffer *buffer, const CgIndex *index) {
    CgIndex whole = cg_index_constant(0);
    Str s = str_create(p->arena);
    for (int d = 0; d < buffer->type.rank; d++) {
        if (index[d].divisor == 1)
            whole = cg_index_add(whole, cg_index_scale(index[d], buffer->stride[d]));
        else if (buffer->stride[d])
            add_term(&s, buffer->stride[d], arena_printf(p->arena, "(%s)", cg_c_index(p, &index[d])));
    }
    const char *image = take_image(p, &whole), *rest = numerator(p, &whole), *inner = rest;
    if (s.length)
        inner = str_equal(rest, "0") ? s.data : arena_printf(p->arena, "%s + (%s)", s.data, rest);
    if (!image)
        return inner;
    return str_equal(inner, "0") ? image : arena_printf(p->arena, "%s + (%s)", image, inner);
}

const char *cg_c_result_offset(CgPrinter *p) {
    CgIndex index[IR_MAX_RANK];
    for (int d = 0; d < p->step->out->type.rank; d++)
        index[d] = cg_index_axis(d);
    if (!p->step->partial)
        return cg_c_offset(p, p->step->out, index);
    const char *image = p->axis_name[0];
    p->axis_name[0] = p->row;
    const char *offset = cg_c_offset(p, p->step->out, index);
    p->axis_name[0] = image;
    return offset;
}

int cg_c_segments(int64_t extent, int max_width, int *offsets, int *widths) {
    int count = 0;
    int64_t at = 0;
    while (at < extent) {
        int width = max_width;
        while (width > extent - at)
            width /= 2;
        if (count == CG_MAX_SEGMENTS)
            bug("more than %d segments of %lld", CG_MAX_SEGMENTS, (long long)extent);
        offsets[count] = (int)at;
        widths[count++] = width;
        at += width;
    }
    return count;
}

int cg_c_max_width(const CgOptions *options) {
    int element = options->precision == PRECISION_f64 ? 8 : 4;
    return options->vector_bytes >= 2 * element ? options->vector_bytes / element : 1;
}
