/* map_group.c: adjacent steps of a stage over images that touch the same elements [N, ..., C], in one loop nest: maps
 * (normalise, weighted sums, gradients of elementwise functions) and sums over an image, of each channel or of
 * everything.
 *
 *     maps only:   for rows, columns: for vectors of C: every member
 *     with sums:   for vectors of C: for rows, columns: every member, sums in registers; then the sums are stored
 *
 * Order of a channel's sum: columns 0, U, 2U, ... of a row; likewise columns 1, 1 + U, ...; the U sums are added in
 * pairs, U = 4, 2 or 1 by the width of the image and the number of sums; then the sums of the rows in order, in double.
 * (Row by row, because a sum that grows over a whole image loses three more bits: enough to move inputs of a relu
 * across zero.) A sum over channels as well adds up the channels' sums in order, in double. Neither depends on the
 * vector width.
 *
 * Random numbers of a row of the image are drawn together before its columns (cg_c_draw_row).
 *
 * A value that a member stores and a later one reads is passed on in a register (print_c.h). Merging is legal when
 * members read each other's results, and memory that a member overwrites, only at the element itself. */
#include "codegen/c/map.h"

enum { MOST_UNROLL = 4, MOST_MEMBERS = 16, MOST_SUM_REGISTERS = 12, MOST_DRAWS = 8, MOST_ROW_ELEMENTS = 8192 };

typedef struct Member {
    CgStep *step;
    bool sum, full;           /* a sum over the image: of each channel, or (full) of everything */
    const CgScalar *body;     /* what is stored or added up at an element */
    int axis_of[IR_MAX_RANK]; /* the step's axis for each dimension of the domain */
    int int_base;
    const char *sums[MOST_UNROLL + 1]; /* names of the accumulators of a row; the last: of one of its passes */
    const char *kept;                  /* those of all passes */
    const char *total;                 /* that of all rows */
    const char *array;                 /* full: one sum for each channel */
} Member;

/* A draw of a member, made for a whole row of the image at once. */
typedef struct DrawRow {
    const Member *member;
    const CgScalar *draw;
    int64_t stride;  /* elements from one column to the next */
    const char *row; /* NULL: they are drawn one by one */
} DrawRow;

typedef struct Group {
    CgEmitC *e;
    CgProgram *program;
    CgPrinter *p;
    int rank;
    int64_t dim[IR_MAX_RANK];
    const char *name[IR_MAX_RANK]; /* of the loops */
    int count, sum_count, unroll;
    bool passes; /* through the columns of a row, one for each of `unroll` */
    Member members[MOST_MEMBERS];
    DrawRow draws[MOST_DRAWS];
    int draw_count;
} Group;

/* ---- which steps ---- */

static bool is_reduced(const CgStep *step, int d) {
    const IrAttr *axes = ir_attr(step->node, "axes");
    if (d == 0 && step->partial)
        return true;
    for (int i = 0; i < axes->count; i++)
        if (axes->ints[i] == d)
            return true;
    return false;
}

/* stage_rules.c gives the result's axes first, then one axis to each dimension that is added up. */
static bool read_sum(Member *m, const IrType *type) {
    bool keep = ir_attr_get_int(m->step->node, "keep", 0), partial = m->step->partial;
    int last = type->rank - 1, position = partial && keep ? 2 : 1, added = m->step->out->type.rank;
    m->sum = true;
    m->full = is_reduced(m->step, last);
    m->axis_of[0] = 0;
    for (int d = 1; d <= last; d++) {
        bool reduced = is_reduced(m->step, d);
        if (!reduced && d != last && type->dim[d] != 1)
            return false;
        m->axis_of[d] = reduced ? added++ : position;
        position += !reduced || keep;
    }
    const CgScalar *value = m->step->value;
    bool outer =
        value->kind == SCALAR_reduce && value->reduce == REDUCE_sum && value->reduce_axes[0] >= m->step->out->type.rank;
    m->body = outer ? value->args[0] : value;
    return !value->in_double || partial;
}

