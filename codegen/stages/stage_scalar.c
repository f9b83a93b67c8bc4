/* stage_scalar.c: making scalars. Equal scalars of a step are one object (hash-consing), so an expression that several
 * inlined nodes share is described, and printed, once. */
#include "base/hash.h"
#include "codegen/stages/stage.h"

#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

static uint64_t hash_index(uint64_t hash, const CgIndex *index) {
    hash = mix(mix(hash, (uint64_t)index->constant), (uint64_t)index->divisor);
    for (int a = 0; a < CG_MAX_AXES; a++)
        if (index->coef[a])
            hash = mix(hash, (uint64_t)index->coef[a] * 64 + (uint64_t)a);
    return hash;
}

static uint64_t hash_scalar(const CgScalar *s) {
    uint64_t bits;
    memcpy(&bits, &s->value, sizeof bits);
    uint64_t hash = mix(mix((uint64_t)s->kind, bits), (uint64_t)(uintptr_t)s->buffer);
    hash = mix(mix(hash, (uint64_t)s->number), (uint64_t)s->op * 64 + (uint64_t)s->reduce * 8 + (uint64_t)s->draw);
    for (int i = 0; i < s->arg_count; i++)
        hash = mix(hash, (uint64_t)s->args[i]->id);
    for (int i = 0; i < s->index_count; i++)
        hash = hash_index(hash, &s->index[i]);
    return hash;
}

static bool same_indices(const CgScalar *a, const CgScalar *b) {
    if (a->index_count != b->index_count)
        return false;
    for (int i = 0; i < a->index_count; i++)
        if (!cg_index_equal(&a->index[i], &b->index[i]) || (a->upper && a->upper[i] != b->upper[i]))
            return false;
    return true;
}

static bool same_scalar(const CgScalar *a, const CgScalar *b) {
    if (a->kind != b->kind || memcmp(&a->value, &b->value, sizeof a->value) || a->buffer != b->buffer ||
        a->number != b->number || a->op != b->op || a->arg_count != b->arg_count || a->reduce != b->reduce ||
        a->in_double != b->in_double || a->reduce_count != b->reduce_count || a->draw != b->draw)
        return false;
    for (int i = 0; i < a->arg_count; i++)
        if (a->args[i] != b->args[i])
            return false;
    for (int i = 0; i < a->reduce_count; i++)
        if (a->reduce_axes[i] != b->reduce_axes[i])
            return false;
    return same_indices(a, b);
}

static uint32_t depends_on(const CgScalar *s) {
    uint32_t axes = 0;
    for (int i = 0; i < s->arg_count; i++)
        axes |= s->args[i]->axes;
    for (int i = 0; i < s->index_count; i++)
        axes |= cg_index_axes(&s->index[i]);
    for (int i = 0; i < s->reduce_count; i++)
        axes &= ~(UINT32_C(1) << s->reduce_axes[i]);
    return axes;
}

static void *copy_array(Arena *arena, const void *data, size_t size) {
    return size ? memcpy(arena_alloc(arena, size), data, size) : NULL;
}

/* The one object equal to the given description; what it points to is copied when it is new. */
static CgScalar *intern(CgBuild *b, CgScalar s) {
    CgScalar **slot = &b->scalars[hash_scalar(&s) % CG_TABLE_SIZE];
    for (CgScalar *old = *slot; old; old = old->next)
        if (same_scalar(old, &s))
            return old;
    Arena *arena = b->program->arena;
    CgScalar *made = ARENA_NEW(arena, CgScalar);
    s.args = copy_array(arena, s.args, sizeof *s.args * (size_t)s.arg_count);
    s.index = copy_array(arena, s.index, sizeof *s.index * (size_t)s.index_count);
    if (s.upper)
        s.upper = copy_array(arena, s.upper, sizeof *s.upper * (size_t)s.index_count);
    s.id = b->scalar_count++;
    s.axes = depends_on(&s);
    s.next = *slot;
    *made = s;
    *slot = made;
    return made;
}

CgScalar *cg_constant(CgBuild *b, double value) {
    return intern(b, (CgScalar){.kind = SCALAR_constant, .value = value});
}

CgScalar *cg_number(CgBuild *b, CgIndex index) {
    if (!cg_index_axes(&index))
        return cg_constant(b, (double)index.constant / (double)index.divisor);
    return intern(b, (CgScalar){.kind = SCALAR_index, .index_count = 1, .index = &index});
}

CgScalar *cg_equal(CgBuild *b, IrNode *operand, const CgIndex *at, CgIndex index) {
    CgScalar *wanted = cg_number(b, index);
    CgScalar *difference = cg_op2(b, OP_sub, cg_value_at(b, operand, at), wanted);
    CgScalar *distance = cg_op(b, OP_abs, 1, &difference);
    return cg_op2(b, OP_gt, cg_constant(b, 0.5), distance);
}

/* Of several ranks the images of all are one of the numbers. */
static bool is_own_batch(const CgOptions *options, const char *name) {
    return str_equal(name, "own_batch") || (str_equal(name, "batch") && options->ranks <= 1);
}

static int find_scalar(const CgNames *names, const char *name) {
    int number = 0;
    while (number < names->count && !str_equal(names->names[number], name))
        number++;
    return number;
}

void cg_name_scalar(CgNames *names, const CgOptions *options, const char *name) {
    if (is_own_batch(options, name) || find_scalar(names, name) < names->count)
        return;
    if (names->count == ND_SCALAR_COUNT)
        bug("more than %d run-time scalars; the last is '%s'", ND_SCALAR_COUNT, name);
    names->names[names->count++] = name;
}

