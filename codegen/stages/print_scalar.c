/* print_scalar.c: statements that compute a scalar. print_c.h says how values are numbered and what becomes a vector.
 */
#include "codegen/stages/print_c.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* ---- value numbering ---- */

static const char *find_entry(const CgPrinter *p, const char *text) {
    for (int i = p->entry_count - 1; i >= 0; i--)
        if (str_equal(p->entries[i].text, text))
            return p->entries[i].name;
    return NULL;
}

static void add_entry(CgPrinter *p, const char *text, const char *name) {
    CgEntry entry = {text, name};
    ARENA_PUSH(p->arena, p->entries, p->entry_count, p->entry_capacity, entry);
}

/* The name of an expression of the given type, printed unless it is known. */
static const char *define(CgPrinter *p, const char *type, const char *text) {
    const char *name = find_entry(p, text);
    if (name)
        return name;
    name = cg_c_name(p, "t");
    cg_c_line(p, "const %s %s = %s;", type, name, text);
    add_entry(p, text, name);
    return name;
}

bool cg_c_is_vector(const CgPrinter *p, const CgScalar *s) {
    return p->vector_axis >= 0 && p->width > 1 && s->axes >> p->vector_axis & 1;
}

static const char *splat(CgPrinter *p, const char *name) {
    return define(p, cg_c_type(p, true), arena_printf(p->arena, "nd_splat_v%d(%s)", p->width, name));
}

const char *cg_c_print_vector(CgPrinter *p, const CgScalar *s) {
    const char *name = cg_c_print_scalar(p, s);
    return p->width == 1 || cg_c_is_vector(p, s) ? name : splat(p, name);
}

static const char *print_as(CgPrinter *p, const CgScalar *s, bool vector) {
    return vector ? cg_c_print_vector(p, s) : cg_c_print_scalar(p, s);
}

/* "_v16", or nothing for scalars. */
static const char *suffix(const CgPrinter *p, bool vector) {
    return vector ? arena_printf(p->arena, "_v%d", p->width) : "";
}

/* ---- leaves ---- */

static const char *literal(CgPrinter *p, double value) {
    if (isinf(value) || isnan(value))
        return isnan(value) ? "ND_NAN" : value > 0 ? "ND_INFINITY" : "(-ND_INFINITY)";
    Str s = str_create(p->arena);
    str_add(&s, "(T)");
    str_add_double(&s, value);
    return s.data;
}

/* Lane by lane with the vector axis as a scalar: for whatever has no vector form. */
static const char *print_lanes(CgPrinter *p, const CgScalar *s) {
    const char *result = cg_c_name(p, "v"), *lane = cg_c_name(p, "l");
    const char *axis = p->axis_name[p->vector_axis];
    int vector_axis = p->vector_axis, width = p->width;
    cg_c_line(p, "nd_v%d %s;", width, result);
    cg_c_open(p, "for (int64_t %s = 0; %s < %d; %s++)", lane, lane, width, lane);
    const char *name = cg_c_name(p, "i");
    cg_c_line(p, "const int64_t %s = %s + %s;", name, axis, lane);
    p->axis_name[vector_axis] = name;
    p->vector_axis = -1;
    p->width = 1;
    cg_c_line(p, "%s[%s] = %s;", result, lane, cg_c_print_scalar(p, s));
    p->axis_name[vector_axis] = axis;
    p->vector_axis = vector_axis;
    p->width = width;
    cg_c_close(p);
    return result;
}

/* Elements that the offset moves for one step of the vector axis; -1 when that is no constant. */
static int64_t vector_stride(const CgPrinter *p, const CgScalar *s) {
    int64_t stride = 0;
    for (int d = 0; d < s->index_count; d++) {
        int64_t coef = s->index[d].coef[p->vector_axis];
        if (coef && s->index[d].divisor != 1)
            return -1;
        stride += coef * s->buffer->stride[d];
    }
    return stride;
}

