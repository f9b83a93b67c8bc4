/* cuda_window_grad.c: the gradients of a depthwise convolution's weights, as partial sums of a chunk of images.
 *
 * A block has a few channels of a chunk. It walks over the images and their tiles, brings what the window moves over
 * and the gradient of the output into shared memory once, and each thread adds up all taps of its channel in registers,
 * for every so-many-th pixel of the tile. Then the threads of a channel are added, in order. So the order of additions
 * depends on shapes only. Windows over one operand share its tile; their outputs' gradients take turns. */
#include "codegen/cuda/cuda_window.h"

static void print_dy(const WindowTile *t, const TileWindow *w) {
    CgPrinter *p = t->p;
    int64_t columns = t->tile[COLUMN];
    window_use_source(t);
    cg_c_line(p, "_Pragma(\"unroll 2\")"); /* more takes long to compile */
    cg_c_open(p, "for (int e = threadIdx.x; e < %lld; e += %d)", (long long)(t->tile[ROW] * columns * t->lanes),
              CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int oy = y0 + e / %lld, ox = x0 + e / %d %% %lld;", (long long)(columns * t->lanes), t->lanes,
              (long long)columns);
    cg_c_line(p, "T value = 0;");
    cg_c_open(p, "if (%s)", window_channel_test(t));
    cg_c_line(p, "value = %s;", cg_c_print_scalar(p, w->dy));
    cg_c_close(p);
    cg_c_line(p, "dy[e] = value;");
    cg_c_close(p);
}

static void print_products(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    long long columns = (long long)t->tile[COLUMN];
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int pixel = slice; pixel < %lld; pixel += %d)", (long long)t->tile[ROW] * columns,
              CUDA_BLOCK_THREADS / t->lanes);
    cg_c_line(p, "const T d = dy[pixel * %d + lane];", t->lanes);
    cg_c_line(p, "const T *const from = tile + (pixel / %lld * %lld + pixel %% %lld * %lld) * %d + lane;", columns,
              (long long)(t->stride[ROW] * t->operands[w->operand].region[COLUMN]), columns,
              (long long)t->stride[COLUMN], t->lanes);
    for (int tap = 0; tap < window_tap_count(w); tap++)
        cg_c_line(p, "total%d[%d] += d * from[%lld];", number, tap, (long long)window_tap(t, w, tap));
    cg_c_close(p);
}

static void print_images(const WindowTile *t) {
    CgPrinter *p = t->p;
    long long count[3];
    window_count_tiles(t, count);
    cuda_print_chunk(p, "", 1);
    cuda_print_private_bases(t->k);
    cg_c_open(p, "for (int at = 0; at < %lld; at++)", count[1] * count[2]);
    cg_c_line(p, "const int x0 = at %% %lld * %lld, y0 = at / %lld * %lld;", count[1], (long long)t->tile[COLUMN],
              count[1], (long long)t->tile[ROW]);
    window_print_tile(t);
    for (int i = 0; i < t->count; i++) {
        print_dy(t, &t->windows[i]);
        cg_c_line(p, "__syncthreads();");
        print_products(t, i);
        cg_c_line(p, "__syncthreads();");
    }
    cg_c_close(p);
    cg_c_close(p);
}

/* The slices' sums of every tap and channel. */
static void print_results(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    long long columns = (long long)w->kernel[COLUMN];
    int taps = window_tap_count(w);
    cg_c_line(p,
              "_Pragma(\"unroll\") for (int tap = 0; tap < %d; tap++) shared[tap * %d + threadIdx.x] = total%d[tap];",
              taps, CUDA_BLOCK_THREADS, number);
    cg_c_line(p, "__syncthreads();");
    cg_c_open(p, "for (int e = threadIdx.x; e < %d; e += %d)", taps * t->lanes, CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int tap = e / %d, kh = tap / %lld, kw = tap %% %lld, channel = channel0 + e %% %d;", t->lanes,
              columns, columns, t->lanes);
    cg_c_line(p, "T sum = 0;");
    cg_c_line(p, "for (int i = 0; i < %d; i++) sum += shared[tap * %d + i * %d + e %% %d];",
              CUDA_BLOCK_THREADS / t->lanes, CUDA_BLOCK_THREADS, t->lanes, t->lanes);
    cg_c_open(p, "if (%s)", window_channel_test(t));
    cuda_set_step(t->k, number);
    p->axis_name[1] = "channel";
    p->axis_name[3] = w->kernel[ROW] == 1 ? "0" : "kh";
    p->axis_name[4] = w->kernel[COLUMN] == 1 ? "0" : "kw";
    cg_c_store(p, p->step->out, cg_c_result_offset(p), "sum", false);
    cg_c_close(p);
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
}

/* What the tiles take, and later the sums. */
static long long shared_elements(const WindowTile *t) {
    long long most = (long long)window_elements(t) + (long long)(t->tile[ROW] * t->tile[COLUMN] * t->lanes);
    for (int i = 0; i < t->count; i++) {
        long long sums = window_tap_count(&t->windows[i]) * CUDA_BLOCK_THREADS;
        most = sums > most ? sums : most;
    }
    return most;
}

static void print_window_grad(CudaKernel *k) {
    WindowTile t = window_tile(k);
    CgPrinter *p = k->p;
    long long count[3];
    window_count_tiles(&t, count);
    cg_c_line(p, "__shared__ T shared[%lld];", shared_elements(&t));
    cg_c_line(p, "T *const tile = shared, *const dy = shared + %lld;", (long long)window_elements(&t));
    cg_c_line(p, "const int lane = threadIdx.x %% %d, slice = threadIdx.x / %d;", t.lanes, t.lanes);
    cg_c_open(p, "for (int block = blockIdx.x; block < run->chunks * %lld; block += gridDim.x)", count[0]);
    cg_c_line(p, "const int chunk = block / %lld, channel0 = block %% %lld * %d, channel = channel0 + lane;", count[0],
              count[0], t.lanes);
    for (int i = 0; i < t.count; i++)
        cg_c_line(p, "T total%d[%d] = {};", i, window_tap_count(&t.windows[i]));
    print_images(&t);
    for (int i = 0; i < t.count; i++)
        print_results(&t, i);
    cg_c_close(p);
    k->threads = count[0] * CUDA_BLOCK_THREADS;
}

static bool is_window_grad(const CgProgram *program, Arena *scratch, const CgStep *step) {
    (void)scratch;
    if (!window_fits_gradient(step) || !step->partial || step->int_count > 0 || !cuda_fits_int(program->options, step))
        return false;
    const int64_t *weight = ir_conv_weight(step->node);
    return weight[2] * weight[3] * CUDA_BLOCK_THREADS * plan_element_bytes(program->options->precision, DTYPE_f32) <=
           WINDOW_MOST_SHARED;
}

const CudaSchedule cuda_schedule_window_grad = {.name = "gradient of a window",
                                                .fits = is_window_grad,
                                                .stands_beside = window_stands_beside,
                                                .print = print_window_grad};
