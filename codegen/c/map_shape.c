/* map_shape.c: what the map schedule has to know about scalars before it prints loops: which buffers they read and how,
 * where their guards change their answer. */
#include "codegen/c/map.h"

#include <stdlib.h>

void map_visit(const CgScalar *s, MapVisit *visit, void *data) {
    visit(s, data);
    for (int i = 0; i < s->arg_count; i++)
        map_visit(s->args[i], visit, data);
}

/* ---- pieces of the vector axis ---- */

typedef struct Borders {
    const CgStep *step;
    int axis, count;
    int64_t extent, at[MAP_MAX_PIECES + 1];
} Borders;

static void add_border(Borders *b, int64_t at) {
    if (at <= 0 || at >= b->extent || b->count >= MAP_MAX_PIECES)
        return;
    for (int i = 0; i < b->count; i++)
        if (b->at[i] == at)
            return;
    b->at[b->count++] = at;
}

/* A test on the axis alone is decided for whole pieces between its two borders. */
static void visit_borders(const CgScalar *s, void *data) {
    Borders *b = data;
    for (int i = 0; s->kind == SCALAR_guard && i < s->index_count; i++) {
        const CgIndex *index = &s->index[i];
        if (cg_index_axes(index) != UINT32_C(1) << b->axis || index->divisor != 1 || index->coef[b->axis] != 1)
            continue;
        add_border(b, -index->constant);
        add_border(b, s->upper[i] - index->constant);
    }
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

void map_add_borders(const CgScalar *value, int axis, int64_t extent, int64_t *borders, int *count) {
    Borders b = {.axis = axis, .count = *count, .extent = extent};
    for (int i = 0; i < *count; i++)
        b.at[i] = borders[i];
    map_visit(value, visit_borders, &b);
    qsort(b.at, (size_t)b.count, sizeof *b.at, compare);
    for (int i = 0; i < b.count; i++)
        borders[i] = b.at[i];
    *count = b.count;
}

int map_cut_runs(int64_t extent, const int64_t *borders, int border_count, int max_width, MapRun *runs) {
    int count = 0;
    for (int i = 0; i <= border_count; i++) {
        int64_t at = i ? borders[i - 1] : 0, end = i < border_count ? borders[i] : extent;
        for (int width = max_width; at < end; width /= 2) {
            int64_t whole = (end - at) / width * width;
            if (!whole)
                continue;
            if (count == MAP_MAX_RUNS)
                bug("more than %d runs of vectors", MAP_MAX_RUNS);
            runs[count++] = (MapRun){.from = at, .to = at + whole, .width = width};
            at += whole;
        }
    }
    return count;
}

/* ---- the interior ---- */

typedef struct Interior {
    const CgStep *step;
    int axis;
    int64_t low, high;
} Interior;

static int64_t divide_down(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

/* Narrows [low, high) so that the test holds whatever the other axes are. */
static void narrow(Interior *in, const CgIndex *index, int64_t upper) {
    int64_t coef = index->coef[in->axis], least, most;
    CgIndex rest = *index;
    rest.coef[in->axis] = 0;
    for (int a = 0; a < in->step->out->type.rank; a++)
        if (rest.coef[a] && in->step->axes[a].extent != 1)
            return; /* depends on two axes of the result: stays a test */
    if (coef <= 0 || index->divisor != 1 || !cg_index_range(in->step, &rest, &least, &most))
        return;
    int64_t low = -divide_down(least, coef), high = divide_down(upper - 1 - most, coef) + 1;
    in->low = low > in->low ? low : in->low;
    in->high = high < in->high ? high : in->high;
}

static void visit_interior(const CgScalar *s, void *data) {
    for (int i = 0; s->kind == SCALAR_guard && i < s->index_count; i++)
        narrow(data, &s->index[i], s->upper[i]);
}

void map_find_interior(const CgStep *step, int axis, int64_t *low, int64_t *high) {
    Interior in = {.step = step, .axis = axis, .low = 0, .high = step->axes[axis].extent};
    map_visit(step->value, visit_interior, &in);
    *low = in.low;
    *high = in.high;
}

/* ---- reading ---- */

static void visit_reduce(const CgScalar *s, void *data) {
    if (s->kind == SCALAR_reduce)
        *(bool *)data = true;
}

bool map_has_reduction(const CgScalar *s) {
    bool found = false;
    map_visit(s, visit_reduce, &found);
    return found;
}
