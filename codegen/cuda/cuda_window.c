/* cuda_window.c: depthwise convolutions by tiles. A block brings the pixels that a tile of the result reads, padding
 * included, into shared memory, a few channels wide: what stands inline in the operand (batch norm, relu) is computed
 * once for each pixel, and no tap has a test. A thread makes a few outputs side by side in a row, of a vector of channels:
 * the row's pixels are read once for all of them, and a weight serves them all. Taps are added in order, so the result is
 * that of a thread for each element.
 *
 * Convolutions of one operand, the candidates of an edge, share its pixels, as many as the farthest of their taps wants.
 * A step may also be an expression of several convolutions of different operands that stand inline in it: the gradient
 * of a state. Behind a single step there may be sums of its result: a block then goes over all tiles of a chunk.
 *
 * What lies where (L channels of a tile, Q = L / width vectors of a pixel; TH, TW pixels of the output in a tile, R of them
 * made by a thread; RH, RW pixels of an operand that they read, P the pitch of its rows; s stride, d dilation):
 *     block    [images, ceil(H / TH), ceil(W / TW), ceil(C / L)]     with sums [chunks, parts, ceil(C / L)]
 *     thread   [TW / R, TH, Q]  item = threadIdx + 256 * n; vector = item % Q; channel = the block's first + vector * width
 *     tile     operand after operand, each [RH, P, Q]:
 *                               (begin + y * P + x) * Q + vector      shared; the operand's pixel y0 * s - pad + y, ...
 *     weight   window after window, each [KH, KW, Q]                  shared
 *     tap      of the output's pixel (ty, tx): y = ty * s + kh * d + the common padding - the window's own, x likewise
 *     result   [N, H, W, C]     image, y0 + ty, x0 + tx, channel */
#include "codegen/cuda/cuda_window.h"

#include <string.h>

static void print_weights(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    int vectors = window_vectors(t), all = window_tap_count(w) * vectors;
    window_use_source(t);
    const char *e = cuda_open_items(p, all);
    cg_c_line(p, "const int tap = %s / %d, kh = tap / %lld, kw = tap %% %lld;", e, vectors,
              (long long)w->kernel[COLUMN], (long long)w->kernel[COLUMN]);
    p->axis_name[AXIS_kh] = "kh";
    p->axis_name[AXIS_kw] = "kw";
    cg_c_open(p, "if (true%s)", window_channel_test(t, "channel"));
    cg_c_line(p, "weight[%lld + %s] = %s;", (long long)w->first_weight * vectors, e, cg_c_print_vector(p, w->weight));
    cg_c_close(p);
    cg_c_close(p);
}

void window_print_weights(const WindowTile *t) {
    for (int i = 0; i < t->count; i++)
        print_weights(t, i);
}

/* What lies behind the tile's edge is not stored. */
static const char *store_test(const WindowTile *t) {
    Str test = str_create(t->p->arena);
    str_add(&test, "true");
    if (t->size[ROW] % t->tile[ROW])
        str_addf(&test, " && y < %lld", (long long)t->size[ROW]);
    if (t->size[COLUMN] % t->tile[COLUMN])
        str_addf(&test, " && x < %lld", (long long)t->size[COLUMN]);
    str_add(&test, window_channel_test(t, "channel"));
    return test.data;
}

static void print_stores(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const CgStep *formula = t->formulas[number];
    const char *names[4] = {"image", t->size[ROW] == 1 ? "0" : "y", t->size[COLUMN] == 1 ? "0" : "x", "channel"};
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", t->run);
    cg_c_line(p, "const int x = x0 + tx + i;");
    cg_c_open(p, "if (%s)", store_test(t));
    cg_c_set_step(p, formula, 0);
    p->vector_axis = t->width > 1 ? AXIS_channel : -1;
    memcpy(p->axis_name, names, sizeof names);
    for (int i = 0; i < t->count; i++) {
        p->axis_name[4 + i] = arena_printf(p->arena, "window%d", i);
        if (t->windows[i].step == number)
            cg_c_use_name(p, t->windows[i].result, arena_printf(p->arena, "window%d[i]", i));
    }
    cg_c_store(p, p->step->out, cg_c_result_offset(p), cg_c_print_vector(p, formula->value), true);
    if (t->step_count == 1)
        cuda_add_to_sums(t->k, 1, names);
    cg_c_close(p);
    cg_c_close(p);
}

