/* schedule_window.c: convolutions and the gradients of their weights, one image per call, on the loops of schedule_core.c.
 *
 *     copy: the operand at every pixel that a window touches, padding included, into scratch   (normalise, relu, ... here)
 *     loop: depthwise | dense | gradient of either, from the copy into the result
 *
 * An operand that is simply stored, and needs no padding, is read where it lies. Gradients add to the chunk's partial sum.
 * Taken are convolutions with one group, or depthwise ones with as many inputs as outputs; the rest is left to others. */
#include "codegen/schedule.h"
#include "codegen/schedule_core.h"

enum { SCRATCH_ALIGNMENT = 64 };

/* Where a window's source is, after padding. */
typedef struct Region {
    int64_t height, width, channels;
    int64_t top, left;             /* the region's pixel (y, x) is the operand's (y - top, x - left) */
} Region;

/* What the loops read: a pointer's name and its pitches. */
typedef struct Operand {
    const char *name;
    int64_t row_pitch, pixel_pitch;
} Operand;

typedef struct WindowSchedule {
    CgEmitC *e;
    CgPrinter *p;
    CgProgram *program;
    CgStep *step;
    IrNode *node;
    int64_t scratch;               /* elements taken so far */
    CoreWindow core;
    bool depthwise;
} WindowSchedule;

/* ---- operands ---- */

/* The operand's element at the region's pixel: axes are image, y, x, c. parameters read before their assignment are fine
 * here since the step itself was checked when it was built. */
static CgStep *describe_region(WindowSchedule *s, IrNode *operand, const Region *region) {
    Arena *arena = s->e->arena;
    CgProgram *program = ARENA_NEW(arena, CgProgram);
    *program = *s->program;
    program->arena = arena;
    program->assigned = str_map_create(arena);
    CgStep *step = ARENA_NEW(arena, CgStep);
    CgBuild *b = ARENA_NEW(arena, CgBuild);
    *b = (CgBuild){.program = program, .step = step};
    step->node = s->node;
    step->out = s->step->out;
    int image = cg_add_axis(b, IR_DIM_N, false), y = cg_add_axis(b, region->height, false);
    int x = cg_add_axis(b, region->width, false), c = cg_add_axis(b, region->channels, false);
    CgIndex index[4] = {cg_index_axis(image), cg_index_shift(cg_index_axis(y), -region->top),
                        cg_index_shift(cg_index_axis(x), -region->left), cg_index_axis(c)};
    step->value = cg_value_at(b, operand, index);
    return step;
}

static bool covers(const Region *region, const IrNode *operand) {
    return region->top == 0 && region->left == 0 && region->height <= operand->type.dim[1] && region->width <= operand->type.dim[2];
}

static void print_zeros(CgPrinter *p, const char *name, const char *from, int64_t count) {
    if (count > 0)
        cg_c_line(p, "for (int64_t i = 0; i < %lld; i++) %s[%s + i] = 0;", (long long)count, name, from);
}

/* Loops over the vectors of a pixel, all of one width, and stores the value. */
static void print_copy_vectors(WindowSchedule *s, const CgStep *copy, const Region *region, const char *name, int from, int to, int width) {
    CgPrinter *p = s->p;
    cg_c_open(p, "for (int64_t c = %d; c < %d; c += %d)", from, to, width);
    p->axis_name[3] = "c";
    p->vector_axis = 3;
    p->width = width;
    cg_c_set_range(p, 3, from, to - 1);
    const char *value = cg_c_print_vector(p, copy->value);
    const char *target = arena_printf(p->arena, "%s + (y * %lld + x) * %lld + c", name, (long long)region->width, (long long)region->channels);
    if (width > 1)
        cg_c_line(p, "*(nd_u%d *)(%s) = %s;", width, target, value);
    else
        cg_c_line(p, "*(%s) = %s;", target, value);
    cg_c_close(p);
    p->vector_axis = -1;
    p->width = 1;
}

static void print_copy_pixels(WindowSchedule *s, const CgStep *copy, const Region *region, const char *name, const int64_t columns[2]) {
    static int offsets[CG_MAX_SEGMENTS], widths[CG_MAX_SEGMENTS];
    CgPrinter *p = s->p;
    int count = cg_c_segments(region->channels, s->core.max_width, offsets, widths);
    cg_c_open(p, "for (int64_t x = %lld; x < %lld; x++)", (long long)columns[0], (long long)columns[1]);
    p->axis_name[2] = "x";
    cg_c_set_range(p, 2, columns[0], columns[1] - 1);
    for (int i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && widths[end] == widths[i]; end++)
            continue;
        print_copy_vectors(s, copy, region, name, offsets[i], offsets[end - 1] + widths[end - 1], widths[i]);
    }
    cg_c_close(p);
}

