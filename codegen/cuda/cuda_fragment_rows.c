/* cuda_fragment_rows.c: a product whose terms are channels: pointwise convolutions, and their gradients with respect to the
 * input (cuda_fragment.c says what a lane has).
 *
 * A lane loads four terms of each of its rows, which are pixels; all loads of some sixteens of terms are under way before the
 * first is used. The columns, weights, are taken once by a block and wait in shared memory as fragments.
 *     row     x0 + row + 8 i            row = 16 R * (place of the warp) + g,  i < 2 R (R: blocks of rows)
 *     column  y0 + column + 16 j + c    c = g / 2 * 4 + b * 2 + g % 2 of the blocks b = 0, 1 of pair j
 * So of a pair of blocks a lane gets the results of four neighbours, 4 w .. 4 w + 3: one vector. Sums behind the product
 * are vectors of a lane too; lanes of the same columns are added up by shuffles, then warps, in order. */
#include "codegen/cuda/cuda_fragment.h"

enum {
    SHARED_WORDS = 8192, /* of columns */
    PAIR = 2 * FRAGMENT_COLUMNS,
    MOST_COLUMNS = 5 * PAIR, /* of a tile: a lane's registers for them */
    MOST_SUMS = 4 * PAIR,    /* with sums behind */
    ROWS_COST = 35, /* instructions for sixteen terms: of a warp's rows, of a pair of blocks, of bringing its columns */
    PAIR_COST = 16,
    COLUMNS_COST = 4,
    MADE_COST = 200,      /* of a warp's rows that a window makes */
    MOST_MADE = 3 * PAIR, /* columns of a product that makes its rows */
    MOST_REMADE = 3,      /* where there are few results: tiles of columns, each of which makes them anew */
    FEW_ELEMENTS = 1 << 16,
    ROW_BLOCKS = 2,                                         /* of a warp, where there are tiles enough */
    FULL_TILES = 4,                                         /* of an image: those are enough */
    MOST_LOADS = 8,                                         /* vectors under way */
    MOST_SHARED = 48 * 1024 - 256,                          /* bytes of a block, with a window */
    TAIL_SHARED = (CUDA_BLOCK_THREADS + 2) * sizeof(double) /* what merges its sums takes of them */
};

/* ---- does it fit? ---- */

/* The axis that sixteen terms go along: the last that has an extent; -1: none. */
static int term_axis(const Product *q) {
    for (int i = q->axis_count - 1; i >= 0; i--)
        if (q->step->axes[q->axes[i]].extent > 1)
            return q->axes[i];
    return -1;
}

/* Of what a window makes every four terms are a vector, however it reads its operand. */
static bool fits_rows(const Product *q) {
    return q->launch == LAUNCH_images && !q->step->partial && !(q->y.value->axes & 1) && fragment_stores(q, &q->y) &&
           (q->window ? q->terms % FRAGMENT_EACH == 0 : fragment_reads(q, &q->x, term_axis(q), FRAGMENT_EACH));
}

static bool sums_fit(const CudaGroup *group) {
    for (int i = 1; i < group->step_count; i++)
        if (!cuda_sum_has_vectors(group->steps[i], FRAGMENT_EACH))
            return false;
    return true;
}

/* ---- who does what ---- */

static int column_words(const Product *q) {
    return q->precision == PRECISION_bf16 ? 2 : q->precision == PRECISION_tf32 ? 4 : 8;
}

static int64_t count_tiles(int64_t count, int64_t tile) {
    return (count + tile - 1) / tile;
}

/* Warps are below each other as far as there are rows for them. */
static int choose_across(const Product *q, int tile) {
    int across = 1;
    while (FRAGMENT_WARPS / across * FRAGMENT_ROWS / 2 >= q->x.count && tile % (2 * across * PAIR) == 0)
        across *= 2;
    return across;
}

/* Instructions of a warp for sixteen terms, and who stands idle: to load and split rows, to bring columns, to multiply. */
static double tile_cost(const Product *q, int tile) {
    int across = choose_across(q, tile);
    int64_t tiles = count_tiles(q->x.count, FRAGMENT_WARPS / across * FRAGMENT_ROWS) * count_tiles(q->y.count, tile);
    return (double)tiles *
           (ROWS_COST + (q->window ? MADE_COST : 0) + (COLUMNS_COST + PAIR_COST / across) * tile / PAIR);
}