/* Of the functions nd_load_KINDW and nd_store_KINDW. */
static char access_kind(const CgBuffer *buffer) {
    static const char kinds[] = {[DTYPE_f32] = 'u', [DTYPE_i32] = 'i', [DTYPE_u8] = 'b', [DTYPE_bf16] = 'h'};
    return kinds[buffer->type.dtype];
}

static bool is_half(const CgBuffer *buffer) {
    return buffer->type.dtype == DTYPE_bf16;
}

static const char *load_text(CgPrinter *p, const CgBuffer *buffer, const char *offset, bool vector) {
    int number = cg_c_buffer(p, buffer), width = vector ? p->width : 1;
    if (!vector && !is_half(buffer))
        return arena_printf(p->arena, "b%d[%s]", number, offset);
    return arena_printf(p->arena, "nd_load_%c%d(b%d + %s)", access_kind(buffer), width, number, offset);
}

const char *cg_c_load_text(CgPrinter *p, const CgBuffer *buffer, const char *offset) {
    return load_text(p, buffer, offset, false);
}

static const char *print_load(CgPrinter *p, const CgScalar *s) {
    bool vector = cg_c_is_vector(p, s);
    int64_t stride = vector ? vector_stride(p, s) : 0;
    const char *offset = cg_c_offset(p, s->buffer, s->index);
    if (!vector)
        return define(p, "T", load_text(p, s->buffer, offset, false));
    if (stride == 0)
        return splat(p, define(p, "T", load_text(p, s->buffer, offset, false)));
    return stride == 1 ? define(p, cg_c_type(p, true), load_text(p, s->buffer, offset, true)) : NULL;
}

static const char *print_index(CgPrinter *p, const CgScalar *s) {
    const char *number = define(p, "T", arena_printf(p->arena, "(T)(%s)", cg_c_index(p, &s->index[0])));
    if (!cg_c_is_vector(p, s))
        return number;
    return define(p, cg_c_type(p, true),
                  arena_printf(p->arena, "%s + (T)%lld * nd_iota_v%d", number,
                               (long long)s->index[0].coef[p->vector_axis], p->width));
}

/* ---- operations ---- */

