/* cuda_window_tile.c: the tile of a kernel of depthwise convolutions: its sizes, and what its elements are.
 *
 * The tile is the one of least work by a simple count: vectors to be loaded, halos included, and instructions of the taps,
 * which several outputs side by side share; both in whole warps. */
#include "codegen/cuda/cuda_window.h"

#include <math.h>
#include <string.h>

/* ---- sizes ---- */

/* Pixels of the operand from the first of the common padding to the last that so many of the output read. */
static int64_t extent_read(const WindowTile *t, const TileOperand *o, int side, int64_t pixels) {
    int64_t reach = 0;
    for (int i = 0; i < t->count; i++) {
        const TileWindow *w = &t->windows[i];
        int64_t own = (w->kernel[side] - 1) * w->dilation[side] + o->pad[side] - w->pad[side];
        if (&t->operands[w->operand] == o && own > reach)
            reach = own;
    }
    return (pixels - 1) * t->stride[side] + reach + 1;
}

static int64_t extent_tiled(const WindowTile *t, int side) {
    return (t->size[side] + t->tile[side] - 1) / t->tile[side] * t->tile[side];
}

int window_tap_count(const TileWindow *w) {
    return (int)(w->kernel[ROW] * w->kernel[COLUMN]);
}

int64_t window_weights(const WindowTile *t) {
    const TileWindow *last = &t->windows[t->count - 1];
    return last->first_weight + window_tap_count(last);
}

int window_vectors(const WindowTile *t) {
    return t->lanes / t->width;
}

int64_t window_pixels(const WindowTile *t) {
    const TileOperand *last = &t->operands[t->operand_count - 1];
    return last->begin + last->region[ROW] * last->pitch;
}

int64_t window_first_tap(const WindowTile *t, const TileWindow *w) {
    const TileOperand *o = &t->operands[w->operand];
    return o->begin + (o->pad[ROW] - w->pad[ROW]) * o->pitch + o->pad[COLUMN] - w->pad[COLUMN];
}

int64_t window_row(const WindowTile *t, const TileWindow *w) {
    return (t->run - 1) * t->stride[COLUMN] + (w->kernel[COLUMN] - 1) * w->dilation[COLUMN] + 1;
}

bool window_has_tap(const WindowTile *t, const TileWindow *w, int64_t x) {
    for (int64_t kw = 0; kw < w->kernel[COLUMN]; kw++) {
        int64_t output = x - kw * w->dilation[COLUMN];
        if (output >= 0 && output % t->stride[COLUMN] == 0 && output / t->stride[COLUMN] < t->run)
            return true;
    }
    return false;
}

void window_count_tiles(const WindowTile *t, long long count[3]) {
    count[0] = (long long)((t->channels + t->lanes - 1) / t->lanes);
    count[1] = (long long)(extent_tiled(t, COLUMN) / t->tile[COLUMN]);
    count[2] = (long long)(extent_tiled(t, ROW) / t->tile[ROW]);
}

/* For a tile of the output. */
static void set_regions(WindowTile *t) {
    int64_t begin = 0;
    for (int i = 0; i < t->operand_count; i++) {
        TileOperand *o = &t->operands[i];
        for (int side = 0; side < 2; side++)
            o->region[side] = extent_read(t, o, side, t->tile[side]);
        o->pitch = o->region[COLUMN] | 1;
        o->begin = begin;
        begin += o->region[ROW] * o->pitch;
    }
}

/* ---- the choice of a tile ---- */

enum {
    READ_COST = 16,  /* instructions of a vector that is loaded */
    RESULT_COST = 6, /* and of one that is stored */
    LEAST_LANES = 8, /* a sector of memory, 32 bytes, but where tiles would not fit */
    GOOD_LANES = 16,
    BLOCK_COST = 100,   /* of each warp, besides */
    WANTED_BLOCKS = 132 /* for each multiprocessor one */
};

static bool is_gradient(const WindowTile *t) {
    return ir_is_weight_gradient(t->windows[0].node);
}

static int64_t count_warps(int64_t threads) {
    return (threads + 31) / 32;
}

/* Instructions of a thread's outputs; a gradient's threads have a channel, the others a vector of them. */
static int64_t count_taps(const WindowTile *t, int width) {
    int64_t count = t->run * RESULT_COST;
    for (int i = 0; i < t->count; i++) {
        const TileWindow *w = &t->windows[i];
        int64_t weights = width > 1 ? w->kernel[COLUMN] : 0;
        count += w->kernel[ROW] * (window_row(t, w) + weights + t->run * w->kernel[COLUMN] * width);
    }
    return count;
}

