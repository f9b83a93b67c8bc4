/* schedule_window.c: convolutions and the gradients of their weights, one image per call, on the loops of
 * schedule_core.c.
 *
 *     copy: an operand at every pixel that a window touches, padding included, into scratch (normalise, relu, ... here)
 *     loop: depthwise | dense | gradient of either, from the copy into the result
 *
 * Steps that follow each other in a stage make one kernel, so that what several of them read (the relu of a state, a
 * gradient through a batch norm) is copied once, with the padding of the one that needs most. The loops are functions
 * of their own, shared by all kernels of a shape. An operand that is simply stored, and needs no padding, is read where
 * it lies. Gradients add to the chunk's partial sum. In modules with bands (abi.h) every convolution is a kernel, which
 * copies and computes the rows of its band. Under bf16 copies turn what is stored into f32; the operands of dense loops,
 * weights too, are rounded to bf16 then, which makes their products exact, and the sums are f32. Where there is an even
 * number of elements along the sum, two of them are copied side by side, for instructions that multiply both. Taken are
 * convolutions with one group, or depthwise ones with as many inputs as outputs; the rest is left to others. */
#include "codegen/c/loop_tiles.h"
#include "codegen/c/map.h"
#include "codegen/c/schedule_core.h"

enum { SCRATCH_ALIGNMENT = 64, MAX_RUN = 16, MAX_OPERANDS = 2 };

/* Pixels of an operand, in its own coordinates: rows [top, bottom), columns [left, right). Outside of it are zeros. */
typedef struct Region {
    int64_t top, left, bottom, right;
} Region;

/* A step that this schedule takes. */
typedef struct WindowStep {
    CgStep *step;
    CoreWindow core;
    bool depthwise, gradient, flipped;
    IrNode *weight; /* of a convolution: as stored */
    int operand_count;
    IrNode *operands[MAX_OPERANDS]; /* source; for gradients dy too */
    Region regions[MAX_OPERANDS];
} WindowStep;

/* What a copy has: singles, those rounded to bf16, or parts of pairs (prelude_bf16.c) whose two are neighbouring channels or
 * pixels (of a weight, input channels). */
typedef enum CopyLayout { COPY_plain, COPY_rounded, COPY_channel_pairs, COPY_row_pairs } CopyLayout;

/* An operand in scratch, all of it when it is a weight. */
typedef struct Copy {
    IrNode *operand;
    Region region;
    CopyLayout layout;
    int last;             /* step of the run that reads it last */
    int64_t offset, size; /* elements of scratch */
    const char *name;     /* NULL: not made yet */
} Copy;

typedef struct WindowRun {
    CgEmitC *e;
    CgPrinter *p;
    CgProgram *program;
    int max_width;
    bool bands; /* rows from <= h < to of the result only: variables of the kernel */
    int step_count;
    WindowStep steps[MAX_RUN];
    int copy_count;
    Copy copies[MAX_RUN * (MAX_OPERANDS + 1 /* a weight */)];
} WindowRun;

/* What the loops read. */
typedef struct Operand {
    const char *pointer;
    int64_t row_pitch, pixel_pitch;
} Operand;

/* ---- which steps ---- */

/* The convolution's weight as stored; *flipped when a flip_weight stands between that only reverses. */
static IrNode *stored_weight(const CgProgram *program, IrNode *weight, bool depthwise, bool *flipped) {
    if (!program->buffer_of[weight->id] && weight->op == OP_flip_weight && depthwise) {
        *flipped = true;
        weight = weight->inputs[0];
    }
    return program->buffer_of[weight->id] ? weight : NULL;
}

/* The loops are written out for each vector of channels and each column of the window: of an endless number of them
 * other loops are made. */
static bool can_be_written_out(const CoreWindow *c) {
    enum { MOST_COLUMNS = 64, MOST_NARROW = 8 /* segments less than max_width wide */ };
    return c->channels / c->max_width <= CG_MAX_SEGMENTS - MOST_NARROW && c->kernel[1] <= MOST_COLUMNS;
}

static bool rounds(const CgProgram *program, const WindowStep *s) {
    return program->options->precision == PRECISION_bf16 && !s->depthwise;
}

