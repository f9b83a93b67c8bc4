/* memory_report.c: the text of --mem-report: every buffer of a planned graph, and how large its places are.
 *     graph search-alphas, batch 16
 *       name   place         offset          bytes   first    last  tag
 *       %12    work               0        1048576       0       3  cells.0._ops.0
 *     work 61.5 MB, private 0.4 MB (per thread), prepared 0 B, state 17.2 MB */
#include "passes/plan_memory.h"

#include <inttypes.h>
#include <limits.h>

static const char *last_stage(Arena *arena, const PlanValue *v) {
    return v->last == INT_MAX ? "end" : arena_printf(arena, "%d", v->last);
}

static void print_value(PassContext *ctx, const PlanValue *v, Str *out) {
    const IrNode *n = v->node;
    str_addf(out, "  %%%-7d %-22s %-9s %12" PRId64 " %12" PRId64 " %6d %6s  %s\n", n->id, ir_op_info[n->op].name,
             ir_place_name(n->place), n->offset, v->bytes, v->first, last_stage(ctx->arena, v), n->tag ? n->tag : "");
}

static void print_size(Str *out, int64_t bytes) {
    if (bytes < 10000) {
        str_addf(out, "%" PRId64 " B", bytes);
    } else {
        str_addf(out, "%.1f MB", (double)bytes / 1e6);
    }
}

void memory_report(PassContext *ctx, IrGraph *g, Str *out) {
    Plan plan = plan_describe(ctx, g);
    int64_t end[PLACE_prepared + 1] = {0};
    str_addf(out, "graph %s, batch %" PRId64 "\n", g->name, ctx->batch);
    str_addf(out, "  %-8s %-22s %-9s %12s %12s %6s %6s  %s\n", "value", "operation", "place", "offset", "bytes",
             "first", "last", "tag");
    for (int i = 0; i < plan.count; i++) {
        const PlanValue *v = &plan.values[i];
        if (v->node) {
            print_value(ctx, v, out);
            int64_t *last = &end[v->node->place];
            *last = v->node->offset + v->bytes > *last ? v->node->offset + v->bytes : *last;
        }
    }
    str_add(out, "work ");
    print_size(out, end[PLACE_work]);
    str_add(out, ", private ");
    print_size(out, end[PLACE_private]);
    str_add(out, " (per thread), prepared ");
    print_size(out, end[PLACE_prepared]);
    str_add(out, ", state ");
    print_size(out, plan.state_bytes);
    str_add(out, "\n");
}