/* Instructions of all warps of an image, more when it has too few blocks. */
static double count_work(const WindowTile *t, const CgOptions *options) {
    long long tiles[3];
    window_count_tiles(t, tiles);
    int width = is_gradient(t) ? 1 : cuda_width(options);
    int64_t read = 0, items = t->tile[ROW] * (t->tile[COLUMN] / t->run) * (t->lanes / width);
    for (int i = 0; i < t->operand_count; i++)
        read +=
            count_warps(t->operands[i].region[ROW] * t->operands[i].region[COLUMN] * t->lanes / cuda_width(options));
    double block = (double)(read * READ_COST + count_warps(items) * count_taps(t, width) + 8 * BLOCK_COST);
    double blocks = (double)(tiles[0] * tiles[1] * tiles[2]), all = blocks * (double)options->batch;
    double narrow = t->lanes < GOOD_LANES && t->lanes < t->channels ? 1.1 : 1;
    return block * blocks * narrow * (all < WANTED_BLOCKS ? sqrt(WANTED_BLOCKS / all) : 1);
}

static bool fits_shared(const WindowTile *t, const CgOptions *options) {
    int64_t weights = is_gradient(t) ? 0 : window_weights(t),
            element = plan_element_bytes(options->precision, DTYPE_f32);
    return (window_pixels(t) + weights) * t->lanes * element <= WINDOW_MOST_SHARED;
}

/* Halves of the output in whole runs, and all numbers of outputs side by side. */
static void choose_columns(WindowTile *t, WindowTile *best, double *least, const CgOptions *options) {
    for (int run = is_gradient(t) ? 8 : 4; run >= 1; run /= 2) {
        for (int64_t columns = t->size[COLUMN]; columns >= 1; columns = columns > 1 ? (columns + 1) / 2 : 0) {
            t->run = run;
            t->tile[COLUMN] = (columns + run - 1) / run * run;
            set_regions(t);
            if (!fits_shared(t, options))
                continue;
            double work = count_work(t, options);
            if (*least < 0 || work < *least) {
                *least = work;
                *best = *t;
            }
        }
    }
}

static void choose_tile(WindowTile *t, const CgOptions *options) {
    WindowTile best = *t;
    double least = -1;
    t->width = cuda_width(options);
    for (t->lanes = 64; t->lanes >= 4 && (least < 0 || t->lanes >= LEAST_LANES); t->lanes /= 2) {
        if (t->lanes >= 2 * t->channels && t->lanes > 4)
            continue;
        for (int64_t rows = t->size[ROW]; rows >= 1; rows = rows > 1 ? (rows + 1) / 2 : 0) {
            t->tile[ROW] = rows;
            choose_columns(t, &best, &least, options);
        }
    }
    if (least < 0)
        bug("no tile of %%%d fits", t->windows[0].node->id);
    *t = best;
}

/* ---- description ---- */

static int find_operand(WindowTile *t, IrNode *node) {
    int i = 0;
    while (i < t->operand_count && t->operands[i].node != node)
        i++;
    if (i == t->operand_count)
        t->operands[t->operand_count++] = (TileOperand){.node = node};
    return i;
}

static void add_window(WindowTile *t, int step, IrNode *node) {
    const int64_t *dilation = ir_attr_get_ints(node, "dilation"), *pad = ir_attr_get_ints(node, "pad");
    const int64_t *weight = ir_conv_weight(node);
    TileWindow w = {.node = node,
                    .step = step,
                    .operand = find_operand(t, window_operand(node)),
                    .kernel = {weight[2], weight[3]},
                    .dilation = {dilation[ROW], dilation[COLUMN]},
                    .pad = {pad[ROW], pad[COLUMN]}};
    TileOperand *o = &t->operands[w.operand];
    for (int side = 0; side < 2; side++)
        o->pad[side] = w.pad[side] > o->pad[side] ? w.pad[side] : o->pad[side];
    w.first_weight = t->count ? window_weights(t) : 0;
    t->windows[t->count++] = w;
}

/* A step that is described once more, for one kernel. Parameters that are assigned later may be read: the steps themselves
 * were checked when they were built. */
static CgBuild *begin_step(const WindowTile *t, const CgStep *model, CgStep **step) {
    Arena *arena = t->p->arena;
    CgProgram *program = ARENA_NEW(arena, CgProgram);
    CgBuild *b = ARENA_NEW(arena, CgBuild);
    *program = *t->k->program;
    program->arena = arena;
    program->assigned = str_map_create(arena);
    *step = ARENA_NEW(arena, CgStep);
    (*step)->node = model->node;
    (*step)->out = model->out;
    *b = (CgBuild){.program = program, .step = *step, .scratch = arena};
    return b;
}