static int choose_columns(const Product *q, bool sums) {
    int best = PAIR;
    for (int tile = 2 * PAIR; tile <= (sums ? MOST_SUMS : MOST_COLUMNS); tile += PAIR)
        if (tile_cost(q, tile) < tile_cost(q, best))
            best = tile;
    return best;
}

/* Terms in shared memory at once: of so many words, a multiple of `step`. */
static int choose_depth(const Product *q, int words, int step) {
    int most = words / (q->y.tile / FRAGMENT_COLUMNS * 32 * column_words(q) * step / FRAGMENT_TERMS) * step,
        all = (int)count_tiles(q->terms, step) * step;
    return most < all ? most : all;
}

static int sums_bytes(const Product *q, int count) {
    return count * q->down * q->y.tile * (int)sizeof(float);
}

/* Rows are the pixels of a window's tile. */
static bool choose_window_rows(Product *q, int most_blocks, bool sums) {
    int bytes = MOST_SHARED - (sums ? TAIL_SHARED + sums_bytes(q, PRODUCT_WINDOW_SUMS) : 0),
        lane = q->y.tile * column_words(q);
    WindowRoom room = {q->down * FRAGMENT_ROWS * most_blocks, bytes, lane};
    if (!fragment_choose_window(q, &room))
        return false;
    q->made->width = fragment_reads(q, &q->x, term_axis(q), FRAGMENT_EACH) ? FRAGMENT_EACH : 1;
    q->x.tile = (int)(q->made->tile[ROW] * q->made->size[COLUMN]);
    q->rows = (int)count_tiles(q->x.tile, q->down * FRAGMENT_ROWS);
    q->room = q->down * q->rows * FRAGMENT_ROWS;
    int words = (bytes - (int)window_rows_bytes(q->made, q->options)) / (int)sizeof(uint32_t);
    q->depth = choose_depth(q, words, q->made->lanes);
    return true;
}

static bool choose_rows(Product *q, bool sums) {
    q->y.tile = choose_columns(q, sums);
    q->across = choose_across(q, q->y.tile);
    q->down = FRAGMENT_WARPS / q->across;
    q->columns = q->y.tile / q->across / FRAGMENT_COLUMNS;
    q->slices = 1;
    int most_blocks = q->y.tile <= (q->window && sums   ? PAIR
                                    : sums || q->window ? 2 * PAIR
                                                        : 3 * PAIR)
                          ? ROW_BLOCKS
                          : 1;
    if (q->window)
        return choose_window_rows(q, most_blocks, sums);
    bool many = count_tiles(q->x.count, q->down * FRAGMENT_ROWS * ROW_BLOCKS) >= FULL_TILES;
    q->rows = many ? most_blocks : 1;
    q->x.tile = q->down * q->rows * FRAGMENT_ROWS;
    q->depth = choose_depth(q, SHARED_WORDS, FRAGMENT_TERMS);
    return true;
}

/* Is it worth it? It saves storing and reading what the window makes, and a launch; but what the window reads is brought
 * by each product for itself, halos included, and registers of both make few blocks resident. Counted (docs/performance.md): with more columns that
 * outweighs all but the launch, which counts where there is little to do. */
static bool is_worthwhile(const IrNode *pointwise, int64_t images) {
    bool few = images * ir_type_count(&pointwise->type, 1, 1) <= FEW_ELEMENTS;
    return pointwise->type.dim[3] <= (few ? MOST_REMADE * MOST_SUMS : MOST_MADE);
}

