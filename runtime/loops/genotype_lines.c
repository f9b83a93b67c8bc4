/* genotype_lines.c: genotypes.jsonl, and genotypes as strings of NAS-Bench-201. */
#include "runtime/loops/genotype_lines.h"

#include "base/json.h"
#include "base/str.h"
#include "frontend/frontend.h"
#include "runtime/loops/metrics.h"

static json_t *cell_json(const GenotypeCell *cell) {
    json_t *edges = json_array();
    for (int n = 0; n < cell->node_count; n++)
        for (int e = 0; e < cell->nodes[n].edge_count; e++) {
            const GenotypeEdge *edge = &cell->nodes[n].edges[e];
            json_array_append_new(edges,
                                  json_pack("[o, i, i]", json_text(edge->operation), cell->inputs + n, edge->source));
        }
    return edges;
}

bool genotype_append_line(const char *path, int64_t epoch, const Genotype *genotype, Error *error) {
    Arena *arena = arena_create();
    json_t *line = json_pack("{s:I}", "epoch", (json_int_t)epoch), *cells = json_object();
    for (int i = 0; i < genotype->cell_count; i++)
        json_add(cells, genotype->cells[i].name, cell_json(&genotype->cells[i]));
    json_add(line, "cells", cells);
    const char *string = genotype_string(arena, genotype);
    if (string)
        json_add(line, "string", json_text(string));
    arena_destroy(arena);
    return metrics_append_line(path, line, error);
}

/* ---- NAS-Bench-201 ---- */

static bool is_full(const GenotypeCell *cell) {
    for (int n = 0; n < cell->node_count; n++) {
        if (cell->nodes[n].edge_count != cell->inputs + n)
            return false;
        for (int e = 0; e < cell->nodes[n].edge_count; e++)
            if (cell->nodes[n].edges[e].source != e)
                return false;
    }
    return cell->node_count > 0;
}

const char *genotype_string(Arena *arena, const Genotype *genotype) {
    const GenotypeCell *cell = genotype->cells;
    if (genotype->cell_count != 1 || cell->inputs != 1 || !is_full(cell) || !cell->output ||
        !str_equal(cell->output, arena_printf(arena, "s%d", cell->node_count)))
        return NULL;
    FormCell form = {.inputs = 1, .node_count = cell->node_count};
    form.nodes = ARENA_ARRAY(arena, FormNode, cell->node_count);
    for (int n = 0; n < cell->node_count; n++) {
        int count = cell->nodes[n].edge_count;
        form.nodes[n] = (FormNode){.count = count, .edges = ARENA_ARRAY(arena, FormEdge, count)};
        for (int e = 0; e < count; e++)
            form.nodes[n].edges[e] = (FormEdge){.operation = cell->nodes[n].edges[e].operation, .source = e};
    }
    return frontend_nb201_string(arena, &form);
}
