/* derive.h: from the architecture parameters of a supernet to a genotype. */
#ifndef NDARTS_PASSES_DERIVE_H
#define NDARTS_PASSES_DERIVE_H

#include "ir/ir.h"

/* One row of candidates: the operations of an edge, in the order of its architecture parameters. */
typedef struct DeriveEdge {
    int count;
    const char *const *operations;
} DeriveEdge;

/* At most so many of an operation in a cell. */
typedef struct DeriveLimit {
    const char *operation;
    int most;
} DeriveLimit;

/* What a genotype keeps: the space's `keep` or that of a method. */
typedef struct DeriveRules {
    int per_node; /* heaviest edges of a node; 0: all */
    int per_edge; /* heaviest operations of an edge, 1 at least */
    bool has_threshold;
    double threshold; /* and of them those that weigh as much */
    int limit_count;
    const DeriveLimit *limits;
} DeriveRules;

/* The cell of a search space: states 0 ... inputs-1 come from outside, then nodes; edges by node, then by source state.
 */
typedef struct DeriveSpace {
    int inputs, nodes;
    DeriveRules keep;
    int edge_count;
    const DeriveEdge *edges;
} DeriveSpace;

/* Number of edges of a cell in which every node has an edge from every earlier state. */
int derive_count_edges(int inputs, int nodes);
/* The longest list of candidates: columns of the architecture parameters. */
int derive_count_columns(const DeriveSpace *space);
/* From the settings space.inputs, space.nodes, space.keep, keep.* and the candidates of an edge of the cell KIND whose
 * parameters are alphas_KIND: space.candidates.KIND.EDGE, or else space.candidates. False, with a message, when one is
 * missing. */
bool derive_space_from_module(Arena *arena, const IrModule *module, const char *alphas, DeriveSpace *space,
                              Error *error);

/* How the candidates of a cell are weighed, and its edges: edge e's candidates weigh of_candidates[e * stride ...], and
 * all that is on it counts of_edges[e] times (NULL: once). */
typedef struct DeriveWeights {
    const double *of_candidates, *of_edges;
    int stride;
} DeriveWeights;
/* The weights of the candidates that alphas stand for (edge_count rows of stride): as the setting keep.weights says, a
 * function that the clause `weights` of a method became; else the softmax of each edge's. NULL, with a message, when
 * that function is no good. */
const double *derive_weigh(Arena *arena, const IrModule *module, const DeriveSpace *space, const double *alphas,
                           int stride, Error *error);
/* Weights of the edges of each node, which add up to 1: the softmax of its betas, one for each edge of the cell. */
const double *derive_edge_weights(Arena *arena, const DeriveSpace *space, const double *betas);

typedef struct GenotypeEdge {
    int source; /* a state: s0, s1, ... */
    const char *operation;
    double weight;        /* of the operation, times that of the edge */
    int place, candidate; /* which edge of the cell, which of its candidates */
} GenotypeEdge;

typedef struct GenotypeNode {
    int edge_count;
    GenotypeEdge *edges; /* heaviest first, where not all are kept; else by source */
} GenotypeNode;

typedef struct GenotypeCell {
    const char *name; /* of its kind: "normal"; derive_cell leaves it NULL */
    int inputs, node_count;
    GenotypeNode *nodes; /* node i is the state inputs + i */
    const char *output;  /* what it returns, "s3"; NULL: concat of its nodes */
} GenotypeCell;

/* Of every edge the per_edge heaviest operations that reach the threshold, lightest first, ties to the first; of every
 * node the per_node edges whose heaviest operation weighs most, in descending order of that weight, ties to the lower
 * source. Where a node keeps its heaviest edges only, `none` never counts (though it takes part in a softmax); where it
 * keeps all of them it counts like others, but an edge that offers nothing else is none.
 * A limit holds in two steps, again and again: of its operation the lightest one that was taken (the last of equals) is
 * given up, and the cell is chosen anew without it. So the edge may come back with another operation, or another edge.
 * A node whose edges are all gone has none, and what leads from it goes too. */
GenotypeCell derive_cell(Arena *arena, const DeriveSpace *space, const DeriveWeights *weights);
/* Of the count candidates of an edge the `most` heaviest are kept, ties to the first; their order stays, whatever they
 * are: the next stage of a search may choose from them. */
void derive_heaviest(const double *weights, int count, int most, bool *kept);
/* How many of an operation a cell has. */
int genotype_count(const GenotypeCell *cell, const char *operation);
/* Of operations whose name begins with skip_connect: the spaces' skip connections. */
int genotype_count_skips(const GenotypeCell *cell);

/* What goes around the cells in the text of a genotype. */
typedef struct GenotypeText {
    const char *name;        /* "noisy_darts_a" */
    const char *import;      /* "darts.nd"; NULL: none */
    const char *definitions; /* instead: what stands before the genotype, with its imports; or NULL */
    const char *network; /* the line behind "network main = ", "cifar(noisy_darts_a, C=36, layers=20)"; NULL: none */
} GenotypeText;
/* import "darts.nd"  genotype NAME { normal { s2 = op(s1) + op(s0) ... return concat(s2, ...) } reduce { ... } }, one of
 * each of the count cells. A node without edges is left out, of the concat too. */
const char *genotype_print(Arena *arena, const GenotypeText *text, int count, const GenotypeCell *cells);
/* "cifar(NAME, C=36, layers=20, classes=10, auxiliary=0.4)"; auxiliary 0: left out. */
const char *genotype_network(Arena *arena, const char *network, const char *name, int channels, int layers, int classes,
                             double auxiliary);

#endif