static bool read_member(Member *m, CgStep *step, IrType *domain) {
    const IrNode *node = step->node;
    *m = (Member){.step = step, .body = step->value};
    bool sum = ir_is(node, OP_SUM);
    *domain = sum ? node->inputs[0]->type : node->type;
    if (domain->rank < 2 || domain->dim[0] != IR_DIM_N || (step->partial && !sum))
        return false;
    for (int d = 0; d < domain->rank; d++)
        m->axis_of[d] = d;
    if (sum && !read_sum(m, domain))
        return false;
    return !map_has_reduction(m->body);
}

static bool same_domain(const Group *g, const IrType *domain) {
    bool same = g->rank == domain->rank;
    for (int d = 1; same && d < g->rank; d++)
        same = g->dim[d] == domain->dim[d];
    return same;
}

/* ---- legality ---- */

typedef struct Reading {
    const Group *g;
    const Member *reader;
    const CgBuffer *written;
    bool elsewhere; /* some load of the written memory is not at the element itself */
} Reading;

static bool same_layout(const CgBuffer *a, const CgBuffer *b) {
    bool same = a->offset == b->offset && !a->whole && !b->whole && a->type.dtype == b->type.dtype &&
                a->type.rank == b->type.rank;
    for (int d = 0; same && d < a->type.rank; d++)
        same = a->type.dim[d] == b->type.dim[d];
    return same;
}

static void visit_load(const CgScalar *s, void *data) {
    Reading *r = data;
    const CgOptions *options = r->g->program->options;
    if (s->kind != SCALAR_load || !cg_buffers_overlap(options, s->buffer, r->written))
        return;
    bool here = same_layout(s->buffer, r->written) && s->buffer->type.rank == r->g->rank;
    for (int d = 0; here && d < r->g->rank; d++) {
        CgIndex own = cg_index_axis(r->reader->axis_of[d]);
        here = r->g->dim[d] == 1 || cg_index_equal(&s->index[d], &own);
    }
    r->elsewhere = r->elsewhere || !here;
}

/* May reader be in one loop with writer, whichever comes first? */
static bool are_compatible(const Group *g, const Member *writer, const Member *reader) {
    Reading r = {.g = g, .reader = reader, .written = writer->step->out};
    map_visit(reader->body, visit_load, &r);
    if (r.elsewhere)
        return false;
    const CgBuffer *a = writer->step->out, *b = reader->step->out;
    bool stores_meet = writer != reader && cg_buffers_overlap(g->program->options, a, b);
    bool reads_sum = false;
    for (int i = 1; writer->sum && i < reader->step->buffer_count; i++)
        reads_sum = reads_sum || cg_buffers_overlap(g->program->options, a, reader->step->buffers[i]);
    return !reads_sum && (!stores_meet || (same_layout(a, b) && !writer->sum && !reader->sum));
}

static bool may_join(const Group *g, const Member *m) {
    for (int i = 0; i < g->count; i++)
        if (!are_compatible(g, &g->members[i], m) || !are_compatible(g, m, &g->members[i]))
            return false;
    return are_compatible(g, m, m);
}

/* ---- draws ---- */

/* The innermost loop but for the channels, and by how much it is unrolled. */
static int column_dimension(const Group *g) {
    for (int d = g->rank - 2; d > 0; d--)
        if (g->dim[d] != 1)
            return d;
    return 0;
}

/* Elements from one column to the next, when those of a row can be drawn together. */
static int64_t draw_stride(const Group *g, const Member *m, const CgScalar *s) {
    const CgIndex *element = &s->index[0], *image = &s->index[1];
    int column = m->axis_of[column_dimension(g)], channel = m->axis_of[g->rank - 1];
    bool together = s->draw != DRAW_bernoulli && element->divisor == 1 && element->coef[channel] == 1 &&
                    !image->coef[channel] && !image->coef[column];
    return together ? element->coef[column] : 0;
}

