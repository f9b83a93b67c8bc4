/* cuda_window.c: depthwise convolutions by tiles. A block brings the pixels that a tile of the result reads, padding
 * included, into shared memory, a few channels wide: what stands inline in the operand (batch norm, relu) is computed
 * once for each pixel, and no tap has a test. A thread has one channel, whose weights it keeps in registers. Taps are
 * added in order, so the result is that of a thread for each element.
 *
 * Convolutions of one operand, the candidates of an edge, share the tile, which then is as large as the farthest of their
 * taps wants. Behind a single one there may be sums of its result: a block then goes over all tiles of a chunk. */
#include "codegen/cuda_window.h"

#include <string.h>

/* ---- which steps ---- */

static bool is_gradient(const IrNode *node) {
    return node->op == OP_conv2d_grad_weight;
}

/* OIHW of the weights, and the operand. */
static const int64_t *weight_shape(const IrNode *node) {
    return is_gradient(node) ? node->type.dim + 1 : node->inputs[1]->type.dim;
}

static IrNode *operand_of(const IrNode *node) {
    return node->inputs[is_gradient(node)];
}

/* The images that the window's output is, or dy. */
static const int64_t *output_shape(const IrNode *node) {
    return is_gradient(node) ? node->inputs[0]->type.dim : node->type.dim;
}

/* Random numbers are named by the element of their own step. */
static bool has_draws(const CgStep *step) {
    return step->int_count > 0;
}

static bool is_depthwise(const CgStep *step) {
    const IrNode *node = step->node;
    const int64_t *weight = weight_shape(node), groups = ir_attr_get_int(node, "groups", 1);
    return groups > 1 && groups == weight[0] && weight[1] == 1 && operand_of(node)->type.dim[3] == groups &&
           !has_draws(step);
}

bool cuda_is_window(const CgProgram *program, const CgStep *step) {
    return step->node->op == OP_conv2d && cuda_is_narrow(program->options, step) && is_depthwise(step) &&
           weight_shape(step->node)[2] * weight_shape(step->node)[3] <= WINDOW_MOST_TAPS;
}

bool cuda_is_window_grad(const CgProgram *program, const CgStep *step) {
    if (!is_gradient(step->node) || !step->partial || !cuda_is_narrow(program->options, step) || !is_depthwise(step))
        return false;
    const int64_t *weight = weight_shape(step->node);
    return weight[2] * weight[3] * CUDA_BLOCK_THREADS * cg_element_size(program->options, DTYPE_f32) <= WINDOW_MOST_SHARED;
}

static bool same_pair(const IrNode *a, const IrNode *b, const char *name) {
    return !memcmp(ir_attr_get_ints(a, name), ir_attr_get_ints(b, name), 2 * sizeof(int64_t));
}

bool cuda_share_tile(const CgStep *a, const CgStep *b) {
    const IrNode *x = a->node, *y = b->node;
    const int64_t *from = output_shape(x), *to = output_shape(y);
    return x->op == y->op && operand_of(x) == operand_of(y) && from[1] == to[1] && from[2] == to[2] &&
           same_pair(x, y, "stride");
}

bool cuda_same_window(const CgStep *a, const CgStep *b) {
    const int64_t *x = weight_shape(a->node), *y = weight_shape(b->node);
    return x[2] == y[2] && x[3] == y[3] && same_pair(a->node, b->node, "dilation");
}

/* ---- description ---- */

static Window read_window(const CgStep *step) {
    const int64_t *dilation = ir_attr_get_ints(step->node, "dilation"), *pad = ir_attr_get_ints(step->node, "pad");
    const int64_t *weight = weight_shape(step->node);
    return (Window){.step = step,
                    .kernel = {weight[2], weight[3]},
                    .dilation = {dilation[ROW], dilation[COLUMN]},
                    .pad = {pad[ROW], pad[COLUMN]}};
}

/* Pixels from the first of the common padding to the last that a tile of the output reads. */
static int64_t extent_read(const Tile *t, int side, int64_t pixels) {
    int64_t reach = 0;
    for (int i = 0; i < t->count; i++) {
        const Window *w = &t->windows[i];
        int64_t own = (w->kernel[side] - 1) * w->dilation[side] + t->pad[side] - w->pad[side];
        reach = own > reach ? own : reach;
    }
    return (pixels - 1) * t->stride[side] + reach + 1;
}

