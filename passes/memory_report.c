/* memory_report.c: the text of --mem-report: every buffer of a planned graph, and how large its places are.
 *     graph search-alphas, batch 16
 *       name   place         offset          bytes   first    last  tag
 *       %12    work               0        1048576       0       3  cells.0._ops.0
 *     work 61.5 MB, private 0.4 MB (per thread), prepared 0 B, state 17.2 MB
 *     most is alive in stage 57: add 34.5 MB (12 values), conv2d 8.2 MB (2 values)
 *     exchanged 212 values in 61 messages, 7.9 MB from each of 4 ranks; under way they take 6.0 MB in each */
#include "passes/memory_report.h"

#include "base/tree_sum.h"
#include "passes/plan_memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *last_stage(Arena *arena, const MemoryValue *v) {
    return v->last == INT_MAX ? "end" : arena_printf(arena, "%d", v->last);
}

static void print_value(PassContext *ctx, const MemoryValue *v, Str *out) {
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

/* A message is all exchanges of a stage: rows of doubles (base/tree_sum.h). There is room for as many as may be under way, each
 * as large as the largest, and what comes of it from all ranks. */
static void print_exchanged(const PassContext *ctx, const IrGraph *g, Str *out) {
    int values = 0, messages = 0, stage = -1;
    int64_t numbers = 0, together = 0, most = 0, row = tree_sum_rows(ctx->chunks) * (int64_t)sizeof(double);
    for (const IrNode *n = g->first; n; n = n->next) {
        if (!ir_is(n, OP_RANKS))
            continue;
        values++;
        messages += n->stage != stage;
        together = n->stage == stage ? together : 0;
        stage = n->stage;
        numbers += ir_type_count(&n->type, 1, 1);
        together += ir_type_count(&n->type, 1, 1);
        most = together > most ? together : most;
    }
    if (!values)
        return;
    str_addf(out, "exchanged %d value%s in %d message%s, ", values, values == 1 ? "" : "s", messages,
             messages == 1 ? "" : "s");
    print_size(out, numbers * row);
    str_addf(out, " from each of %d ranks; under way they take ", ctx->ranks);
    messages = messages < TREE_SUM_MESSAGES ? messages : TREE_SUM_MESSAGES;
    print_size(out, messages * most * row * (1 + ctx->ranks));
    str_add(out, " in each\n");
}

/* ---- the stage that takes most ---- */

const char *memory_owner(Arena *arena, const IrNode *node) {
    const char *tag = node->tag, *dot = tag ? strchr(tag, '.') : NULL, *of_pass = tag ? strchr(tag, '/') : NULL;
    if (!tag)
        return "the rest";
    if (str_starts_with(of_pass ? of_pass + 1 : tag, "cells."))
        dot = strchr(dot + 1, '.');
    return dot ? arena_strndup(arena, tag, (size_t)(dot - tag)) : tag;
}

static bool is_alive(const MemoryValue *v, int stage) {
    return v->node && v->node->place == PLACE_work && v->first <= stage && stage <= v->last;
}

static int find_peak(const MemoryPlan *plan, Arena *arena) {
    int stages = 0, peak = 0;
    for (int i = 0; i < plan->count; i++)
        if (plan->values[i].node && plan->values[i].first >= stages)
            stages = plan->values[i].first + 1;
    int64_t *change = ARENA_ARRAY(arena, int64_t, stages + 1), alive = 0, most = 0;
    for (int i = 0; i < plan->count; i++) {
        const MemoryValue *v = &plan->values[i];
        if (!v->node || v->node->place != PLACE_work)
            continue;
        change[v->first] += v->bytes;
        change[v->last < stages ? v->last + 1 : stages] -= v->bytes;
    }
    for (int s = 0; s < stages; s++) {
        alive += change[s];
        peak = alive > most ? s : peak;
        most = alive > most ? alive : most;
    }
    return peak;
}

typedef struct Owner {
    const char *name;
    int64_t bytes;
    int values;
} Owner;

static int compare_owners(const void *a, const void *b) {
    const Owner *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes) : strcmp(x->name, y->name);
}

typedef const char *NameOwner(Arena *arena, const IrNode *node);

static const char *name_operation(Arena *arena, const IrNode *node) {
    (void)arena;
    return ir_op_info[node->op].name;
}

static int collect_owners(Arena *arena, const MemoryPlan *plan, int stage, NameOwner *name_owner, Owner *owners) {
    StrMap known = str_map_create(arena);
    int count = 0;
    for (int i = 0; i < plan->count; i++) {
        const MemoryValue *v = &plan->values[i];
        if (!is_alive(v, stage))
            continue;
        const char *name = name_owner(arena, v->node);
        Owner *owner = str_map_get(&known, name);
        if (!owner) {
            owner = &owners[count++];
            owner->name = name;
            str_map_set(&known, name, owner);
        }
        owner->bytes += v->bytes;
        owner->values++;
    }
    return count;
}

static const char *describe_peak(const PassContext *ctx, const MemoryPlan *plan, NameOwner *name_owner) {
    enum { MOST_OWNERS = 3 };
    int peak = find_peak(plan, ctx->arena);
    Owner *owners = ARENA_ARRAY(ctx->arena, Owner, plan->count + 1);
    int count = collect_owners(ctx->arena, plan, peak, name_owner, owners);
    qsort(owners, (size_t)count, sizeof *owners, compare_owners);
    Str text = str_create(ctx->arena);
    str_addf(&text, "stage %d:", peak);
    for (int i = 0; i < count && i < MOST_OWNERS; i++) {
        str_addf(&text, "%s %s ", i ? "," : "", owners[i].name);
        print_size(&text, owners[i].bytes);
        str_addf(&text, " (%d value%s)", owners[i].values, owners[i].values == 1 ? "" : "s");
    }
    return text.data;
}

const char *memory_describe_peak(PassContext *ctx, IrGraph *g) {
    MemoryPlan plan = plan_memory_describe(ctx, g);
    return describe_peak(ctx, &plan, memory_owner);
}

/* ---- the report ---- */

void memory_report(PassContext *ctx, IrGraph *g, Str *out) {
    MemoryPlan plan = plan_memory_describe(ctx, g);
    int64_t end[PLACE_prepared + 1] = {0};
    str_addf(out, "graph %s, batch %" PRId64 "\n", g->name, ctx->batch);
    str_addf(out, "  %-8s %-22s %-9s %12s %12s %6s %6s  %s\n", "value", "operation", "place", "offset", "bytes",
             "first", "last", "tag");
    for (int i = 0; i < plan.count; i++) {
        const MemoryValue *v = &plan.values[i];
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
    str_addf(out, "\nmost is alive in %s\n", describe_peak(ctx, &plan, name_operation));
    if (ctx->kind == GRAPH_train && ctx->keep_bytes == PASS_KEEP_WORTHWHILE && !ctx->wide)
        str_add(out,
                "products of 32 channels and more are kept for the backward pass, where computing them again would "
                "take longer; with --mem-budget they are as far as there is room\n");
    print_exchanged(ctx, g, out);
}
