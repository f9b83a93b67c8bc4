/* ndartsc_resources.c: --emit=resources NET.cubin: what each kernel takes and does, and how long it would take a card
 * that reached its peak of arithmetic or of memory (its roofline). */
#include "tools/ndartsc.h"

#include "base/str.h"
#include "base/tensor_file.h"
#include "codegen/plan/plan.h"
#include "runtime/device/cards.h"
#include "runtime/device/cubin.h"

#include <stdlib.h>

typedef struct KernelLine {
    int kernel;
    int64_t calls, threads; /* in all graphs; of the largest call */
    CubinKernel found;
    double seconds; /* of all calls */
} KernelLine;

static void count_steps(const Plan *plan, const PlanStage *stages, int count, KernelLine *lines) {
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < stages[i].step_count; j++) {
            const PlanStep *step = &stages[i].steps[j];
            int64_t outer = step->launch == LAUNCH_images   ? plan->batch
                            : step->launch == LAUNCH_chunks ? plan->chunks
                                                            : 1;
            KernelLine *line = &lines[step->kernel];
            line->calls++;
            line->threads = step->threads * outer > line->threads ? step->threads * outer : line->threads;
        }
    }
}

static int compare_lines(const void *a, const void *b) {
    const KernelLine *x = a, *y = b;
    return x->seconds != y->seconds ? (x->seconds < y->seconds ? 1 : -1) : x->kernel - y->kernel;
}

static void print_lines(const Plan *plan, const Card *card, const KernelLine *lines) {
    double total = 0;
    int spilled = 0;
    printf("kernel    calls  registers  shared  stack   blocks      MFLOP         MB   us each  us %-8s  for\n",
           card->name);
    for (int i = 0; i < plan->kernel_count; i++) {
        const KernelLine *l = &lines[i];
        const PlanKernel *w = &plan->kernels[l->kernel];
        printf("%-8s %6lld %10d %7d %6d %8lld %10.2f %10.2f %9.2f %11.1f  %s\n", w->name, (long long)l->calls,
               l->found.registers, l->found.shared_bytes, l->found.stack_bytes,
               (long long)((l->threads + ND_BLOCK_THREADS - 1) / ND_BLOCK_THREADS), 1e-6 * (double)w->flops,
               1e-6 * (double)w->bytes, l->calls ? 1e6 * l->seconds / (double)l->calls : 0, 1e6 * l->seconds,
               w->origin);
        total += l->seconds;
        spilled += l->found.stack_bytes > 0;
    }
    printf("%d kernels, %d of them with a stack; all calls of all graphs at the peak of %s: %.3f ms at batch %lld\n",
           plan->kernel_count, spilled, card->name, 1e3 * total, (long long)plan->batch);
}

static bool list(const Emission *o, Error *error) {
    const Card *card = card_find(o->line->card ? o->line->card : "h100", error);
    SourceFile *file = card ? source_read(o->arena, o->input, error) : NULL;
    size_t available = 0;
    if (!file)
        return false;
    const unsigned char *bytes = cubin_find(file->text, file->size, "nd_plan", &available);
    if (!bytes)
        return error_set(error, ERROR_INPUT, "%s is not a module: expected an ELF file with the symbol nd_plan",
                         o->input);
    const Plan *plan = plan_read(o->arena, bytes, available, error);
    if (!plan || plan->target != TARGET_cuda)
        return error_set(error, ERROR_INPUT, "%s is not a module for CUDA", o->input);
    KernelLine *lines = ARENA_ARRAY(o->arena, KernelLine, plan->kernel_count);
    for (int i = 0; i < plan->graph_count; i++) {
        count_steps(plan, plan->graphs[i].prepare, plan->graphs[i].prepare_count, lines);
        count_steps(plan, plan->graphs[i].stages, plan->graphs[i].stage_count, lines);
    }
    for (int i = 0; i < plan->kernel_count; i++) {
        lines[i].kernel = i;
        lines[i].seconds = (double)lines[i].calls * card_roofline(card, plan->precision, &plan->kernels[i]);
        if (!cubin_kernel(file->text, file->size, plan->kernels[i].name, &lines[i].found))
            return error_set(error, ERROR_INPUT, "%s: the kernel %s of its plan is not there", o->input,
                             plan->kernels[i].name);
    }
    qsort(lines, (size_t)plan->kernel_count, sizeof *lines, compare_lines);
    print_lines(plan, card, lines);
    return true;
}

int resources_run(const Emission *emission) {
    Error error = {ERROR_NONE, ""};
    return list(emission, &error) ? 0 : error_report(&error);
}
