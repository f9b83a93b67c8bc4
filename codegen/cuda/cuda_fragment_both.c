/* cuda_fragment_both.c: a product whose terms are pixels: gradients of pointwise convolutions with respect to their weights
 * (cuda_fragment.c says what a lane has).
 *
 * A lane loads W channels (4 or 2) of the rows, and of the columns, at pixels w, w + 4, w + 8, w + 12 of sixteen; a vector has a channel of
 * several blocks of rows, or of columns.
 *     row     row + W g + 2 i + h       of block i and half h of its rows
 *     column  column + W g + j          of block j
 * A lane gets the results of columns 2 w and 2 w + 1 of each block: four neighbours, one vector. Warps that share a tile share
 * its terms as slices, whose sums are added in order. The columns are those whose axis is the last in memory. */
#include "codegen/cuda/cuda_fragment.h"

enum { WIDE = 4, NARROW = 2 }; /* channels of a lane */

static const Factor *rows_of(const Product *q) {
    return q->swapped ? &q->y : &q->x;
}

static const Factor *columns_of(const Product *q) {
    return q->swapped ? &q->x : &q->y;
}

/* ---- does it fit? ---- */

static int choose_width(const Product *q, const Factor *o) {
    int64_t wide = (o->count + 8 * WIDE - 1) / (8 * WIDE) * WIDE,
            narrow = (o->count + 8 * NARROW - 1) / (8 * NARROW) * NARROW;
    bool waste = 4 * wide > 5 * narrow; /* two narrow ones have more loads than a wide one */
    if (!waste && fragment_reads(q, o, fragment_last_axis(o), WIDE))
        return WIDE;
    return fragment_reads(q, o, fragment_last_axis(o), NARROW) ? NARROW : 0;
}

static bool fits_both(const Product *q) {
    return q->launch == LAUNCH_chunks && q->step->partial && fragment_stores(q, columns_of(q)) &&
           choose_width(q, &q->x) && choose_width(q, &q->y);
}

/* ---- who does what ---- */

/* Two warps, but for one whose tiles leave fewer rows or columns over. */
static int choose_side(Factor *o, int width) {
    int64_t one = (o->count + 8 * width - 1) / (8 * width);
    int warps = one % 2 ? 1 : 2;
    o->tile = 8 * width * warps;
    return warps;
}

static void choose_both(Product *q) {
    Factor *rows = q->swapped ? &q->y : &q->x, *columns = q->swapped ? &q->x : &q->y;
    q->row_width = choose_width(q, rows);
    q->column_width = choose_width(q, columns);
    q->rows = q->row_width / 2;
    q->columns = q->column_width;
    q->down = choose_side(rows, q->row_width);
    q->across = choose_side(columns, q->column_width);
    q->slices = FRAGMENT_WARPS / (q->down * q->across);
    q->depth = q->slices * FRAGMENT_TERMS;
}

static bool choose(Product *q, const CudaGroup *group) {
    q->swapped = fragment_last_axis(&q->x) == cuda_last_axis(q->step);
    if (q->precision == PRECISION_f64 || group->step_count > 1 || !fits_both(q))
        return false;
    choose_both(q);
    q->tensor = true;
    return true;
}

static void print_threads(const Product *q) {
    CgPrinter *p = q->p;
    int warps = q->down * q->across;
    if (q->slices > 1)
        cg_c_line(p, "__shared__ __align__(16) T results[%d];", q->slices * q->x.tile * q->y.tile);
    cg_c_line(p, "const int group = threadIdx.x %% 32 / 4, word = threadIdx.x %% 4, warp = threadIdx.x / 32;");
    cg_c_line(p, "const int slice = warp / %d, row = warp %% %d / %d * %d, column = warp %% %d * %d;", warps, warps,
              q->across, q->rows * FRAGMENT_ROWS, q->across, q->columns * FRAGMENT_COLUMNS);
}

/* ---- terms ---- */

static void print_side(const Product *q, const Factor *o, const char *place, int width, bool zeros) {
    CgPrinter *p = q->p;
    bool all = q->terms % FRAGMENT_TERMS == 0;
    cg_c_line(p, "T %s[%d][%d];", o->name, width, FRAGMENT_EACH);
    cg_c_open(p, "%s", "");
    cg_c_line(p, "const int m1 = %s0 + %s + group * %d, m = %s;", o->name, place, width,
              fragment_inside(q, "m1", o->count, o->tile, width));
    fragment_name_own(q, o);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", FRAGMENT_EACH);
    cg_c_line(p, "const int k1 = k0 + i * %d + word, k = %s;", FRAGMENT_TERMS / FRAGMENT_EACH,
              fragment_inside(q, "k1", q->terms, FRAGMENT_TERMS, 1));
    fragment_name_terms(q, o);
    fragment_print_vector(q, o, fragment_last_axis(o), width, arena_printf(p->arena, "&%s[0][i]", o->name),
                          FRAGMENT_EACH);
    if (zeros && !all)
        cg_c_line(p, "_Pragma(\"unroll\") for (int j = 0; j < %d; j++) %s[j][i] = k1 < %lld ? %s[j][i] : 0;", width,
                  o->name, (long long)q->terms, o->name);
    cg_c_close(p);
    cg_c_close(p);
}

