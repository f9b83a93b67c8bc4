/* cuda_window.c: depthwise convolutions by tiles. A block brings the pixels that a tile of the result reads, padding
 * included, into shared memory, a few channels wide: what stands inline in the operand (batch norm, relu) is computed
 * once for each pixel, and no tap has a test. A thread has one channel, whose weights it keeps in registers. Taps are
 * added in order, so the result is that of a thread for each element. */
#include "codegen/cuda.h"

enum { MOST_SHARED = 40 * 1024, MOST_TAPS = 49, ROW = 0, COLUMN = 1 };

/* Axes of the description below. */
enum { AXIS_image, AXIS_y, AXIS_x, AXIS_channel, AXIS_kh, AXIS_kw };

typedef struct Window {
    CgPrinter *p;
    const CgStep *step;
    CgStep *source; /* describes an element of the operand, and of the weight */
    const CgScalar *pixel, *weight;
    int64_t channels, size[2]; /* of the result */
    int64_t kernel[2], stride[2], dilation[2], pad[2];
    int64_t tile[2], region[2]; /* pixels of the result; of the operand */
    int lanes;                  /* channels of a tile; divides the number of threads */
} Window;

static bool is_depthwise(const IrNode *node) {
    if (node->op != OP_conv2d)
        return false;
    const int64_t *weight = node->inputs[1]->type.dim;
    int64_t groups = ir_attr_get_int(node, "groups", 1);
    return groups > 1 && groups == weight[0] && weight[1] == 1 && node->inputs[0]->type.dim[3] == groups &&
           weight[2] * weight[3] <= MOST_TAPS;
}

static void read_window(Window *w) {
    const IrNode *node = w->step->node;
    const int64_t *stride = ir_attr_get_ints(node, "stride"), *dilation = ir_attr_get_ints(node, "dilation");
    const int64_t *pad = ir_attr_get_ints(node, "pad");
    w->channels = node->type.dim[3];
    for (int side = 0; side < 2; side++) {
        w->size[side] = node->type.dim[1 + side];
        w->kernel[side] = node->inputs[1]->type.dim[2 + side];
        w->stride[side] = stride[side];
        w->dilation[side] = dilation[side];
        w->pad[side] = pad[side];
    }
}

/* Rows or columns that the tiles read, from the first of the padding on. */
static int64_t extent_read(const Window *w, int side) {
    int64_t tiles = (w->size[side] + w->tile[side] - 1) / w->tile[side];
    return (tiles * w->tile[side] - 1) * w->stride[side] + (w->kernel[side] - 1) * w->dilation[side] + 1;
}

/* Pixels of the operand count from the first of the padding; outside there are zeros. Parameters that are assigned
 * later may be read: the step itself was checked when it was built. False when random numbers are drawn in the operand.
 */
static bool describe(Window *w, const CgProgram *from) {
    Arena *arena = w->p->arena;
    const IrNode *node = w->step->node;
    CgProgram *program = ARENA_NEW(arena, CgProgram);
    CgBuild *b = ARENA_NEW(arena, CgBuild);
    *program = *from;
    program->arena = arena;
    program->assigned = str_map_create(arena);
    w->source = ARENA_NEW(arena, CgStep);
    *b = (CgBuild){.program = program, .step = w->source};
    w->source->node = w->step->node;
    w->source->out = w->step->out;
    const int64_t *operand = node->inputs[0]->type.dim;
    const int64_t extents[] = {IR_DIM_N,   extent_read(w, ROW), extent_read(w, COLUMN),
                               operand[3], w->kernel[ROW],      w->kernel[COLUMN]};
    CgIndex index[6];
    for (int i = 0; i < 6; i++)
        index[i] = cg_index_axis(cg_add_axis(b, extents[i], false));
    index[AXIS_y] = cg_index_shift(index[AXIS_y], -w->pad[ROW]);
    index[AXIS_x] = cg_index_shift(index[AXIS_x], -w->pad[COLUMN]);
    CgIndex weight[4] = {index[AXIS_channel], cg_index_constant(0), index[AXIS_kh], index[AXIS_kw]};
    w->pixel = cg_guard(b, 2, &index[AXIS_y], &operand[1], cg_value_at(b, node->inputs[0], index), cg_constant(b, 0));
    w->weight = cg_value_at(b, node->inputs[1], weight);
    return w->source->int_count == 0;
}

