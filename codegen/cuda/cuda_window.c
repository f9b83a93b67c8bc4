/* cuda_window.c: depthwise convolutions by tiles. A block brings the pixels that a tile of the result reads, padding
 * included, into shared memory, a few channels wide: what stands inline in the operand (batch norm, relu) is computed
 * once for each pixel, and no tap has a test. A thread has one channel, whose weights it keeps in registers. Taps are
 * added in order, so the result is that of a thread for each element.
 *
 * Convolutions of one operand, the candidates of an edge, share its pixels, as many as the farthest of their taps wants.
 * A step may also be an expression of several convolutions of different operands that stand inline in it: the gradient
 * of a state. Behind a single step there may be sums of its result: a block then goes over all tiles of a chunk.
 *
 * What lies where (L lanes, channels of a tile; TH, TW pixels of the output in a tile; RH, RW pixels of an operand that
 * they read; s stride, d dilation):
 *     block    [images, ceil(H / TH), ceil(W / TW), ceil(C / L)]     with sums [chunks, parts, ceil(C / L)]
 *     thread   [256 / L, L]     lane = threadIdx % L, channel = the block's first + lane
 *     tile     operand after operand, each [RH, RW, L]:
 *                               (begin + y * RW + x) * L + lane      shared; the operand's pixel y0 * s - pad + y, ...
 *     weight   [KH, KW]         kh * KW + kw                         registers, one array for each window
 *     tap      of the output's pixel (ty, tx): y = ty * s + kh * d + the common padding - the window's own, x likewise
 *     result   [N, H, W, C]     image, y0 + ty, x0 + tx, channel */
#include "codegen/cuda/cuda_window.h"

#include <string.h>

/* ---- which steps ---- */

static IrNode *operand_of(const IrNode *node) {
    return node->inputs[ir_is_weight_gradient(node)];
}

/* The images that the window's output is, or dy. */
static const int64_t *output_shape(const IrNode *node) {
    return ir_is_weight_gradient(node) ? node->inputs[0]->type.dim : node->type.dim;
}

/* Pixels from the first tap to the last. */
static int64_t count_reach(const IrNode *node) {
    const int64_t *weight = ir_conv_weight(node), *dilation = ir_attr_get_ints(node, "dilation");
    return ((weight[2] - 1) * dilation[ROW] + 1) * ((weight[3] - 1) * dilation[COLUMN] + 1);
}

/* A depthwise convolution, or its gradient, that a tile can hold. */
static bool fits_tile(const IrNode *node) {
    if (!ir_conv_is_depthwise(node))
        return false;
    const int64_t *weight = ir_conv_weight(node);
    return weight[2] * weight[3] <= WINDOW_MOST_TAPS && count_reach(node) <= WINDOW_MOST_REACH;
}

/* Depthwise convolutions that a step computes: its own node, or those that stand inline in it. */
typedef struct Found {
    int count;
    IrNode *nodes[WINDOW_MOST + 1];
} Found;

static void find_inlined(Found *f, IrNode *node) {
    for (int i = 0; i < node->input_count && f->count <= WINDOW_MOST; i++) {
        IrNode *x = node->inputs[i];
        bool known = false;
        for (int j = 0; j < f->count; j++)
            known = known || f->nodes[j] == x;
        if (x->inlined && fits_tile(x) && !known)
            f->nodes[f->count++] = x;
        else if (x->inlined && !known)
            find_inlined(f, x);
    }
}

static Found find_windows(const CgStep *step) {
    Found f = {0};
    if (fits_tile(step->node))
        f.nodes[f.count++] = step->node;
    else if (ir_is(step->node, OP_ELEMENTWISE))
        find_inlined(&f, step->node);
    return f;
}

static bool same_pair(const IrNode *a, const IrNode *b, const char *name) {
    return !memcmp(ir_attr_get_ints(a, name), ir_attr_get_ints(b, name), 2 * sizeof(int64_t));
}

/* Random numbers are named by the element of their own step. */
static bool is_window(const CgProgram *program, Arena *scratch, const CgStep *step) {
    (void)scratch;
    Found f = find_windows(step);
    bool fine = f.count > 0 && f.count <= WINDOW_MOST && !ir_is_weight_gradient(step->node) && step->int_count == 0 &&
                cuda_fits_int(program->options, step);
    int64_t reach = 0;
    for (int i = 0; i < f.count && fine; i++) {
        fine = ir_type_equal(&f.nodes[i]->type, &step->node->type) && same_pair(f.nodes[i], f.nodes[0], "stride");
        reach += count_reach(f.nodes[i]);
    }
    return fine && reach <= WINDOW_MOST_REACH;
}

