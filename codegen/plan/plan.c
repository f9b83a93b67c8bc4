/* plan.c: the words of plans, and what is asked of one. */
#include "codegen/plan/plan_names.h"

#define WORDS(name, ...)                                                                                               \
    static const char *const name##_words[] = {__VA_ARGS__};                                                           \
    const PlanWords plan_##name = {sizeof name##_words / sizeof *name##_words, name##_words}

#define TARGET(name, starts_threads) #name,
static const char *const target_words[] = {
#include "codegen/plan/targets.def"
};
#undef TARGET
const PlanWords plan_targets = {TARGET_COUNT, target_words};

#define TARGET(name, starts_threads) starts_threads,
const bool plan_starts_threads[TARGET_COUNT] = {
#include "codegen/plan/targets.def"
};
#undef TARGET

WORDS(
    precisions, [PRECISION_f32] = "f32", [PRECISION_f64] = "f64", [PRECISION_tf32] = "tf32", [PRECISION_bf16] = "bf16");
WORDS(dtypes, [DTYPE_f32] = "f32", [DTYPE_i32] = "i32", [DTYPE_u8] = "u8");
WORDS(places, [PLACE_state] = "state", [PLACE_input] = "input", [PLACE_work] = "work", [PLACE_private] = "private",
      [PLACE_prepared] = "prepared");
WORDS(param_kinds, [PARAM_weight] = "weight", [PARAM_alpha] = "alpha", [PARAM_statistic] = "statistic",
      [PARAM_optimizer] = "optimizer");
WORDS(inits, [INIT_zeros] = "zeros", [INIT_ones] = "ones", [INIT_uniform_fan_in] = "uniform", [INIT_normal] = "normal");
WORDS(domains, [DOMAIN_images] = "images", [DOMAIN_parallel] = "parallel", [DOMAIN_serial] = "serial",
      [DOMAIN_exchange] = "exchange");
WORDS(launches, [LAUNCH_once] = "once", [LAUNCH_images] = "images", [LAUNCH_chunks] = "chunks");

const char plan_place_letters[PLACE_prepared + 1] = {
    [PLACE_state] = 's', [PLACE_input] = 'i', [PLACE_work] = 'w', [PLACE_private] = 'p', [PLACE_prepared] = 'r'};

const PlanGraph *plan_find_graph(const Plan *plan, GraphKind kind) {
    for (int i = 0; i < plan->graph_count; i++) {
        if (plan->graphs[i].kind == kind)
            return &plan->graphs[i];
    }
    return NULL;
}

int64_t plan_element_bytes(CgPrecision precision, IrDtype dtype) {
    if (dtype == DTYPE_u8 || dtype == DTYPE_bf16)
        return dtype == DTYPE_u8 ? 1 : 2;
    return dtype == DTYPE_f32 && precision == PRECISION_f64 ? 8 : 4;
}

int64_t plan_tensor_bytes(const Plan *plan, const PlanTensor *tensor, int64_t n) {
    return ir_type_count(&tensor->type, n, plan->chunks) * plan_element_bytes(plan->precision, tensor->type.dtype);
}

PlanConvKind plan_conv_kind(const PlanConv *conv) {
    const int numbers[] = {conv->input, conv->output, conv->weight};
    unsigned seen = 0;
    for (int i = 0; i < 3; i++)
        seen |= numbers[i] >= 0 && numbers[i] < 3 ? 1u << numbers[i] : 0;
    if (seen != 7)
        return CONV_none;
    return conv->output == 0 ? CONV_forward : conv->input == 0 ? CONV_grad_input : CONV_grad_weight;
}

uint64_t plan_case(double fell_on) {
    return fell_on >= 0 && fell_on < IR_MAX_CASES ? UINT64_C(1) << (int)fell_on : 0;
}

static bool starts_together(const PlanStep *a, const PlanStep *b) {
    return a->kernel == b->kernel && a->when.choice == b->when.choice && a->when.cases == b->when.cases;
}

int plan_count_together(const PlanStage *stage, int first) {
    enum { MOST = 65535 /* a grid's y */ };
    int end = first + 1;
    while (end < stage->step_count && end - first < MOST && starts_together(&stage->steps[end], &stage->steps[first]))
        end++;
    return end - first;
}

int plan_count_launches(const PlanStage *stages, int count) {
    int launches = 0;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < stages[i].step_count; j += plan_count_together(&stages[i], j))
            launches++;
    return launches;
}

int plan_longest_chain(Arena *arena, const PlanGraph *graph) {
    int *length = ARENA_ARRAY(arena, int, plan_count_launches(graph->stages, graph->stage_count) + 1);
    int number = 0, longest = 0, before = 0;
    for (int i = 0; i < graph->stage_count; i++) {
        const PlanStage *stage = &graph->stages[i];
        before = i == graph->choosing_count ? longest : before;
        for (int j = 0; j < stage->step_count; j += plan_count_together(stage, j)) {
            const PlanStep *step = &stage->steps[j];
            length[number] = before;
            for (int k = 0; k < step->wait_count; k++)
                if (length[step->waits[k]] > length[number])
                    length[number] = length[step->waits[k]];
            length[number]++;
            longest = length[number] > longest ? length[number] : longest;
            number++;
        }
    }
    return longest;
}

int64_t plan_place_bytes(const Plan *plan, const PlanGraph *g, IrPlace place) {
    switch (place) {
    case PLACE_state:
        return plan->state_bytes;
    case PLACE_prepared:
        return plan->prepared_bytes;
    case PLACE_work:
        return g->work_bytes;
    case PLACE_private:
        return g->private_bytes;
    default:
        return 0;
    }
}
