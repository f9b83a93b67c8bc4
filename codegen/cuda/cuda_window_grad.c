/* cuda_window_grad.c: the gradients of a depthwise convolution's weights, as partial sums of a chunk of images.
 *
 * A block has a few channels of a chunk, or of a part of its tiles. It brings what the window moves over into shared memory;
 * a thread has one channel there, and adds up all taps in registers, for so many outputs side by side in a row at a time:
 * their gradients come straight from memory, and each pixel of the row is read once for all of them. Then the
 * threads of a channel are added, in order. So the order of additions depends on shapes only. Windows over one operand
 * share its tile. */
#include "codegen/cuda/cuda_window.h"

/* The gradients of the outputs from (y0 + ty, x0 + tx) on. */
static void print_dy(const WindowTile *t, const TileWindow *w) {
    CgPrinter *p = t->p;
    cg_c_line(p, "T d[%d];", t->run);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", t->run);
    cg_c_line(p, "const int ox = x0 + tx + i;");
    cg_c_line(p, "d[i] = %s;", cg_c_print_scalar(p, w->dy));
    cg_c_close(p);
}

/* Of a row of the window. */
static void print_row(const WindowTile *t, int number, int64_t kh) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    int64_t row = kh * w->dilation[ROW] * t->operands[w->operand].pitch;
    cg_c_open(p, "%s", "");
    for (int64_t x = 0; x < window_row(t, w); x++)
        if (window_has_tap(t, w, x))
            cg_c_line(p, "const T r%lld = from[%lld];", (long long)x, (long long)(row + x) * t->lanes);
    for (int64_t kw = 0; kw < w->kernel[COLUMN]; kw++)
        for (int i = 0; i < t->run; i++)
            cg_c_line(p, "total%d[%lld] += d[%d] * r%lld;", number, (long long)(kh * w->kernel[COLUMN] + kw), i,
                      (long long)(i * t->stride[COLUMN] + kw * w->dilation[COLUMN]));
    cg_c_close(p);
}

static void print_products(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    const TileOperand *o = &t->operands[w->operand];
    long long rows = (long long)t->tile[ROW], runs = (long long)(t->tile[COLUMN] / t->run);
    window_use_source(t);
    p->width = 1;
    p->vector_axis = -1;
    p->axis_name[AXIS_channel] = "own";
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int item = slice; item < %lld; item += %d)", rows * runs, CUDA_BLOCK_THREADS / t->lanes);
    cg_c_line(p, "const int ty = item %% %lld, tx = item / %lld * %d, oy = y0 + ty;", rows, rows, t->run);
    print_dy(t, w);
    cg_c_line(p, "const T *const from = (const T *)tile + (%lld + ty * %lld + tx * %lld) * %d + lane;",
              (long long)window_first_tap(t, w), (long long)(t->stride[ROW] * o->pitch), (long long)t->stride[COLUMN],
              t->lanes);
    for (int64_t kh = 0; kh < w->kernel[ROW]; kh++)
        print_row(t, number, kh);
    cg_c_close(p);
}

static void print_images(const WindowTile *t) {
    CgPrinter *p = t->p;
    const char *test = window_channel_test(t, "own");
    long long count[3];
    window_count_tiles(t, count);
    cuda_print_chunk(p, "", 1);
    cuda_print_private_bases(t->k);
    cg_c_open(p, "for (int at = part; at < %lld; at += %d)", count[1] * count[2], t->k->group->parts);
    cg_c_line(p, "const int x0 = at %% %lld * %lld, y0 = at / %lld * %lld;", count[1], (long long)t->tile[COLUMN],
              count[1], (long long)t->tile[ROW]);
    window_print_tile(t);
    cg_c_line(p, "__syncthreads();");
    cg_c_open(p, "if (true%s)", test);
    for (int i = 0; i < t->count; i++)
        print_products(t, i);
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
    cg_c_close(p);
    cg_c_close(p);
}