static int64_t extent_tiled(const Tile *t, int side) {
    return (t->size[side] + t->tile[side] - 1) / t->tile[side] * t->tile[side];
}

static int64_t most_taps(const Tile *t, int side) {
    int64_t most = 0;
    for (int i = 0; i < t->count; i++)
        most = t->windows[i].kernel[side] > most ? t->windows[i].kernel[side] : most;
    return most;
}

static void describe_window(CgBuild *b, const Tile *t, Window *w, const CgIndex *index) {
    IrNode *const *inputs = w->step->node->inputs;
    if (is_gradient(w->step->node)) {
        CgIndex at[4] = {index[AXIS_image], index[AXIS_oy], index[AXIS_ox], index[AXIS_channel]};
        w->dy = cg_guard(b, 2, &index[AXIS_oy], t->size, cg_value_at(b, inputs[0], at), cg_constant(b, 0));
    } else {
        CgIndex at[4] = {index[AXIS_channel], cg_index_constant(0), index[AXIS_kh], index[AXIS_kw]};
        w->weight = cg_value_at(b, inputs[1], at);
    }
}

/* Pixels of the operand count from the first of the padding; outside there are zeros. Parameters that are assigned
 * later may be read: the steps themselves were checked when they were built. */
static void describe(Tile *t) {
    Arena *arena = t->p->arena;
    CgProgram *program = ARENA_NEW(arena, CgProgram);
    CgBuild *b = ARENA_NEW(arena, CgBuild);
    *program = *t->k->program;
    program->arena = arena;
    program->assigned = str_map_create(arena);
    t->source = ARENA_NEW(arena, CgStep);
    *b = (CgBuild){.program = program, .step = t->source, .scratch = arena};
    t->source->node = t->windows[0].step->node;
    t->source->out = t->windows[0].step->out;
    const int64_t *operand = t->operand->type.dim;
    const int64_t extents[WINDOW_AXES] = {IR_DIM_N,
                                          extent_read(t, ROW, extent_tiled(t, ROW)),
                                          extent_read(t, COLUMN, extent_tiled(t, COLUMN)),
                                          operand[3],
                                          most_taps(t, ROW),
                                          most_taps(t, COLUMN),
                                          extent_tiled(t, ROW),
                                          extent_tiled(t, COLUMN)};
    CgIndex index[WINDOW_AXES];
    for (int i = 0; i < WINDOW_AXES; i++)
        index[i] = cg_index_axis(cg_add_axis(b, extents[i], false));
    index[AXIS_y] = cg_index_shift(index[AXIS_y], -t->pad[ROW]);
    index[AXIS_x] = cg_index_shift(index[AXIS_x], -t->pad[COLUMN]);
    t->pixel = cg_guard(b, 2, &index[AXIS_y], &operand[1], cg_value_at(b, t->operand, index), cg_constant(b, 0));
    for (int i = 0; i < t->count; i++)
        describe_window(b, t, &t->windows[i], index);
}

/* ---- sizes ---- */

static void set_region(Tile *t) {
    for (int side = 0; side < 2; side++)
        t->region[side] = extent_read(t, side, t->tile[side]);
}

static int64_t shared_bytes(const Tile *t, int64_t element) {
    bool gradient = is_gradient(t->windows[0].step->node);
    int64_t pixels = t->region[ROW] * t->region[COLUMN] + (gradient ? t->tile[ROW] * t->tile[COLUMN] : 0);
    return pixels * t->lanes * element;
}

/* As much of the result as shared memory allows; rows are halved before columns. */
static void choose_tile(Tile *t, int64_t element) {
    t->lanes = t->channels > 16 && t->channels % 32 == 0 ? 32 : t->channels > 8 ? 16 : t->channels > 4 ? 8 : 4;
    t->tile[ROW] = t->size[ROW] < 16 ? t->size[ROW] : 16;
    t->tile[COLUMN] = t->size[COLUMN] < 32 ? t->size[COLUMN] : 32;
    for (set_region(t); shared_bytes(t, element) > WINDOW_MOST_SHARED; set_region(t)) {
        int side = t->tile[ROW] > t->tile[COLUMN] / 2 ? ROW : COLUMN;
        if (t->tile[side] > 1)
            t->tile[side] = (t->tile[side] + 1) / 2;
        else
            t->lanes /= 2;
    }
}