static void add_draws(Group *g, const Member *m, const CgScalar *s) {
    int64_t stride = s->kind == SCALAR_draw ? draw_stride(g, m, s) : 0;
    if (stride && g->draw_count < MOST_DRAWS)
        g->draws[g->draw_count++] = (DrawRow){m, s, stride, NULL};
    for (int i = 0; i < s->arg_count && s->kind != SCALAR_guard; i++)
        add_draws(g, m, s->args[i]);
}

static void find_draws(Group *g) {
    for (int i = 0; i < g->count && column_dimension(g); i++)
        add_draws(g, &g->members[i], g->members[i].body);
}

/* ---- all of them ---- */

static int count_buffers(const Group *g) {
    int count = 0;
    for (int i = 0; i < g->count; i++)
        count += g->members[i].step->buffer_count;
    return count;
}

static bool gather(Group *g) {
    const CgStage *stage = g->e->stage;
    for (int i = g->e->position; i < stage->step_count && g->count < MOST_MEMBERS; i++) {
        Member *m = &g->members[g->count];
        IrType domain;
        if (!read_member(m, stage->steps[i], &domain))
            break;
        if (!g->count) {
            g->rank = domain.rank;
            for (int d = 0; d < domain.rank; d++)
                g->dim[d] = domain.dim[d];
        }
        if (!same_domain(g, &domain) || !may_join(g, m) || count_buffers(g) + m->step->buffer_count > CG_MAX_BUFFERS)
            break;
        g->count++;
        g->sum_count += m->sum;
    }
    find_draws(g);
    return g->count > 1 || g->sum_count || g->draw_count;
}

/* ---- printing ---- */

static void begin(Group *g, Str *body) {
    for (int i = 0; i < g->count; i++) {
        Member *m = &g->members[i];
        m->int_base = i ? g->e->int_count : 0;
        if (i)
            cg_emit_continue(g->e, g->p, m->step);
        else
            g->p = cg_emit_begin(g->e, body, m->step);
    }
}

/* From here on the printer prints m's scalars, at the element of the loops. */
static void switch_to(Group *g, const Member *m, const MapRun *run) {
    CgPrinter *p = g->p;
    cg_c_set_step(p, m->step, m->int_base);
    for (int d = 0; d < g->rank; d++)
        if (g->dim[d] != 1)
            p->axis_name[m->axis_of[d]] = g->name[d];
    int axis = m->axis_of[g->rank - 1];
    p->axis_name[0] = "image";
    p->vector_axis = axis;
    p->width = run->width;
    cg_c_set_range(p, axis, run->from, run->to - 1);
}

/* ---- draws, a row at a time ---- */

/* With sums the vectors of a row are those of the present channels; without, all of the row, whatever the channels. */
static void draw_rows(Group *g, const MapRun *run) {
    int d = column_dimension(g), last = g->rank - 1;
    for (int i = 0; i < g->draw_count; i++) {
        DrawRow *draw = &g->draws[i];
        int64_t stride = draw->stride, count = g->dim[d];
        const char *channel = g->name[last];
        draw->row = NULL;
        if (run->width == 1) /* rows are drawn by vectors */
            continue;
        if (!g->sum_count) {
            if (stride != g->dim[last] || count * stride % run->width)
                continue;
            count = count * stride / run->width;
            stride = run->width;
            g->name[last] = "0";
        }
        if (count * run->width <= MOST_ROW_ELEMENTS) {
            g->name[d] = "0";
            switch_to(g, draw->member, run);
            draw->row = cg_c_draw_row(g->p, draw->draw, stride, count);
        }
        g->name[last] = channel;
    }
}

static void use_rows(Group *g, const Member *m, const MapRun *run) {
    const char *column = g->name[column_dimension(g)];
    for (int i = 0; i < g->draw_count; i++) {
        const DrawRow *draw = &g->draws[i];
        if (draw->member != m || !draw->row)
            continue;
        const char *offset = g->sum_count ? arena_printf(g->p->arena, "%s * %d", column, run->width)
                                          : arena_printf(g->p->arena, "%s * %lld + %s", column,
                                                         (long long)g->dim[g->rank - 1], g->name[g->rank - 1]);
        cg_c_use_row(g->p, draw->draw, draw->row, offset);
    }
}