/* windows: the type whose height and width count them. False for other kinds of groups. */
static bool set_shape(WindowStep *s, const IrType *windows, int max_width) {
    const IrNode *node = s->step->node;
    const int64_t *weight = ir_conv_weight(node);
    const int64_t *stride = ir_attr_get_ints(node, "stride"), *dilation = ir_attr_get_ints(node, "dilation");
    s->depthwise = ir_conv_is_depthwise(node);
    s->core = (CoreWindow){.height = windows->dim[1],
                           .width = windows->dim[2],
                           .channels = weight[0],
                           .in_channels = weight[1],
                           .kernel = {weight[2], weight[3]},
                           .stride = {stride[0], stride[1]},
                           .dilation = {dilation[0], dilation[1]},
                           .max_width = max_width};
    return can_be_written_out(&s->core) && (s->depthwise || ir_attr_get_int(node, "groups", 1) == 1);
}

static Region window_region(const WindowStep *s) {
    const CoreWindow *c = &s->core;
    const int64_t *pad = ir_attr_get_ints(s->step->node, "pad");
    return (Region){.top = -pad[0],
                    .left = -pad[1],
                    .bottom = (c->height - 1) * c->stride[0] + (c->kernel[0] - 1) * c->dilation[0] + 1 - pad[0],
                    .right = (c->width - 1) * c->stride[1] + (c->kernel[1] - 1) * c->dilation[1] + 1 - pad[1]};
}

static void add_operand(WindowStep *s, IrNode *operand, Region region) {
    s->operands[s->operand_count] = operand;
    s->regions[s->operand_count++] = region;
}

static bool describe_convolution(const CgProgram *program, WindowStep *s, int max_width) {
    IrNode *node = s->step->node;
    if (!set_shape(s, &node->type, max_width))
        return false;
    s->weight = stored_weight(program, node->inputs[1], s->depthwise, &s->flipped);
    s->core.pairs = rounds(program, s) && s->core.in_channels % 2 == 0;
    add_operand(s, node->inputs[0], window_region(s));
    return s->weight != NULL;
}

/* Each pixel is seen once, and there are no others. */
static bool is_pointwise(const WindowStep *s) {
    const CoreWindow *c = &s->core;
    const int64_t *pad = ir_attr_get_ints(s->step->node, "pad");
    return c->kernel[0] * c->kernel[1] == 1 && c->stride[0] == 1 && c->stride[1] == 1 && pad[0] == 0 && pad[1] == 0;
}

static bool describe_gradient(const CgProgram *program, WindowStep *s, int max_width) {
    IrNode *node = s->step->node, *dy = node->inputs[0];
    if (!s->step->partial || !set_shape(s, &dy->type, max_width))
        return false;
    s->gradient = true;
    s->core.pairs = rounds(program, s) && is_pointwise(s) && s->core.width % 2 == 0;
    add_operand(s, node->inputs[1], window_region(s));
    add_operand(s, dy, (Region){0, 0, dy->type.dim[1], dy->type.dim[2]});
    return true;
}

static bool describe_step(const CgProgram *program, CgStep *step, int max_width, WindowStep *s) {
    *s = (WindowStep){.step = step};
    if (ir_is_convolution(step->node))
        return describe_convolution(program, s, max_width);
    return ir_is_weight_gradient(step->node) && describe_gradient(program, s, max_width);
}

/* ---- copies ---- */

static bool covers(const Region *outer, const Region *inner) {
    return outer->top <= inner->top && outer->left <= inner->left && outer->bottom >= inner->bottom &&
           outer->right >= inner->right;
}

/* Of the step's operands but its weight. */
static CopyLayout copy_layout(const WindowRun *run, const WindowStep *s) {
    if (s->core.pairs)
        return s->gradient ? COPY_row_pairs : COPY_channel_pairs;
    return rounds(run->program, s) ? COPY_rounded : COPY_plain;
}

static CopyLayout weight_layout(const WindowStep *s) {
    return s->core.pairs ? COPY_row_pairs : COPY_rounded;
}

static bool has_parts(const Copy *copy) {
    return copy->layout == COPY_channel_pairs || copy->layout == COPY_row_pairs;
}