static bool starts_number(const char *text, const char *at) {
    return isdigit((unsigned char)*at) && (at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_'));
}

/* The row's expression with operands in place of x, y, z; functions and numbers take the vector's form. */
static const char *fill_template(CgPrinter *p, const char *form, const char *const *args, bool vector) {
    Str s = str_create(p->arena);
    for (const char *at = form; *at;) {
        if (*at >= 'x' && *at <= 'z') {
            str_add(&s, args[*at++ - 'x']);
        } else if (!strncmp(at, "nd_", 3)) {
            size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789");
            str_add_bytes(&s, at, length);
            if (vector)
                str_addf(&s, "_v%d", p->width);
            at += length;
        } else if (starts_number(form, at)) {
            size_t length = strspn(at, "0123456789.");
            const char *number = arena_strndup(p->arena, at, length);
            str_add(&s, vector ? arena_printf(p->arena, "nd_splat_v%d((T)%s)", p->width, number)
                               : arena_printf(p->arena, "(T)%s", number));
            at += length;
        } else {
            str_add_bytes(&s, at++, 1);
        }
    }
    return s.data;
}

/* A choice by a comparison needs no number for its outcome. */
static const char *print_comparing_select(CgPrinter *p, const CgScalar *s, bool vector) {
    const CgScalar *test = s->args[0];
    const char *left = print_as(p, test->args[0], vector), *right = print_as(p, test->args[1], vector);
    const char *yes = print_as(p, s->args[1], vector), *no = print_as(p, s->args[2], vector);
    return define(p, cg_c_type(p, vector),
                  arena_printf(p->arena, "nd_select_gt%s(%s, %s, %s, %s)", suffix(p, vector), left, right, yes, no));
}

static const char *print_op(CgPrinter *p, const CgScalar *s) {
    bool vector = cg_c_is_vector(p, s);
    if (s->op == OP_select && s->args[0]->kind == SCALAR_op && s->args[0]->op == OP_gt)
        return print_comparing_select(p, s, vector);
    const char *args[3];
    for (int i = 0; i < s->arg_count; i++)
        args[i] = print_as(p, s->args[i], vector);
    return define(p, cg_c_type(p, vector), fill_template(p, ir_op_info[s->op].scalar, args, vector));
}

static const char *draw_name(CgDraw draw) {
    static const char *const names[] = {
        [DRAW_uniform] = "nd_uniform", [DRAW_normal] = "nd_normal", [DRAW_bernoulli] = "nd_bernoulli"};
    return names[draw];
}

/* The call that draws s at the present axes; NULL: it has no vector form. */
static const char *draw_text(CgPrinter *p, const CgScalar *s) {
    bool vector = cg_c_is_vector(p, s);
    if (vector &&
        (s->index[0].coef[p->vector_axis] != 1 || s->index[1].coef[p->vector_axis] || s->draw == DRAW_bernoulli))
        return NULL;
    p->reads_run = true;
    const char *keep = s->arg_count ? arena_printf(p->arena, ", %s", cg_c_print_scalar(p, s->args[0])) : "";
    const char *element = cg_c_index(p, &s->index[0]), *image = cg_c_index(p, &s->index[1]);
    return arena_printf(p->arena, "%s%s(run, %s[%d], %s, %s%s)", draw_name(s->draw), suffix(p, vector), p->ints,
                        p->int_base + s->number, image, element, keep);
}

static const char *print_draw(CgPrinter *p, const CgScalar *s) {
    const char *text = draw_text(p, s);
    return text ? define(p, cg_c_type(p, cg_c_is_vector(p, s)), text) : NULL;
}

const char *cg_c_draw_row(CgPrinter *p, const CgScalar *s, int64_t stride, int64_t count) {
    p->reads_run = true;
    const char *element = cg_c_index(p, &s->index[0]), *image = cg_c_index(p, &s->index[1]);
    const char *call =
        arena_printf(p->arena, "%s_row_v%d(run, %s[%d], %s, %s, %lld, %lld", draw_name(s->draw), p->width, p->ints,
                     p->int_base + s->number, image, element, (long long)stride, (long long)count);
    const char *row = find_entry(p, call);
    if (row)
        return row;
    row = cg_c_name(p, "row");
    cg_c_line(p, "T %s[%lld];", row, (long long)count * p->width);
    cg_c_line(p, "%s, %s);", call, row);
    add_entry(p, call, row);
    return row;
}

void cg_c_use_row(CgPrinter *p, const CgScalar *s, const char *row, const char *offset) {
    const char *text = draw_text(p, s);
    if (!find_entry(p, text))
        add_entry(p, text,
                  define(p, cg_c_type(p, true), arena_printf(p->arena, "nd_load_u%d(%s + %s)", p->width, row, offset)));
}

/* ---- guards ---- */

typedef enum Verdict { VERDICT_never, VERDICT_always, VERDICT_depends } Verdict;

/* What is known about one test from the ranges of the axes here; a vector stands for all its lanes. */
static Verdict judge(const CgPrinter *p, const CgIndex *index, int64_t upper) {
    int64_t least = index->constant, most = index->constant;
    for (int a = 0; a < p->step->axis_count; a++) {
        int64_t coef = index->coef[a], extent = p->step->axes[a].extent;
        if (!coef || extent == 1)
            continue;
        if (!p->axis_known[a] && extent < 0)
            return VERDICT_depends;
        int64_t low = p->axis_known[a] ? p->axis_least[a] : 0, high = p->axis_known[a] ? p->axis_most[a] : extent - 1;
        least += coef * (coef > 0 ? low : high);
        most += coef * (coef > 0 ? high : low);
    }
    if (most < 0 || least >= upper * index->divisor)
        return VERDICT_never;
    bool exact = index->divisor == 1 || (least == most && least % index->divisor == 0);
    return least >= 0 && most < upper * index->divisor && exact ? VERDICT_always : VERDICT_depends;
}

static void add_condition(CgPrinter *p, Str *s, const char *text) {
    (void)p;
    if (s->length)
        str_add(s, " && ");
    str_add(s, text);
}

static bool lanes_agree(const CgPrinter *p, const CgIndex *index, int64_t upper) {
    return p->aligned && upper % p->width == 0 && cg_index_is_aligned(p->step, index, p->vector_axis, p->width);
}

const char *cg_c_condition(CgPrinter *p, const CgScalar *s, bool *never, bool *lanes) {
    Str text = str_create(p->arena);
    *never = *lanes = false;
    for (int i = 0; i < s->index_count; i++) {
        const CgIndex *index = &s->index[i];
        Verdict verdict = judge(p, index, s->upper[i]);
        if (verdict == VERDICT_never)
            *never = true;
        if (verdict != VERDICT_depends)
            continue;
        if (p->vector_axis >= 0 && p->width > 1 && index->coef[p->vector_axis] && !lanes_agree(p, index, s->upper[i]))
            *lanes = true;
        CgIndex numerator = *index;
        numerator.divisor = 1;
        const char *value = cg_c_index(p, &numerator);
        /* One comparison tests both bounds: a negative value is a large unsigned one. */
        add_condition(p, &text,
                      arena_printf(p->arena, "(u%s)(%s) < %lldu",
                                   str_equal(p->index_type, "int") ? "int32_t" : p->index_type, value,
                                   (long long)(s->upper[i] * index->divisor)));
        if (index->divisor != 1)
            add_condition(p, &text, arena_printf(p->arena, "(%s) %% %lld == 0", value, (long long)index->divisor));
    }
    return text.length ? text.data : "";
}

static void print_branch(CgPrinter *p, const char *result, const CgScalar *s, bool vector) {
    cg_c_line(p, "%s = %s;", result, print_as(p, s, vector));
}

static const char *print_guard(CgPrinter *p, const CgScalar *s) {
    bool never, lanes, vector = cg_c_is_vector(p, s);
    const char *test = cg_c_condition(p, s, &never, &lanes);
    if (never)
        return print_as(p, s->args[1], vector);
    if (!*test)
        return print_as(p, s->args[0], vector);
    if (lanes)
        return NULL;
    const char *result = cg_c_name(p, "g");
    cg_c_line(p, "%s %s;", cg_c_type(p, vector), result);
    cg_c_open(p, "if (%s)", test);
    print_branch(p, result, s->args[0], vector);
    cg_c_close(p);
    cg_c_open(p, "else");
    print_branch(p, result, s->args[1], vector);
    cg_c_close(p);
    return result;
}

/* ---- reductions ---- */

/* Prints, before a loop over the axes of mask, what the body needs and the loop does not change. Not out of guards:
 * what they hold may only be computed where they allow it. */
void cg_c_hoist(CgPrinter *p, const CgScalar *s, uint32_t mask) {
    if (s->kind == SCALAR_constant || s->kind == SCALAR_index)
        return;
    if (!(s->axes & mask)) {
        cg_c_print_scalar(p, s);
        return;
    }
    for (int i = 0; i < s->reduce_count; i++)
        mask |= UINT32_C(1) << s->reduce_axes[i];
    for (int i = 0; i < s->arg_count && s->kind != SCALAR_guard; i++)
        cg_c_hoist(p, s->args[i], mask);
}

static uint32_t reduce_mask(const CgScalar *s) {
    uint32_t mask = 0;
    for (int i = 0; i < s->reduce_count; i++)
        mask |= UINT32_C(1) << s->reduce_axes[i];
    return mask;
}

/* Row-major position over the reduction's axes. */
static const char *position(CgPrinter *p, const CgScalar *s) {
    CgIndex index = cg_index_constant(0);
    for (int i = 0; i < s->reduce_count; i++) {
        index = cg_index_scale(index, p->step->axes[s->reduce_axes[i]].extent);
        index = cg_index_add(index, cg_index_axis(s->reduce_axes[i]));
    }
    return cg_c_index(p, &index);
}

static void accumulate(CgPrinter *p, const CgScalar *s, const char *sum, const char *where, bool vector) {
    const char *value = print_as(p, s->args[0], vector);
    if (s->reduce == REDUCE_sum && s->in_double)
        cg_c_line(p, "%s += nd_widen%s(%s);", sum, suffix(p, vector), value);
    else if (s->reduce == REDUCE_sum)
        cg_c_line(p, "%s += %s;", sum, value);
    else if (s->reduce == REDUCE_max)
        cg_c_line(p, "%s = nd_max%s(%s, %s);", sum, suffix(p, vector), sum, value);
    else
        cg_c_line(p, "nd_argmax%s(&%s, &%s, %s, (T)(%s));", suffix(p, vector), sum, where, value, position(p, s));
}

static void declare_sum(CgPrinter *p, const CgScalar *s, const char *sum, const char *where, bool vector) {
    const char *type = cg_c_type(p, vector);
    if (s->reduce == REDUCE_sum && s->in_double)
        cg_c_line(p, "%s %s = {0};", vector ? arena_printf(p->arena, "nd_w%d", p->width) : "double", sum);
    else if (s->reduce == REDUCE_sum)
        cg_c_line(p, "%s %s = {0};", type, sum);
    else
        cg_c_line(p, vector ? "%s %s = nd_splat%s(-ND_INFINITY);" : "%s %s = %s-ND_INFINITY;", type, sum,
                  suffix(p, vector));
    if (s->reduce == REDUCE_argmax)
        cg_c_line(p, "%s %s = {0};", type, where);
}

static void accumulate_in_loops(CgPrinter *p, const CgScalar *s, const char *sum, const char *where, bool vector) {
    for (int i = 0; i < s->reduce_count; i++)
        cg_c_open_axis(p, s->reduce_axes[i]);
    accumulate(p, s, sum, where, vector);
    for (int i = s->reduce_count - 1; i >= 0; i--)
        cg_c_close(p);
}

enum { MOST_UNROLLED = 9 };

/* The terms one after the other, in the order of the loops, each with numbers for the axes. */
static void accumulate_unrolled(CgPrinter *p, const CgScalar *s, int count, const char *sum, const char *where,
                                bool vector) {
    for (int term = 0; term < count; term++) {
        int rest = term;
        for (int i = s->reduce_count - 1; i >= 0; i--) {
            int axis = s->reduce_axes[i], extent = (int)p->step->axes[axis].extent;
            p->axis_name[axis] = arena_printf(p->arena, "%d", rest % extent);
            cg_c_set_range(p, axis, rest % extent, rest % extent);
            rest /= extent;
        }
        accumulate(p, s, sum, where, vector);
    }
    for (int i = 0; i < s->reduce_count; i++)
        cg_c_clear_range(p, s->reduce_axes[i]);
}

/* Number of terms; 0 when it is not constant or too large to be worth unrolling. */
static int count_unrolled(const CgPrinter *p, const CgScalar *s) {
    int64_t count = p->unroll;
    for (int i = 0; i < s->reduce_count; i++) {
        int64_t extent = p->step->axes[s->reduce_axes[i]].extent;
        count = extent > 0 && extent <= MOST_UNROLLED ? count * extent : 0;
    }
    return count <= MOST_UNROLLED ? (int)count : 0;
}

/* What a chunk has: a row, or several, which are added up in order. */
static const char *print_chunk(CgPrinter *p, const CgScalar *s, const char *chunk, bool vector) {
    int axis = s->reduce_axes[0], parts = p->step->axes[axis].parts;
    const char *widen = arena_printf(p->arena, "nd_widen%s", suffix(p, vector));
    if (parts <= 1) {
        p->axis_name[axis] = chunk;
        return arena_printf(p->arena, "%s(%s)", widen, print_as(p, s->args[0], vector));
    }
    const char *sum = cg_c_name(p, "a"), *part = cg_c_name(p, "i"), *row = cg_c_name(p, "i");
    cg_c_line(p, "double %s = 0;", sum);
    cg_c_open(p, "for (int %s = 0; %s < %d; %s++)", part, part, parts, part);
    cg_c_line(p, "const %s %s = %s * %d + %s;", p->index_type, row, chunk, parts, part);
    p->axis_name[axis] = row;
    cg_c_line(p, "%s += %s(%s);", sum, widen, print_as(p, s->args[0], vector));
    cg_c_close(p);
    return sum;
}

bool cg_is_merge(const CgStep *step, const CgScalar *s) {
    return s->kind == SCALAR_reduce && s->reduce == REDUCE_sum && s->in_double && s->reduce_count == 1 &&
           step->axes[s->reduce_axes[0]].extent == IR_DIM_K;
}

/* Chunks are added up pair by pair (the preludes), so that a rank's chunks can be added up before the others are there. */
/* Four neighbours that begin at a multiple of four are a sum of two sums whatever waits, and need not wait in memory themselves. */
static void merge_fours(CgPrinter *p, const CgScalar *s, const char *sums, const char *chunk, bool vector) {
    const char *terms[4];
    cg_c_open(p, "for (; %s + 4 <= run->chunks; %s += 4)", chunk, chunk);
    for (int i = 0; i < 4; i++) {
        const char *next = cg_c_name(p, "i");
        cg_c_line(p, "const %s %s = %s + %d;", p->index_type, next, chunk, i);
        terms[i] = print_chunk(p, s, next, vector);
    }
    cg_c_line(p, "nd_merge%s(%s + 2, %s / 4, (%s + %s) + (%s + %s));", suffix(p, vector), sums, chunk, terms[0],
              terms[1], terms[2], terms[3]);
    cg_c_close(p);
}

static const char *print_merge(CgPrinter *p, const CgScalar *s) {
    bool vector = cg_c_is_vector(p, s);
    int axis = s->reduce_axes[0];
    const char *sums = cg_c_name(p, "a"), *chunk = cg_c_name(p, "i"), *before = p->axis_name[axis];
    cg_c_hoist(p, s->args[0], reduce_mask(s));
    cg_c_line(p, "%s %s[ND_MERGE_SUMS];", vector ? arena_printf(p->arena, "nd_w%d", p->width) : "double", sums);
    p->reads_run = true;
    if (p->merges_fours) {
        cg_c_line(p, "%s %s = 0;", p->index_type, chunk);
        merge_fours(p, s, sums, chunk, vector);
        cg_c_open(p, "for (; %s < run->chunks; %s++)", chunk, chunk);
    } else {
        cg_c_open(p, "for (%s %s = 0; %s < run->chunks; %s++)", p->index_type, chunk, chunk, chunk);
    }
    cg_c_line(p, "nd_merge%s(%s, %s, %s);", suffix(p, vector), sums, chunk, print_chunk(p, s, chunk, vector));
    cg_c_close(p);
    p->axis_name[axis] = before;
    return define(p, cg_c_type(p, vector),
                  arena_printf(p->arena, "nd_narrow%s(nd_merged%s(%s, run->chunks))", suffix(p, vector),
                               suffix(p, vector), sums));
}

static const char *print_reduce(CgPrinter *p, const CgScalar *s) {
    if (cg_is_merge(p->step, s))
        return print_merge(p, s);
    bool vector = cg_c_is_vector(p, s);
    int unrolled = count_unrolled(p, s);
    const char *sum = cg_c_name(p, "a"), *where = cg_c_name(p, "p"), *names[4];
    cg_c_hoist(p, s->args[0], reduce_mask(s));
    declare_sum(p, s, sum, where, vector);
    for (int i = 0; i < s->reduce_count; i++)
        names[i] = p->axis_name[s->reduce_axes[i]];
    if (unrolled)
        accumulate_unrolled(p, s, unrolled, sum, where, vector);
    else
        accumulate_in_loops(p, s, sum, where, vector);
    for (int i = 0; i < s->reduce_count; i++)
        p->axis_name[s->reduce_axes[i]] = names[i];
    if (s->reduce == REDUCE_sum && s->in_double)
        return define(p, cg_c_type(p, vector), arena_printf(p->arena, "nd_narrow%s(%s)", suffix(p, vector), sum));
    return s->reduce == REDUCE_argmax ? where : sum;
}

/* ---- all ---- */

static const char *print_kind(CgPrinter *p, const CgScalar *s) {
    switch (s->kind) {
    case SCALAR_constant:
        return literal(p, s->value);
    case SCALAR_load:
        return print_load(p, s);
    case SCALAR_run:
        p->reads_run = true;
        return define(p, "T",
                      s->number < 0 ? "(T)run->batch" : arena_printf(p->arena, "(T)run->scalar[%d]", s->number));
    case SCALAR_index:
        return print_index(p, s);
    case SCALAR_op:
        return print_op(p, s);
    case SCALAR_guard:
        return print_guard(p, s);
    case SCALAR_draw:
        return print_draw(p, s);
    case SCALAR_reduce:
        return print_reduce(p, s);
    }
    bug("scalar of unknown kind %d", s->kind);
}

/* Guards and reductions are statements, which text cannot number: they are remembered by object and surroundings. */
static const char *object_key(CgPrinter *p, const CgScalar *s) {
    Str key = str_create(p->arena);
    str_addf(&key, "scalar %zu %d %d", (size_t)s, p->vector_axis, p->width);
    for (int a = 0; a < p->step->axis_count; a++)
        if (s->axes >> a & 1)
            str_addf(&key, " %s", p->axis_name[a]);
    return key.data;
}

/* So are numbers, which somebody may have given a name. */
static bool is_known_by_object(const CgPrinter *p, const CgScalar *s) {
    return s->kind == SCALAR_guard || s->kind == SCALAR_reduce || s->kind == SCALAR_index || cg_c_is_vector(p, s);
}

const char *cg_c_print_scalar(CgPrinter *p, const CgScalar *s) {
    const char *key = is_known_by_object(p, s) ? object_key(p, s) : NULL;
    const char *name = key ? find_entry(p, key) : NULL;
    if (name)
        return name;
    name = print_kind(p, s);
    if (!name)
        name = print_lanes(p, s);
    if (key)
        add_entry(p, key, name);
    return name;
}

void cg_c_use_name(CgPrinter *p, const CgScalar *s, const char *name) {
    if (s->kind == SCALAR_load)
        add_entry(p, load_text(p, s->buffer, cg_c_offset(p, s->buffer, s->index), cg_c_is_vector(p, s)), name);
    else if (is_known_by_object(p, s))
        add_entry(p, object_key(p, s), name);
    else
        bug("a scalar of kind %d is known by its text", s->kind);
}

void cg_c_store(CgPrinter *p, const CgBuffer *buffer, const char *offset, const char *name, bool vector) {
    int number = cg_c_buffer(p, buffer);
    bool wide = vector && p->width > 1;
    if (is_half(buffer)) /* whoever goes on with it in this kernel gets what others will load */
        name = define(p, cg_c_type(p, wide), arena_printf(p->arena, "nd_round_h%d(%s)", wide ? p->width : 1, name));
    if (wide || is_half(buffer))
        cg_c_line(p, "nd_store_%c%d(b%d + %s, %s);", access_kind(buffer), wide ? p->width : 1, number, offset, name);
    else
        cg_c_line(p, "b%d[%s] = (%s)%s;", number, offset, cg_c_element(buffer), name);
    add_entry(p, load_text(p, buffer, offset, wide), name);
}