/* ---- members ---- */

static void print_members(Group *g, const MapRun *run, int lane) {
    for (int i = 0; i < g->count; i++) {
        Member *m = &g->members[i];
        switch_to(g, m, run);
        use_rows(g, m, run);
        const char *value = cg_c_print_vector(g->p, m->body);
        if (m->sum)
            cg_c_line(g->p, "%s = %s + %s;", m->sums[lane], m->sums[lane], value);
        else
            cg_c_store(g->p, m->step->out, cg_c_result_offset(g->p), value, true);
    }
}

/* Loops over dimensions [from, to), each a variable; the names go into g->name. */
static int open_loops(Group *g, int from, int to) {
    int opened = 0;
    for (int d = from; d < to; d++) {
        if (g->dim[d] == 1)
            continue;
        g->name[d] = cg_c_name(g->p, "i");
        cg_c_open(g->p, "for (int64_t %s = 0; %s < %lld; %s++)", g->name[d], g->name[d], (long long)g->dim[d],
                  g->name[d]);
        opened++;
    }
    return opened;
}

static void open_run(Group *g, const MapRun *run) {
    int last = g->rank - 1;
    map_open_run(g->p, g->members[0].axis_of[last], run);
    g->name[last] = g->p->axis_name[g->members[0].axis_of[last]];
}

static void close_run(Group *g) {
    map_close_run(g->p, g->members[0].axis_of[g->rank - 1]);
}

/* Before the loops over pixels: what is the same for all of them, in vectors when the channels are one vector. */
static void hoist_members(Group *g, const MapRun *run, bool one_vector) {
    for (int i = 0; i < g->count; i++) {
        Member *m = &g->members[i];
        uint32_t loops = 0;
        switch_to(g, m, run);
        for (int d = 1; d < g->rank - one_vector; d++)
            if (g->dim[d] != 1)
                loops |= UINT32_C(1) << m->axis_of[d];
        if (loops & ~(UINT32_C(1) << m->axis_of[g->rank - 1]))
            cg_c_hoist(g->p, m->body, loops);
    }
}

static bool is_one_vector(const MapRun *runs, int run_count) {
    return run_count == 1 && runs[0].to - runs[0].from == runs[0].width;
}

static void print_maps(Group *g, const MapRun *runs, int run_count) {
    g->name[g->rank - 1] = "0";
    hoist_members(g, &runs[0], is_one_vector(runs, run_count));
    int d = column_dimension(g), opened = open_loops(g, 1, d ? d : 1);
    draw_rows(g, &runs[0]);
    opened += open_loops(g, d ? d : 1, g->rank - 1);
    for (int i = 0; i < run_count; i++) {
        cg_c_set_step(g->p, g->members[0].step, 0);
        open_run(g, &runs[i]);
        print_members(g, &runs[i], 0);
        close_run(g);
    }
    while (opened--)
        cg_c_close(g->p);
}

/* In how many sums a row is added up, those of the columns 0, 4, 8, ... and so on. They depend on the row alone, so that a
 * sum has the same bits whatever else is in its loop. */
static int choose_unroll(const Group *g) {
    int d = column_dimension(g), unroll = MOST_UNROLL;
    while (unroll > 1 && (!d || g->dim[d] % unroll))
        unroll /= 2;
    return unroll;
}

/* One of them after the other, when there are too many for the registers. */
static bool choose_passes(const Group *g) {
    return g->unroll > 1 && (g->sum_count * g->unroll > MOST_SUM_REGISTERS || g->count - g->sum_count > 4);
}

static const char *declare_sum(Group *g) {
    const char *sum = cg_c_name(g->p, "a");
    cg_c_line(g->p, "%s %s = {0};", cg_c_type(g->p, true), sum);
    return sum;
}

