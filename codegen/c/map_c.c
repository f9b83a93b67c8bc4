/* map_c.c: the schedule that vectorises whatever has a result with a contiguous axis.
 *
 *     for the result's axes, outermost in memory first, but the last
 *         if all windows are inside:
 *             for runs of vectors along the last axis: the value, tests gone, small sums unrolled
 *         else: the same with tests
 *
 * Sums inside a value keep their order, so results do not depend on the vector width. */
#include "codegen/c/map.h"

/* The axis along which the result is contiguous; -1 when it has none of at least 2 elements. */
static int contiguous_axis(const CgEmitC *e, const CgStep *step) {
    const CgBuffer *out = step->out;
    for (int a = 0; a < out->type.rank; a++)
        if (out->stride[a] == 1 && step->axes[a].extent >= 2 && !(a == 0 && e->stage->domain == DOMAIN_images))
            return a;
    return -1;
}

/* Which of the result's loops have an interior smaller than themselves. */
typedef struct Bounds {
    int count;
    int axes[IR_MAX_RANK];
    int64_t low[IR_MAX_RANK], high[IR_MAX_RANK];
} Bounds;

static Bounds find_bounds(const CgStep *step, int vector_axis) {
    Bounds b = {0};
    for (int a = 0; a < step->out->type.rank; a++) {
        int64_t low, high;
        if (a == vector_axis || step->axes[a].extent <= 1)
            continue;
        map_find_interior(step, a, &low, &high);
        if (low >= high)
            return (Bounds){0};
        if (low == 0 && high == step->axes[a].extent)
            continue;
        b.axes[b.count] = a;
        b.low[b.count] = low;
        b.high[b.count++] = high;
    }
    return b;
}

static const char *interior_test(CgPrinter *p, const Bounds *b) {
    Str s = str_create(p->arena);
    for (int i = 0; i < b->count; i++)
        str_addf(&s, "%s%s >= %lld && %s < %lld", i ? " && " : "", p->axis_name[b->axes[i]], (long long)b->low[i],
                 p->axis_name[b->axes[i]], (long long)b->high[i]);
    return s.data;
}

static void print_runs(CgPrinter *p, int axis, const MapRun *runs, int count, bool unroll) {
    const CgStep *step = p->step;
    p->unroll = unroll;
    for (int i = 0; i < count; i++) {
        map_open_run(p, axis, &runs[i]);
        const char *name = cg_c_print_vector(p, step->value), *offset = cg_c_result_offset(p);
        if (step->partial)
            cg_emit_store_partial(p, offset, name, true);
        else
            cg_c_store(p, step->out, offset, name, true);
        map_close_run(p, axis);
    }
    p->unroll = false;
}

static void print_element(CgPrinter *p, int axis, const MapRun *runs, int count) {
    Bounds bounds = find_bounds(p->step, axis);
    if (!bounds.count) {
        print_runs(p, axis, runs, count, true);
        return;
    }
    cg_c_open(p, "if (%s)", interior_test(p, &bounds));
    for (int i = 0; i < bounds.count; i++)
        cg_c_set_range(p, bounds.axes[i], bounds.low[i], bounds.high[i] - 1);
    print_runs(p, axis, runs, count, true);
    for (int i = 0; i < bounds.count; i++)
        cg_c_clear_range(p, bounds.axes[i]);
    cg_c_close(p);
    cg_c_open(p, "else");
    print_runs(p, axis, runs, count, false);
    cg_c_close(p);
}

static void emit_single(CgEmitC *e, CgStep *step, int axis, int max_width) {
    static _Thread_local MapRun runs[MAP_MAX_RUNS];
    int64_t borders[MAP_MAX_PIECES + 1];
    int border_count = 0, opened = 0;
    int64_t extent = step->axes[axis].extent;
    map_add_borders(step->value, axis, extent, borders, &border_count);
    int count = map_cut_runs(extent, borders, border_count, max_width, runs);
    Str body = str_create(e->arena);
    CgPrinter *p = cg_emit_begin(e, &body, step);
    for (int i = 0; i < step->out->type.rank; i++) {
        int a = step->out->order[i];
        bool given = a == 0 && e->stage->domain == DOMAIN_images;
        if (a == axis || given || step->axes[a].extent == 1)
            continue;
        cg_c_open_axis(p, a);
        opened++;
    }
    print_element(p, axis, runs, count);
    while (opened--)
        cg_c_close(p);
    cg_emit_end(e, p);
}

bool cg_schedule_map(CgEmitC *e, CgProgram *program, CgStep *step) {
    int max_width = cg_c_max_width(program->options);
    if (max_width == 1)
        return false;
    if (map_emit_group(e, program, step))
        return true;
    int axis = contiguous_axis(e, step);
    if (axis < 0)
        return false;
    emit_single(e, step, axis, max_width);
    return true;
}