/* Of a row of the window: each pixel, each weight is read once. */
static void print_row(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    const char *type = cg_c_type(p, true);
    for (int64_t x = 0; x < window_row(t, w); x++)
        if (window_has_tap(t, w, x))
            cg_c_line(p, "const %s r%lld = from[%lld];", type, (long long)x, (long long)x * window_vectors(t));
    for (int64_t kw = 0; kw < w->kernel[COLUMN]; kw++) {
        cg_c_line(p, "const %s w%lld = by[%lld];", type, (long long)kw, (long long)kw * window_vectors(t));
        for (int i = 0; i < t->run; i++)
            cg_c_line(p, "window%d[%d] += r%lld * w%lld;", w->sum, i,
                      (long long)(i * t->stride[COLUMN] + kw * w->dilation[COLUMN]), (long long)kw);
    }
}

static void print_taps(const WindowTile *t, int number) {
    CgPrinter *p = t->p;
    const TileWindow *w = &t->windows[number];
    const TileOperand *o = &t->operands[w->operand];
    const char *type = cg_c_type(p, true);
    int vectors = window_vectors(t);
    if (w->sum == number)
        cg_c_line(p, "%s window%d[%d] = {};", type, number, t->run);
    cg_c_open(p, "%s", "");
    cg_c_line(p, "const %s *from = tile + (%lld + ty * %lld + tx * %lld) * %d + vector;", type,
              (long long)window_first_tap(t, w), (long long)(t->stride[ROW] * o->pitch), (long long)t->stride[COLUMN],
              vectors);
    cg_c_line(p, "const %s *by = weight + %lld + vector;", type, (long long)w->first_weight * vectors);
    cg_c_line(p, "_Pragma(\"unroll 1\")"); /* a row is enough to do side by side */
    cg_c_open(p, "for (int kh = 0; kh < %lld; kh++)", (long long)w->kernel[ROW]);
    print_row(t, number);
    cg_c_line(p, "from += %lld;", (long long)(w->dilation[ROW] * o->pitch * vectors));
    cg_c_line(p, "by += %lld;", (long long)w->kernel[COLUMN] * vectors);
    cg_c_close(p);
    cg_c_close(p);
}

/* There may be as many items as threads. */
void window_print_items(const WindowTile *t, void (*print_results)(const WindowTile *t, int step)) {
    CgPrinter *p = t->p;
    int vectors = window_vectors(t);
    long long rows = (long long)t->tile[ROW], items = rows * (long long)(t->tile[COLUMN] / t->run) * vectors;
    const char *e = cuda_open_items(p, items);
    cg_c_line(p, "const int ty = %s / %d %% %lld, tx = %s / %lld * %d, y = y0 + ty;", e, vectors, rows, e,
              rows * vectors, t->run);
    for (int i = 0; i < t->step_count; i++) {
        cg_c_open(p, "%s", "");
        for (int j = 0; j < t->count; j++)
            if (t->windows[j].step == i)
                print_taps(t, j);
        print_results(t, i);
        cg_c_close(p);
    }
    cg_c_close(p);
}

/* The tile at y0, x0, and all that is computed from it. */
static void print_windows(const WindowTile *t) {
    CgPrinter *p = t->p;
    cuda_print_private_bases(t->k);
    window_print_tile(t);
    cg_c_line(p, "__syncthreads();");
    window_print_items(t, print_stores);
    cg_c_line(p, "__syncthreads();");
}

