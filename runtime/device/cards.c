/* cards.c: an estimate for a GPU that is not there. */
#include "runtime/device/cards.h"

#include "base/str.h"

static const Card cards[] = {
    {"h100", 66.9e12, 494.7e12, 989.4e12, 3350e9},  {"h200", 66.9e12, 494.7e12, 989.4e12, 4800e9},
    {"a100", 19.5e12, 156e12, 312e12, 2039e9},      {"l4", 30.3e12, 60e12, 121e12, 300e9},
    {"t4", 8.1e12, 8.1e12, 8.1e12, 320e9},          {"rtx3090", 35.6e12, 35.6e12, 71e12, 936e9},
    {"rtx4090", 82.6e12, 82.6e12, 165.2e12, 1008e9}};
enum { CARD_COUNT = sizeof cards / sizeof cards[0] };

/* From one level of a captured graph to the next: 3 to 5 us by what is known of CUDA (docs/performance.md). */
static const double seconds_of_level = 4e-6;

const Card *card_find(const char *name, Error *error) {
    const char *names[CARD_COUNT];
    for (int i = 0; i < CARD_COUNT; i++) {
        names[i] = cards[i].name;
        if (str_equal(cards[i].name, name))
            return &cards[i];
    }
    const char *near = diag_suggest(name, names, CARD_COUNT);
    error_set(error, ERROR_INPUT, "--card %s is not known%s%s%s; known are h100, h200, a100, l4, t4, rtx3090, rtx4090",
              name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

/* In f32 tensor cores take three products for one. */
static double tensor_peak(const Card *card, CgPrecision precision) {
    return precision == PRECISION_bf16 ? card->bf16 : precision == PRECISION_tf32 ? card->tf32 : card->tf32 / 3;
}

double card_roofline(const Card *card, CgPrecision precision, const PlanKernel *kernel) {
    double peak = kernel->tensor ? tensor_peak(card, precision) : card->flops;
    double compute = (double)kernel->flops / peak, memory = (double)kernel->bytes / card->bytes;
    return compute > memory ? compute : memory;
}

double card_estimate(const Card *card, const Plan *plan, const PlanGraph *graph) {
    double seconds = seconds_of_level * graph->stage_count;
    for (int i = 0; i < graph->stage_count; i++)
        for (int j = 0; j < graph->stages[i].step_count; j++)
            seconds += card_roofline(card, plan->precision, &plan->kernels[graph->stages[i].steps[j].kernel]);
    return seconds;
}