int cg_run_number(const CgNames *names, const char *name) {
    int number = find_scalar(names, name);
    if (number == names->count)
        bug("the run-time scalar '%s' has no number", name);
    return number;
}

CgScalar *cg_run(CgBuild *b, const char *name) {
    int number = is_own_batch(b->program->options, name) ? -1 : cg_run_number(b->program->names, name);
    return intern(b, (CgScalar){.kind = SCALAR_run, .number = number});
}

CgScalar *cg_op(CgBuild *b, IrOp op, int count, CgScalar *const *args) {
    return intern(b, (CgScalar){.kind = SCALAR_op, .op = op, .arg_count = count, .args = (CgScalar **)args});
}

CgScalar *cg_op2(CgBuild *b, IrOp op, CgScalar *x, CgScalar *y) {
    CgScalar *args[2] = {x, y};
    return cg_op(b, op, 2, args);
}

static void note_buffer(CgStep *step, CgBuffer *buffer) {
    for (int i = 0; i < step->buffer_count; i++)
        if (step->buffers[i] == buffer)
            return;
    if (step->buffer_count == CG_MAX_BUFFERS)
        bug("a step reads more than %d values", CG_MAX_BUFFERS);
    step->buffers[step->buffer_count++] = buffer;
}

static CgBuffer *part_of(CgBuild *b, CgBuffer *whole, int64_t shift) {
    CgStep *step = b->step;
    for (int i = 0; i < step->buffer_count; i++)
        if (step->buffers[i]->whole == whole && step->buffers[i]->shift == shift)
            return step->buffers[i];
    CgBuffer *part = ARENA_NEW(b->program->arena, CgBuffer);
    *part = *whole;
    part->whole = whole;
    part->shift = shift;
    part->offset += shift * plan_element_bytes(b->program->options->precision, whole->type.dtype);
    return part;
}

/* Constant indices move the base address: steps that read another row of a table then have the same text. */
CgScalar *cg_load(CgBuild *b, CgBuffer *buffer, const CgIndex *index) {
    CgIndex own[IR_MAX_RANK];
    int64_t shift = 0;
    for (int d = 0; d < buffer->type.rank; d++) {
        own[d] = index[d];
        if (buffer->place != PLACE_input && !cg_index_axes(&index[d]) && index[d].divisor == 1 && index[d].constant) {
            shift += index[d].constant * buffer->stride[d];
            own[d].constant = 0;
        }
    }
    if (shift && buffer != b->step->out)
        buffer = part_of(b, buffer, shift);
    else
        memcpy(own, index, sizeof *own * (size_t)buffer->type.rank);
    note_buffer(b->step, buffer);
    return intern(b, (CgScalar){.kind = SCALAR_load, .buffer = buffer, .index_count = buffer->type.rank, .index = own});
}

static int note_int(CgStep *step, int64_t value) {
    for (int i = 0; i < step->int_count; i++)
        if (step->ints[i] == value)
            return i;
    if (step->int_count == CG_MAX_INTS)
        bug("a step has more than %d streams of random numbers", CG_MAX_INTS);
    step->ints[step->int_count] = value;
    return step->int_count++;
}

CgScalar *cg_draw(CgBuild *b, CgDraw draw, const char *stream, int index_count, const CgIndex *index, CgScalar *keep) {
    return intern(b, (CgScalar){.kind = SCALAR_draw,
                                .draw = draw,
                                .number = note_int(b->step, draw_stream_hash(stream)),
                                .index_count = index_count,
                                .index = (CgIndex *)index,
                                .arg_count = keep ? 1 : 0,
                                .args = &keep});
}

/* Tests that always hold are dropped; one that never holds decides. An index that depends on N or K is within bounds.
 */
CgScalar *cg_guard(CgBuild *b, int count, const CgIndex *index, const int64_t *upper, CgScalar *inside,
                   CgScalar *outside) {
    CgIndex tests[IR_MAX_RANK + 2];
    int64_t bounds[IR_MAX_RANK + 2];
    int kept = 0;
    for (int i = 0; i < count; i++) {
        int64_t least, most, bound = upper[i] * index[i].divisor;
        if (!cg_index_range(b->step, &index[i], &least, &most))
            continue;
        if (most < 0 || least >= bound)
            return outside;
        if (least >= 0 && most < bound && index[i].divisor == 1)
            continue;
        tests[kept] = index[i];
        bounds[kept++] = upper[i];
    }
    if (!kept || inside == outside)
        return inside;
    CgScalar *args[2] = {inside, outside};
    return intern(
        b,
        (CgScalar){
            .kind = SCALAR_guard, .index_count = kept, .index = tests, .upper = bounds, .arg_count = 2, .args = args});
}

CgScalar *cg_reduce(CgBuild *b, CgReduce kind, bool in_double, int count, const int *axes, CgScalar *body) {
    CgScalar s = {.kind = SCALAR_reduce, .reduce = kind, .in_double = in_double, .arg_count = 1, .args = &body};
    for (int i = 0; i < count; i++)
        if (b->step->axes[axes[i]].extent != 1)
            s.reduce_axes[s.reduce_count++] = axes[i];
    if (!s.reduce_count)
        return kind == REDUCE_argmax ? cg_constant(b, 0) : body;
    return intern(b, s);
}