static void print_terms(const Product *q) {
    CgPrinter *p = q->p;
    const Factor *rows = rows_of(q), *columns = columns_of(q);
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int k0 = slice * %d; k0 < %lld; k0 += %d)", FRAGMENT_TERMS, (long long)q->terms, q->depth);
    print_side(q, rows, "row", q->row_width, false);
    print_side(q, columns, "column", q->column_width, true);
    cg_c_line(p, "nd_rows u[%d];", q->rows);
    cg_c_line(p, "_Pragma(\"unroll\") for (int i = 0; i < %d; i++) u[i] = nd_take_rows(%s[2 * i], %s[2 * i + 1]);",
              q->rows, rows->name, rows->name);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int j = 0; j < %d; j++)", q->columns);
    cg_c_line(p, "const nd_columns v = nd_take_columns(%s[j]);", columns->name);
    cg_c_line(p, "_Pragma(\"unroll\") for (int i = 0; i < %d; i++) nd_multiply(total[i][j], u[i], v);", q->rows);
    cg_c_close(p);
    cg_c_close(p);
}

/* ---- results ---- */

/* Of a row of block i, half h, the e-th vector of four columns: those of a wide lane are one column of four blocks each. */
static const char *result_vector(const Product *q) {
    return q->column_width == WIDE
               ? "nd_make_v4(total[i][0][2 * h + e], total[i][1][2 * h + e], total[i][2][2 * h + e], total[i][3][2 * h "
                 "+ e])"
               : "nd_make_v4(total[i][0][2 * h], total[i][1][2 * h], total[i][0][2 * h + 1], total[i][1][2 * h + 1])";
}

/* Stores the vector at row mm and column nn of the tile. */
static void print_store(const Product *q, const char *value) {
    CgPrinter *p = q->p;
    if (q->swapped)
        cg_c_line(p, "const int mm = c, nn = r;");
    else
        cg_c_line(p, "const int mm = r, nn = c;");
    fragment_store(q, value, NULL);
}

/* The slices' sums, in order. */
static void print_slices(const Product *q) {
    CgPrinter *p = q->p;
    int results = q->x.tile * q->y.tile, across = columns_of(q)->tile / FRAGMENT_EACH;
    cg_c_line(p, "__syncthreads();");
    cg_c_open(p, "for (int at = threadIdx.x; at < %d; at += %d)", results / FRAGMENT_EACH, CUDA_BLOCK_THREADS);
    cg_c_line(p, "const int r = at / %d, c = at %% %d * %d;", across, across, FRAGMENT_EACH);
    cg_c_line(p, "nd_v4 sum = nd_load_u4(results + at * %d);", FRAGMENT_EACH);
    cg_c_line(p, "_Pragma(\"unroll\") for (int s = 1; s < %d; s++) sum += nd_load_u4(results + s * %d + at * %d);",
              q->slices, results, FRAGMENT_EACH);
    print_store(q, "sum");
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
}

static void print_results(const Product *q) {
    CgPrinter *p = q->p;
    int vectors = q->column_width / 2;
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", q->rows);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int h = 0; h < 2; h++)");
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int e = 0; e < %d; e++)", vectors);
    cg_c_line(p, "const int r = row + group * %d + 2 * i + h, c = column + word * %d + e * %d;", q->row_width,
              2 * q->column_width, FRAGMENT_EACH);
    cg_c_line(p, "const nd_v4 value = %s;", result_vector(q));
    if (q->slices > 1)
        cg_c_line(p, "*(nd_v4 *)(results + (slice * %d + r) * %d + c) = value;", rows_of(q)->tile, columns_of(q)->tile);
    else
        print_store(q, "value");
    cg_c_close(p);
    cg_c_close(p);
    cg_c_close(p);
    if (q->slices > 1)
        print_slices(q);
}

const ProductWay product_fragment_both = {choose,      print_threads, NULL, NULL, fragment_begin_total,
                                          print_terms, print_results, NULL, NULL};
