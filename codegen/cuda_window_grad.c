/* cuda_window_grad.c: the gradients of a depthwise convolution's weights, as partial sums of a chunk of images.
 *
 * A block has a few channels of a chunk. It walks over the images and their tiles, brings what the window moves over
 * and the gradient of the output into shared memory once, and each thread adds up all taps of its channel in registers,
 * for every so-many-th pixel of the tile. Then the threads of a channel are added, in order. So the order of additions
 * depends on shapes only. */
#include "codegen/cuda_window.h"

static bool is_depthwise(const CgStep *step) {
    const IrNode *node = step->node;
    if (node->op != OP_conv2d_grad_weight || !step->partial)
        return false;
    const int64_t *weight = node->type.dim + 1, groups = ir_attr_get_int(node, "groups", 1);
    return groups > 1 && groups == weight[0] && weight[1] == 1 && node->inputs[1]->type.dim[3] == groups;
}

static int64_t tap_count(const Window *w) {
    return w->kernel[ROW] * w->kernel[COLUMN];
}

static void print_dy(const Window *w) {
    CgPrinter *p = w->p;
    int64_t columns = w->tile[COLUMN];
    cg_c_line(p, "_Pragma(\"unroll 2\")"); /* more takes long to compile */
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(w->tile[ROW] * columns * w->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int oy = y0 + e / %lld, ox = x0 + e / %d %% %lld;", (long long)(columns * w->lanes), w->lanes,
              (long long)columns);
    p->axis_name[AXIS_oy] = "oy";
    p->axis_name[AXIS_ox] = "ox";
    cg_c_line(p, "T value = 0;");
    cg_c_open(p, "if (%s)", window_channel_test(w));
    cg_c_line(p, "value = %s;", cg_c_print_scalar(p, w->dy));
    cg_c_close(p);
    cg_c_line(p, "dy[e] = value;");
    cg_c_close(p);
}

static void print_products(const Window *w) {
    CgPrinter *p = w->p;
    long long columns = (long long)w->tile[COLUMN];
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int pixel = slice; pixel < %lld; pixel += %d)", (long long)w->tile[ROW] * columns,
              CUDA_BLOCK_THREADS / w->lanes);
    cg_c_line(p, "const T d = dy[pixel * %d + lane];", w->lanes);
    cg_c_line(p, "const T *const from = tile + (pixel / %lld * %lld + pixel %% %lld * %lld) * %d + lane;", columns,
              (long long)(w->stride[ROW] * w->region[COLUMN]), columns, (long long)w->stride[COLUMN], w->lanes);
    for (int64_t tap = 0; tap < tap_count(w); tap++)
        cg_c_line(p, "total[%lld] += d * from[%lld];", (long long)tap,
                  (long long)window_tap(w, tap / w->kernel[COLUMN], tap % w->kernel[COLUMN]));
    cg_c_close(p);
}

static void print_images(const Window *w) {
    CgPrinter *p = w->p;
    long long rows = (long long)((w->size[ROW] + w->tile[ROW] - 1) / w->tile[ROW]);
    long long columns = (long long)((w->size[COLUMN] + w->tile[COLUMN] - 1) / w->tile[COLUMN]);
    cuda_print_chunk(p, "", 1);
    cuda_print_private_bases(p, w->step);
    cg_c_open(p, "for (int at = 0; at < %lld; at++)", rows * columns);
    cg_c_line(p, "const int x0 = at %% %lld * %lld, y0 = at / %lld * %lld;", columns, (long long)w->tile[COLUMN],
              columns, (long long)w->tile[ROW]);
    window_print_tile(w);
    print_dy(w);
    cg_c_line(p, "__syncthreads();");
    print_products(w);
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
    cg_c_close(p);
}

/* The slices' sums of every tap and channel. */
static void print_results(const Window *w) {
    CgPrinter *p = w->p;
    long long columns = (long long)w->kernel[COLUMN];
    cg_c_line(p,
              "_Pragma(\"unroll\") for (int tap = 0; tap < %lld; tap++) shared[tap * %d + threadIdx.x] = total[tap];",
              (long long)tap_count(w), CUDA_BLOCK_THREADS);
    cg_c_line(p, "__syncthreads();");
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(tap_count(w) * w->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int tap = e / %d, kh = tap / %lld, kw = tap %% %lld, channel = channel0 + e %% %d;", w->lanes,
              columns, columns, w->lanes);
    cg_c_line(p, "T sum = 0;");
    cg_c_line(p, "for (int i = 0; i < %d; i++) sum += shared[tap * %d + i * %d + e %% %d];",
              CUDA_BLOCK_THREADS / w->lanes, CUDA_BLOCK_THREADS, w->lanes, w->lanes);
    cg_c_open(p, "if (%s)", window_channel_test(w));
    cg_c_set_step(p, w->step, 0);
    p->axis_name[1] = "channel";
    p->axis_name[3] = w->kernel[ROW] == 1 ? "0" : "kh";
    p->axis_name[4] = w->kernel[COLUMN] == 1 ? "0" : "kw";
    cg_c_store(p, w->step->out, cg_c_result_offset(p), "sum", false);
    cg_c_close(p);
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
}

/* What the tiles take, and later the sums. */
static int64_t shared_elements(const Window *w) {
    int64_t tiles = (w->region[ROW] * w->region[COLUMN] + w->tile[ROW] * w->tile[COLUMN]) * w->lanes;
    int64_t sums = tap_count(w) * CUDA_BLOCK_THREADS;
    return tiles > sums ? tiles : sums;
}

static int64_t print_blocks(const Window *w) {
    CgPrinter *p = w->p;
    long long groups = (long long)((w->channels + w->lanes - 1) / w->lanes);
    cg_c_line(p, "__shared__ T shared[%lld];", (long long)shared_elements(w));
    cg_c_line(p, "T *const tile = shared, *const dy = shared + %lld;",
              (long long)(w->region[ROW] * w->region[COLUMN] * w->lanes));
    cg_c_line(p, "const int lane = threadIdx.x %% %d, slice = threadIdx.x / %d;", w->lanes, w->lanes);
    cg_c_open(p, "for (int block = blockIdx.x; block < run->chunks * %lld; block += gridDim.x)", groups);
    cg_c_line(p, "const int chunk = block / %lld, channel0 = block %% %lld * %d, channel = channel0 + lane;", groups,
              groups, w->lanes);
    cg_c_line(p, "T total[%lld] = {};", (long long)tap_count(w));
    print_images(w);
    print_results(w);
    cg_c_close(p);
    return groups;
}

bool cuda_print_window_grad(CgPrinter *p, const CgProgram *program, const CgStep *step, int64_t *threads) {
    if (!is_depthwise(step) || !str_equal(p->index_type, "int"))
        return false;
    const IrNode *node = step->node;
    const int64_t *dy = node->inputs[0]->type.dim, *weight = node->type.dim + 1;
    Window w = {.p = p,
                .step = step,
                .operand = node->inputs[1],
                .dy_node = node->inputs[0],
                .channels = weight[0],
                .size = {dy[1], dy[2]},
                .kernel = {weight[2], weight[3]}};
    bool fits = tap_count(&w) * CUDA_BLOCK_THREADS * cg_element_size(program->options, DTYPE_f32) <= WINDOW_MOST_SHARED;
    if (!fits || !window_prepare(&w, program))
        return false;
    cg_c_set_step(p, w.source, 0);
    *threads = print_blocks(&w) * CUDA_BLOCK_THREADS;
    return true;
}