/* ---- sizes ---- */

static void set_region(Window *w) {
    for (int side = 0; side < 2; side++)
        w->region[side] = (w->tile[side] - 1) * w->stride[side] + (w->kernel[side] - 1) * w->dilation[side] + 1;
}

static int64_t shared_bytes(const Window *w, int64_t element) {
    return w->region[ROW] * w->region[COLUMN] * w->lanes * element;
}

/* As much of the result as shared memory allows; rows are halved before columns. */
static void choose_tile(Window *w, int64_t element) {
    w->lanes = w->channels > 16 && w->channels % 32 == 0 ? 32 : w->channels > 8 ? 16 : w->channels > 4 ? 8 : 4;
    w->tile[ROW] = w->size[ROW] < 16 ? w->size[ROW] : 16;
    w->tile[COLUMN] = w->size[COLUMN] < 32 ? w->size[COLUMN] : 32;
    for (set_region(w); shared_bytes(w, element) > MOST_SHARED; set_region(w)) {
        int side = w->tile[ROW] > w->tile[COLUMN] / 2 ? ROW : COLUMN;
        if (w->tile[side] > 1)
            w->tile[side] = (w->tile[side] + 1) / 2;
        else
            w->lanes /= 2;
    }
}

/* ---- printing ---- */

static const char *channel_test(const Window *w) {
    return w->channels % w->lanes == 0 ? "true" : arena_printf(w->p->arena, "channel < %lld", (long long)w->channels);
}

static void print_tile(const Window *w) {
    CgPrinter *p = w->p;
    cg_c_set_step(p, w->source, 0);
    p->axis_name[AXIS_image] = "image";
    p->axis_name[AXIS_y] = "y";
    p->axis_name[AXIS_x] = "x";
    p->axis_name[AXIS_channel] = "channel";
    int64_t columns = w->region[COLUMN];
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(w->region[ROW] * columns * w->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int y = y0 * %lld + e / %lld, x = x0 * %lld + e / %d %% %lld;", (long long)w->stride[ROW],
              (long long)(columns * w->lanes), (long long)w->stride[COLUMN], w->lanes, (long long)columns);
    cg_c_line(p, "T value = 0;");
    cg_c_open(p, "if (%s)", channel_test(w));
    cg_c_line(p, "value = %s;", cg_c_print_scalar(p, w->pixel));
    cg_c_close(p);
    cg_c_line(p, "tile[e] = value;");
    cg_c_close(p);
}

static void print_weights(const Window *w) {
    CgPrinter *p = w->p;
    cg_c_line(p, "T weight[%lld] = {};", (long long)(w->kernel[ROW] * w->kernel[COLUMN]));
    cg_c_open(p, "if (%s)", channel_test(w));
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

static void print_taps(const Window *w) {
    CgPrinter *p = w->p;
    cg_c_line(p, "T total = 0;");
    for (int64_t kh = 0; kh < w->kernel[ROW]; kh++) {
        for (int64_t kw = 0; kw < w->kernel[COLUMN]; kw++) {
            int64_t pixel = kh * w->dilation[ROW] * w->region[COLUMN] + kw * w->dilation[COLUMN];
            cg_c_line(p, "total += from[%lld] * weight[%lld];", (long long)(pixel * w->lanes),
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
              channel_test(w));
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
    print_tile(w);
    print_weights(w);
    cg_c_line(p, "__syncthreads();");
    print_results(w);
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
    return count;
}

bool cuda_print_window(CgPrinter *p, const CgProgram *program, const CgStep *step, int64_t *threads) {
    Window w = {.p = p, .step = step};
    if (!is_depthwise(step->node) || !str_equal(p->index_type, "int"))
        return false;
    read_window(&w);
    choose_tile(&w, cg_element_size(program->options, DTYPE_f32));
    if (!describe(&w, program))
        return false;
    cg_c_set_step(p, w.source, 0); /* its buffers are the kernel's too, before their addresses are printed */
    *threads = print_tiles(&w) * CUDA_BLOCK_THREADS;
    return true;
}
