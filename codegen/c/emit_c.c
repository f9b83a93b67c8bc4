/* emit_c.c: the C dialect: the plain schedule, and the choice of a schedule for each step. */
#include "codegen/c/emit_c.h"

/* ---- the plain schedule: works for every step ---- */

/* Loops over the result's axes in memory order; the image is given in stages over images. */
static int open_result(CgEmitC *e, CgPrinter *p) {
    const CgStep *step = p->step;
    int opened = 0;
    for (int i = 0; i < step->out->type.rank; i++) {
        int axis = step->out->order[i];
        if ((axis == 0 && e->stage->domain == DOMAIN_images) || step->axes[axis].extent == 1)
            continue;
        cg_c_open_axis(p, axis);
        opened++;
    }
    return opened;
}

static void emit_plain(CgEmitC *e, CgStep *step) {
    Str body = str_create(e->arena);
    CgPrinter *p = cg_emit_begin(e, &body, step);
    int opened = open_result(e, p);
    const char *name = cg_c_print_scalar(p, step->value);
    const char *offset = cg_c_result_offset(p);
    if (step->partial)
        cg_emit_store_partial(p, offset, name, false);
    else
        cg_c_store(p, step->out, offset, name, false);
    while (opened--)
        cg_c_close(p);
    cg_emit_end(e, p);
}

bool cg_schedule_step(CgEmitC *e, CgProgram *program, CgStep *step) {
    for (int i = 0; cg_schedules[i]; i++) {
        e->consumed = 1;
        if (cg_schedules[i](e, program, step))
            return true;
    }
    return false;
}

/* The runtime does it: where the result goes, the chunks, and how many elements each has. */
static void add_exchange(CgModule *module, const CgStep *step, PlanStage *calls) {
    const int64_t count = ir_type_count(&step->out->type, 1, 1);
    cg_add_call(module, calls, PLAN_NO_KERNEL, step->buffer_count, step->buffers, 1, &count)->when = step->when;
}

/* Steps of one condition, as if they were a stage: no kernel has steps of two. */
static void emit_run(CgModule *module, CgProgram *program, const CgStage *stage, PlanStage *calls) {
    CgEmitC *e = ARENA_NEW(module->arena, CgEmitC);
    *e = (CgEmitC){.module = module, .program = program, .stage = stage, .calls = calls, .arena = arena_create()};
    for (e->position = 0; e->position < stage->step_count; e->position += e->consumed) {
        CgStep *step = stage->steps[e->position];
        e->consumed = 1;
        if (module->options->plain || !cg_schedule_step(e, program, step))
            emit_plain(e, step);
        arena_reset(e->arena);
    }
    arena_destroy(e->arena);
}

static void emit_stage(CgModule *module, CgProgram *program, const CgStage *stage, PlanStage *calls) {
    if (stage->domain == DOMAIN_exchange) {
        for (int i = 0; i < stage->step_count; i++)
            add_exchange(module, stage->steps[i], calls);
        return;
    }
    for (int first = 0, end; first < stage->step_count; first = end) {
        for (end = first + 1; end < stage->step_count && cg_same_condition(stage->steps[end], stage->steps[first]);
             end++)
            continue;
        CgStage run = *stage;
        run.steps = stage->steps + first;
        run.step_count = end - first;
        int before = calls->step_count;
        emit_run(module, program, &run, calls);
        for (int i = before; i < calls->step_count; i++)
            calls->steps[i].when = stage->steps[first]->when;
    }
}

void cg_c_emit_program(CgModule *module, CgProgram *program, PlanGraph *calls) {
    for (int i = 0; i < program->stage_count; i++) {
        PlanStage stage = {.domain = program->stages[i]->domain};
        emit_stage(module, program, program->stages[i], &stage);
        cg_add_stage(module, calls, program->stages[i]->prepared, stage);
        if (program->stages[i]->choosing && !program->stages[i]->prepared)
            calls->choosing_count = calls->stage_count;
    }
}
