/* cuda_window.c: depthwise convolutions by tiles. A block brings the pixels that a tile of the result reads, padding
 * included, into shared memory, a few channels wide: what stands inline in the operand (batch norm, relu) is computed
 * once for each pixel, and no tap has a test. A thread has one channel, whose weights it keeps in registers. Taps are
 * added in order, so the result is that of a thread for each element. */
#include "codegen/cuda_window.h"

static bool is_depthwise(const IrNode *node) {
    if (node->op != OP_conv2d)
        return false;
    const int64_t *weight = node->inputs[1]->type.dim;
    int64_t groups = ir_attr_get_int(node, "groups", 1);
    return groups > 1 && groups == weight[0] && weight[1] == 1 && node->inputs[0]->type.dim[3] == groups &&
           weight[2] * weight[3] <= WINDOW_MOST_TAPS;
}

static void read_window(Window *w) {
    const IrNode *node = w->step->node;
    const int64_t *stride = ir_attr_get_ints(node, "stride"), *dilation = ir_attr_get_ints(node, "dilation");
    const int64_t *pad = ir_attr_get_ints(node, "pad");
    for (int side = 0; side < 2; side++) {
        w->stride[side] = stride[side];
        w->dilation[side] = dilation[side];
        w->pad[side] = pad[side];
    }
}

/* Rows or columns of all tiles. */
static int64_t extent_tiled(const Window *w, int side) {
    return (w->size[side] + w->tile[side] - 1) / w->tile[side] * w->tile[side];
}

/* What they read, from the first of the padding on. */
static int64_t extent_read(const Window *w, int side) {
    return (extent_tiled(w, side) - 1) * w->stride[side] + (w->kernel[side] - 1) * w->dilation[side] + 1;
}

/* Pixels of the operand count from the first of the padding; outside there are zeros. Parameters that are assigned
 * later may be read: the step itself was checked when it was built. False when random numbers are drawn in the operand.
 */
static bool describe(Window *w, const CgProgram *from) {
    Arena *arena = w->p->arena;
    CgProgram *program = ARENA_NEW(arena, CgProgram);
    CgBuild *b = ARENA_NEW(arena, CgBuild);
    *program = *from;
    program->arena = arena;
    program->assigned = str_map_create(arena);
    w->source = ARENA_NEW(arena, CgStep);
    *b = (CgBuild){.program = program, .step = w->source, .scratch = arena};
    w->source->node = w->step->node;
    w->source->out = w->step->out;
    const int64_t *operand = w->operand->type.dim;
    const int64_t extents[WINDOW_AXES] = {IR_DIM_N,        extent_read(w, ROW), extent_read(w, COLUMN), operand[3],
                                          w->kernel[ROW],  w->kernel[COLUMN],   extent_tiled(w, ROW),   extent_tiled(w, COLUMN)};
    CgIndex index[WINDOW_AXES];
    for (int i = 0; i < WINDOW_AXES; i++)
        index[i] = cg_index_axis(cg_add_axis(b, extents[i], false));
    index[AXIS_y] = cg_index_shift(index[AXIS_y], -w->pad[ROW]);
    index[AXIS_x] = cg_index_shift(index[AXIS_x], -w->pad[COLUMN]);
    w->pixel = cg_guard(b, 2, &index[AXIS_y], &operand[1], cg_value_at(b, w->operand, index), cg_constant(b, 0));
    if (w->weight_node) {
        CgIndex at[4] = {index[AXIS_channel], cg_index_constant(0), index[AXIS_kh], index[AXIS_kw]};
        w->weight = cg_value_at(b, w->weight_node, at);
    } else {
        CgIndex at[4] = {index[AXIS_image], index[AXIS_oy], index[AXIS_ox], index[AXIS_channel]};
        w->dy = cg_guard(b, 2, &index[AXIS_oy], w->size, cg_value_at(b, w->dy_node, at), cg_constant(b, 0));
    }
    return w->source->int_count == 0;
}

/* ---- sizes ---- */

static void set_region(Window *w) {
    for (int side = 0; side < 2; side++)
        w->region[side] = (w->tile[side] - 1) * w->stride[side] + (w->kernel[side] - 1) * w->dilation[side] + 1;
}

static int64_t shared_bytes(const Window *w, int64_t element) {
    int64_t pixels = w->region[ROW] * w->region[COLUMN] + (w->dy_node ? w->tile[ROW] * w->tile[COLUMN] : 0);
    return pixels * w->lanes * element;
}

/* As much of the result as shared memory allows; rows are halved before columns. */
static void choose_tile(Window *w, int64_t element) {
    w->lanes = w->channels > 16 && w->channels % 32 == 0 ? 32 : w->channels > 8 ? 16 : w->channels > 4 ? 8 : 4;
    w->tile[ROW] = w->size[ROW] < 16 ? w->size[ROW] : 16;
    w->tile[COLUMN] = w->size[COLUMN] < 32 ? w->size[COLUMN] : 32;
    for (set_region(w); shared_bytes(w, element) > WINDOW_MOST_SHARED; set_region(w)) {
        int side = w->tile[ROW] > w->tile[COLUMN] / 2 ? ROW : COLUMN;
        if (w->tile[side] > 1)
            w->tile[side] = (w->tile[side] + 1) / 2;
        else
            w->lanes /= 2;
    }
}

bool window_prepare(Window *w, const CgProgram *program) {
    read_window(w);
    choose_tile(w, cg_element_size(program->options, DTYPE_f32));
    return describe(w, program);
}

/* ---- printing ---- */

const char *window_channel_test(const Window *w) {
    return w->channels % w->lanes == 0 ? "true" : arena_printf(w->p->arena, "channel < %lld", (long long)w->channels);
}