/* With the widest tile of columns, and the fewest rows. */
bool product_makes_inside(const IrNode *pointwise, IrNode *window, int element_bytes, int64_t images) {
    static const CgOptions options = {.batch = 1, .precision = PRECISION_f32};
    const int64_t *size = pointwise->type.dim, channels = window->type.dim[3];
    bool fits = element_bytes == sizeof(float) && window_can_be_inside(pointwise, window) &&
                channels % FRAGMENT_EACH == 0 && channels >= FRAGMENT_TERMS / 2 && size[3] % FRAGMENT_EACH == 0 &&
                size[1] * size[2] >= FRAGMENT_ROWS;
    int sums = PRODUCT_WINDOW_SUMS * FRAGMENT_WARPS * MOST_SUMS * (int)sizeof(float);
    WindowRoom room = {FRAGMENT_WARPS * FRAGMENT_ROWS, MOST_SHARED - TAIL_SHARED - sums,
                       MOST_COLUMNS * 2 * sizeof(float)};
    WindowTile tile;
    return fits && is_worthwhile(pointwise, images) && window_measure_rows(&options, window, &room, &tile);
}

static bool choose(Product *q, const CudaGroup *group) {
    if (q->precision == PRECISION_f64 || !fits_rows(q) || !sums_fit(group))
        return false;
    q->tensor = choose_rows(q, group->step_count > 1);
    return q->tensor;
}

static void print_threads(const Product *q) {
    CgPrinter *p = q->p;
    cg_c_line(p, "__shared__ __align__(16) uint32_t fragments[%d];",
              q->depth / FRAGMENT_TERMS * (q->y.tile / FRAGMENT_COLUMNS) * 32 * column_words(q));
    if (q->k->group->step_count > 1)
        cg_c_line(p, "__shared__ __align__(16) T sums[%d];", (q->k->group->step_count - 1) * q->down * q->y.tile);
    cg_c_line(p, "const int group = threadIdx.x %% 32 / 4, word = threadIdx.x %% 4, warp = threadIdx.x / 32;");
    cg_c_line(p, "const int row = warp / %d * %d + group, column = warp %% %d * %d;", q->across,
              q->rows * FRAGMENT_ROWS, q->across, q->columns * FRAGMENT_COLUMNS);
    if (q->window)
        fragment_declare_window(q);
}

/* ---- columns ---- */

/* A lane's four terms of one column of each fragment. */
static void load_columns(const Product *q) {
    CgPrinter *p = q->p;
    int blocks = q->y.tile / FRAGMENT_COLUMNS, count = q->depth / FRAGMENT_TERMS * blocks * 32;
    cg_c_line(p, "_Pragma(\"unroll %d\")", count <= CUDA_BLOCK_THREADS ? 1 : 2);
    cg_c_open(p, "for (int at = threadIdx.x; at < %d; at += %d)", count, CUDA_BLOCK_THREADS);
    cg_c_line(p,
              "const int block = at / 32 %% %d, m = y0 + block / 2 * %d + group / 2 * 4 + block %% 2 * 2 + group %% 2;",
              blocks, PAIR);
    cg_c_line(p, "T value[%d];", FRAGMENT_EACH);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", FRAGMENT_EACH);
    cg_c_line(p, "const int k = k0 + at / %d * %d + word * %d + i;", blocks * 32, FRAGMENT_TERMS, FRAGMENT_EACH);
    cg_c_line(p, "value[i] = 0;");
    bool all_terms = q->terms % q->depth == 0, all = q->y.count % q->y.tile == 0;
    const char *terms = arena_printf(p->arena, "k < %lld", (long long)q->terms),
               *columns = arena_printf(p->arena, "m < %lld", (long long)q->y.count);
    cg_c_open(p, "if (%s%s%s)", all_terms ? "true" : terms, all ? "" : " && ", all ? "" : columns);
    fragment_name_own(q, &q->y);
    fragment_name_terms(q, &q->y);
    cg_c_line(p, "value[i] = %s;", cg_c_print_scalar(p, q->y.value));
    cg_c_close(p);
    cg_c_close(p);
    cg_c_line(p, "nd_put_columns(fragments + at / 32 * %d, value);", 32 * column_words(q));
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
}

/* All terms are in shared memory at once. */
static bool is_whole(const Product *q) {
    return q->depth >= q->terms;
}

/* Once for all tiles, where that can be. */
static void begin(const Product *q, ProductPlace place) {
    bool one = q->y.count <= q->y.tile;
    if (!is_whole(q) || place != (one ? BEFORE_TILES : IN_COLUMNS))
        return;
    cg_c_open(q->p, "%s", "");
    cg_c_line(q->p, one ? "const int k0 = 0, y0 = 0;" : "const int k0 = 0;");
    load_columns(q);
    cg_c_close(q->p);
}