/* The part of [0, extent) that falls on the operand's `size` pixels. */
static void valid_range(int64_t extent, int64_t before, int64_t size, int64_t range[2]) {
    range[0] = before > 0 ? before : 0;
    range[1] = before + size < extent ? before + size : extent;
    if (range[1] < range[0])
        range[1] = range[0];
}

static void print_copy(WindowSchedule *s, const CgStep *copy, const IrNode *operand, const Region *region, const char *name) {
    CgPrinter *p = s->p;
    int64_t rows[2], columns[2], pitch = region->width * region->channels;
    valid_range(region->height, region->top, operand->type.dim[1], rows);
    valid_range(region->width, region->left, operand->type.dim[2], columns);
    print_zeros(p, name, "0", rows[0] * pitch);
    cg_c_open(p, "for (int64_t y = %lld; y < %lld; y++)", (long long)rows[0], (long long)rows[1]);
    p->axis_name[1] = "y";
    cg_c_set_range(p, 1, rows[0], rows[1] - 1);
    print_zeros(p, name, arena_printf(p->arena, "y * %lld", (long long)pitch), columns[0] * region->channels);
    print_copy_pixels(s, copy, region, name, columns);
    print_zeros(p, name, arena_printf(p->arena, "y * %lld + %lld", (long long)pitch, (long long)(columns[1] * region->channels)),
                (region->width - columns[1]) * region->channels);
    cg_c_close(p);
    print_zeros(p, name, arena_printf(p->arena, "%lld", (long long)(rows[1] * pitch)), (region->height - rows[1]) * pitch);
}

