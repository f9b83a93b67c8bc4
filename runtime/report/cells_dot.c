/* cells_dot.c: the cells of a genotype as Graphviz drawings. */
#include "base/file.h"
#include "base/hash.h"
#include "base/quote.h"
#include "base/str.h"
#include "runtime/loops/genotype.h"
#include "runtime/report/draw.h"

#include <string.h>

/* A hue per family of operations, darker for larger kernels of it; of middling lightness, so that they are seen on
 * white and on black. */
typedef struct OperationColour {
    const char *prefix, *colour;
} OperationColour;
static const OperationColour colours[] = {
    {"skip_connect", "#808080"}, {"identity", "#808080"},     {"max_pool", "#d94801"},     {"avg_pool", "#f09000"},
    {"sep_conv_3x3", "#3f9bd8"}, {"sep_conv_5x5", "#1764ab"}, {"sep_conv_7x7", "#4338a0"}, {"dil_conv_3x3", "#3fae5a"},
    {"dil_conv_5x5", "#157a3a"}, {"conv_7x1_1x7", "#9a78d0"}, {"conv_9x9", "#6a3fa0"},     {"none", "#b0b0b0"},
};
static const char *const others[] = {"#c51b8a", "#a0622d", "#0f8a80", "#a88400", "#c22f3d", "#7a4bc0"};

const char *genotype_operation_colour(const char *operation) {
    for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
        if (str_starts_with(operation, colours[i].prefix))
            return colours[i].colour;
    }
    return others[hash_string(operation) % (sizeof(others) / sizeof(others[0]))];
}

/* States before the cell are the outputs of earlier cells: s0 of the one before the last. */
static void add_states(Str *out, const char *prefix, const GenotypeCell *cell) {
    for (int i = 0; i < cell->inputs; i++)
        str_addf(out, "  %ss%d [label=\"s%d: c_{k-%d}\", fillcolor=\"#d9ead3\"];\n", prefix, i, i, cell->inputs - i);
    for (int i = 0; i < cell->node_count; i++)
        str_addf(out, "  %ss%d [label=\"s%d\", fillcolor=\"#cfe2f3\"];\n", prefix, cell->inputs + i, cell->inputs + i);
    str_addf(out, "  %sout [label=\"c_{k}\", fillcolor=\"#fff2cc\"];\n", prefix);
}

/* prefix comes before the names of the states, which several cells of one drawing would share. */
static void add_cell(Str *out, const char *prefix, const GenotypeCell *cell) {
    add_states(out, prefix, cell);
    for (int i = 0; i < cell->node_count; i++) {
        for (int j = 0; j < cell->nodes[i].edge_count; j++) {
            const GenotypeEdge *edge = &cell->nodes[i].edges[j];
            /* A low second line, with nothing in it, keeps the name off its arrow. */
            str_addf(out, "  %ss%d -> %ss%d [label=<", prefix, edge->source, prefix, cell->inputs + i);
            quote_xml(out, edge->operation);
            str_addf(out, "<br/><font point-size=\"7\"> </font>>, color=\"%s\"];\n",
                     genotype_operation_colour(edge->operation));
        }
    }
    for (int i = 0; i < cell->node_count; i++) {
        const char *state = arena_printf(out->arena, "s%d", cell->inputs + i);
        if (!cell->output || str_equal(cell->output, state))
            str_addf(out, "  %s%s -> %sout [color=\"#999999\", style=dashed, penwidth=1];\n", prefix, state, prefix);
    }
}

static Str begin_drawing(Arena *arena, const char *name) {
    Str out = str_create(arena);
    str_add(&out, "digraph \"");
    quote_dot(&out, name);
    str_add(&out, "\" {\n  rankdir=LR;\n  ranksep=0.35;\n  nodesep=0.3;\n"
                  "  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\"];\n"
                  "  edge [fontname=\"Helvetica\", fontsize=11, penwidth=2.5];\n");
    return out;
}

const char *genotype_dot(Arena *arena, const char *name, const GenotypeCell *cell) {
    Str out = begin_drawing(arena, name);
    add_cell(&out, "", cell);
    str_add(&out, "}\n");
    return out.data;
}

/* "reduce" is "reduction" to people. */
static const char *title(const GenotypeCell *cell) {
    return str_equal(cell->name, "reduce") ? "reduction" : cell->name;
}

const char *genotype_dot_all(Arena *arena, const char *name, int count, const GenotypeCell *const *cells) {
    Str out = begin_drawing(arena, name);
    for (int i = count - 1; i >= 0; i--) { /* Graphviz stacks them from the bottom up */
        str_addf(&out, "  subgraph cluster_%d {\n  label=\"", i);
        quote_dot(&out, title(cells[i]));
        str_add(&out, " cell\"; labeljust=l; color=\"transparent\"; fontname=\"Helvetica-Bold\";\n");
        add_cell(&out, arena_printf(arena, "%s_", title(cells[i])), cells[i]);
        str_add(&out, "  }\n");
    }
    str_add(&out, "}\n");
    return out.data;
}

const char *genotype_dot_network(Arena *arena, const IrModule *module) {
    const GenotypeCell *cells[2];
    int count = 0;
    for (int reduction = 0; reduction < 2; reduction++)
        if ((cells[count] = genotype_read_cell(arena, module, reduction)))
            count++;
    return count ? genotype_dot_all(arena, module->name, count, cells) : NULL;
}

static bool write_cell(Arena *arena, const char *folder, const GenotypeCell *cell, Error *error) {
    const char *text = genotype_dot(arena, cell->name, cell);
    return file_write_atomic(arena_printf(arena, "%s/%s.dot", folder, cell->name), text, strlen(text), error);
}

bool genotype_write_dot(Arena *arena, const char *folder, const Genotype *genotype, Error *error) {
    for (int i = 0; i < genotype->cell_count; i++)
        if (!write_cell(arena, folder, &genotype->cells[i], error))
            return false;
    return true;
}

static bool draw_cell(Arena *arena, const char *folder, const GenotypeCell *cell) {
    Error ignored = {ERROR_NONE, ""};
    const char *svg = draw_svg(arena, "dot -Tsvg", genotype_dot(arena, cell->name, cell));
    return svg && file_write_atomic(arena_printf(arena, "%s/%s.svg", folder, cell->name), svg, strlen(svg), &ignored);
}

bool genotype_draw(Arena *arena, const char *folder, const Genotype *genotype) {
    for (int i = 0; i < genotype->cell_count; i++)
        if (!draw_cell(arena, folder, &genotype->cells[i]))
            return false;
    return true;
}
