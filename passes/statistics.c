/* statistics.c: what a pass did to a graph, by operation:
 *     search-weights expand                  257 ->  10074 nodes
 *             +3120 mul
 *             +1400 of 23 others
 *              -120 call
 *               -95 of 3 others
 * The most of each sign have a line, the rest one together, so the lines add up. */
#include "passes/statistics.h"

#include <string.h>

enum { MOST_LINES = 5 };

void statistics_count(const IrGraph *g, PassStatistics *s) {
    memset(s, 0, sizeof *s);
    for (const IrNode *n = g->first; n; n = n->next) {
        s->nodes++;
        s->of[n->op]++;
    }
}

/* The operation with the largest change; OP_COUNT: there is none. Of equals the first of ops.def. */
static int find_largest(const int *change) {
    int largest = OP_COUNT;
    for (int op = 0; op < OP_COUNT; op++) {
        if (change[op] > 0 && (largest == OP_COUNT || change[op] > change[largest]))
            largest = op;
    }
    return largest;
}

/* The operations that became more (sign '+'), or fewer. */
static void print_changes(FILE *out, const PassStatistics *from, const PassStatistics *to, char sign) {
    int change[OP_COUNT], others = 0, rest = 0;
    for (int op = 0; op < OP_COUNT; op++)
        change[op] = to->of[op] - from->of[op];
    for (int i = 0, op; i < MOST_LINES && (op = find_largest(change)) != OP_COUNT; i++) {
        fprintf(out, "%*c%d %s\n", 20 - snprintf(NULL, 0, "%d", change[op]), sign, change[op], ir_op_info[op].name);
        change[op] = 0;
    }
    for (int op = 0; op < OP_COUNT; op++) {
        others += change[op] > 0;
        rest += change[op] > 0 ? change[op] : 0;
    }
    if (others)
        fprintf(out, "%*c%d of %d other%s\n", 20 - snprintf(NULL, 0, "%d", rest), sign, rest, others,
                others > 1 ? "s" : "");
}

void statistics_print(FILE *out, const IrGraph *g, const PassInfo *pass, const PassStatistics *before,
                      const PassStatistics *after) {
    fprintf(out, "%-14s %-18s %6d -> %6d nodes\n", g->name, pass->name, before->nodes, after->nodes);
    print_changes(out, before, after, '+');
    print_changes(out, after, before, '-');
}
