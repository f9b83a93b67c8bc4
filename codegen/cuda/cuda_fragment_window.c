/* cuda_fragment_window.c: a product one of whose operands is what a depthwise convolution makes: it is made in shared memory, where
 * the fragments are read, and never stored.
 *
 * A tile is some whole rows of pixels, and sixteens of channels. The pixels that its taps move over come into shared memory
 * (cuda_window_read.c), a thread makes some outputs side by side in a row of a vector of channels (cuda_window.c):
 *     tile      [RH, P, Q]                       as in cuda_window.c, with the weights
 *     operand   [L / 16, TH * W, 16]             sixteen of channels, pixel y * W + x, channel of the sixteen
 * A lane's four terms are one vector there, and a warp's vectors lie in different banks. */
#include "codegen/cuda/cuda_fragment.h"

#include <string.h>

bool fragment_choose_window(Product *q, const WindowRoom *room) {
    WindowTile tile;
    if (!window_measure_rows(q->options, q->window, room, &tile))
        return false;
    q->made = arena_alloc(q->arena, sizeof tile);
    *q->made = tile;
    return true;
}

static int count_pixels(const WindowTile *t) {
    return (int)(t->tile[ROW] * t->size[COLUMN]);
}

void fragment_declare_window(const Product *q) {
    CgPrinter *p = q->p;
    const WindowTile *t = q->made;
    int vectors = window_vectors(t);
    const char *type = t->width > 1 ? arena_printf(p->arena, "nd_v%d", t->width) : "T";
    cg_c_line(p, "__shared__ %s tile[%lld], weight[%lld];", type, (long long)window_pixels(t) * vectors,
              (long long)window_weights(t) * vectors);
    cg_c_line(p, "__shared__ __align__(16) T operand[%d];", count_pixels(t) * t->lanes);
    cg_c_line(p, "const int vector = threadIdx.x %% %d;", vectors);
}

/* What lies behind the row's end, or has no channel, is nobody's. */
static void print_results(const WindowTile *t, int step) {
    CgPrinter *p = t->p;
    (void)step; /* the only one */
    const char *edge =
        t->size[COLUMN] % t->run ? arena_printf(p->arena, " && tx + i < %lld", (long long)t->size[COLUMN]) : "";
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", t->run);
    cg_c_open(p, "if (true%s%s)", edge, window_channel_test(t, "channel"));
    cg_c_line(
        p, "*(%s *)(operand + ((vector * %d / %d) * %d + ty * %lld + tx + i) * %d + vector * %d %% %d) = window0[i];",
        cg_c_type(p, true), t->width, FRAGMENT_TERMS, count_pixels(t), (long long)t->size[COLUMN], FRAGMENT_TERMS,
        t->width, FRAGMENT_TERMS);
    cg_c_close(p);
    cg_c_close(p);
}

/* Without a limit ptxas brings forward so much that two blocks have no room; with three, small images spill. Terms that
 * come in several turns need more registers than that leaves. */
int product_resident_blocks(const Product *q) {
    return q->depth < q->terms ? 0 : 2;
}

/* The printer goes on with the product's step. */
void fragment_make_window(const Product *q) {
    CgPrinter *p = q->p;
    WindowTile t = *q->made;
    const char *names[CG_MAX_AXES];
    memcpy(names, p->axis_name, sizeof names);
    window_describe_rows(&t, q->k);
    p->aligned = t.width > 1;
    cg_c_line(p, "const int channel = k0 + made + vector * %d, pixel0 = x0;", t.width);
    cg_c_open(p, "%s", "");
    cg_c_line(p, "const int y0 = pixel0 / %lld, x0 = 0;", (long long)t.size[COLUMN]);
    window_print_weights(&t);
    window_print_tile(&t);
    cg_c_line(p, "__syncthreads();");
    window_print_items(&t, print_results);
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
    window_end(&t);
    cuda_set_step(q->k, 0);
    memcpy(p->axis_name, names, sizeof names);
}

/* Rows behind the last are that once more, so are channels. */
const char *fragment_window_vector(const Product *q, const char *mm) {
    Arena *arena = q->arena;
    const WindowTile *t = q->made;
    int pixels = count_pixels(t);
    const char *row = pixels < q->room ? arena_printf(arena, "(%s < %d ? %s : %d)", mm, pixels, mm, pixels - 1)
                                       : arena_printf(arena, "(%s)", mm);
    const char *term = arena_printf(arena, "word * %d", FRAGMENT_EACH);
    const char *all =
        arena_printf(arena, "operand + ((at - made) * %d + %s * %d) + %s", pixels, row, FRAGMENT_TERMS, term);
    if (q->terms % q->made->lanes == 0)
        return all;
    const char *last = arena_printf(arena, "%lld - k0 - made", (long long)(q->terms - FRAGMENT_EACH));
    return arena_printf(arena, "k0 + at + %s < %lld ? %s : operand + (((%s) / %d) * %d + %s) * %d + (%s) %% %d", term,
                        (long long)q->terms, all, last, FRAGMENT_TERMS, pixels, row, FRAGMENT_TERMS, last,
                        FRAGMENT_TERMS);
}