static bool is_direct(const WindowRun *run, const WindowStep *s, int which) {
    const IrNode *operand = s->operands[which];
    const CgBuffer *buffer = run->program->buffer_of[operand->id];
    Region whole = {0, 0, operand->type.dim[1], operand->type.dim[2]};
    return buffer && buffer->type.dtype == DTYPE_f32 && covers(&whole, &s->regions[which]) &&
           copy_layout(run, s) == COPY_plain;
}

static Region join(const Region *a, const Region *b) {
    return (Region){a->top < b->top ? a->top : b->top, a->left < b->left ? a->left : b->left,
                    a->bottom > b->bottom ? a->bottom : b->bottom, a->right > b->right ? a->right : b->right};
}

static Copy *find_copy(WindowRun *run, const IrNode *operand, CopyLayout layout) {
    for (int i = 0; i < run->copy_count; i++)
        if (run->copies[i].operand == operand && run->copies[i].layout == layout)
            return &run->copies[i];
    return NULL;
}

static void add_copy(WindowRun *run, IrNode *operand, CopyLayout layout, const Region *region, int step) {
    Copy *copy = find_copy(run, operand, layout), *other = find_copy(run, operand, COPY_channel_pairs);
    if (layout == COPY_row_pairs && other && other->last < step)
        other->last = step; /* it may be made of that */
    if (copy)
        copy->region = join(&copy->region, region), copy->last = step;
    else
        run->copies[run->copy_count++] = (Copy){.operand = operand, .region = *region, .layout = layout, .last = step};
}

/* Says which operands are copied, and how much of each. */
static void plan_copies(WindowRun *run) {
    for (int i = 0; i < run->step_count; i++) {
        WindowStep *s = &run->steps[i];
        for (int j = 0; j < s->operand_count; j++)
            if (!is_direct(run, s, j))
                add_copy(run, s->operands[j], copy_layout(run, s), &s->regions[j], i);
        if (s->weight && rounds(run->program, s))
            add_copy(run, s->weight, weight_layout(s), &(Region){0}, i);
    }
}

static bool is_weight(const Copy *copy) {
    return copy->region.bottom == copy->region.top;
}

