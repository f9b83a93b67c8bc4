/* fuzz_plan.c: any bytes at all as the plan of a module, with and without the head it has there; what is accepted is
 * used for what a program uses it for before the first kernel runs. */
#include "codegen/plan/plan.h"
#include "runtime/device/fit.h"
#include "runtime/driver/tensors.h"

#include "tests/fuzz/fuzz.h"

static void use_tensors(const Plan *plan, const PlanTensor *tensors, int count) {
    for (int i = 0; i < count; i++) {
        RtTensorInfo info = rt_tensor_describe(plan, &tensors[i]);
        (void)info;
        (void)plan_tensor_bytes(plan, &tensors[i], plan->batch);
    }
}

/* A plan that does nothing gives numbers that nobody computed. */
static void check_work(const PlanGraph *g) {
    bool computes = false;
    for (int i = 0; i < g->output_count; i++)
        computes |= g->outputs[i].place != PLACE_input;
    if (computes && !g->stage_count)
        bug("a graph without stages was accepted");
    for (int i = 0; i < g->stage_count; i++) {
        if (!g->stages[i].step_count)
            bug("a stage without steps was accepted");
    }
}

static void use_plan(const Plan *plan) {
    if (!plan)
        return;
    if (!plan->graph_count)
        bug("a plan without graphs was accepted");
    use_tensors(plan, plan->params, plan->param_count);
    for (int i = 0; i < plan->graph_count; i++) {
        use_tensors(plan, plan->graphs[i].inputs, plan->graphs[i].input_count);
        use_tensors(plan, plan->graphs[i].outputs, plan->graphs[i].output_count);
        check_work(&plan->graphs[i]);
    }
    RtMemory memory = rt_plan_memory(plan, 2);
    (void)rt_memory_total(&memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""}, second = {ERROR_NONE, ""};
    use_plan(plan_parse(arena, (const char *)data, size, &error));
    use_plan(plan_read(arena, data, size, &second));
    arena_destroy(arena);
    return 0;
}
