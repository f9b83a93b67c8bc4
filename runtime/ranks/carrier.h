/* carrier.h: what carries bytes between ranks. A plugin has one, as the symbol ndarts_carrier; so a program starts where the
 * library that it stands on is not. */
#ifndef NDARTS_RUNTIME_RANKS_CARRIER_H
#define NDARTS_RUNTIME_RANKS_CARRIER_H

#include "base/tree_sum.h"

#include <stdbool.h>
#include <stddef.h>

enum { RANKS_CARRIER_VERSION = 2 };

typedef struct RanksCarrier {
    int version; /* RANKS_CARRIER_VERSION of when it was compiled */
    const char *name;
    /* Joins the others that were started; false when that is not possible. */
    bool (*open)(int *rank, int *size);
    /* To every rank the `bytes` bytes of all, in their order. All call it, as often and with as many bytes. When it cannot,
     * all ranks end. */
    void (*gather)(const void *own, void *all, size_t bytes);
    /* The same in two parts: begins, as one of TREE_SUM_MESSAGES (base/tree_sum.h), and waits for it. Until then the memory is the message's. All
     * begin the same in the same order. */
    void (*begin)(int message, const void *own, void *all, size_t bytes);
    void (*end)(int message);
    /* Brings along what is under way, when there is time. */
    void (*look)(void);
    void (*abort)(int status); /* all ranks end; does not return */
    void (*close)(void);       /* called by all when all is done */
} RanksCarrier;

#define RANKS_CARRIER_SYMBOL "ndarts_carrier"

#endif
