/* ranks.h: the processes that one run is spread over, each a rank, as a launcher (mpirun, srun) started them. Everywhere NULL
 * stands for one process alone, which has nobody to exchange anything with.
 *
 * There is one way in which data moves: everybody's bytes to everybody, in the order of the ranks. All ranks do the same
 * things in the same order, so nothing says what it is. */
#ifndef NDARTS_RUNTIME_RANKS_RANKS_H
#define NDARTS_RUNTIME_RANKS_RANKS_H

#include "base/arena.h"
#include "base/diag.h"
#include "runtime/ranks/carrier.h"

#include <stdint.h>

typedef struct Ranks {
    int rank, size;
    const RanksCarrier *carrier; /* NULL: of a program that is compiled for so many, and not run */
} Ranks;

/* Joins the other ranks when a launcher started several: *ranks, in the arena, else NULL. From then on only rank 0 writes to
 * stdout and stderr. ERROR_INPUT when they cannot be joined. Once for a process. */
bool ranks_open(Arena *arena, const Ranks **ranks, Error *error);
/* Once, at the end: waits for the others. */
void ranks_close(const Ranks *ranks);
/* When this rank cannot go on: says so, with its number, and ends all. Rank 0 says it first where all have the same to say. */
_Noreturn void ranks_fail(const Ranks *ranks, const Error *error);

int ranks_size(const Ranks *ranks);
bool ranks_is_first(const Ranks *ranks); /* rank 0, which prints and writes */
/* As RanksCarrier.gather; of one process a copy. */
void ranks_gather(const Ranks *ranks, const void *own, void *all, size_t bytes);
/* Waits for all; whether it holds for all of them. */
bool ranks_all(const Ranks *ranks, bool own);
/* The first rank whose bytes, at most 64, are not those of rank 0; 0 when all are alike. */
int ranks_find_other(const Ranks *ranks, const void *own, size_t bytes);
/* That all ranks have the same text: which program, which images... ERROR_INPUT naming the rank that has another. */
bool ranks_agree(const Ranks *ranks, const char *what, const char *text, Error *error);

/* How many of the processes that were started together are on this host, as far as the launcher says so; at least 1. */
int ranks_on_host(void);
/* How many cores this process takes, of the `own` that it may use: its part of them, or of those that the launcher gave to all
 * on this host, where it says so; at least 1. */
int ranks_share_of_cores(int own);
/* Which of them this one is, from 0; 0 when the launcher does not say so. */
int ranks_place_on_host(void);

#endif