bool window_fits_gradient(const CgStep *step) {
    return ir_is_weight_gradient(step->node) && fits_tile(step->node);
}

/* Pixels from the first tap of either to the last of either. */
static int64_t count_common_reach(const IrNode *a, const IrNode *b) {
    const IrNode *const nodes[2] = {a, b};
    int64_t reach = 1;
    for (int side = 0; side < 2; side++) {
        int64_t before = 0, behind = 0;
        for (int i = 0; i < 2; i++) {
            int64_t pad = ir_attr_get_ints(nodes[i], "pad")[side];
            int64_t rest =
                (ir_conv_weight(nodes[i])[2 + side] - 1) * ir_attr_get_ints(nodes[i], "dilation")[side] - pad;
            before = pad > before ? pad : before;
            behind = rest > behind ? rest : behind;
        }
        reach *= before + behind + 1;
    }
    return reach;
}

/* Can two windows, or gradients of their weights, move over one tile? */
static bool share_tile(const CgStep *a, const CgStep *b) {
    const IrNode *x = a->node, *y = b->node;
    if (!fits_tile(x) || x->op != y->op)
        return false;
    const int64_t *from = output_shape(x), *to = output_shape(y);
    return operand_of(x) == operand_of(y) && from[1] == to[1] && from[2] == to[2] && same_pair(x, y, "stride") &&
           count_common_reach(x, y) <= WINDOW_MOST_REACH;
}

/* Do they have the same taps? Those are candidates of different edges. */
static bool same_window(const CgStep *a, const CgStep *b) {
    const int64_t *x = ir_conv_weight(a->node), *y = ir_conv_weight(b->node);
    return x[2] == y[2] && x[3] == y[3] && same_pair(a->node, b->node, "dilation");
}

bool window_stands_beside(const CudaGroup *group, const CgStep *step) {
    for (int i = 0; i < group->step_count; i++)
        if (!share_tile(group->steps[i], step) || same_window(group->steps[i], step))
            return false;
    return group->step_count < CUDA_GROUP_WINDOWS;
}

/* ---- sizes ---- */

/* Pixels of the operand from the first of the common padding to the last that so many of the output read. */
static int64_t extent_read(const WindowTile *t, const TileOperand *o, int side, int64_t pixels) {
    int64_t reach = 0;
    for (int i = 0; i < t->count; i++) {
        const TileWindow *w = &t->windows[i];
        int64_t own = (w->kernel[side] - 1) * w->dilation[side] + o->pad[side] - w->pad[side];
        if (&t->operands[w->operand] == o && own > reach)
            reach = own;
    }
    return (pixels - 1) * t->stride[side] + reach + 1;
}

static int64_t extent_tiled(const WindowTile *t, int side) {
    return (t->size[side] + t->tile[side] - 1) / t->tile[side] * t->tile[side];
}

/* For a tile of the output. */
static void set_regions(WindowTile *t) {
    int64_t begin = 0;
    for (int i = 0; i < t->operand_count; i++) {
        TileOperand *o = &t->operands[i];
        for (int side = 0; side < 2; side++)
            o->region[side] = extent_read(t, o, side, t->tile[side]);
        o->begin = begin;
        begin += o->region[ROW] * o->region[COLUMN];
    }
}

int64_t window_elements(const WindowTile *t) {
    const TileOperand *last = &t->operands[t->operand_count - 1];
    return (last->begin + last->region[ROW] * last->region[COLUMN]) * t->lanes;
}

static int64_t shared_bytes(const WindowTile *t, int64_t element) {
    int64_t dy = ir_is_weight_gradient(t->windows[0].node) ? t->tile[ROW] * t->tile[COLUMN] * t->lanes : 0;
    return (window_elements(t) + dy) * element;
}

