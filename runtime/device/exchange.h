/* exchange.h: what a rank has of a batch, and the sums of all ranks' chunks (passes/exchange.c), on a processor. */
#ifndef NDARTS_RUNTIME_DEVICE_EXCHANGE_H
#define NDARTS_RUNTIME_DEVICE_EXCHANGE_H

#include "base/diag.h"
#include "runtime/ranks/ranks.h"

/* Of a batch that all ranks have together. A rank has `chunks` of its chunks, and their images. */
typedef struct RtShare {
    const Ranks *ranks;
    int64_t images; /* of the batch at hand, all of them */
} RtShare;

/* Where own chunk number `chunk` begins among all images; with chunk == chunks: where they end. As in abi.h, of all ranks'. */
int64_t rt_share_image(const RtShare *share, int64_t chunks, int64_t chunk);

/* A result of `count` numbers, and the chunks, one row after the other. */
typedef struct RtExchangePart {
    void *result;
    const void *chunks;
    int64_t count;
} RtExchangePart;

typedef struct RtExchange RtExchange;

/* For so many messages under way (at most TREE_SUM_MESSAGES), each of at most so many numbers. NULL with ERROR_MACHINE when
 * there is no memory. */
RtExchange *rt_exchange_create(const Ranks *ranks, int64_t chunks, bool f64, int messages, int64_t most, Error *error);
void rt_exchange_destroy(RtExchange *exchange);       /* NULL is allowed */
size_t rt_exchange_bytes(const RtExchange *exchange); /* of its messages, likewise */

/* The four steps, with a barrier after each; the first and the last by every thread, a share each, the others by one. */
void rt_exchange_add_own(const RtExchange *e, int message, const RtExchangePart *parts, int count, int thread,
                         int threads);
void rt_exchange_begin(const RtExchange *e, int message, const RtExchangePart *parts, int count);
void rt_exchange_end(const RtExchange *e, int message);
void rt_exchange_add_all(const RtExchange *e, int message, const RtExchangePart *parts, int count, int thread,
                         int threads);
/* Between others, by the thread that begins and ends: brings along what is under way. */
void rt_exchange_look(const RtExchange *e);

#endif