/* The first place in scratch that no copy still needed takes. */
static void place_copy(WindowRun *run, Copy *copy, int step) {
    const Region *r = &copy->region;
    int64_t pixels = (r->bottom - r->top) * (r->right - r->left);
    int64_t count = is_weight(copy) ? ir_type_count(&copy->operand->type, 1, 1) : pixels * copy->operand->type.dim[3];
    copy->size = (count + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
    copy->offset = 0;
    for (int i = 0; i < run->copy_count; i++) {
        const Copy *other = &run->copies[i];
        bool meets = other != copy && other->name && other->last >= step && other->offset < copy->offset + copy->size &&
                     copy->offset < other->offset + other->size;
        if (meets) {
            copy->offset = other->offset + other->size;
            i = -1;
        }
    }
    cg_emit_need_scratch(run->e,
                         (copy->offset + copy->size) * plan_element_bytes(run->program->options->precision, DTYPE_f32));
}

/* ---- printing copies ---- */

/* The operand's element at the region's pixel; axes: image, y, x, c. Parameters that are assigned later may be read:
 * the step itself was checked when it was built. */
static CgStep *describe_copy(WindowRun *run, const Copy *copy, const CgStep *reader) {
    Arena *arena = run->e->arena;
    CgProgram *program = ARENA_NEW(arena, CgProgram);
    *program = *run->program;
    program->arena = arena;
    program->assigned = str_map_create(arena);
    CgStep *step = ARENA_NEW(arena, CgStep);
    CgBuild *b = ARENA_NEW(arena, CgBuild);
    *b = (CgBuild){.program = program, .step = step, .scratch = arena};
    step->node = reader->node;
    step->out = reader->out;
    const Region *r = &copy->region;
    int image = cg_add_axis(b, IR_DIM_N, false), y = cg_add_axis(b, r->bottom - r->top, false);
    int x = cg_add_axis(b, r->right - r->left, false), c = cg_add_axis(b, copy->operand->type.dim[3], false);
    CgIndex index[4] = {cg_index_axis(image), cg_index_shift(cg_index_axis(y), r->top),
                        cg_index_shift(cg_index_axis(x), r->left), cg_index_axis(c)};
    step->value = cg_value_at(b, copy->operand, index);
    return step;
}

static void print_zeros(CgPrinter *p, const Copy *copy, const char *from, int64_t count) {
    if (count > 0)
        cg_c_line(p, "for (int64_t i = 0; i < %lld; i++) %s[%s + i] = %s;", (long long)count, copy->name, from,
                  has_parts(copy) ? "(nd_part){0}" : "0");
}

/* The vectors of a pixel that are side by side, of one width, and on one side of every border in the channels. */
static void print_copy_vectors(CgPrinter *p, const CgStep *step, const Copy *copy, const MapRun *piece) {
    int64_t pitch = copy->region.right - copy->region.left, channels = copy->operand->type.dim[3];
    map_open_run(p, 3, piece);
    const char *value = cg_c_print_vector(p, step->value);
    const char *at = arena_printf(p->arena, "%s + (y * %lld + x) * %lld + %s", copy->name, (long long)pitch,
                                  (long long)channels, p->axis_name[3]);
    if (copy->layout == COPY_channel_pairs)
        cg_c_line(p, "nd_put_part_v%d(%s, %s);", piece->width, at, value);
    else if (copy->layout == COPY_rounded)
        cg_c_line(p, "*(nd_u%d *)(%s) = nd_round_h%d(%s);", piece->width, at, piece->width, value);
    else
        cg_c_line(p, "*(nd_u%d *)(%s) = %s;", piece->width, at, value);
    map_close_run(p, 3);
}

/* Of two neighbouring pixels, the first of which is at column `even`. */
static void print_copy_pairs(CgPrinter *p, const CgStep *step, const Copy *copy, const MapRun *piece) {
    int64_t pitch = copy->region.right - copy->region.left, channels = copy->operand->type.dim[3];
    map_open_run(p, 3, piece);
    const char *names[2] = {cg_c_name(p, "v"), cg_c_name(p, "v")};
    cg_c_line(p, "nd_v%d %s, %s;", piece->width, names[0], names[1]);
    for (int i = 0; i < 2; i++) {
        cg_c_open(p, "%s", "");
        cg_c_line(p, i ? "const int64_t x = even + 1;" : "const int64_t x = even;");
        const char *value = cg_c_print_vector(p, step->value);
        cg_c_line(p, "%s = %s;", names[i], value);
        cg_c_close(p);
    }
    cg_c_line(p, "nd_put_pair_v%d(%s + (y * %lld + even) * %lld, %s, %lld, %s, %s);", piece->width, copy->name,
              (long long)pitch, (long long)channels, p->axis_name[3], (long long)channels, names[0], names[1]);
    map_close_run(p, 3);
}

static void print_copy_pixels(WindowRun *run, const CgStep *step, const Copy *copy, const int64_t columns[2]) {
    static _Thread_local MapRun pieces[MAP_MAX_RUNS];
    int64_t borders[MAP_MAX_PIECES + 1], channels = copy->operand->type.dim[3];
    int border_count = 0;
    CgPrinter *p = run->p;
    map_add_borders(step->value, 3, channels, borders, &border_count);
    int count = map_cut_runs(channels, borders, border_count, run->max_width, pieces);
    bool pairs = copy->layout == COPY_row_pairs;
    cg_c_open(p, pairs ? "for (int64_t even = %lld; even < %lld; even += 2)" : "for (int64_t x = %lld; x < %lld; x++)",
              (long long)columns[0], (long long)columns[1]);
    p->axis_name[2] = "x";
    cg_c_set_range(p, 2, columns[0], columns[1] - 1);
    for (int i = 0; i < count; i++)
        pairs ? print_copy_pairs(p, step, copy, &pieces[i]) : print_copy_vectors(p, step, copy, &pieces[i]);
    cg_c_close(p);
}

/* Which of [begin, end) lie within [0, size), counted from begin. */
static void valid_range(int64_t begin, int64_t end, int64_t size, int64_t range[2]) {
    range[0] = (begin > 0 ? begin : 0) - begin;
    range[1] = (end < size ? end : size) - begin;
    if (range[1] < range[0])
        range[1] = range[0];
}

/* Of the rows that exist, those that the band's windows touch. The copy is the only step's own. */
static void open_band_rows(WindowRun *run, const int64_t rows[2]) {
    const CoreWindow *c = &run->steps[0].core;
    CgPrinter *p = run->p;
    cg_c_line(p, "int64_t low = from * %lld, high = (to - 1) * %lld + %lld;", (long long)c->stride[0],
              (long long)c->stride[0], (long long)((c->kernel[0] - 1) * c->dilation[0] + 1));
    cg_c_line(p, "low = low < %lld ? %lld : low;", (long long)rows[0], (long long)rows[0]);
    cg_c_line(p, "high = from == to ? low : high > %lld ? %lld : high;", (long long)rows[1], (long long)rows[1]);
    cg_c_open(p, "for (int64_t y = low; y < high; y++)");
}

static void print_copy(WindowRun *run, const CgStep *step, const Copy *copy) {
    CgPrinter *p = run->p;
    const Region *r = &copy->region;
    int64_t rows[2], columns[2], channels = copy->operand->type.dim[3], width = r->right - r->left,
                                 pitch = width * channels;
    valid_range(r->top, r->bottom, copy->operand->type.dim[1], rows);
    valid_range(r->left, r->right, copy->operand->type.dim[2], columns);
    print_zeros(p, copy, "0", rows[0] * pitch);
    if (run->bands)
        open_band_rows(run, rows);
    else
        cg_c_open(p, "for (int64_t y = %lld; y < %lld; y++)", (long long)rows[0], (long long)rows[1]);
    p->axis_name[1] = "y";
    cg_c_set_range(p, 1, rows[0], rows[1] - 1);
    print_zeros(p, copy, arena_printf(p->arena, "y * %lld", (long long)pitch), columns[0] * channels);
    print_copy_pixels(run, step, copy, columns);
    print_zeros(p, copy,
                arena_printf(p->arena, "y * %lld + %lld", (long long)pitch, (long long)(columns[1] * channels)),
                (width - columns[1]) * channels);
    cg_c_close(p);
    print_zeros(p, copy, arena_printf(p->arena, "%lld", (long long)(rows[1] * pitch)),
                (r->bottom - r->top - rows[1]) * pitch);
}

static void name_copy(WindowRun *run, Copy *copy, int number) {
    place_copy(run, copy, number);
    copy->name = cg_c_name(run->p, "x");
}

static void declare_copy(WindowRun *run, const Copy *copy) {
    cg_c_line(run->p,
              has_parts(copy) ? "nd_part *const %s = (nd_part *)((T *)scratch + %lld);"
                              : "T *const %s = (T *)scratch + %lld;",
              copy->name, (long long)copy->offset);
}

static void make_copy(WindowRun *run, Copy *copy, int number);

/* The copy in pairs of channels that a copy in pairs of rows can be made of: of the same pixels. */
static Copy *find_source(WindowRun *run, const Copy *copy, int number) {
    Copy *source = copy->layout == COPY_row_pairs ? find_copy(run, copy->operand, COPY_channel_pairs) : NULL;
    if (!source || !covers(&copy->region, &source->region) || !covers(&source->region, &copy->region))
        return NULL;
    if (!source->name)
        make_copy(run, source, number);
    return source;
}

/* Where pairs are not side by side both copies are the same. */
static void mix_copy(WindowRun *run, Copy *copy, const Copy *source) {
    static _Thread_local MapRun pieces[MAP_MAX_RUNS];
    CgPrinter *p = run->p;
    const Region *r = &copy->region;
    int64_t channels = copy->operand->type.dim[3], count = (r->bottom - r->top) * (r->right - r->left) * channels;
    int piece_count = map_cut_runs(channels, NULL, 0, run->max_width, pieces);
    cg_c_line(p, "#if ND_PAIRS");
    declare_copy(run, copy);
    cg_c_open(p, "for (int64_t i = 0; i < %lld; i += %lld)", (long long)count, (long long)(2 * channels));
    for (int i = 0; i < piece_count; i++)
        cg_c_line(p, "for (int64_t c = %lld; c < %lld; c += %d) nd_mix_rows_v%d(%s + i, c, %lld, %s + i);",
                  (long long)pieces[i].from, (long long)pieces[i].to, pieces[i].width, pieces[i].width, copy->name,
                  (long long)channels, source->name);
    cg_c_close(p);
    cg_c_line(p, "#else");
    cg_c_line(p, "const nd_part *const %s = %s;", copy->name, source->name);
    cg_c_line(p, "#endif");
}

static void make_copy(WindowRun *run, Copy *copy, int number) {
    CgPrinter *p = run->p;
    const Copy *source = find_source(run, copy, number);
    name_copy(run, copy, number);
    if (source) {
        mix_copy(run, copy, source);
        return;
    }
    CgStep *step = describe_copy(run, copy, run->steps[number].step);
    declare_copy(run, copy);
    cg_emit_continue(run->e, p, step);
    cg_c_open(p, "%s", "");
    print_copy(run, step, copy);
    cg_c_close(p);
}

/* Makes sure that the operand's region can be read, and says where. */
static Operand prepare_operand(WindowRun *run, int number, int which) {
    IrNode *operand = run->steps[number].operands[which];
    const Region *region = &run->steps[number].regions[which];
    Arena *arena = run->e->arena;
    if (is_direct(run, &run->steps[number], which)) {
        CgBuffer *buffer = run->program->buffer_of[operand->id];
        return (Operand){arena_printf(arena, "b%d + image * %lld + %lld", cg_c_buffer(run->p, buffer),
                                      (long long)buffer->stride[0],
                                      (long long)(region->top * buffer->stride[1] + region->left * buffer->stride[2])),
                         buffer->stride[1], buffer->stride[2]};
    }
    Copy *copy = find_copy(run, operand, copy_layout(run, &run->steps[number]));
    if (!copy->name)
        make_copy(run, copy, number);
    int64_t channels = operand->type.dim[3], pitch = (copy->region.right - copy->region.left) * channels;
    int64_t offset = (region->top - copy->region.top) * pitch + (region->left - copy->region.left) * channels;
    return (Operand){
        arena_printf(arena, has_parts(copy) ? "(const T *)(%s + %lld)" : "%s + %lld", copy->name, (long long)offset),
        pitch, channels};
}

static void print_weight(WindowRun *run, const Copy *copy, const char *stored) {
    int64_t count = ir_type_count(&copy->operand->type, 1, 1), whole = count / run->max_width * run->max_width;
    cg_c_line(run->p, "for (int64_t i = 0; i < %lld; i += %d) *(nd_u%d *)(%s + i) = nd_round_h%d(nd_load_u%d(%s + i));",
              (long long)whole, run->max_width, run->max_width, copy->name, run->max_width, run->max_width, stored);
    if (whole < count)
        cg_c_line(run->p, "for (int64_t i = %lld; i < %lld; i++) %s[i] = nd_round_h1(%s[i]);", (long long)whole,
                  (long long)count, copy->name, stored);
}

/* Two input channels at a time, of all taps. */
static void print_weight_pairs(WindowRun *run, const Copy *copy, const char *stored, int64_t channels) {
    static _Thread_local MapRun pieces[MAP_MAX_RUNS];
    CgPrinter *p = run->p;
    int count = map_cut_runs(channels, NULL, 0, run->max_width, pieces);
    cg_c_open(p, "for (int64_t i = 0; i < %lld; i += %lld)", (long long)ir_type_count(&copy->operand->type, 1, 1),
              (long long)(2 * channels));
    for (int i = 0; i < count; i++) {
        const MapRun *r = &pieces[i];
        cg_c_line(p,
                  "for (int64_t c = %lld; c < %lld; c += %d) nd_put_pair_v%d(%s + i, c, %lld, *(const nd_u%d *)(%s + i "
                  "+ c), *(const nd_u%d *)(%s + i + %lld + c));",
                  (long long)r->from, (long long)r->to, r->width, r->width, copy->name, (long long)channels, r->width,
                  stored, r->width, stored, (long long)channels);
    }
    cg_c_close(p);
}

/* The weight as it is stored, or rounded. */
static const char *prepare_weight(WindowRun *run, int number) {
    const WindowStep *s = &run->steps[number];
    CgPrinter *p = run->p;
    const char *stored = arena_printf(p->arena, "b%d", cg_c_buffer(p, run->program->buffer_of[s->weight->id]));
    if (!rounds(run->program, s))
        return stored;
    Copy *copy = find_copy(run, s->weight, weight_layout(s));
    if (!copy->name) {
        name_copy(run, copy, number);
        declare_copy(run, copy);
        s->core.pairs ? print_weight_pairs(run, copy, stored, s->core.channels) : print_weight(run, copy, stored);
    }
    return s->core.pairs ? arena_printf(p->arena, "(const T *)%s", copy->name) : copy->name;
}

/* ---- steps ---- */

/* A 1x1 window at stride 1 over rows without gaps is one long row. */
static void join_rows(CoreWindow *c) {
    bool single = c->kernel[0] * c->kernel[1] == 1 && c->stride[0] == 1 && c->stride[1] == 1;
    bool dense = c->row_pitch == c->width * c->pixel_pitch && c->dy_row_pitch == c->width * c->dy_pixel_pitch;
    if (single && dense) {
        c->width *= c->height;
        c->height = 1;
    }
}

static const char *loop_function(WindowRun *run, const WindowStep *s) {
    CgLoopKind kind = s->gradient ? (s->depthwise ? LOOP_depthwise_gradient : LOOP_dense_gradient)
                                  : (s->depthwise ? LOOP_depthwise : LOOP_dense);
    return cg_module_add_loop(run->e->module, (CgLoop){.kind = kind, .flipped = s->flipped, .shape = s->core});
}

static void print_step(WindowRun *run, int number) {
    CgPrinter *p = run->p;
    WindowStep *s = &run->steps[number];
    Operand source = prepare_operand(run, number, 0), dy = {0};
    if (s->gradient)
        dy = prepare_operand(run, number, 1);
    s->core.row_pitch = source.row_pitch;
    s->core.pixel_pitch = source.pixel_pitch;
    s->core.dy_row_pitch = dy.row_pitch; /* a copy made for another step may have padding */
    s->core.dy_pixel_pitch = dy.pixel_pitch;
    if (!s->depthwise && !run->bands)
        join_rows(&s->core);
    s->core.half = s->step->out->type.dtype == DTYPE_bf16;
    const char *other = s->gradient ? dy.pointer : prepare_weight(run, number);
    const char *rows = run->bands ? "from, to" : arena_printf(p->arena, "0, %lld", (long long)s->core.height);
    cg_c_line(
        p, s->core.half ? "%s(%s, %s, (T *)(b%d + %s * %lld), %s, first);" : "%s(%s, %s, b%d + %s * %lld, %s, first);",
        loop_function(run, s), source.pointer, other, cg_c_buffer(p, s->step->out), s->gradient ? "chunk" : "image",
        (long long)s->step->out->stride[0], rows);
}

/* As many steps from the stage's present position as there are, and as one kernel can hold. */
static void collect_run(WindowRun *run) {
    const CgStage *stage = run->e->stage;
    int buffers = 0;
    int most = run->bands ? 1 : MAX_RUN;
    for (int i = run->e->position; i < stage->step_count && run->step_count < most; i++) {
        buffers += stage->steps[i]->buffer_count;
        if (buffers > CG_MAX_BUFFERS ||
            !describe_step(run->program, stage->steps[i], run->max_width, &run->steps[run->step_count]))
            return;
        run->step_count++;
    }
}

bool cg_schedule_window(CgEmitC *e, CgProgram *program, CgStep *step) {
    WindowRun *run = ARENA_NEW(e->arena, WindowRun);
    *run = (WindowRun){
        .e = e, .program = program, .max_width = cg_c_max_width(program->options), .bands = program->options->bands};
    if (e->stage->domain != DOMAIN_images || run->max_width == 1)
        return false;
    collect_run(run);
    if (run->step_count == 0)
        return false;
    plan_copies(run);
    Str body = str_create(e->arena);
    run->p = cg_emit_begin(e, &body, step);
    if (run->bands) {
        long long height = (long long)run->steps[0].core.height;
        e->banded = true;
        cg_c_line(run->p, "const int64_t from = band * %lld / bands, to = (band + 1) * %lld / bands;", height, height);
    }
    for (int i = 0; i < run->step_count; i++) {
        if (i > 0)
            cg_emit_continue(e, run->p, run->steps[i].step);
        print_step(run, i);
    }
    e->consumed = run->step_count;
    cg_emit_end(e, run->p);
    return true;
}
