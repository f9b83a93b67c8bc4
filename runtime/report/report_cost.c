/* report_cost.c: parameters and multiply-adds by kind of operation: what @forward calls, or mixes, by the function's
 * name without its numbers; what is left is done by @forward itself. */
#include "runtime/loops/genotype.h"
#include "runtime/report/report.h"

#include "ir/stats.h"

#include <stdlib.h>
#include <string.h>

typedef struct Costs {
    Arena *arena;
    ReportCost *items;
    int count, capacity;
} Costs;

static ReportCost *find_row(Costs *c, const char *name) {
    for (int i = 0; i < c->count; i++) {
        if (str_equal(c->items[i].name, name))
            return &c->items[i];
    }
    ARENA_PUSH(c->arena, c->items, c->count, c->capacity, ((ReportCost){.name = name}));
    return &c->items[c->count - 1];
}

static int64_t count_macs(const IrStats *s) {
    return s->conv_macs + s->linear_macs;
}

static void add_callees(Costs *c, const IrNode *node, const char *attr) {
    const IrAttr *callees = ir_attr(node, attr);
    for (int i = 0; i < callees->count; i++) {
        IrStats stats = ir_count_stats(ir_graph_find(node->graph->module, callees->symbols[i]));
        ReportCost *row = find_row(c, genotype_operation_name(c->arena, callees->symbols[i]));
        row->times++;
        row->parameters += stats.parameters;
        row->macs += count_macs(&stats);
    }
}

static int compare_rows(const void *a, const void *b) {
    const ReportCost *x = a, *y = b;
    if (x->macs != y->macs)
        return x->macs < y->macs ? 1 : -1;
    if (x->parameters != y->parameters)
        return x->parameters < y->parameters ? 1 : -1;
    return strcmp(x->name, y->name);
}

int report_costs(Arena *arena, const IrModule *module, ReportCost **costs) {
    const IrGraph *g = module ? ir_graph_find(module, "forward") : NULL;
    if (!g)
        return 0;
    Costs c = {.arena = arena};
    for (const IrNode *n = g->first; n; n = n->next) {
        if (n->op == OP_call)
            add_callees(&c, n, "callee");
        else if (n->op == OP_mixed)
            add_callees(&c, n, "candidates");
    }
    if (c.count == 0)
        return 0; /* nothing to tell apart */
    IrStats all = ir_count_stats(g);
    ReportCost rest = {"all else: stem, classifier", 1, all.parameters, count_macs(&all)};
    for (int i = 0; i < c.count; i++) {
        rest.parameters -= c.items[i].parameters;
        rest.macs -= c.items[i].macs;
    }
    ARENA_PUSH(arena, c.items, c.count, c.capacity, rest);
    qsort(c.items, (size_t)c.count, sizeof *c.items, compare_rows);
    ARENA_PUSH(arena, c.items, c.count, c.capacity, ((ReportCost){"all", 0, all.parameters, count_macs(&all)}));
    *costs = c.items;
    return c.count;
}