static void end(const Product *q) {
    if (is_whole(q) && q->y.count > q->y.tile)
        cg_c_line(q->p, "__syncthreads();");
}

/* ---- terms ---- */

/* Sixteens of terms whose loads are under way together. */
static int choose_turns(const Product *q) {
    int all = q->depth / FRAGMENT_TERMS, loads = q->x.value->kind == SCALAR_load ? MOST_LOADS : MOST_LOADS / 2,
        turns = loads / (2 * q->rows);
    while (turns > 1 && all % turns)
        turns--;
    return turns > 1 ? turns : 1;
}

static void print_loads(const Product *q, int turns) {
    CgPrinter *p = q->p;
    cg_c_line(p, "T from[%d][%d][%d];", turns, 2 * q->rows, FRAGMENT_EACH);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int turn = 0; turn < %d; turn++)", turns);
    const char *k = arena_printf(p->arena, "k0 + at + turn * %d + word * %d", FRAGMENT_TERMS, FRAGMENT_EACH);
    cg_c_line(p, "const int k1 = %s, k = %s;", k, fragment_inside(q, "k1", q->terms, q->depth, FRAGMENT_EACH));
    fragment_name_terms(q, &q->x);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", 2 * q->rows);
    cg_c_line(p, "const int m1 = x0 + row + i * %d, m = %s;", FRAGMENT_ROWS / 2,
              fragment_inside(q, "m1", q->x.count, q->x.tile, 1));
    fragment_name_own(q, &q->x);
    fragment_print_vector(q, &q->x, term_axis(q), FRAGMENT_EACH, "from[turn][i]", 1);
    cg_c_close(p);
    cg_c_close(p);
}

static void print_products(const Product *q, int turns) {
    CgPrinter *p = q->p;
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int turn = 0; turn < %d; turn++)", turns);
    cg_c_line(p, "nd_rows u[%d];", q->rows);
    cg_c_line(p,
              "_Pragma(\"unroll\") for (int i = 0; i < %d; i++) u[i] = nd_take_rows(from[turn][2 * i], from[turn][2 * "
              "i + 1]);",
              q->rows);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int j = 0; j < %d; j++)", q->columns);
    cg_c_line(p, "const nd_columns v = nd_get_columns(fragments + ((at / %d + turn) * %d + column / %d + j) * %d);",
              FRAGMENT_TERMS, q->y.tile / FRAGMENT_COLUMNS, FRAGMENT_COLUMNS, 32 * column_words(q));
    cg_c_line(p, "_Pragma(\"unroll\") for (int i = 0; i < %d; i++) nd_multiply(total[i][j], u[i], v);", q->rows);
    cg_c_close(p);
    cg_c_close(p);
}

static void print_window_loads(const Product *q) {
    CgPrinter *p = q->p;
    cg_c_line(p, "T from[1][%d][%d];", 2 * q->rows, FRAGMENT_EACH);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", 2 * q->rows);
    const char *mm = arena_printf(p->arena, "row + i * %d", FRAGMENT_ROWS / 2);
    cg_c_line(p, "nd_spread_v%d(from[0][i], 1, nd_load_u%d(%s));", FRAGMENT_EACH, FRAGMENT_EACH,
              fragment_window_vector(q, mm));
    cg_c_close(p);
}

/* Of the window's channels that are made at a time; there are none behind the last term. */
static void print_made_terms(const Product *q) {
    CgPrinter *p = q->p;
    int lanes = q->made->lanes;
    const char *test = "";
    if (q->terms % q->depth)
        test = arena_printf(p->arena, " && k0 + made < %lld", (long long)q->terms);
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int made = 0; made < %d%s; made += %d)", q->depth, test, lanes);
    fragment_make_window(q);
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int at = made; at < made + %d; at += %d)", lanes, FRAGMENT_TERMS);
    print_window_loads(q);
    print_products(q, 1);
    cg_c_close(p);
    cg_c_close(p);
}