/* Those of several passes are kept side by side. */
static void declare_sums(Group *g) {
    for (int i = 0; i < g->count; i++) {
        Member *m = &g->members[i];
        if (m->sum && g->passes) {
            m->kept = cg_c_name(g->p, "k");
            cg_c_line(g->p, "%s %s[%d];", cg_c_type(g->p, true), m->kept, g->unroll);
        }
        for (int u = 0; m->sum && u < g->unroll; u++)
            m->sums[u] = g->passes ? arena_printf(g->p->arena, "%s[%d]", m->kept, u) : declare_sum(g);
    }
}

static void declare_totals(Group *g) {
    for (int i = 0; i < g->count; i++) {
        if (!g->members[i].sum)
            continue;
        g->members[i].total = cg_c_name(g->p, "t");
        if (g->p->width > 1)
            cg_c_line(g->p, "nd_w%d %s = {0};", g->p->width, g->members[i].total);
        else
            cg_c_line(g->p, "double %s = 0;", g->members[i].total);
    }
}

/* "_v16": of the vectors of a run; "" for single elements. */
static const char *lanes(const Group *g) {
    return g->p->width > 1 ? arena_printf(g->p->arena, "_v%d", g->p->width) : "";
}

static const char *add_up(const Group *g, const Member *m) {
    if (g->unroll == 1)
        return m->sums[0];
    const char *first = arena_printf(g->p->arena, "%s + %s", m->sums[0], m->sums[1]);
    return g->unroll == 2 ? first : arena_printf(g->p->arena, "(%s) + (%s + %s)", first, m->sums[2], m->sums[3]);
}

static void add_row(Group *g) {
    for (int i = 0; i < g->count; i++) {
        const Member *m = &g->members[i];
        if (m->sum)
            cg_c_line(g->p, "%s += nd_widen%s(%s);", m->total, lanes(g), add_up(g, m));
    }
}

static void store_channel_sums(Group *g, const MapRun *run) {
    CgPrinter *p = g->p;
    for (int i = 0; i < g->count; i++) {
        Member *m = &g->members[i];
        if (!m->sum)
            continue;
        switch_to(g, m, run);
        const char *total = cg_c_name(p, "s");
        cg_c_line(p, "const %s %s = nd_narrow%s(%s);", cg_c_type(p, true), total, lanes(g), m->total);
        if (m->full && p->width > 1)
            cg_c_line(p, "nd_store_u%d(%s + %s, %s);", p->width, m->array, g->name[g->rank - 1], total);
        else if (m->full)
            cg_c_line(p, "%s[%s] = %s;", m->array, g->name[g->rank - 1], total);
        else if (m->step->partial)
            cg_emit_store_partial(p, cg_c_result_offset(p), total, true);
        else
            cg_c_store(p, m->step->out, cg_c_result_offset(p), total, true);
    }
}

/* Through the columns again and again: in a pass a sum has one accumulator. */
static void print_passes(Group *g, const MapRun *run) {
    int d = column_dimension(g);
    const char *pass = cg_c_name(g->p, "u");
    cg_c_open(g->p, "for (int %s = 0; %s < %d; %s++)", pass, pass, g->unroll, pass);
    for (int i = 0; i < g->count; i++)
        if (g->members[i].sum)
            g->members[i].sums[MOST_UNROLL] = declare_sum(g);
    g->name[d] = cg_c_name(g->p, "i");
    cg_c_open(g->p, "for (int64_t %s = %s; %s < %lld; %s += %d)", g->name[d], pass, g->name[d], (long long)g->dim[d],
              g->name[d], g->unroll);
    print_members(g, run, MOST_UNROLL);
    cg_c_close(g->p);
    for (int i = 0; i < g->count; i++)
        if (g->members[i].sum)
            cg_c_line(g->p, "%s[%s] = %s;", g->members[i].kept, pass, g->members[i].sums[MOST_UNROLL]);
    cg_c_close(g->p);
}