/* Tiles of an image: channels fastest, then columns, then rows. */
static int64_t print_tiles(const WindowTile *t) {
    CgPrinter *p = t->p;
    long long count[3];
    window_count_tiles(t, count);
    long long groups = count[0], all = groups * count[1] * count[2];
    cg_c_open(p, "for (int block = blockIdx.x; block < run->batch * %lld; block += gridDim.x)", all);
    cg_c_line(
        p,
        "const int channel = block %% %lld * %d + vector * %d, x0 = block / %lld %% %lld * %lld, y0 = block / %lld %% "
        "%lld * %lld;",
        groups, t->lanes, t->width, groups, count[1], (long long)t->tile[COLUMN], groups * count[1], count[2],
        (long long)t->tile[ROW]);
    cg_c_line(p, "const int64_t image = block / %lld;", all);
    window_print_weights(t);
    print_windows(t);
    cg_c_close(p);
    return all;
}

/* With sums: a block has the channels of a chunk. */
static int64_t print_chunks(const WindowTile *t) {
    CgPrinter *p = t->p;
    long long count[3];
    window_count_tiles(t, count);
    cg_c_line(p, "%s *const sums = tile;", cg_c_type(p, true));
    int parts = t->k->group->parts;
    cg_c_open(p, "for (int block = blockIdx.x; block < run->chunks * %lld; block += gridDim.x)", count[0] * parts);
    cg_c_line(p, "const int row = block / %lld, channel = block %% %lld * %d + vector * %d;", count[0], count[0],
              t->lanes, t->width);
    cg_c_line(p, "const int chunk = row / %d, part = row %% %d;", parts, parts);
    p->row = "row";
    window_print_weights(t);
    cuda_begin_sums(t->k, 1);
    cuda_print_chunk(p, "", 1);
    cg_c_open(p, "for (int at = part; at < %lld; at += %d)", count[1] * count[2], parts);
    cg_c_line(p, "const int x0 = at %% %lld * %lld, y0 = at / %lld * %lld;", count[1], (long long)t->tile[COLUMN],
              count[1], (long long)t->tile[ROW]);
    print_windows(t);
    cg_c_close(p);
    cg_c_close(p);
    cuda_end_sums(t->k, 1, window_vectors(t), "channel",
                  arena_printf(p->arena, "true%s", window_channel_test(t, "channel")));
    cg_c_close(p);
    return count[0] * parts;
}

static void print_window(CudaKernel *k) {
    WindowTile t = window_tile(k);
    CgPrinter *p = k->p;
    int vectors = window_vectors(&t);
    long long elements = (long long)window_pixels(&t) * vectors,
              sums = (long long)cuda_sums_elements(k->group, t.step_count);
    const char *type = cg_c_type(p, true);
    cg_c_line(p, "__shared__ %s tile[%lld], weight[%lld];", type, sums > elements ? sums : elements,
              (long long)window_weights(&t) * vectors);
    cg_c_line(p, "const int vector = threadIdx.x %% %d;", vectors);
    k->threads = (sums ? print_chunks(&t) : print_tiles(&t)) * CUDA_BLOCK_THREADS;
    window_end(&t);
}

/* Behind a single step. */
static bool takes_sums(const CgProgram *program, Arena *scratch, const CudaGroup *group) {
    (void)program, (void)scratch, (void)group;
    return true;
}

/* A block takes tiles of an image. */
static int64_t most_parts(const CgProgram *program, Arena *scratch, const CudaGroup *group) {
    (void)scratch;
    WindowTile t = window_measure(program, group);
    long long count[3];
    window_count_tiles(&t, count);
    return count[1] * count[2];
}

const CudaSchedule cuda_schedule_window = {.name = "window",
                                           .fits = window_fits,
                                           .stands_beside = window_stands_beside,
                                           .takes_sums = takes_sums,
                                           .most_parts = most_parts,
                                           .print = print_window};
