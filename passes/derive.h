/* derive.h: from the architecture parameters of a supernet to a genotype. */
#ifndef NDARTS_PASSES_DERIVE_H
#define NDARTS_PASSES_DERIVE_H

#include "ir/ir.h"

/* One row of candidates: the operations of an edge, in the order of its architecture parameters. */
typedef struct DeriveEdge {
    int count;
    const char *const *operations;
} DeriveEdge;

/* The cell of a search space: states 0 ... inputs-1 come from outside, then nodes; edges by node, then by source state.
 */
typedef struct DeriveSpace {
    int inputs, nodes;
    int keep; /* incoming edges of a node in a genotype; 0: all */
    int edge_count;
    const DeriveEdge *edges;
    const double *edge_weights; /* what the weights of an edge's candidates are multiplied by; NULL: 1 */
} DeriveSpace;

/* Number of edges of a cell in which every node has an edge from every earlier state. */
int derive_count_edges(int inputs, int nodes);
/* The space with the same candidates on all edges. */
DeriveSpace derive_space_uniform(Arena *arena, int inputs, int nodes, int keep, int count,
                                 const char *const *operations);
/* From the settings space.inputs, space.nodes, space.keep and the candidates of an edge of the cell KIND whose
 * parameters are alphas_KIND: space.candidates.KIND.EDGE, or else space.candidates. False, with a message, when one is
 * missing. */
bool derive_space_from_module(Arena *arena, const IrModule *module, const char *alphas, DeriveSpace *space,
                              Error *error);

void derive_softmax(const double *values, int count, double *weights);
/* Weights of the edges of each node, which add up to 1: the softmax of its betas, one for each edge of the cell. */
double *derive_edge_weights(Arena *arena, const DeriveSpace *space, const double *betas);

typedef struct GenotypeEdge {
    int source; /* a state: s0, s1, ... */
    const char *operation;
    double weight; /* softmax weight of the operation on this edge, times that of the edge where edges have some */
} GenotypeEdge;

typedef struct GenotypeNode {
    int edge_count;
    GenotypeEdge *edges; /* heaviest first */
} GenotypeNode;

typedef struct GenotypeCell {
    const char *name; /* of its kind: "normal"; derive_cell leaves it NULL */
    int inputs, node_count;
    GenotypeNode *nodes; /* node i is the state inputs + i */
    const char *output;  /* what it returns, "s3"; NULL: concat of its nodes */
} GenotypeCell;

/* Per node the space->keep incoming edges with the largest weight over their operations (`none` never counts, though it
 * takes part in the softmax), in descending order of that weight, ties to the lower source; each with its
 * largest operation, ties to the first. alphas: edge e's parameters are alphas[e * stride ...]. An edge that offers
 * nothing but `none` is never taken. */
GenotypeCell derive_cell(Arena *arena, const DeriveSpace *space, const double *alphas, int stride);

/* What goes around the cells in the text of a genotype. */
typedef struct GenotypeText {
    const char *name;        /* "noisy_darts_a" */
    const char *import;      /* "darts.nd"; NULL: none */
    const char *definitions; /* instead: what stands before the genotype, with its imports; or NULL */
    const char *network; /* the line behind "network main = ", "cifar(noisy_darts_a, C=36, layers=20)"; NULL: none */
} GenotypeText;
/* import "darts.nd"  genotype NAME { normal { s2 = op(s1) + op(s0) ... return concat(s2, ...) } reduce { ... } }, one of
 * each of the count cells. The text compiles. */
const char *genotype_print(Arena *arena, const GenotypeText *text, int count, const GenotypeCell *cells);
/* "cifar(NAME, C=36, layers=20, classes=10, auxiliary=0.4)"; auxiliary 0: left out. */
const char *genotype_network(Arena *arena, const char *network, const char *name, int channels, int layers, int classes,
                             double auxiliary);

#endif
