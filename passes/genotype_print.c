/* genotype_print.c: a genotype as a text of the language. */
#include "passes/derive.h"

static void print_node(Str *out, const GenotypeCell *cell, int node) {
    str_addf(out, "        s%d = ", cell->inputs + node);
    for (int j = 0; j < cell->nodes[node].edge_count; j++) {
        const GenotypeEdge *edge = &cell->nodes[node].edges[j];
        str_addf(out, "%s%s(s%d)", j ? " + " : "", edge->operation, edge->source);
    }
    str_add(out, "\n");
}

static void print_cell(Str *out, const GenotypeCell *cell) {
    str_addf(out, "    %s {\n", cell->name);
    for (int i = 0; i < cell->node_count; i++)
        if (cell->nodes[i].edge_count)
            print_node(out, cell, i);
    if (cell->output) {
        str_addf(out, "        return %s\n    }\n", cell->output);
        return;
    }
    str_add(out, "        return concat(");
    for (int i = 0, count = 0; i < cell->node_count; i++)
        if (cell->nodes[i].edge_count)
            str_addf(out, "%ss%d", count++ ? ", " : "", cell->inputs + i);
    str_add(out, ")\n    }\n");
}

const char *genotype_print(Arena *arena, const GenotypeText *text, int count, const GenotypeCell *cells) {
    Str out = str_create(arena);
    if (text->import)
        str_addf(&out, "import \"%s\"\n\n", text->import);
    if (text->definitions)
        str_addf(&out, "%s\n", text->definitions);
    str_addf(&out, "genotype %s {\n", text->name);
    for (int i = 0; i < count; i++)
        print_cell(&out, &cells[i]);
    str_add(&out, "}\n");
    if (text->network)
        str_addf(&out, "\nnetwork main = %s\n", text->network);
    return out.data;
}

const char *genotype_network(Arena *arena, const char *network, const char *name, int channels, int layers, int classes,
                             double auxiliary) {
    Str out = str_create(arena);
    str_addf(&out, "%s(%s, C=%d, layers=%d, classes=%d", network, name, channels, layers, classes);
    if (auxiliary > 0) {
        str_add(&out, ", auxiliary=");
        str_add_double(&out, auxiliary);
    }
    str_add(&out, ")");
    return out.data;
}