/* As much of the result as shared memory allows; rows are halved before columns. */
static void choose_tile(WindowTile *t, int64_t element) {
    t->lanes = t->channels > 16 && t->channels % 32 == 0 ? 32 : t->channels > 8 ? 16 : t->channels > 4 ? 8 : 4;
    t->tile[ROW] = t->size[ROW] < 16 ? t->size[ROW] : 16;
    t->tile[COLUMN] = t->size[COLUMN] < 32 ? t->size[COLUMN] : 32;
    for (set_regions(t); shared_bytes(t, element) > WINDOW_MOST_SHARED; set_regions(t)) {
        int side = t->tile[ROW] > t->tile[COLUMN] / 2 ? ROW : COLUMN;
        bool small = t->lanes > 8 && t->tile[ROW] * t->tile[COLUMN] <= 64;
        if (t->tile[side] > 1 && !small)
            t->tile[side] = (t->tile[side] + 1) / 2;
        else
            t->lanes /= 2;
    }
}

/* ---- description ---- */

static int find_operand(WindowTile *t, IrNode *node) {
    int i = 0;
    while (i < t->operand_count && t->operands[i].node != node)
        i++;
    if (i == t->operand_count)
        t->operands[t->operand_count++] = (TileOperand){.node = node};
    return i;
}

static void add_window(WindowTile *t, int step, IrNode *node) {
    const int64_t *dilation = ir_attr_get_ints(node, "dilation"), *pad = ir_attr_get_ints(node, "pad");
    const int64_t *weight = ir_conv_weight(node);
    TileWindow w = {.node = node,
                    .step = step,
                    .operand = find_operand(t, operand_of(node)),
                    .kernel = {weight[2], weight[3]},
                    .dilation = {dilation[ROW], dilation[COLUMN]},
                    .pad = {pad[ROW], pad[COLUMN]}};
    TileOperand *o = &t->operands[w.operand];
    for (int side = 0; side < 2; side++)
        o->pad[side] = w.pad[side] > o->pad[side] ? w.pad[side] : o->pad[side];
    t->windows[t->count++] = w;
}

/* A step that is described once more, for one kernel. Parameters that are assigned later may be read: the steps themselves
 * were checked when they were built. */
static CgBuild *begin_step(const WindowTile *t, const CgStep *model, CgStep **step) {
    Arena *arena = t->p->arena;
    CgProgram *program = ARENA_NEW(arena, CgProgram);
    CgBuild *b = ARENA_NEW(arena, CgBuild);
    *program = *t->k->program;
    program->arena = arena;
    program->assigned = str_map_create(arena);
    *step = ARENA_NEW(arena, CgStep);
    (*step)->node = model->node;
    (*step)->out = model->out;
    *b = (CgBuild){.program = program, .step = *step, .scratch = arena};
    return b;
}

static void describe_window(CgBuild *b, const WindowTile *t, TileWindow *w, const CgIndex *index) {
    IrNode *const *inputs = w->node->inputs;
    if (ir_is_weight_gradient(w->node)) {
        CgIndex at[4] = {index[AXIS_image], index[AXIS_oy], index[AXIS_ox], index[AXIS_channel]};
        CgScalar *outside = cg_constant(b, 0);
        w->dy = cg_guard(b, 2, &index[AXIS_oy], t->size, cg_value_at(b, inputs[0], at), outside);
    } else {
        CgIndex at[4] = {index[AXIS_channel], cg_index_constant(0), index[AXIS_kh], index[AXIS_kw]};
        w->weight = cg_value_at(b, inputs[1], at);
    }
}

/* Pixels count from the first of the padding; outside of the operand there are zeros. */
static void describe_operand(CgBuild *b, TileOperand *o, const CgIndex *index) {
    CgIndex at[4] = {index[AXIS_image], cg_index_shift(index[AXIS_y], -o->pad[ROW]),
                     cg_index_shift(index[AXIS_x], -o->pad[COLUMN]), index[AXIS_channel]};
    CgScalar *outside = cg_constant(b, 0);
    o->pixel = cg_guard(b, 2, &at[1], &o->node->type.dim[1], cg_value_at(b, o->node, at), outside);
}

