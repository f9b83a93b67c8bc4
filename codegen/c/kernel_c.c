/* kernel_c.c: a kernel in C while a schedule prints it: its head, its steps, their buffers and constants. */
#include "codegen/c/emit_c.h"

#include <string.h>

static bool is_over_images(const CgEmitC *e) {
    return e->stage->domain == DOMAIN_images;
}

static void begin_step(CgEmitC *e, CgPrinter *p, const CgStep *step) {
    if (e->int_count + step->int_count > (int)(sizeof e->ints / sizeof *e->ints))
        bug("a kernel has too many constants");
    memcpy(e->ints + e->int_count, step->ints, sizeof *step->ints * (size_t)step->int_count);
    e->int_count += step->int_count;
    if (is_over_images(e))
        p->axis_name[0] = "image";
    e->steps[e->step_count++] = step;
}

CgPrinter *cg_emit_begin(CgEmitC *e, Str *body, const CgStep *step) {
    CgPrinter *p = cg_printer_create(e->arena, body, step);
    p->indent = 1;
    p->merges_fours = true;
    e->int_count = e->step_count = 0;
    e->banded = false;
    begin_step(e, p, step);
    return p;
}

void cg_emit_continue(CgEmitC *e, CgPrinter *p, const CgStep *step) {
    cg_c_set_step(p, step, e->int_count);
    begin_step(e, p, step);
}

void cg_emit_need_scratch(CgEmitC *e, int64_t bytes) {
    if (bytes > e->module->scratch_bytes)
        e->module->scratch_bytes = bytes;
}

void cg_emit_store_partial(CgPrinter *p, const char *offset, const char *name, bool vector) {
    int number = cg_c_buffer(p, p->step->out);
    if (vector && p->width > 1)
        cg_c_line(p, "nd_store_u%d(b%d + %s, first ? %s : nd_load_u%d(b%d + %s) + %s);", p->width, number, offset, name,
                  p->width, number, offset, name);
    else
        cg_c_line(p, "b%d[%s] = first ? %s : b%d[%s] + %s;", number, offset, name, number, offset, name);
}

static bool is_written(const CgEmitC *e, const CgBuffer *buffer) {
    for (int i = 0; i < e->step_count; i++)
        if (e->steps[i]->out == buffer)
            return true;
    return false;
}

/* An empty chunk still owes its partial sums. */
static void add_empty_chunk(const CgEmitC *e, const CgPrinter *p, Str *text) {
    if (!is_over_images(e))
        return;
    str_add(text, "    if (image < 0) {\n");
    for (int i = 0; i < e->step_count; i++) {
        const CgStep *step = e->steps[i];
        if (!step->partial)
            continue;
        long long size = (long long)step->out->stride[0];
        str_addf(text, "        for (int64_t i = 0; i < %lld; i++)\n", size);
        str_addf(text, "            b%d[chunk * %lld + i] = 0;\n", cg_c_buffer(p, step->out), size);
    }
    str_add(text, "        return;\n    }\n");
}

/* Results may go on in the memory of an operand (plan-memory); all others are marked, so that loads can leave loops. */
static const char *qualifier(const CgEmitC *e, const CgPrinter *p, const CgBuffer *buffer) {
    if (!is_written(e, buffer))
        return "const";
    for (int i = 0; i < p->buffer_count; i++)
        if (p->buffers[i] != buffer && cg_buffers_overlap(e->module->options, p->buffers[i], buffer))
            return "const";
    return "restrict const";
}

static const char *kernel_text(const CgEmitC *e, const CgPrinter *p) {
    Str text = str_create(p->arena);
    str_add(&text, "(void *const *buffers, const int64_t *ints, const NdWork *work)\n{\n");
    for (int i = 0; i < p->buffer_count; i++)
        str_addf(&text, "    %s%s *%s b%d = buffers[%d];\n", is_written(e, p->buffers[i]) ? "" : "const ",
                 cg_c_element(p->buffers[i]), qualifier(e, p, p->buffers[i]), i, i);
    /* A copy, which stores through the buffers cannot change: what it gives leaves the loops. */
    if (p->reads_run)
        str_add(&text, "    const NdRun values = *work->run, *const run = &values;\n");
    str_add(&text, "    const int64_t image = work->image, chunk = work->chunk, first = work->first;\n"
                   "    char *const scratch = work->scratch;\n"
                   "    (void)image, (void)chunk, (void)first, (void)scratch, (void)ints;\n");
    if (e->module->options->bands)
        str_add(&text, e->banded ? "    const int64_t band = work->band, bands = work->bands;\n"
                                 : "    if (work->band > 0)\n        return;\n");
    add_empty_chunk(e, p, &text);
    str_add_bytes(&text, p->out->data, p->out->length);
    str_add(&text, "}\n");
    return text.data;
}

/* Those of the stage: a schedule may have made further ones, such as copies of operands. */
static int find_own_steps(const CgEmitC *e, const CgStep **own) {
    int count = 0;
    for (int i = 0; i < e->step_count; i++)
        for (int j = e->position; j < e->position + e->consumed; j++)
            if (e->steps[i] == e->stage->steps[j])
                own[count++] = e->steps[i];
    return count;
}

void cg_emit_end(CgEmitC *e, CgPrinter *p) {
    const CgStep *own[sizeof e->steps / sizeof e->steps[0]];
    int own_count = find_own_steps(e, own);
    int kernel = cg_module_add_kernel(e->module, kernel_text(e, p), e->stage->domain, own, own_count);
    cg_add_call(e->module, e->calls, kernel, p->buffer_count, p->buffers, e->int_count, e->ints);
}
