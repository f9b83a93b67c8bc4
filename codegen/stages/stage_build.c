/* stage_build.c: from an annotated graph to stages. Every node that has memory becomes one step in the stage that fuse
 * numbered; its rule describes one element, inlined operands at once replaced by their own description.
 *
 * Checked here, because generated code would be silently wrong: a parameter is not read after the step that assigns it,
 * an assignment reads its parameter only at the element it writes, and a stage is over images throughout or not at all.
 */
#include "codegen/stages/stage.h"

#include "base/align.h"

#include <stdlib.h>
#include <string.h>

struct CgMemo {
    IrNode *node;
    CgScalar *scalar;
    CgMemo *next;
    CgIndex index[]; /* one for each dimension of the node */
};

/* ---- memory ---- */

int64_t cg_type_bytes(const CgOptions *options, const IrType *type) {
    return ir_type_count(type, options->batch, options->chunks) * plan_element_bytes(options->precision, type->dtype);
}

int64_t *cg_state_offsets(Arena *arena, const IrModule *module, const CgOptions *options) {
    int64_t *offsets = ARENA_ARRAY(arena, int64_t, module->param_count + 1);
    for (int i = 0; i < module->param_count; i++)
        offsets[i + 1] = offsets[i] + ALIGN_UP(cg_type_bytes(options, &module->params[i].type), VALUE_ALIGNMENT);
    return offsets;
}

static int64_t state_offset(const CgProgram *p, const char *name) {
    const IrParam *param = ir_module_find_param(p->graph->module, name);
    if (!param)
        bug("parameter '%s' is not in the module's table", name);
    return p->state_offsets[param - p->graph->module->params];
}

void cg_memory_order(const IrType *type, int order[IR_MAX_RANK]) {
    static const int hwio[4] = {2, 3, 1, 0};
    int front = type->rank > 0 && type->dim[0] == IR_DIM_K;
    for (int i = 0; i < type->rank; i++)
        order[i] = i;
    if (type->rank - front == 4 && !ir_type_has_dim(type, IR_DIM_N))
        for (int i = 0; i < 4; i++)
            order[front + i] = front + hwio[i];
}

