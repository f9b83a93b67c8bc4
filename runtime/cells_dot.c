/* cells_dot.c: the cells of a genotype as Graphviz drawings. */
#include "base/hash.h"
#include "base/str.h"
#include "runtime/genotype.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A colour per family of operations, darker for larger kernels of it. */
typedef struct OperationColour {
    const char *prefix, *colour;
} OperationColour;
static const OperationColour colours[] = {
    {"skip_connect", "#888888"}, {"identity", "#888888"},     {"max_pool", "#e6550d"},     {"avg_pool", "#fdae6b"},
    {"sep_conv_3x3", "#6baed6"}, {"sep_conv_5x5", "#2171b5"}, {"sep_conv_7x7", "#08306b"}, {"dil_conv_3x3", "#74c476"},
    {"dil_conv_5x5", "#238b45"}, {"conv_7x1_1x7", "#9e9ac8"}, {"conv_9x9", "#6a51a3"},     {"none", "#dddddd"},
};
static const char *const others[] = {"#c51b8a", "#8c510a", "#01665e", "#b8860b", "#a50f15", "#54278f"};

static const char *operation_colour(const char *operation) {
    for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
        if (str_starts_with(operation, colours[i].prefix))
            return colours[i].colour;
    }
    return others[hash_string(operation) % (sizeof(others) / sizeof(others[0]))];
}

/* States before the cell are the outputs of earlier cells: s0 of the one before the last. */
static void add_states(Str *out, const GenotypeCell *cell) {
    for (int i = 0; i < cell->inputs; i++)
        str_addf(out, "  s%d [label=\"s%d: c_{k-%d}\", fillcolor=\"#d9ead3\"];\n", i, i, cell->inputs - i);
    for (int i = 0; i < cell->node_count; i++)
        str_addf(out, "  s%d [label=\"s%d\", fillcolor=\"#cfe2f3\"];\n", cell->inputs + i, cell->inputs + i);
    str_add(out, "  out [label=\"c_{k}\", fillcolor=\"#fff2cc\"];\n");
}

const char *genotype_dot(Arena *arena, const char *name, const GenotypeCell *cell) {
    Str out = str_create(arena);
    str_add(&out, "digraph ");
    str_add_quoted(&out, name);
    str_add(&out, " {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\"];\n"
                  "  edge [fontname=\"Helvetica\", fontsize=11];\n");
    add_states(&out, cell);
    for (int i = 0; i < cell->node_count; i++) {
        for (int j = 0; j < cell->nodes[i].edge_count; j++) {
            const GenotypeEdge *edge = &cell->nodes[i].edges[j];
            const char *colour = operation_colour(edge->operation);
            str_addf(&out, "  s%d -> s%d [label=\"%s\", color=\"%s\", fontcolor=\"%s\", penwidth=2];\n", edge->source,
                     cell->inputs + i, edge->operation, colour, colour);
        }
    }
    for (int i = 0; i < cell->node_count; i++)
        str_addf(&out, "  s%d -> out [color=\"#bbbbbb\", style=dashed];\n", cell->inputs + i);
    str_add(&out, "}\n");
    return out.data;
}

static bool write_cell(Arena *arena, const char *folder, const char *name, const GenotypeCell *cell, Error *error) {
    const char *text = genotype_dot(arena, name, cell);
    return file_write_atomic(arena_printf(arena, "%s/%s.dot", folder, name), text, strlen(text), error);
}

bool genotype_write_dot(Arena *arena, const char *folder, const Genotype *genotype, Error *error) {
    return write_cell(arena, folder, "normal", &genotype->normal, error) &&
           (!genotype->has_reduce || write_cell(arena, folder, "reduce", &genotype->reduce, error));
}

static bool run_dot(Arena *arena, const char *folder, const char *name) {
    extern char **environ;
    char *arguments[] = {(char[]){"dot"},
                         (char[]){"-Tsvg"},
                         (char[]){"-o"},
                         arena_printf(arena, "%s/%s.svg", folder, name),
                         arena_printf(arena, "%s/%s.dot", folder, name),
                         NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child;
    int code = posix_spawnp(&child, "dot", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0)
        return false;
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool genotype_draw(Arena *arena, const char *folder, const Genotype *genotype) {
    return run_dot(arena, folder, "normal") && (!genotype->has_reduce || run_dot(arena, folder, "reduce"));
}