Tile window_tile(CudaKernel *k) {
    const CgStep *step = k->group->steps[0];
    const int64_t *stride = ir_attr_get_ints(step->node, "stride"), *size = output_shape(step->node);
    Tile t = {.k = k,
              .p = k->p,
              .operand = operand_of(step->node),
              .channels = weight_shape(step->node)[0],
              .size = {size[1], size[2]},
              .stride = {stride[ROW], stride[COLUMN]}};
    while (t.count < k->group->step_count && k->group->steps[t.count]->node->op == step->node->op) {
        Window w = read_window(k->group->steps[t.count]);
        for (int side = 0; side < 2; side++)
            t.pad[side] = w.pad[side] > t.pad[side] ? w.pad[side] : t.pad[side];
        t.windows[t.count++] = w;
    }
    choose_tile(&t, cg_element_size(k->program->options, DTYPE_f32));
    describe(&t);
    cg_c_set_step(t.p, t.source, 0); /* its buffers are the kernel's too, before their addresses are printed */
    return t;
}

int window_tap_count(const Window *w) {
    return (int)(w->kernel[ROW] * w->kernel[COLUMN]);
}

int64_t window_tap(const Tile *t, const Window *w, int64_t tap) {
    int64_t y = tap / w->kernel[COLUMN] * w->dilation[ROW] + t->pad[ROW] - w->pad[ROW];
    int64_t x = tap % w->kernel[COLUMN] * w->dilation[COLUMN] + t->pad[COLUMN] - w->pad[COLUMN];
    return (y * t->region[COLUMN] + x) * t->lanes;
}

void window_count_tiles(const Tile *t, long long count[3]) {
    count[0] = (long long)((t->channels + t->lanes - 1) / t->lanes);
    count[1] = (long long)(extent_tiled(t, COLUMN) / t->tile[COLUMN]);
    count[2] = (long long)(extent_tiled(t, ROW) / t->tile[ROW]);
}

/* ---- printing ---- */

const char *window_channel_test(const Tile *t) {
    return t->channels % t->lanes == 0 ? "true" : arena_printf(t->p->arena, "channel < %lld", (long long)t->channels);
}

void window_use_source(const Tile *t) {
    static const char *const names[] = {[AXIS_image] = "image", [AXIS_y] = "y",   [AXIS_x] = "x", [AXIS_channel] = "channel",
                                        [AXIS_oy] = "oy",       [AXIS_ox] = "ox"};
    cg_c_set_step(t->p, t->source, 0);
    for (int axis = 0; axis < WINDOW_AXES; axis++)
        t->p->axis_name[axis] = names[axis];
}

void window_print_tile(const Tile *t) {
    CgPrinter *p = t->p;
    window_use_source(t);
    int64_t columns = t->region[COLUMN];
    cg_c_line(p, "_Pragma(\"unroll 2\")"); /* more takes long to compile */
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(t->region[ROW] * columns * t->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int y = y0 * %lld + e / %lld, x = x0 * %lld + e / %d %% %lld;", (long long)t->stride[ROW],
              (long long)(columns * t->lanes), (long long)t->stride[COLUMN], t->lanes, (long long)columns);
    cg_c_line(p, "T value = 0;");
    cg_c_open(p, "if (%s)", window_channel_test(t));
    cg_c_line(p, "value = %s;", cg_c_print_scalar(p, t->pixel));
    cg_c_close(p);
    cg_c_line(p, "tile[e] = value;");
    cg_c_close(p);
}

static void print_weights(const Tile *t, const Window *w) {
    CgPrinter *p = t->p;
    window_use_source(t);
    cg_c_line(p, "T weight[%d] = {};", window_tap_count(w));
    cg_c_open(p, "if (%s)", window_channel_test(t));
    for (int64_t kh = 0; kh < w->kernel[ROW]; kh++) {
        for (int64_t kw = 0; kw < w->kernel[COLUMN]; kw++) {
            p->axis_name[AXIS_kh] = arena_printf(p->arena, "%lld", (long long)kh);
            p->axis_name[AXIS_kw] = arena_printf(p->arena, "%lld", (long long)kw);
            cg_c_line(p, "weight[%lld] = %s;", (long long)(kh * w->kernel[COLUMN] + kw),
                      cg_c_print_scalar(p, w->weight));
        }
    }
    cg_c_close(p);
}