static bool has_buffer(const IrNode *node) {
    return !node->inlined && !ir_is(node, OP_NUMBER);
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* What is in memory: of bf16, that. */
static IrType stored_type(const IrNode *node) {
    IrType type = node->type;
    if (node->half)
        type.dtype = DTYPE_bf16;
    return type;
}

int64_t cg_prepared_end(const IrGraph *graph, const CgOptions *options, int64_t prepared_base) {
    int64_t end = prepared_base;
    for (const IrNode *n = graph->first; n; n = n->next) {
        const IrType type = stored_type(n);
        if (has_buffer(n) && n->place == PLACE_prepared)
            end = larger(end, ALIGN_UP(prepared_base + n->offset + cg_type_bytes(options, &type), VALUE_ALIGNMENT));
    }
    return end;
}

static void set_strides(CgBuffer *buffer) {
    const IrType *type = &buffer->type;
    int64_t stride = 1;
    cg_memory_order(type, buffer->order);
    for (int i = type->rank - 1; i >= 0; i--) {
        int axis = buffer->order[i];
        buffer->stride[axis] = stride;
        if (type->dim[axis] > 0)
            stride *= type->dim[axis];
        else if (i)
            bug("N or K inside of %s", ir_type_string(buffer->node->graph->module->arena, type));
    }
    if (buffer->place == PLACE_private)
        buffer->stride[0] = 0;
}

static int64_t input_number(const IrGraph *graph, const IrNode *node) {
    int64_t number = 0;
    for (const IrNode *n = graph->first; n; n = n->next) {
        if (n == node)
            return number;
        number += n->op == OP_input;
    }
    bug("input not in its graph");
}

static CgBuffer *make_buffer(CgProgram *p, IrNode *node, int id) {
    CgBuffer *buffer = ARENA_NEW(p->arena, CgBuffer);
    *buffer = (CgBuffer){
        .node = node, .id = id, .place = (IrPlace)node->place, .offset = node->offset, .type = stored_type(node)};
    if (ir_param_name(node)) {
        buffer->place = PLACE_state;
        buffer->offset = state_offset(p, ir_param_name(node));
    } else if (node->op == OP_input) {
        buffer->place = PLACE_input;
        buffer->offset = input_number(p->graph, node);
    } else if (buffer->place == PLACE_prepared) {
        buffer->offset += p->prepared_base;
    } else if (buffer->place != PLACE_work && buffer->place != PLACE_private) {
        bug("%%%d = %s of @%s has no memory; run plan-memory", node->id, ir_op_info[node->op].name, p->graph->name);
    }
    set_strides(buffer);
    return buffer;
}

static void note_extent(CgProgram *p, const CgBuffer *buffer) {
    IrType type = buffer->type;
    if (buffer->place == PLACE_private)
        type.dim[0] = 1;
    int64_t end = ALIGN_UP(buffer->offset + cg_type_bytes(p->options, &type), VALUE_ALIGNMENT);
    if (buffer->place == PLACE_work)
        p->work_bytes = larger(p->work_bytes, end);
    if (buffer->place == PLACE_private)
        p->private_bytes = larger(p->private_bytes, end);
}

/* A parameter and its assignment share one buffer. */
static void make_buffers(CgProgram *p) {
    StrMap state = str_map_create(p->arena);
    for (IrNode *n = p->graph->first; n; n = n->next) {
        if (!has_buffer(n))
            continue;
        CgBuffer *buffer = ir_param_name(n) ? str_map_get(&state, ir_param_name(n)) : NULL;
        if (!buffer) {
            buffer = make_buffer(p, n, n->id);
            note_extent(p, buffer);
        }
        if (ir_param_name(n))
            str_map_set(&state, ir_param_name(n), buffer);
        p->buffer_of[n->id] = buffer;
    }
}

/* ---- elements ---- */

static CgMemo **find_memo(CgBuild *b, IrNode *node, const CgIndex *index) {
    uint64_t hash = (uint64_t)node->id;
    for (int i = 0; i < node->type.rank; i++) {
        hash = hash * 31 + (uint64_t)index[i].constant;
        for (int a = 0; a < b->step->axis_count; a++)
            if (index[i].coef[a]) /* axes that are added later change nothing */
                hash = (hash * 31 + (uint64_t)index[i].coef[a]) * 31 + (uint64_t)a;
    }
    return &b->memo[hash % CG_TABLE_SIZE];
}

static bool same_element(const CgMemo *memo, const IrNode *node, const CgIndex *index) {
    if (memo->node != node)
        return false;
    for (int i = 0; i < node->type.rank; i++)
        if (!cg_index_equal(&memo->index[i], &index[i]))
            return false;
    return true;
}

void cg_describe_as(CgBuild *b, IrNode *node, const CgIndex *index, CgScalar *scalar) {
    CgMemo **slot = find_memo(b, node, index);
    size_t index_size = sizeof *index * (size_t)node->type.rank;
    CgMemo *memo = arena_alloc(b->scratch, sizeof *memo + index_size);
    *memo = (CgMemo){.node = node, .scalar = scalar, .next = *slot};
    memcpy(memo->index, index, index_size);
    *slot = memo;
}

CgScalar *cg_describe(CgBuild *b, IrNode *node, const CgIndex *index) {
    for (CgMemo *memo = *find_memo(b, node, index); memo; memo = memo->next)
        if (same_element(memo, node, index))
            return memo->scalar;
    CgScalar *scalar = cg_rules[node->op](b, node, index);
    cg_describe_as(b, node, index, scalar);
    return scalar;
}

CgScalar *cg_value_at(CgBuild *b, IrNode *node, const CgIndex *index) {
    CgBuffer *buffer = b->program->buffer_of[node->id];
    if (!buffer)
        return cg_describe(b, node, index);
    if (ir_param_read(node) && str_map_get(&b->program->assigned, ir_param_read(node)))
        bug("parameter '%s' is read after its assignment in @%s", ir_param_read(node), b->program->graph->name);
    return cg_load(b, buffer, index);
}

int cg_add_axis(CgBuild *b, int64_t extent, bool reduced) {
    CgStep *step = b->step;
    if (step->axis_count == CG_MAX_AXES)
        bug("a step of @%s has more than %d axes", b->program->graph->name, CG_MAX_AXES);
    step->axes[step->axis_count] = (CgAxis){.extent = extent, .reduced = reduced};
    return step->axis_count++;
}

/* ---- steps and stages ---- */

static void check_in_place(const CgBuild *b, const CgScalar *s) {
    const CgStep *step = b->step;
    for (int d = 0; d < s->index_count; d++) {
        CgIndex own = cg_index_axis(d);
        if (step->axes[d].extent != 1 && !cg_index_equal(&s->index[d], &own))
            bug("assignment %%%d of @%s reads its parameter at another element", step->node->id,
                b->program->graph->name);
    }
}

static void check_assignment(CgBuild *b) {
    const char *written = ir_param_written(b->step->node);
    if (!written)
        return;
    for (int i = 0; i < CG_TABLE_SIZE; i++)
        for (const CgScalar *s = b->scalars[i]; s; s = s->next)
            if (s->kind == SCALAR_load && s->buffer == b->step->out)
                check_in_place(b, s);
    str_map_set(&b->program->assigned, written, b->step);
}

static int choice_number(CgProgram *p, IrNode *choice) {
    for (int i = 0; i < p->choice_count; i++)
        if (p->choices[i] == choice)
            return i + 1;
    ARENA_PUSH(p->arena, p->choices, p->choice_count, p->choice_capacity, choice);
    return p->choice_count;
}

static CgStep *build_step(CgProgram *p, CgBuild *b, IrNode *node, int operand) {
    CgStep *step = ARENA_NEW(p->arena, CgStep);
    CgIndex index[IR_MAX_RANK];
    *b = (CgBuild){.program = p, .step = step, .scratch = b->scratch};
    arena_reset(b->scratch);
    step->node = node;
    step->operand = operand;
    step->out = p->buffer_of[node->id];
    step->buffers[step->buffer_count++] = step->out;
    step->partial = ir_is_partial(node);
    for (int d = 0; d < node->type.rank; d++) {
        bool images = d == 0 && step->partial;
        index[d] = cg_index_axis(cg_add_axis(b, images ? IR_DIM_N : node->type.dim[d], false));
    }
    step->value = cg_describe(b, node, index);
    check_assignment(b);
    return step;
}

static bool over_images(const CgStep *step) {
    return step->axis_count && step->axes[0].extent == IR_DIM_N;
}

bool cg_buffers_overlap(const CgOptions *options, const CgBuffer *a, const CgBuffer *b) {
    a = a->whole ? a->whole : a;
    b = b->whole ? b->whole : b;
    if (a->place != b->place)
        return false;
    if (a->place == PLACE_input || a->place == PLACE_state)
        return a->offset == b->offset;
    IrType types[2] = {a->type, b->type};
    for (int i = 0; i < 2 && a->place == PLACE_private; i++)
        types[i].dim[0] = 1;
    return a->offset < b->offset + cg_type_bytes(options, &types[1]) &&
           b->offset < a->offset + cg_type_bytes(options, &types[0]);
}

bool cg_same_condition(const CgStep *a, const CgStep *b) {
    return a->when.choice == b->when.choice && a->when.cases == b->when.cases;
}

/* ---- steps at the same time ---- */

/* What a step reads or writes. */
typedef struct Touch {
    int place, step;
    bool writes;
    int64_t begin, end;
} Touch;

/* The ends that lie furthest behind, of two different steps. */
typedef struct Furthest {
    int step[2];
    int64_t end[2];
} Furthest;

static void note_end(Furthest *f, int step, int64_t end) {
    int own = step == f->step[0] ? 0 : 1;
    if (own == 1 && end > f->end[0]) {
        *f = (Furthest){{step, f->step[0]}, {end, f->end[0]}};
    } else if (end > f->end[own]) {
        f->step[own] = step;
        f->end[own] = end;
    }
}

static bool reaches(const Furthest *f, const Touch *touch) {
    return f->end[f->step[0] == touch->step] > touch->begin;
}

static int compare_touches(const void *a, const void *b) {
    const Touch *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static Touch touch_of(const CgProgram *p, int step, const CgBuffer *buffer, bool writes) {
    buffer = buffer->whole ? buffer->whole : buffer;
    bool one = buffer->place == PLACE_input || buffer->place == PLACE_state; /* the offset is a name */
    int64_t bytes = one ? 1 : cg_type_bytes(p->options, &buffer->type);
    return (Touch){buffer->place, step, writes, buffer->offset, buffer->offset + bytes};
}

/* Steps run by different threads must not touch what another of them writes: looked at from the beginning of the memory
 * to its end, nothing begins before what another step writes has ended, nor is written before what another touches has.
 */
static bool are_independent(const CgProgram *p, const CgStage *stage) {
    Touch *touches = NULL;
    int count = 0, capacity = 0;
    for (int i = 0, step = 0; i < stage->step_count; i++) {
        /* of those that make the value of a choice one alone runs */
        step = i && stage->steps[i]->node == stage->steps[i - 1]->node ? step : i;
        ARENA_PUSH(p->arena, touches, count, capacity, touch_of(p, step, stage->steps[i]->out, true));
        for (int k = 0; k < stage->steps[i]->buffer_count; k++)
            ARENA_PUSH(p->arena, touches, count, capacity, touch_of(p, step, stage->steps[i]->buffers[k], false));
    }
    qsort(touches, (size_t)count, sizeof *touches, compare_touches);
    const Furthest none = {{-1, -1}, {-1, -1}};
    Furthest any = none, written = none;
    for (int i = 0; i < count; i++) {
        const Touch *touch = &touches[i];
        if (i && touch->place != touches[i - 1].place)
            any = written = none;
        if (reaches(&written, touch) || (touch->writes && reaches(&any, touch)))
            return false;
        note_end(&any, touch->step, touch->end);
        if (touch->writes)
            note_end(&written, touch->step, touch->end);
    }
    return true;
}

static void set_domain(const CgProgram *p, CgStage *stage) {
    bool images = over_images(stage->steps[0]), exchange = ir_is(stage->steps[0]->node, OP_RANKS);
    stage->prepared = stage->steps[0]->out->place == PLACE_prepared;
    for (int i = 1; i < stage->step_count; i++) {
        const CgStep *step = stage->steps[i];
        if (over_images(step) != images || ir_is(step->node, OP_RANKS) != exchange ||
            (step->out->place == PLACE_prepared) != stage->prepared)
            bug("stage %d of @%s mixes domains at %%%d", step->node->stage, p->graph->name, step->node->id);
    }
    /* A wide device finds its own order (cuda_group.c). */
    bool wide = p->options->target->wide, several = stage->step_count > 1;
    stage->domain = exchange                                         ? DOMAIN_exchange
                    : images                                         ? DOMAIN_images
                    : wide || (several && are_independent(p, stage)) ? DOMAIN_parallel
                                                                     : DOMAIN_serial;
}

static CgStage *stage_numbered(CgProgram *p, StrMap *stages, int number) {
    const char *key = arena_printf(p->arena, "%d", number);
    CgStage *stage = str_map_get(stages, key);
    if (!stage) {
        stage = ARENA_NEW(p->arena, CgStage);
        str_map_set(stages, key, stage);
        ARENA_PUSH(p->arena, p->stages, p->stage_count, p->stage_capacity, stage);
    }
    return stage;
}

/* Values that depend on parameters alone are computed when those change, whatever is chosen later. */
static PlanWhen condition_of(CgProgram *p, const CgStep *step) {
    const IrNode *node = step->node;
    IrCondition where = ir_is(node, OP_EFFECT) ? ir_condition_of_assignment(node) : p->needed[node->id];
    return where.choice && step->out->place != PLACE_prepared ? (PlanWhen){choice_number(p, where.choice), where.cases}
                                                              : (PlanWhen){0};
}

static void add_step(CgProgram *p, StrMap *stages, CgStep *step, PlanWhen when) {
    CgStage *stage = stage_numbered(p, stages, step->node->stage);
    step->when = when;
    stage->choosing = stage->choosing || p->choosing[step->node->id];
    ARENA_PUSH(p->arena, stage->steps, stage->step_count, stage->step_capacity, step);
}

/* Goes the choice on in the memory of this operand? */
static bool is_there(const CgProgram *p, const IrNode *choice, const IrNode *operand) {
    const CgBuffer *from = p->buffer_of[operand->id], *to = p->buffer_of[choice->id];
    return from && from->place == to->place && from->offset == to->offset;
}

/* Choices come first: whoever runs the stages looks at them once, before the first step that has a condition. */
static void check_choices(const CgProgram *p) {
    bool chosen = false;
    for (int i = 0; i < p->stage_count; i++) {
        const CgStage *stage = p->stages[i];
        for (int j = 0; j < stage->step_count; j++) {
            const CgStep *step = stage->steps[j];
            chosen = chosen || step->when.choice;
            if (chosen && stage->choosing && !stage->prepared)
                bug("%%%d of @%s is made for a choice after steps that depend on one", step->node->id, p->graph->name);
        }
    }
}

/* One step for each of the values, where it is chosen; they write the same memory. */
static void add_choice(CgProgram *p, CgBuild *b, StrMap *stages, IrNode *node) {
    int choice = choice_number(p, node->inputs[0]);
    for (int i = 1; i < node->input_count; i++) {
        PlanWhen when = {choice, 0};
        bool before = false;
        for (int k = 1; k < node->input_count; k++) {
            before = before || (k < i && node->inputs[k] == node->inputs[i]);
            when.cases |= node->inputs[k] == node->inputs[i] ? UINT64_C(1) << (k - 1) : 0;
        }
        if (!before && !is_there(p, node, node->inputs[i]))
            add_step(p, stages, build_step(p, b, node, i), when);
    }
}

static void build_steps(CgProgram *p) {
    StrMap stages = str_map_create(p->arena);
    CgBuild *build = ARENA_NEW(p->arena, CgBuild); /* one for all: its tables are large */
    build->scratch = arena_create();
    for (IrNode *n = p->graph->first; n; n = n->next) {
        if (!has_buffer(n) || ir_is(n, OP_GIVEN))
            continue;
        if (n->stage < 0)
            bug("%%%d = %s of @%s belongs to no stage; run fuse", n->id, ir_op_info[n->op].name, p->graph->name);
        if (ir_is(n, OP_LAZY)) {
            add_choice(p, build, &stages, n);
        } else {
            CgStep *step = build_step(p, build, n, 0);
            add_step(p, &stages, step, condition_of(p, step));
        }
    }
    arena_destroy(build->scratch);
    for (int i = 0; i < p->stage_count; i++)
        set_domain(p, p->stages[i]);
    check_choices(p);
}

CgProgram *cg_build_stages(Arena *arena, IrGraph *graph, const CgOptions *options, const CgNames *names,
                           int64_t prepared_base) {
    CgProgram *p = ARENA_NEW(arena, CgProgram);
    *p =
        (CgProgram){.arena = arena, .graph = graph, .options = options, .names = names, .prepared_base = prepared_base};
    p->assigned = str_map_create(arena);
    p->state_offsets = cg_state_offsets(arena, graph->module, options);
    p->needed = ir_find_conditions(graph, arena); /* numbers the nodes */
    p->choosing = ir_find_choosing(graph, arena);
    p->buffer_of = ARENA_ARRAY(arena, CgBuffer *, graph->next_id);
    make_buffers(p);
    build_steps(p);
    return p;
}