static void describe(WindowTile *t) {
    int64_t taps[2] = {1, 1}, read[2] = {1, 1};
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < t->count; i++)
            taps[side] = t->windows[i].kernel[side] > taps[side] ? t->windows[i].kernel[side] : taps[side];
        for (int i = 0; i < t->operand_count; i++) {
            int64_t own = extent_read(t, &t->operands[i], side, extent_tiled(t, side));
            read[side] = own > read[side] ? own : read[side];
        }
    }
    const int64_t extents[WINDOW_AXES] = {IR_DIM_N,  read[ROW],    read[COLUMN],         t->channels,
                                          taps[ROW], taps[COLUMN], extent_tiled(t, ROW), extent_tiled(t, COLUMN)};
    CgBuild *b = begin_step(t, t->k->group->steps[0], &t->source);
    CgIndex index[WINDOW_AXES];
    for (int i = 0; i < WINDOW_AXES; i++)
        index[i] = cg_index_axis(cg_add_axis(b, extents[i], false));
    for (int i = 0; i < t->operand_count; i++)
        describe_operand(b, &t->operands[i], index);
    for (int i = 0; i < t->count; i++)
        describe_window(b, t, &t->windows[i], index);
}

/* The windows' results are axes, behind those of the image: their names are variables. */
static void describe_formula(WindowTile *t, int number) {
    const CgStep *step = t->k->group->steps[number];
    CgStep **formula = &t->formulas[number];
    CgBuild *b = begin_step(t, step, formula);
    CgIndex index[4];
    for (int d = 0; d < 4; d++)
        index[d] = cg_index_axis(cg_add_axis(b, step->axes[d].extent, false));
    for (int i = 0; i < t->count; i++) {
        int axis = cg_add_axis(b, 2, false);
        if (t->windows[i].step == number)
            cg_describe_as(b, t->windows[i].node, index, cg_number(b, cg_index_axis(axis)));
    }
    (*formula)->value = cg_describe(b, step->node, index);
}

/* Attributes and sizes alone. */
static WindowTile measure_tile(const CgProgram *program, const CudaGroup *group) {
    WindowTile t = {0};
    for (; t.step_count < group->step_count &&
           (!group->steps[t.step_count]->partial || ir_is_weight_gradient(group->steps[0]->node));
         t.step_count++) {
        Found f = find_windows(group->steps[t.step_count]);
        for (int i = 0; i < f.count; i++)
            add_window(&t, t.step_count, f.nodes[i]);
    }
    const IrNode *first = t.windows[0].node;
    for (int side = 0; side < 2; side++) {
        t.stride[side] = ir_attr_get_ints(first, "stride")[side];
        t.size[side] = output_shape(first)[1 + side];
    }
    t.channels = ir_conv_weight(first)[0];
    choose_tile(&t, plan_element_bytes(program->options->precision, DTYPE_f32));
    return t;
}

WindowTile window_tile(CudaKernel *k) {
    WindowTile t = measure_tile(k->program, k->group);
    t.k = k;
    t.p = k->p;
    describe(&t);
    for (int i = 0; i < t.step_count && !ir_is_weight_gradient(t.windows[0].node); i++) {
        describe_formula(&t, i);
        cg_c_set_step(t.p, t.formulas[i], 0);
    }
    cg_c_set_step(t.p, t.source, 0); /* all buffers are known before their addresses are printed */
    return t;
}

int window_tap_count(const TileWindow *w) {
    return (int)(w->kernel[ROW] * w->kernel[COLUMN]);
}

int64_t window_tap(const WindowTile *t, const TileWindow *w, int64_t tap) {
    const TileOperand *o = &t->operands[w->operand];
    int64_t y = tap / w->kernel[COLUMN] * w->dilation[ROW] + o->pad[ROW] - w->pad[ROW];
    int64_t x = tap % w->kernel[COLUMN] * w->dilation[COLUMN] + o->pad[COLUMN] - w->pad[COLUMN];
    return (o->begin + y * o->region[COLUMN] + x) * t->lanes;
}

void window_count_tiles(const WindowTile *t, long long count[3]) {
    count[0] = (long long)((t->channels + t->lanes - 1) / t->lanes);
    count[1] = (long long)(extent_tiled(t, COLUMN) / t->tile[COLUMN]);
    count[2] = (long long)(extent_tiled(t, ROW) / t->tile[ROW]);
}

/* ---- printing ---- */

const char *window_channel_test(const WindowTile *t) {
    return t->channels % t->lanes == 0 ? "true" : arena_printf(t->p->arena, "channel < %lld", (long long)t->channels);
}

