/* genotype_kept.c: from the architecture parameters of a search to the space of the next one, with the heaviest
 * candidates of every edge (P-DARTS searches in such stages):
 *
 *     import "darts.nd"                                      what the candidates need, as before a genotype
 *     space kept {
 *         after max_pool_3x3 = ^bn1: batch_norm              what the searched space does around its candidates
 *         cell { inputs 2  nodes 4  output concat(nodes)  keep 2 per node }
 *         edge normal(0, 2) = [skip_connect, sep_conv_3x3]   edge by edge, in their order
 *     }
 *
 * `none` is a candidate like others here. */
#include "base/str.h"
#include "ir/settings.h"
#include "runtime/loops/genotype.h"

static void print_edge(Str *out, const char *cell, int from, int to, const DeriveEdge *edge, const bool *kept) {
    str_addf(out, "    edge %s(%d, %d) = [", cell, from, to);
    for (int i = 0, count = 0; i < edge->count; i++)
        if (kept[i])
            str_addf(out, "%s%s", count++ ? ", " : "", edge->operations[i]);
    str_add(out, "]\n");
}

static void print_cell(Arena *arena, Str *out, const char *cell, const DeriveSpace *space, const DeriveWeights *weights,
                       int most) {
    for (int node = 0, at = 0; node < space->nodes; node++)
        for (int from = 0; from < space->inputs + node; from++, at++) {
            const DeriveEdge *edge = &space->edges[at];
            bool *kept = ARENA_ARRAY(arena, bool, edge->count + 1);
            derive_heaviest(weights->of_candidates + at * weights->stride, edge->count, most, kept);
            print_edge(out, cell, from, space->inputs + node, edge, kept);
        }
}

bool genotype_keep(Arena *arena, const IrModule *settings, const char *name, const GenotypeValues *values, int most,
                   Genotype *genotype, Error *error) {
    const Settings s = settings_read(settings);
    Str out = str_create(arena);
    if (!s.space.definitions || !s.space.around)
        return error_set(
            error, ERROR_INPUT,
            "nothing says what space these are of but for its candidates; --spec SPEC.nd names its search");
    str_addf(&out, "%s\nspace %s {\n%s", s.space.definitions, name, s.space.around);
    for (int i = 0; i < values->count; i++) {
        DeriveSpace space;
        DeriveWeights weights;
        if (!genotype_weigh(arena, settings, values, i, &space, &weights, error))
            return false;
        print_cell(arena, &out, genotype_cell_name(values->tensors[i].name), &space, &weights, most);
    }
    str_add(&out, "}\n");
    *genotype = (Genotype){.name = name, .text = out.data};
    return true;
}