/* The slices' sums of every tap and channel. */
static void print_results(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    long long columns = (long long)w->kernel[COLUMN];
    int taps = window_tap_count(w);
    cg_c_line(p, "_Pragma(\"unroll\") for (int tap = 0; tap < %d; tap++) sums[tap * %d + threadIdx.x] = total%d[tap];",
              taps, CUDA_BLOCK_THREADS, number);
    cg_c_line(p, "__syncthreads();");
    cg_c_open(p, "for (int e = threadIdx.x; e < %d; e += %d)", taps * t->lanes, CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int tap = e / %d, kh = tap / %lld, kw = tap %% %lld, channel = first + e %% %d;", t->lanes,
              columns, columns, t->lanes);
    cg_c_line(p, "T sum = 0;");
    cg_c_line(p, "for (int i = 0; i < %d; i++) sum += sums[tap * %d + i * %d + e %% %d];",
              CUDA_BLOCK_THREADS / t->lanes, CUDA_BLOCK_THREADS, t->lanes, t->lanes);
    cg_c_open(p, "if (true%s)", window_channel_test(t, "channel"));
    cuda_set_step(t->k, number);
    p->axis_name[1] = "channel";
    p->axis_name[3] = w->kernel[ROW] == 1 ? "0" : "kh";
    p->axis_name[4] = w->kernel[COLUMN] == 1 ? "0" : "kw";
    cg_c_store(p, p->step->out, cg_c_result_offset(p), "sum", false);
    cg_c_close(p);
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
}

/* Vectors that the tile takes, and later the sums. */
static long long shared_vectors(const WindowTile *t) {
    long long most = (long long)window_pixels(t) * window_vectors(t);
    for (int i = 0; i < t->count; i++) {
        long long sums = (long long)window_tap_count(&t->windows[i]) * CUDA_BLOCK_THREADS / t->width;
        most = sums > most ? sums : most;
    }
    return most;
}

static void print_window_grad(CudaKernel *k) {
    WindowTile t = window_tile(k);
    CgPrinter *p = k->p;
    long long count[3];
    window_count_tiles(&t, count);
    int parts = k->group->parts;
    cg_c_line(p, "__shared__ %s tile[%lld];", cg_c_type(p, true), shared_vectors(&t));
    cg_c_line(p, "T *const sums = (T *)tile;");
    cg_c_line(p, "const int lane = threadIdx.x %% %d, slice = threadIdx.x / %d, vector = threadIdx.x %% %d;", t.lanes,
              t.lanes, window_vectors(&t));
    cg_c_open(p, "for (int block = blockIdx.x; block < run->chunks * %lld; block += gridDim.x)", count[0] * parts);
    cg_c_line(p, "const int row = block / %lld, first = block %% %lld * %d, channel = first + vector * %d;", count[0],
              count[0], t.lanes, t.width);
    cg_c_line(p, "const int own = first + lane, chunk = row / %d, part = row %% %d;", parts, parts);
    p->row = "row";
    for (int i = 0; i < t.count; i++)
        cg_c_line(p, "T total%d[%d] = {};", i, window_tap_count(&t.windows[i]));
    print_images(&t);
    for (int i = 0; i < t.count; i++)
        print_results(&t, i);
    cg_c_close(p);
    k->threads = count[0] * parts * CUDA_BLOCK_THREADS;
    window_end(&t);
}

static bool is_window_grad(const CgProgram *program, Arena *scratch, const CgStep *step) {
    (void)scratch;
    if (!window_fits_gradient(step) || !step->partial || step->int_count > 0 || !cuda_fits_int(program->options, step))
        return false;
    const int64_t *weight = ir_conv_weight(step->node);
    return weight[2] * weight[3] * CUDA_BLOCK_THREADS * plan_element_bytes(program->options->precision, DTYPE_f32) <=
           WINDOW_MOST_SHARED;
}

/* A block takes tiles of an image; groups of channels have blocks of their own anyway. */
static int64_t most_parts(const CgProgram *program, Arena *scratch, const CudaGroup *group) {
    (void)scratch;
    enum { WANTED_BLOCKS = 256 };
    WindowTile t = window_measure(program, group);
    long long count[3];
    window_count_tiles(&t, count);
    long long blocks = program->options->chunks * count[0], wanted = (WANTED_BLOCKS + blocks - 1) / blocks;
    return wanted < count[1] * count[2] ? wanted : count[1] * count[2];
}

const CudaSchedule cuda_schedule_window_grad = {.name = "gradient of a window",
                                                .fits = is_window_grad,
                                                .stands_beside = window_stands_beside,
                                                .most_parts = most_parts,
                                                .print = print_window_grad};