static void describe_window(CgBuild *b, const WindowTile *t, TileWindow *w, const CgIndex *index) {
    IrNode *const *inputs = w->node->inputs;
    if (ir_is_weight_gradient(w->node)) {
        CgIndex at[4] = {index[AXIS_image], index[AXIS_oy], index[AXIS_ox], index[AXIS_channel]};
        CgScalar *outside = cg_constant(b, 0);
        w->dy = cg_guard(b, 2, &index[AXIS_oy], t->size, cg_value_at(b, inputs[0], at), outside);
    } else {
        CgIndex at[4] = {index[AXIS_channel], cg_index_constant(0), index[AXIS_kh], index[AXIS_kw]};
        w->weight = cg_value_at(b, inputs[1], at);
    }
}

/* Where there is zero, relu is zero: it can stand around the test. */
static CgScalar *put_zeros_around(CgBuild *b, CgScalar *value, const CgIndex *at, const int64_t *size) {
    if (value->kind != SCALAR_op || value->op != OP_relu)
        return cg_guard(b, 2, at, size, value, cg_constant(b, 0));
    CgScalar *inside = put_zeros_around(b, value->args[0], at, size);
    return cg_op(b, OP_relu, 1, &inside);
}

/* Pixels count from the first of the padding; outside of the operand there are zeros. */
static void describe_operand(CgBuild *b, TileOperand *o, const CgIndex *index) {
    CgIndex at[4] = {index[AXIS_image], cg_index_shift(index[AXIS_y], -o->pad[ROW]),
                     cg_index_shift(index[AXIS_x], -o->pad[COLUMN]), index[AXIS_channel]};
    o->pixel = put_zeros_around(b, cg_value_at(b, o->node, at), &at[1], &o->node->type.dim[1]);
}

static void describe(WindowTile *t) {
    int64_t taps[2] = {1, 1}, read[2] = {1, 1};
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < t->count; i++)
            taps[side] = t->windows[i].kernel[side] > taps[side] ? t->windows[i].kernel[side] : taps[side];
        for (int i = 0; i < t->operand_count; i++) {
            int64_t own = extent_read(t, &t->operands[i], side, extent_tiled(t, side));
            read[side] = own > read[side] ? own : read[side];
        }
    }
    const int64_t extents[WINDOW_AXES] = {IR_DIM_N,  read[ROW],    read[COLUMN],         t->channels,
                                          taps[ROW], taps[COLUMN], extent_tiled(t, ROW), extent_tiled(t, COLUMN)};
    CgBuild *b = begin_step(t, t->k->group->steps[0], &t->source);
    CgIndex index[WINDOW_AXES];
    for (int i = 0; i < WINDOW_AXES; i++)
        index[i] = cg_index_axis(cg_add_axis(b, extents[i], false));
    for (int i = 0; i < t->operand_count; i++)
        describe_operand(b, &t->operands[i], index);
    for (int i = 0; i < t->count; i++)
        describe_window(b, t, &t->windows[i], index);
}

/* The windows' results are numbers that move along the channels; they get their names when they are computed. */
static void describe_formula(WindowTile *t, int number) {
    const CgStep *step = t->k->group->steps[number];
    CgStep **formula = &t->formulas[number];
    CgBuild *b = begin_step(t, step, formula);
    CgIndex index[4];
    for (int d = 0; d < 4; d++)
        index[d] = cg_index_axis(cg_add_axis(b, step->axes[d].extent, false));
    CgScalar *results[WINDOW_MOST];
    int count = 0, first = -1;
    for (int i = 0; i < t->count; i++) {
        int axis = cg_add_axis(b, 2, false);
        if (t->windows[i].step != number)
            continue;
        first = first < 0 ? i : first;
        t->windows[i].result = cg_number(b, cg_index_add(cg_index_axis(axis), cg_index_axis(AXIS_channel)));
        cg_describe_as(b, t->windows[i].node, index, t->windows[i].result);
        results[count++] = t->windows[i].result;
    }
    CgScalar *value = cg_describe(b, step->node, index), *joined = window_join_results(b, count, results, value);
    (*formula)->value = joined ? joined : value;
    for (int i = 0; i < t->count; i++)
        if (t->windows[i].step == number)
            t->windows[i].sum = joined ? first : i;
}

/* What is the same for all windows of a tile, from the first; and that. */
static void set_sizes(WindowTile *t) {
    const IrNode *first = t->windows[0].node;
    for (int side = 0; side < 2; side++) {
        t->stride[side] = ir_attr_get_ints(first, "stride")[side];
        t->size[side] = window_output(first)[1 + side];
    }
    t->channels = ir_conv_weight(first)[0];
}