void window_use_source(const WindowTile *t) {
    static const char *const names[] = {[AXIS_image] = "image",     [AXIS_y] = "y",   [AXIS_x] = "x",
                                        [AXIS_channel] = "channel", [AXIS_oy] = "oy", [AXIS_ox] = "ox"};
    cg_c_set_step(t->p, t->source, 0);
    for (int axis = 0; axis < WINDOW_AXES; axis++)
        t->p->axis_name[axis] = names[axis];
}

static void print_operand(const WindowTile *t, const TileOperand *o) {
    CgPrinter *p = t->p;
    int64_t columns = o->region[COLUMN], begin = o->begin * t->lanes;
    window_use_source(t);
    cg_c_line(p, "_Pragma(\"unroll 2\")"); /* more takes long to compile */
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(o->region[ROW] * columns * t->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int y = y0 * %lld + e / %lld, x = x0 * %lld + e / %d %% %lld;", (long long)t->stride[ROW],
              (long long)(columns * t->lanes), (long long)t->stride[COLUMN], t->lanes, (long long)columns);
    cg_c_line(p, "T value = 0;");
    cg_c_open(p, "if (%s)", window_channel_test(t));
    cg_c_line(p, "value = %s;", cg_c_print_scalar(p, o->pixel));
    cg_c_close(p);
    cg_c_line(p, "tile[%se] = value;", begin ? arena_printf(p->arena, "%lld + ", (long long)begin) : "");
    cg_c_close(p);
}

void window_print_tile(const WindowTile *t) {
    for (int i = 0; i < t->operand_count; i++)
        print_operand(t, &t->operands[i]);
}

static void print_weights(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    window_use_source(t);
    cg_c_line(p, "T weight%d[%d] = {};", number, window_tap_count(w));
    cg_c_open(p, "if (%s)", window_channel_test(t));
    for (int64_t kh = 0; kh < w->kernel[ROW]; kh++) {
        for (int64_t kw = 0; kw < w->kernel[COLUMN]; kw++) {
            p->axis_name[AXIS_kh] = arena_printf(p->arena, "%lld", (long long)kh);
            p->axis_name[AXIS_kw] = arena_printf(p->arena, "%lld", (long long)kw);
            cg_c_line(p, "weight%d[%lld] = %s;", number, (long long)(kh * w->kernel[COLUMN] + kw),
                      cg_c_print_scalar(p, w->weight));
        }
    }
    cg_c_close(p);
}

static void print_store(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const char *names[4] = {"image", t->size[ROW] == 1 ? "0" : "y", t->size[COLUMN] == 1 ? "0" : "x", "channel"};
    cg_c_open(p, "if (y < %lld && x < %lld && %s)", (long long)t->size[ROW], (long long)t->size[COLUMN],
              window_channel_test(t));
    cg_c_set_step(p, t->formulas[number], 0);
    memcpy(p->axis_name, names, sizeof names);
    for (int i = 0; i < t->count; i++)
        p->axis_name[4 + i] = arena_printf(p->arena, "window%d", i);
    const char *value = cg_c_print_scalar(p, t->formulas[number]->value);
    cg_c_store(p, p->step->out, cg_c_result_offset(p), value, false);
    if (t->step_count == 1)
        cuda_add_to_sums(t->k, 1, names);
    cg_c_close(p);
}

/* Where a window's first tap is, from the thread's pixel. */
static void print_taps(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    const TileOperand *o = &t->operands[w->operand];
    cg_c_line(p, "const T *const from%d = tile + (ty * %lld + tx * %lld) * %d + lane;", number,
              (long long)(t->stride[ROW] * o->region[COLUMN]), (long long)t->stride[COLUMN], t->lanes);
    cg_c_line(p, "T window%d = 0;", number);
    for (int tap = 0; tap < window_tap_count(w); tap++)
        cg_c_line(p, "window%d += from%d[%lld] * weight%d[%d];", number, number, (long long)window_tap(t, w, tap),
                  number, tap);
}

