/* genotype.h: a genotype from values of architecture parameters, as text and as drawings. */
#ifndef NDARTS_RUNTIME_LOOPS_GENOTYPE_H
#define NDARTS_RUNTIME_LOOPS_GENOTYPE_H

#include "base/tensor_file.h"
#include "frontend/frontend.h"
#include "passes/derive.h"

typedef struct Genotype {
    const char *name;
    int cell_count; /* one of each kind; none: it is a space */
    GenotypeCell *cells;
    bool has_network;
    const char *text; /* compilable: the cells and, when the search says where to put them, `network main` */
} Genotype;

/* Names of the architecture parameters, one for each kind of cell: the setting space.alphas, else alphas_normal and
 * alphas_reduce. */
const char *const *genotype_alpha_names(const IrModule *settings, int *count);
/* betas_normal for alphas_normal, where a method weighs the edges of nodes; NULL: edges are added up as they are. */
const char *genotype_beta_name(Arena *arena, const IrModule *settings, const char *alphas);
/* alphas_normal are those of the cell `normal`. */
const char *genotype_cell_name(const char *alphas);
/* A tensor of shape [edges, candidates] for each kind of cell of a space: architecture parameters, or what they weigh. */
typedef struct GenotypeValues {
    const Tensor *tensors;
    const Tensor *betas; /* of shape [edges], one for each; NULL: edges have no weights */
    int count;
    bool are_weights; /* both */
} GenotypeValues;
/* The cell's space, and what values say of it. ERROR_INPUT when they do not fit. */
bool genotype_weigh(Arena *arena, const IrModule *settings, const GenotypeValues *values, int cell_number,
                    DeriveSpace *space, DeriveWeights *weights, Error *error);
/* A space instead of a genotype (genotype_kept.c): of every edge the `most` heaviest candidates, as the text of
 * `space NAME` and what it needs of the texts that were searched. */
bool genotype_keep(Arena *arena, const IrModule *settings, const char *name, const GenotypeValues *values, int most,
                   Genotype *genotype, Error *error);
/* values: of the settings' space. The text holds whatever the
 * genotype needs (space.definitions), depends on no file but the library's, and has been compiled; its network has the
 * auxiliary head when that fits. ERROR_INPUT when the values do not fit, a cell has nothing to return, or the text does
 * not compile. files: where the library's texts are read from, or NULL; a search has those that it began with. */
bool genotype_build(Arena *arena, const IrModule *settings, const char *name, const GenotypeValues *values,
                    FrontendFiles *files, Genotype *genotype, Error *error);

/* What a genotype is derived from (genotype_derive.c). */
typedef struct GenotypeSource {
    const char *file; /* a checkpoint, a file of architecture parameters, an alphas.jsonl, or a search's folder */
    const TensorFile *tensors; /* architecture parameters instead of the file's, which then only names them; or NULL */
    const char *spec, *name;   /* the search they belong to, what it is called; NULL: what the file says */
    const char *spec_text;     /* RtProgramOptions.text of spec; or NULL */
    int keep_ops;              /* a space with so many candidates on an edge; 0: a genotype */
    int64_t epoch;             /* line of an alphas.jsonl; -1: the last */
    const char *const *sets;   /* of spec */
    int set_count;
    FrontendFiles *files; /* where texts are read from; or NULL */
} GenotypeSource;
bool genotype_derive(Arena *arena, const GenotypeSource *source, Genotype *genotype, Error *error);

/* Whether the genotypes of a search compile, as far as can be told before it begins: one with equal weights is built. */
bool genotype_check(Arena *arena, const IrModule *settings, const char *name, FrontendFiles *files, Error *error);

/* Graphviz (cells_dot.c): states as boxes, operations as coloured, labelled edges, the same colours in every drawing.
 */
const char *genotype_dot(Arena *arena, const char *name, const GenotypeCell *cell);
/* Several in one drawing, from the top down. */
const char *genotype_dot_all(Arena *arena, const char *name, int count, const GenotypeCell *const *cells);
/* The cells of a network that a genotype makes, as genotype_read_cell finds them; NULL when it has none. */
const char *genotype_dot_network(Arena *arena, const IrModule *module);
/* "#rrggbb", as in those drawings. */
const char *genotype_operation_colour(const char *operation);
/* FOLDER/CELL.dot of every cell: normal.dot, reduce.dot. */
bool genotype_write_dot(Arena *arena, const char *folder, const Genotype *genotype, Error *error);
/* The same by Graphviz, as CELL.svg; false when Graphviz is not installed or fails. */
bool genotype_draw(Arena *arena, const char *folder, const Genotype *genotype);

/* cells_read.c: the first normal cell, or the first reduction, of a network of genotype cells. NULL when it has none.
 */
const GenotypeCell *genotype_read_cell(Arena *arena, const IrModule *module, bool reduction);
/* sep_conv_3x3_36_1 and sep_conv_3x3_36_1_8x8, functions for 36 channels and stride 1, are sep_conv_3x3. */
const char *genotype_operation_name(Arena *arena, const char *function);

#endif