WindowTile window_measure(const CgProgram *program, const CudaGroup *group) {
    WindowTile t = {.program = program, .most_loads = WINDOW_MOST_LOADS};
    for (; t.step_count < group->step_count &&
           (!group->steps[t.step_count]->partial || ir_is_weight_gradient(group->steps[0]->node));
         t.step_count++) {
        FoundWindows f = window_find(group->steps[t.step_count]);
        for (int i = 0; i < f.count; i++)
            add_window(&t, t.step_count, f.nodes[i]);
    }
    set_sizes(&t);
    choose_tile(&t, program->options);
    return t;
}

/* ---- whole rows ---- */

int64_t window_rows_bytes(const WindowTile *t, const CgOptions *options) {
    int64_t elements = window_pixels(t) + window_weights(t) + t->tile[ROW] * t->size[COLUMN];
    return elements * t->lanes * plan_element_bytes(options->precision, DTYPE_f32);
}

/* All numbers of outputs side by side. */
static void choose_run(WindowTile *t, WindowTile *best, double *least, const CgOptions *options,
                       const WindowRoom *room) {
    for (t->run = 4; t->run >= 1; t->run /= 2) {
        t->tile[COLUMN] = (t->size[COLUMN] + t->run - 1) / t->run * t->run;
        set_regions(t);
        if (window_rows_bytes(t, options) + t->lanes * room->lane_bytes > room->bytes)
            continue;
        double work = count_work(t, options);
        if (*least < 0 || work < *least) {
            *least = work;
            *best = *t;
        }
    }
}

bool window_measure_rows(const CgOptions *options, IrNode *node, const WindowRoom *room, WindowTile *best) {
    enum { SIXTEEN = 16, MOST = 64 };
    WindowTile t = {.step_count = 1, .most_loads = WINDOW_MOST_LOADS / 2};
    double least = -1;
    add_window(&t, 0, node);
    set_sizes(&t);
    t.width = cuda_width(options);
    for (t.lanes = SIXTEEN; t.lanes <= MOST && (t.lanes == SIXTEEN || t.lanes < 2 * t.channels); t.lanes *= 2) {
        for (int64_t rows = t.size[ROW]; rows >= 1; rows = rows > 1 ? (rows + 1) / 2 : 0) {
            t.tile[ROW] = rows;
            if (rows * t.size[COLUMN] <= room->pixels)
                choose_run(&t, best, &least, options, room);
        }
    }
    return least >= 0;
}

void window_describe_rows(WindowTile *t, CudaKernel *k) {
    t->k = k;
    t->p = k->p;
    t->program = k->program;
    describe(t);
    cg_c_set_step(t->p, t->source, 0);
}

/* ---- vectors ---- */

static bool formula_has_vectors(const WindowTile *t, int number) {
    for (int i = 0; i < t->count; i++)
        if (t->windows[i].step == number)
            t->windows[i].result->mark = 1; /* seen: a vector */
    bool has = cuda_step_has_vector_form(t->program->options, t->formulas[number]);
    for (int i = 0; i < t->count; i++)
        if (t->windows[i].step == number)
            t->windows[i].result->mark = 0;
    return has;
}

/* Can all loads and stores along the channels be of vectors? */
static bool has_vectors(const WindowTile *t) {
    const CgOptions *options = t->program->options;
    const CudaVector v = {t->source, AXIS_channel, cuda_width(options)};
    bool has = t->channels % v.width == 0;
    for (int i = 0; i < t->operand_count && has; i++)
        has = cuda_reads_vectors(&v, t->operands[i].pixel);
    if (is_gradient(t))
        return has;
    for (int i = 0; i < t->count && has; i++)
        has = cuda_reads_vectors(&v, t->windows[i].weight);
    for (int i = 0; i < t->step_count && has; i++)
        has = formula_has_vectors(t, i);
    for (int i = t->step_count; i < t->k->group->step_count && has; i++)
        has = cuda_step_has_vector_form(options, t->k->group->steps[i]);
    return has;
}

WindowTile window_tile(CudaKernel *k) {
    WindowTile t = window_measure(k->program, k->group);
    t.k = k;
    t.p = k->p;
    describe(&t);
    for (int i = 0; i < t.step_count && !is_gradient(&t); i++) {
        describe_formula(&t, i);
        cg_c_set_step(t.p, t.formulas[i], 0);
    }
    cg_c_set_step(t.p, t.source, 0); /* all buffers are known before their addresses are printed */
    t.width = has_vectors(&t) ? cuda_width(t.program->options) : 1;
    t.p->width = t.width;
    t.p->aligned = t.width > 1;
    return t;
}

void window_end(const WindowTile *t) {
    t->p->width = 1;
    t->p->vector_axis = -1;
    t->p->aligned = false;
}
