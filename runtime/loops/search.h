/* search.h: the parts of `ndarts-run search`, private to search*.c. */
#ifndef NDARTS_RUNTIME_LOOPS_SEARCH_H
#define NDARTS_RUNTIME_LOOPS_SEARCH_H

#include "runtime/loops/genotype.h"
#include "runtime/loops/loop.h"
#include "runtime/loops/metrics.h"

typedef struct Search {
    Loop loop;
    int64_t weights_images; /* the first so many train the weights, the rest the alphas */
    Loader *weights_loader, *alphas_loader, *eval_loader;
    Loader *fixed_loader; /* one batch, for the eigenvalue; NULL: none is computed */
    int64_t alphas_round; /* of the walk of alphas_loader */
} Search;

/* search_setup.c: reads the text and the data, compiles, starts the loaders, takes initial weights or the checkpoint.
 */
bool search_open(Search *s, Error *error);
void search_close(Search *s);

/* search_watch.c: the dominant eigenvalue after this epoch; NaN where none is asked for. ERROR_INTERRUPTED when a signal
 * came. */
bool search_watch_eigenvalue(Search *s, double *eigenvalue, Error *error);
/* Whether the search ends with this epoch: m->stopped_by, m->genotype_of. */
bool search_watch_end(Search *s, const Genotype *genotype, EpochMetrics *m, Error *error);
/* Whether it has ended early, and of which epoch its genotype is (else -1). */
bool search_has_stopped(Search *s, int64_t *genotype_of, Error *error);

/* search_cost.c: what the candidates cost, for a search with the objective latency: of --cost, or measured before anything
 * else is compiled. A resumed search goes on with what it had, OUT/cost.json. */
bool search_find_costs(Search *s, Error *error);
bool search_keep_costs(const Search *s, Error *error); /* as that file */
/* What the derived network is expected to cost, as the evaluation that was just made says. */
void search_expect(const Search *s, EpochMetrics *m);
/* ", latency 2.31 ms", or nothing. */
const char *search_cost_words(Arena *arena, const EpochMetrics *m);

/* search_save.c: the genotype of the alphas as they are. */
bool search_build_genotype(Search *s, Arena *arena, Genotype *genotype, Error *error);
/* That of an epoch which is done, returned by a search that ended early with another; its text says so. */
bool search_read_genotype(Search *s, Arena *arena, int64_t epoch, int64_t ended, Genotype *genotype, Error *error);
/* Its text and, when it has a network, a `train` on the data of the search. */
const char *search_genotype_text(const Search *s, Arena *arena, const Genotype *genotype);
/* genotype.nd and the drawings of its cells. */
bool search_save_genotype(Search *s, Arena *arena, const Genotype *genotype, Error *error);
/* Before anything is compiled: that what the search will write is a text that compiles. */
bool search_check_genotype(Search *s, Error *error);
/* CELL.svg of every cell, when Graphviz is installed. */
void search_draw_cells(Search *s, Arena *arena, const Genotype *genotype);

#endif