static void print_memory_terms(const Product *q) {
    CgPrinter *p = q->p;
    int turns = choose_turns(q);
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (int at = 0; at < %d; at += %d)", q->depth, turns * FRAGMENT_TERMS);
    print_loads(q, turns);
    print_products(q, turns);
    cg_c_close(p);
}

static void print_terms(const Product *q) {
    CgPrinter *p = q->p;
    if (is_whole(q)) {
        cg_c_line(p, "const int k0 = 0;");
    } else {
        if (q->window)
            cg_c_line(p, "_Pragma(\"unroll 1\")");
        cg_c_open(p, "for (int k0 = 0; k0 < %lld; k0 += %d)", (long long)q->terms, q->depth);
        load_columns(q);
    }
    (q->window ? print_made_terms : print_memory_terms)(q);
    if (!is_whole(q)) {
        cg_c_line(p, "__syncthreads();");
        cg_c_close(p);
    }
}

static void print_results(const Product *q) {
    CgPrinter *p = q->p;
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int i = 0; i < %d; i++)", 2 * q->rows);
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int j = 0; j < %d; j++)", q->columns / 2);
    cg_c_line(p, "const int mm = row + i * %d, nn = column + j * %d + word * %d;", FRAGMENT_ROWS / 2, PAIR,
              FRAGMENT_EACH);
    cg_c_line(
        p,
        "const T *const low = total[i / 2][2 * j] + i %% 2 * 2, *const high = total[i / 2][2 * j + 1] + i %% 2 * 2;");
    cg_c_line(p, "const nd_v4 value = nd_make_v4(low[0], low[1], high[0], high[1]);");
    fragment_store(q, "value", "[j]");
    cg_c_close(p);
    cg_c_close(p);
}

/* ---- sums behind it ---- */

static void begin_sums(const Product *q) {
    for (int i = 1; i < q->k->group->step_count; i++)
        cg_c_line(q->p, "nd_v4 total%d[%d] = {};", i, q->columns / 2);
}

/* The rows of a warp by shuffles, then the warps, in order; a warp for each of the sums. */
static void end_sums(const Product *q) {
    CgPrinter *p = q->p;
    int count = q->k->group->step_count - 1, each = q->down * q->y.tile;
    cg_c_line(p, "_Pragma(\"unroll\")");
    cg_c_open(p, "for (int j = 0; j < %d; j++)", q->columns / 2);
    for (int i = 1; i <= count; i++)
        cg_c_line(p, "total%d[j] = nd_sum_rows(total%d[j]);", i, i);
    cg_c_open(p, "if (group == 0)");
    for (int i = 1; i <= count; i++)
        cg_c_line(p, "*(nd_v4 *)(sums + %d + warp / %d * %d + column + j * %d + word * %d) = total%d[j];",
                  (i - 1) * each, q->across, q->y.tile, PAIR, FRAGMENT_EACH, i);
    cg_c_close(p);
    cg_c_close(p);
    cg_c_line(p, "__syncthreads();");
    cg_c_line(p, "const int at = threadIdx.x %% 32 * %d, channel = y0 + at;", FRAGMENT_EACH);
    for (int i = 1; i <= count; i++) {
        const char *edge =
            q->y.count % q->y.tile ? arena_printf(p->arena, " && channel < %lld", (long long)q->y.count) : "";
        cg_c_open(p, "if (warp == %d && at < %d%s)", i - 1, q->y.tile, edge);
        cg_c_line(p, "nd_v4 sum = nd_load_u4(sums + %d + at);", (i - 1) * each);
        cg_c_line(p, "_Pragma(\"unroll\") for (int s = 1; s < %d; s++) sum += nd_load_u4(sums + %d + s * %d + at);",
                  q->down, (i - 1) * each, q->y.tile);
        p->width = FRAGMENT_EACH;
        cuda_store_sum(q->k, i, "channel", "sum");
        p->width = 1;
        cg_c_close(p);
    }
    cg_c_line(p, "__syncthreads();");
}

const ProductWay product_fragment_rows = {choose,      print_threads, begin,      end,     fragment_begin_total,
                                          print_terms, print_results, begin_sums, end_sums};
