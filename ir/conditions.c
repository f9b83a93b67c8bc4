/* conditions.c: walks a graph from its end, so that all who read a value are known before it; see conditions.h. */
#include "ir/conditions.h"

static const IrCondition always = {NULL, UINT64_MAX, 0};

static IrCondition single(IrNode *choice, int which, int count) {
    return (IrCondition){choice, UINT64_C(1) << which, count};
}

IrCondition ir_condition_join(IrCondition a, IrCondition b) {
    if (!a.cases || !b.cases)
        return a.cases ? a : b;
    if (a.choice != b.choice)
        return always;
    IrCondition both = {a.choice, a.cases | b.cases, a.count > b.count ? a.count : b.count};
    uint64_t all = both.count ? UINT64_MAX >> (IR_MAX_CASES - both.count) : UINT64_MAX;
    return (both.cases & all) == all ? always : both;
}

bool ir_condition_implies(const IrCondition *a, const IrCondition *b) {
    return !b->choice || (a->choice == b->choice && !(a->cases & ~b->cases));
}

IrCondition ir_condition_of_assignment(const IrNode *node) {
    const IrAttr *cases = ir_param_written(node) ? ir_attr(node, "cases") : NULL;
    if (!cases)
        return always;
    IrCondition where = {node->inputs[1], 0, 0};
    for (int c = 0; c < cases->count; c++)
        where.cases |= UINT64_C(1) << cases->ints[c];
    return where;
}

IrNode *ir_choice_of(const IrNode *node) {
    return ir_is(node, OP_LAZY) ? node->inputs[0] : ir_attr(node, "cases") ? node->inputs[1] : NULL;
}

bool *ir_find_choosing(IrGraph *graph, Arena *arena) {
    ir_graph_number(graph);
    bool *choosing = ARENA_ARRAY(arena, bool, graph->next_id);
    for (IrNode *n = graph->last; n; n = n->prev) {
        const IrNode *choice = ir_choice_of(n);
        if (choice)
            choosing[choice->id] = true;
        for (int i = 0; choosing[n->id] && i < n->input_count; i++)
            choosing[n->inputs[i]->id] = true;
    }
    return choosing;
}

/* Where operand i of a needed node is read. */
static IrCondition where_read(const IrNode *n, int i, IrCondition needed) {
    if (ir_is(n, OP_LAZY))
        return i ? single(n->inputs[0], i - 1, n->input_count - 1) : always;
    IrCondition where = ir_condition_of_assignment(n);
    return !where.choice ? needed : i ? always : where;
}

IrCondition *ir_find_conditions(IrGraph *graph, Arena *arena) {
    ir_graph_number(graph);
    IrCondition *needed = ARENA_ARRAY(arena, IrCondition, graph->next_id);
    for (int i = 0; i < graph->output_count; i++)
        needed[graph->outputs[i].value->id] = always;
    for (IrNode *n = graph->last; n; n = n->prev) {
        if (ir_is(n, OP_EFFECT))
            needed[n->id] = always;
        for (int i = 0; needed[n->id].cases && i < n->input_count; i++) {
            IrCondition *operand = &needed[n->inputs[i]->id];
            *operand = ir_condition_join(*operand, where_read(n, i, needed[n->id]));
        }
    }
    return needed;
}