/* The columns of a row, `unroll` at a time, each with its own sums. */
static void print_columns(Group *g, const MapRun *run) {
    CgPrinter *p = g->p;
    int d = column_dimension(g);
    if (!d) {
        print_members(g, run, 0);
        return;
    }
    if (g->passes) {
        print_passes(g, run);
        return;
    }
    const char *column = cg_c_name(p, "i");
    cg_c_open(p, "for (int64_t %s = 0; %s < %lld; %s += %d)", column, column, (long long)g->dim[d], column, g->unroll);
    for (int u = 0; u < g->unroll; u++) {
        cg_c_open(p, "%s", "");
        g->name[d] = cg_c_name(p, "i");
        cg_c_line(p, "const int64_t %s = %s + %d;", g->name[d], column, u);
        print_members(g, run, u);
        cg_c_close(p);
    }
    cg_c_close(p);
}

static void print_run_with_sums(Group *g, const MapRun *run) {
    cg_c_set_step(g->p, g->members[0].step, 0);
    open_run(g, run);
    declare_totals(g);
    hoist_members(g, run, true);
    int d = column_dimension(g), opened = open_loops(g, 1, d ? d : 1);
    declare_sums(g);
    draw_rows(g, run);
    print_columns(g, run);
    add_row(g);
    while (opened--)
        cg_c_close(g->p);
    store_channel_sums(g, run);
    close_run(g);
}

static void store_full_sums(Group *g) {
    CgPrinter *p = g->p;
    for (int i = 0; i < g->count; i++) {
        Member *m = &g->members[i];
        if (!m->full)
            continue;
        cg_c_set_step(p, m->step, m->int_base);
        p->axis_name[0] = "image";
        const char *sum = cg_c_name(p, "s"), *total = cg_c_name(p, "s");
        cg_c_line(p, "double %s = 0;", sum);
        cg_c_line(p, "for (int64_t i = 0; i < %lld; i++)", (long long)g->dim[g->rank - 1]);
        cg_c_line(p, "    %s += nd_widen(%s[i]);", sum, m->array);
        cg_c_line(p, "const T %s = nd_narrow(%s);", total, sum);
        if (m->step->partial)
            cg_emit_store_partial(p, cg_c_result_offset(p), total, false);
        else
            cg_c_store(p, m->step->out, cg_c_result_offset(p), total, false);
    }
}

static void print_sums(Group *g, const MapRun *runs, int run_count) {
    g->unroll = choose_unroll(g);
    g->passes = choose_passes(g);
    for (int i = 0; i < g->count; i++)
        if (g->members[i].full) {
            g->members[i].array = cg_c_name(g->p, "full");
            cg_c_line(g->p, "T %s[%lld];", g->members[i].array, (long long)g->dim[g->rank - 1]);
        }
    for (int i = 0; i < run_count; i++)
        print_run_with_sums(g, &runs[i]);
    store_full_sums(g);
}

bool map_emit_group(CgEmitC *e, CgProgram *program, CgStep *step) {
    static _Thread_local MapRun runs[MAP_MAX_RUNS];
    int64_t borders[MAP_MAX_PIECES + 1];
    int border_count = 0;
    Group *g = ARENA_NEW(e->arena, Group);
    *g = (Group){.e = e, .program = program};
    if (e->stage->domain != DOMAIN_images || !gather(g))
        return false;
    (void)step;
    int64_t extent = g->dim[g->rank - 1];
    Str body = str_create(e->arena);
    begin(g, &body);
    for (int i = 0; i < g->count; i++)
        map_add_borders(g->members[i].body, g->members[i].axis_of[g->rank - 1], extent, borders, &border_count);
    int run_count = map_cut_runs(extent, borders, border_count, cg_c_max_width(program->options), runs);
    if (g->sum_count)
        print_sums(g, runs, run_count);
    else
        print_maps(g, runs, run_count);
    e->consumed = g->count;
    cg_emit_end(e, g->p);
    return true;
}
