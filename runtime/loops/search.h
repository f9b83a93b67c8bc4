/* search.h: the parts of `ndarts-run search`, private to search*.c. */
#ifndef NDARTS_RUNTIME_LOOPS_SEARCH_H
#define NDARTS_RUNTIME_LOOPS_SEARCH_H

#include "runtime/loops/genotype.h"
#include "runtime/loops/loop.h"

typedef struct Search {
    Loop loop;
    int64_t weights_images; /* the first so many train the weights, the rest the alphas */
    Loader *weights_loader, *alphas_loader, *eval_loader;
    int64_t alphas_round; /* of the walk of alphas_loader */
} Search;

/* search_setup.c: reads the text and the data, compiles, starts the loaders, takes initial weights or the checkpoint.
 */
bool search_open(Search *s, Error *error);
void search_close(Search *s);

/* search_save.c: the genotype of the alphas as they are. */
bool search_build_genotype(Search *s, Arena *arena, Genotype *genotype, Error *error);
/* Its text and, when it has a network, a `train` on the data of the search. */
const char *search_genotype_text(const Search *s, Arena *arena, const Genotype *genotype);
/* genotype.nd and the drawings of its cells. */
bool search_save_genotype(Search *s, Arena *arena, const Genotype *genotype, Error *error);
/* Before anything is compiled: that what the search will write is a text that compiles. */
bool search_check_genotype(Search *s, Error *error);
/* CELL.svg of every cell, when Graphviz is installed. */
void search_draw_cells(Search *s, Arena *arena, const Genotype *genotype);

#endif