static void print_step(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    int64_t columns = t->tile[COLUMN];
    cg_c_open(p, "%s", "");
    for (int i = 0; i < t->count; i++)
        if (t->windows[i].step == number)
            print_weights(t, i);
    cg_c_line(p, "_Pragma(\"unroll 1\")"); /* the taps are enough to do side by side */
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(t->tile[ROW] * columns * t->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int ty = e / %lld, tx = e / %d %% %lld, y = y0 + ty, x = x0 + tx;",
              (long long)(columns * t->lanes), t->lanes, (long long)columns);
    for (int i = 0; i < t->count; i++)
        if (t->windows[i].step == number)
            print_taps(t, i);
    print_store(t, number);
    cg_c_close(p);
    cg_c_close(p);
}

/* The tile at y0, x0, and all that is computed from it. */
static void print_windows(const WindowTile *t) {
    CgPrinter *p = t->p;
    cuda_print_private_bases(t->k);
    window_print_tile(t);
    cg_c_line(p, "__syncthreads();");
    for (int i = 0; i < t->step_count; i++)
        print_step(t, i);
    cg_c_line(p, "__syncthreads();");
}

/* Tiles of an image: channels fastest, then columns, then rows. */
static int64_t print_tiles(const WindowTile *t) {
    CgPrinter *p = t->p;
    long long count[3];
    window_count_tiles(t, count);
    long long groups = count[0], all = groups * count[1] * count[2];
    cg_c_open(p, "for (int block = blockIdx.x; block < run->batch * %lld; block += gridDim.x)", all);
    cg_c_line(p,
              "const int channel = block %% %lld * %d + lane, x0 = block / %lld %% %lld * %lld, y0 = block / %lld %% "
              "%lld * %lld;",
              groups, t->lanes, groups, count[1], (long long)t->tile[COLUMN], groups * count[1], count[2],
              (long long)t->tile[ROW]);
    cg_c_line(p, "const int64_t image = block / %lld;", all);
    print_windows(t);
    cg_c_close(p);
    return all;
}

/* With sums: a block has the channels of a chunk. */
static int64_t print_chunks(const WindowTile *t) {
    CgPrinter *p = t->p;
    long long count[3];
    window_count_tiles(t, count);
    cg_c_line(p, "T *const sums = tile;");
    int parts = t->k->group->parts;
    cg_c_open(p, "for (int block = blockIdx.x; block < run->chunks * %lld; block += gridDim.x)", count[0] * parts);
    cg_c_line(p, "const int row = block / %lld, channel = block %% %lld * %d + lane;", count[0], count[0], t->lanes);
    cg_c_line(p, "const int chunk = row / %d, part = row %% %d;", parts, parts);
    p->row = "row";
    cuda_begin_sums(t->k, 1);
    cuda_print_chunk(p, "", 1);
    cg_c_open(p, "for (int at = part; at < %lld; at += %d)", count[1] * count[2], parts);
    cg_c_line(p, "const int x0 = at %% %lld * %lld, y0 = at / %lld * %lld;", count[1], (long long)t->tile[COLUMN],
              count[1], (long long)t->tile[ROW]);
    print_windows(t);
    cg_c_close(p);
    cg_c_close(p);
    cuda_end_sums(t->k, 1, t->lanes, "channel", window_channel_test(t));
    cg_c_close(p);
    return count[0] * parts;
}

static void print_window(CudaKernel *k) {
    WindowTile t = window_tile(k);
    int64_t elements = window_elements(&t), sums = cuda_sums_elements(k->group, t.step_count);
    cg_c_line(k->p, "__shared__ T tile[%lld];", (long long)(sums > elements ? sums : elements));
    cg_c_line(k->p, "const int lane = threadIdx.x %% %d;", t.lanes);
    k->threads = (sums ? print_chunks(&t) : print_tiles(&t)) * CUDA_BLOCK_THREADS;
}

/* Behind a single step. */
static bool takes_sums(const CgProgram *program, Arena *scratch, const CudaGroup *group) {
    (void)program, (void)scratch, (void)group;
    return true;
}

/* A block takes tiles of an image. */
static int64_t most_parts(const CgProgram *program, Arena *scratch, const CudaGroup *group) {
    (void)scratch;
    WindowTile t = measure_tile(program, group);
    long long count[3];
    window_count_tiles(&t, count);
    return count[1] * count[2];
}

const CudaSchedule cuda_schedule_window = {.name = "window",
                                           .fits = is_window,
                                           .stands_beside = window_stands_beside,
                                           .takes_sums = takes_sums,
                                           .most_parts = most_parts,
                                           .print = print_window};