void window_print_tile(const Window *w) {
    CgPrinter *p = w->p;
    cg_c_set_step(p, w->source, 0);
    p->axis_name[AXIS_image] = "image";
    p->axis_name[AXIS_y] = "y";
    p->axis_name[AXIS_x] = "x";
    p->axis_name[AXIS_channel] = "channel";
    int64_t columns = w->region[COLUMN];
    cg_c_line(p, "_Pragma(\"unroll 2\")"); /* more takes long to compile */
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(w->region[ROW] * columns * w->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int y = y0 * %lld + e / %lld, x = x0 * %lld + e / %d %% %lld;", (long long)w->stride[ROW],
              (long long)(columns * w->lanes), (long long)w->stride[COLUMN], w->lanes, (long long)columns);
    cg_c_line(p, "T value = 0;");
    cg_c_open(p, "if (%s)", window_channel_test(w));
    cg_c_line(p, "value = %s;", cg_c_print_scalar(p, w->pixel));
    cg_c_close(p);
    cg_c_line(p, "tile[e] = value;");
    cg_c_close(p);
}

static void print_weights(const Window *w) {
    CgPrinter *p = w->p;
    cg_c_line(p, "T weight[%lld] = {};", (long long)(w->kernel[ROW] * w->kernel[COLUMN]));
    cg_c_open(p, "if (%s)", window_channel_test(w));
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

int64_t window_tap(const Window *w, int64_t kh, int64_t kw) {
    return (kh * w->dilation[ROW] * w->region[COLUMN] + kw * w->dilation[COLUMN]) * w->lanes;
}

static void print_taps(const Window *w) {
    CgPrinter *p = w->p;
    cg_c_line(p, "T total = 0;");
    for (int64_t kh = 0; kh < w->kernel[ROW]; kh++) {
        for (int64_t kw = 0; kw < w->kernel[COLUMN]; kw++) {
            cg_c_line(p, "total += from[%lld] * weight[%lld];", (long long)window_tap(w, kh, kw),
                      (long long)(kh * w->kernel[COLUMN] + kw));
        }
    }
}

static void print_results(const Window *w) {
    CgPrinter *p = w->p;
    int64_t columns = w->tile[COLUMN];
    cg_c_set_step(p, w->step, 0);
    cg_c_line(p, "_Pragma(\"unroll 1\")"); /* the taps are enough to do side by side */
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(w->tile[ROW] * columns * w->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int ty = e / %lld, tx = e / %d %% %lld, y = y0 + ty, x = x0 + tx;",
              (long long)(columns * w->lanes), w->lanes, (long long)columns);
    cg_c_line(p, "const T *const from = tile + (ty * %lld + tx * %lld) * %d + lane;",
              (long long)(w->stride[ROW] * w->region[COLUMN]), (long long)w->stride[COLUMN], w->lanes);
    print_taps(w);
    cg_c_open(p, "if (y < %lld && x < %lld && %s)", (long long)w->size[ROW], (long long)w->size[COLUMN],
              window_channel_test(w));
    p->axis_name[0] = "image";
    p->axis_name[1] = w->size[ROW] == 1 ? "0" : "y";
    p->axis_name[2] = w->size[COLUMN] == 1 ? "0" : "x";
    p->axis_name[3] = "channel";
    cg_c_store(p, w->step->out, cg_c_result_offset(p), "total", false);
    cg_c_close(p);
    cg_c_close(p);
}

/* Tiles of an image: channels fastest, then columns, then rows. */
static int64_t print_tiles(const Window *w) {
    CgPrinter *p = w->p;
    long long groups = (w->channels + w->lanes - 1) / w->lanes, rows = (w->size[ROW] + w->tile[ROW] - 1) / w->tile[ROW];
    long long columns = (w->size[COLUMN] + w->tile[COLUMN] - 1) / w->tile[COLUMN], count = groups * columns * rows;
    cg_c_line(p, "__shared__ T tile[%lld];", (long long)(w->region[ROW] * w->region[COLUMN] * w->lanes));
    cg_c_line(p, "const int lane = threadIdx.x %% %d;", w->lanes);
    cg_c_open(p, "for (int block = blockIdx.x; block < run->batch * %lld; block += gridDim.x)", count);
    cg_c_line(p,
              "const int channel = block %% %lld * %d + lane, x0 = block / %lld %% %lld * %lld, y0 = block / %lld %% "
              "%lld * %lld;",
              groups, w->lanes, groups, columns, (long long)w->tile[COLUMN], groups * columns, rows,
              (long long)w->tile[ROW]);
    cg_c_line(p, "const int64_t image = block / %lld;", count);
    cuda_print_private_bases(p, w->step);
    window_print_tile(w);
    print_weights(w);
    cg_c_line(p, "__syncthreads();");
    print_results(w);
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
    return count;
}

bool cuda_print_window(CgPrinter *p, const CgProgram *program, const CgStep *step, int64_t *threads) {
    if (!is_depthwise(step->node) || !str_equal(p->index_type, "int"))
        return false;
    const IrType *type = &step->node->type, *weight = &step->node->inputs[1]->type;
    Window w = {.p = p,
                .step = step,
                .operand = step->node->inputs[0],
                .weight_node = step->node->inputs[1],
                .channels = type->dim[3],
                .size = {type->dim[1], type->dim[2]},
                .kernel = {weight->dim[2], weight->dim[3]}};
    if (!window_prepare(&w, program))
        return false;
    cg_c_set_step(p, w.source, 0); /* its buffers are the kernel's too, before their addresses are printed */
    *threads = print_tiles(&w) * CUDA_BLOCK_THREADS;
    return true;
}