static void print_store(const Tile *t, int number) {
    CgPrinter *p = t->p;
    const char *names[4] = {"image", t->size[ROW] == 1 ? "0" : "y", t->size[COLUMN] == 1 ? "0" : "x", "channel"};
    cg_c_open(p, "if (y < %lld && x < %lld && %s)", (long long)t->size[ROW], (long long)t->size[COLUMN],
              window_channel_test(t));
    cuda_set_step(t->k, number);
    memcpy(p->axis_name, names, sizeof names);
    cg_c_store(p, p->step->out, cg_c_result_offset(p), "total", false);
    if (t->count == 1)
        cuda_add_to_sums(t->k, 1, names);
    cg_c_close(p);
}

static void print_results(const Tile *t, int number) {
    CgPrinter *p = t->p;
    const Window *w = &t->windows[number];
    int64_t columns = t->tile[COLUMN];
    cg_c_line(p, "_Pragma(\"unroll 1\")"); /* the taps are enough to do side by side */
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(t->tile[ROW] * columns * t->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int ty = e / %lld, tx = e / %d %% %lld, y = y0 + ty, x = x0 + tx;",
              (long long)(columns * t->lanes), t->lanes, (long long)columns);
    cg_c_line(p, "const T *const from = tile + (ty * %lld + tx * %lld) * %d + lane;",
              (long long)(t->stride[ROW] * t->region[COLUMN]), (long long)t->stride[COLUMN], t->lanes);
    cg_c_line(p, "T total = 0;");
    for (int tap = 0; tap < window_tap_count(w); tap++)
        cg_c_line(p, "total += from[%lld] * weight[%d];", (long long)window_tap(t, w, tap), tap);
    print_store(t, number);
    cg_c_close(p);
}

/* The tile at y0, x0, and all that is computed from it. */
static void print_windows(const Tile *t) {
    CgPrinter *p = t->p;
    cuda_print_private_bases(t->k);
    window_print_tile(t);
    cg_c_line(p, "__syncthreads();");
    for (int i = 0; i < t->count; i++) {
        cg_c_open(p, "%s", "");
        print_weights(t, &t->windows[i]);
        print_results(t, i);
        cg_c_close(p);
    }
    cg_c_line(p, "__syncthreads();");
}

/* Tiles of an image: channels fastest, then columns, then rows. */
static int64_t print_tiles(const Tile *t) {
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
static int64_t print_chunks(const Tile *t) {
    CgPrinter *p = t->p;
    long long count[3];
    window_count_tiles(t, count);
    cg_c_line(p, "T *const sums = tile;");
    cg_c_open(p, "for (int block = blockIdx.x; block < run->chunks * %lld; block += gridDim.x)", count[0]);
    cg_c_line(p, "const int chunk = block / %lld, channel = block %% %lld * %d + lane;", count[0], count[0], t->lanes);
    cuda_begin_sums(t->k, 1);
    cuda_print_chunk(p, "", 1);
    cg_c_open(p, "for (int at = 0; at < %lld; at++)", count[1] * count[2]);
    cg_c_line(p, "const int x0 = at %% %lld * %lld, y0 = at / %lld * %lld;", count[1], (long long)t->tile[COLUMN],
              count[1], (long long)t->tile[ROW]);
    print_windows(t);
    cg_c_close(p);
    cg_c_close(p);
    cuda_end_sums(t->k, 1, t->lanes, "channel", window_channel_test(t));
    cg_c_close(p);
    return count[0];
}

void cuda_print_window(CudaKernel *k) {
    Tile t = window_tile(k);
    int64_t elements = t.region[ROW] * t.region[COLUMN] * t.lanes, sums = cuda_sums_elements(k->group, t.count);
    cg_c_line(k->p, "__shared__ T tile[%lld];", (long long)(sums > elements ? sums : elements));
    cg_c_line(k->p, "const int lane = threadIdx.x %% %d;", t.lanes);
    k->threads = (sums ? print_chunks(&t) : print_tiles(&t)) * CUDA_BLOCK_THREADS;
}
