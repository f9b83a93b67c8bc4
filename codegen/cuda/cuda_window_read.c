/* cuda_window_read.c: how the pixels of a tile get into shared memory. The threads of a block stand over a few rows of the
 * region, a vector of channels each, and go down it in steps of so many rows: columns, addresses and tests of columns are
 * worked out once, a step adds a constant. All loads of several steps come before the first store, so that they are under way
 * together; what stands inline in the operand is computed between them. */
#include "codegen/cuda/cuda_window.h"

#include <string.h>

/* How the threads stand over a region. */
typedef struct Stand {
    int64_t columns, rows; /* of pixels, at a time */
    int64_t pieces, steps; /* across, down */
    int64_t together;      /* steps whose loads are under way together */
} Stand;

const char *window_channel_test(const WindowTile *t, const char *channel) {
    return t->channels % t->lanes == 0 ? ""
                                       : arena_printf(t->p->arena, " && %s < %lld", channel, (long long)t->channels);
}

void window_use_source(const WindowTile *t) {
    static const char *const names[] = {[AXIS_image] = "image",     [AXIS_y] = "y",   [AXIS_x] = "x",
                                        [AXIS_channel] = "channel", [AXIS_oy] = "oy", [AXIS_ox] = "ox"};
    cg_c_set_step(t->p, t->source, 0);
    for (int axis = 0; axis < WINDOW_AXES; axis++)
        t->p->axis_name[axis] = names[axis];
    t->p->width = t->width;
    t->p->vector_axis = t->width > 1 ? AXIS_channel : -1;
}

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static Stand stand_over(const WindowTile *t, const TileOperand *o, int loads) {
    int64_t pixels = CUDA_BLOCK_THREADS / window_vectors(t), most = t->most_loads / (loads > 1 ? loads : 1);
    Stand s = {.pieces = divide_up(o->region[COLUMN], pixels)};
    s.columns = divide_up(o->region[COLUMN], s.pieces);
    s.rows = pixels / s.columns < o->region[ROW] ? pixels / s.columns : o->region[ROW];
    s.steps = divide_up(o->region[ROW], s.rows);
    s.together = divide_up(s.steps, divide_up(s.steps, most));
    return s;
}

/* ---- printing ---- */

typedef struct Reading {
    const WindowTile *t;
    const TileOperand *o;
    Stand stand;
    uint32_t moving; /* axes */
    int count;       /* loads of a pixel */
    const CgScalar *reads[CG_MOST_AHEAD];
    const char *names[CG_MOST_AHEAD];
} Reading;

/* The loop over the steps that are under way together; in it `line` is the row of the region, y the operand's. */
static void open_steps(const Reading *r) {
    CgPrinter *p = r->t->p;
    const Stand *s = &r->stand;
    const char *step = s->together < s->steps ? "(turn + i)" : "i";
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %lld; i++)", (long long)s->together);
    cg_c_line(p, "const int line = top + %s * %lld, y = y0 * %lld + line;", step, (long long)s->rows,
              (long long)r->t->stride[ROW]);
    int64_t all = divide_up(s->steps, s->together) * s->together * s->rows, whole = r->o->region[ROW] / s->rows;
    if (all == r->o->region[ROW])
        cg_c_open(p, "%s", "");
    else
        cg_c_open(p, "if (%s < %lld || line < %lld)", step, (long long)whole, (long long)r->o->region[ROW]);
}

static void close_steps(const Reading *r) {
    cg_c_close(r->t->p);
    cg_c_close(r->t->p);
}

static void print_steps(const Reading *r) {
    CgPrinter *p = r->t->p;
    const TileOperand *o = r->o;
    for (int i = 0; i < r->count; i++)
        cg_c_line(p, "%s read%d[%lld];", cg_c_type(p, cg_c_is_vector(p, r->reads[i])), i, (long long)r->stand.together);
    if (r->count) {
        open_steps(r);
        cg_c_load_ahead(p, o->pixel, r->moving, r->names);
        close_steps(r);
    }
    open_steps(r);
    cg_c_use_ahead(p, o->pixel, r->moving, r->names);
    cg_c_line(p, "tile[%lld + (line * %lld + column) * %d + vector] = %s;", (long long)o->begin * window_vectors(r->t),
              (long long)o->pitch, window_vectors(r->t), cg_c_print_vector(p, o->pixel));
    close_steps(r);
}

/* A part of the region's columns. */
static void print_piece(const Reading *r, int64_t piece) {
    CgPrinter *p = r->t->p;
    const Stand *s = &r->stand;
    int64_t before = piece * s->columns;
    bool over = before + s->columns > r->o->region[COLUMN];
    cg_c_open(p, "%s", "");
    cg_c_line(p, "const int column = left + %lld, x = x0 * %lld + column;", (long long)before,
              (long long)r->t->stride[COLUMN]);
    if (over)
        cg_c_open(p, "if (column < %lld)", (long long)r->o->region[COLUMN]);
    if (s->together < s->steps) {
        cg_c_line(p, "_Pragma(\"unroll 1\")");
        cg_c_open(p, "for (int turn = 0; turn < %lld; turn += %lld)", (long long)s->steps, (long long)s->together);
    }
    print_steps(r);
    if (s->together < s->steps)
        cg_c_close(p);
    if (over)
        cg_c_close(p);
    cg_c_close(p);
}

static void print_operand(const WindowTile *t, const TileOperand *o) {
    CgPrinter *p = t->p;
    Reading r = {.t = t,
                 .o = o,
                 .moving = 1u << AXIS_y | 1u << AXIS_x,
                 .names = {"read0[i]", "read1[i]", "read2[i]", "read3[i]"}};
    window_use_source(t);
    r.count = cg_c_find_ahead(o->pixel, r.moving, r.reads);
    r.stand = stand_over(t, o, r.count);
    int64_t across = r.stand.columns * window_vectors(t);
    cg_c_open(p, "if (threadIdx.x < %lld%s)", (long long)(across * r.stand.rows), window_channel_test(t, "channel"));
    cg_c_line(p, "const int left = threadIdx.x / %d %% %lld, top = threadIdx.x / %lld;", window_vectors(t),
              (long long)r.stand.columns, (long long)across);
    cg_c_hoist_still(p, o->pixel, r.moving);
    for (int64_t piece = 0; piece < r.stand.pieces; piece++)
        print_piece(&r, piece);
    cg_c_close(p);
}

void window_print_tile(const WindowTile *t) {
    for (int i = 0; i < t->operand_count; i++)
        print_operand(t, &t->operands[i]);
}