/* Declares NAME and makes it point at the region. */
static Operand prepare_operand(WindowSchedule *s, IrNode *operand, const Region *region, const char *name) {
    CgPrinter *p = s->p;
    CgBuffer *buffer = s->program->buffer_of[operand->id];
    if (buffer && covers(region, operand)) {
        cg_c_line(p, "const T *const %s = b%d + image * %lld;", name, cg_c_buffer(p, buffer), (long long)buffer->stride[0]);
        return (Operand){name, buffer->stride[1], buffer->stride[2]};
    }
    CgStep *copy = describe_region(s, operand, region);
    cg_emit_continue(s->e, p, copy);
    cg_c_line(p, "T *const %s = (T *)scratch + %lld;", name, (long long)s->scratch);
    s->scratch += (region->height * region->width * region->channels + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
    cg_c_open(p, "%s", "");
    print_copy(s, copy, operand, region, name);
    cg_c_close(p);
    return (Operand){name, region->width * region->channels, region->channels};
}

/* ---- which steps ---- */

/* The convolution's weight as stored; *flipped when a flip_weight stands between that only reverses. */
static IrNode *stored_weight(const CgProgram *program, IrNode *weight, bool depthwise, bool *flipped) {
    *flipped = false;
    if (!program->buffer_of[weight->id] && weight->op == OP_flip_weight && depthwise) {
        *flipped = true;
        weight = weight->inputs[0];
    }
    return program->buffer_of[weight->id] ? weight : NULL;
}

/* kernel and channels of a weight [O, I/groups, kh, kw]; false when the groups are of another kind. */
static bool set_weight_shape(WindowSchedule *s, const int64_t *weight, const IrNode *source) {
    int64_t groups = ir_attr_get_int(s->node, "groups", 1);
    s->depthwise = groups > 1 && groups == weight[0] && weight[1] == 1 && source->type.dim[3] == groups;
    s->core.kernel[0] = weight[2];
    s->core.kernel[1] = weight[3];
    s->core.channels = weight[0];
    s->core.in_channels = weight[1];
    return s->depthwise || groups == 1;
}

static Region window_region(const WindowSchedule *s, const int64_t *pad) {
    const CoreWindow *c = &s->core;
    return (Region){.height = (c->height - 1) * c->stride[0] + (c->kernel[0] - 1) * c->dilation[0] + 1,
                    .width = (c->width - 1) * c->stride[1] + (c->kernel[1] - 1) * c->dilation[1] + 1,
                    .channels = s->depthwise ? c->channels : c->in_channels,
                    .top = pad[0],
                    .left = pad[1]};
}

/* windows: dy's or the result's height and width; false when the step is not over images or nothing can be gained. */
static bool begin_window(WindowSchedule *s, CgEmitC *e, CgProgram *program, CgStep *step, const IrType *windows) {
    const int64_t *stride = ir_attr_get_ints(step->node, "stride"), *dilation = ir_attr_get_ints(step->node, "dilation");
    *s = (WindowSchedule){.e = e, .program = program, .step = step, .node = step->node};
    s->core = (CoreWindow){.height = windows->dim[1], .width = windows->dim[2], .stride = {stride[0], stride[1]},
                           .dilation = {dilation[0], dilation[1]}, .max_width = cg_c_max_width(program->options)};
    return e->stage->domain == DOMAIN_images && s->core.max_width > 1;
}

/* A 1x1 window at stride 1 over rows without gaps is one long row. */
static void join_rows(CoreWindow *c) {
    bool single = c->kernel[0] * c->kernel[1] == 1 && c->stride[0] == 1 && c->stride[1] == 1;
    if (single && c->row_pitch == c->width * c->pixel_pitch) {
        c->width *= c->height;
        c->height = 1;
    }
}

static const char *result_pointer(WindowSchedule *s, const char *unit) {
    cg_c_line(s->p, "T *const result = b0 + %s * %lld;", unit, (long long)s->step->out->stride[0]);
    return "result";
}

static void end_window(WindowSchedule *s) {
    cg_emit_need_scratch(s->e, s->scratch * cg_element_size(s->program->options, DTYPE_f32));
    cg_emit_end(s->e, s->p);
}

bool cg_schedule_convolution(CgEmitC *e, CgProgram *program, CgStep *step) {
    IrNode *node = step->node;
    WindowSchedule s;
    bool flipped;
    if (node->op != OP_conv2d || !begin_window(&s, e, program, step, &node->type) ||
        !set_weight_shape(&s, node->inputs[1]->type.dim, node->inputs[0]))
        return false;
    IrNode *weight = stored_weight(program, node->inputs[1], s.depthwise, &flipped);
    if (!weight)
        return false;
    Str body = str_create(e->arena);
    s.p = cg_emit_begin(e, &body, step);
    Region region = window_region(&s, ir_attr_get_ints(node, "pad"));
    Operand source = prepare_operand(&s, node->inputs[0], &region, "source");
    s.core.row_pitch = source.row_pitch;
    s.core.pixel_pitch = source.pixel_pitch;
    const char *kernel = arena_printf(s.p->arena, "b%d", cg_c_buffer(s.p, program->buffer_of[weight->id]));
    const char *result = result_pointer(&s, "image");
    if (s.depthwise) {
        core_print_depthwise(&body, &s.core, flipped, source.name, kernel, result);
    } else {
        join_rows(&s.core);
        core_print_dense(&body, &s.core, source.name, kernel, result);
    }
    end_window(&s);
    return true;
}

bool cg_schedule_convolution_gradient(CgEmitC *e, CgProgram *program, CgStep *step) {
    IrNode *node = step->node;
    WindowSchedule s;
    if (node->op != OP_conv2d_grad_weight || !step->partial || !begin_window(&s, e, program, step, &node->inputs[0]->type) ||
        !set_weight_shape(&s, node->type.dim + 1, node->inputs[1]))
        return false;
    Str body = str_create(e->arena);
    s.p = cg_emit_begin(e, &body, step);
    Region windows = {.height = s.core.height, .width = s.core.width, .channels = s.core.channels};
    Region region = window_region(&s, ir_attr_get_ints(node, "pad"));
    Operand dy = prepare_operand(&s, node->inputs[0], &windows, "dy");
    Operand source = prepare_operand(&s, node->inputs[1], &region, "source");
    s.core.row_pitch = source.row_pitch;
    s.core.pixel_pitch = source.pixel_pitch;
    const char *gradient = result_pointer(&s, "chunk");
    if (s.depthwise) {
        core_print_depthwise_gradient(&body, &s.core, source.name, dy.name, gradient);
    } else {
        join_rows(&s.core);
        core_print_dense_gradient(&body, &s.core, source.name, dy.name, gradient);
    }
    end_window(&s);
    return true;
}
