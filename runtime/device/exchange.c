/* exchange.c: each rank adds up its chunks as far as they are whole branches of the tree (base/tree_sum.h), to one row where
 * their number is a power of two; the rows, in double, go to every rank; and every rank adds up all of them, which gives
 * what one process gets.
 *
 * A message is row after row, and in each the numbers of all parts side by side; messages of the ranks come one after the
 * other, so row r of all is row r from the beginning. */
#include "runtime/device/exchange.h"

#include "base/tree_sum.h"

#include <stdlib.h>

struct RtExchange {
    const Ranks *ranks;
    int64_t chunks, rows; /* of this rank: what it has, what it sends */
    bool f64;
    struct {
        double *own, *all;
    } messages[TREE_SUM_MESSAGES];
    size_t bytes; /* of all that */
};

int64_t rt_share_image(const RtShare *share, int64_t chunks, int64_t chunk) {
    int64_t first = share->ranks->rank * chunks, all = share->ranks->size * chunks;
    return (first + chunk) * share->images / all;
}

RtExchange *rt_exchange_create(const Ranks *ranks, int64_t chunks, bool f64, int messages, int64_t most, Error *error) {
    RtExchange *e = calloc(1, sizeof *e);
    int64_t rows = tree_sum_rows(chunks);
    size_t own = (size_t)(most * rows), all = own * (size_t)ranks->size;
    bool ok = e != NULL;
    if (e)
        *e = (RtExchange){.ranks = ranks, .chunks = chunks, .rows = rows, .f64 = f64};
    for (int i = 0; ok && i < messages; i++) {
        e->messages[i].own = calloc(own, sizeof(double));
        e->messages[i].all = calloc(all, sizeof(double));
        e->bytes += (own + all) * sizeof(double);
        ok = e->messages[i].own && e->messages[i].all;
    }
    if (ok)
        return e;
    rt_exchange_destroy(e);
    error_set(error, ERROR_MACHINE, "out of memory: %lld numbers from each of %d ranks", (long long)most * rows,
              ranks->size);
    return NULL;
}

void rt_exchange_destroy(RtExchange *e) {
    for (int i = 0; e && i < TREE_SUM_MESSAGES; i++) {
        free(e->messages[i].own);
        free(e->messages[i].all);
    }
    free(e);
}

size_t rt_exchange_bytes(const RtExchange *e) {
    return e ? e->bytes : 0;
}

static int64_t count_numbers(const RtExchangePart *parts, int count) {
    int64_t numbers = 0;
    for (int i = 0; i < count; i++)
        numbers += parts[i].count;
    return numbers;
}

/* Some neighbours of a part, `at` among all numbers of a row. */
typedef void Work(const RtExchange *e, int message, const RtExchangePart *part, int64_t first, int count, int64_t at,
                  int64_t numbers);

/* A thread's share of the numbers, a few at a time. */
static void for_share(const RtExchange *e, int message, const RtExchangePart *parts, int part_count, int thread,
                      int threads, Work *work) {
    int64_t numbers = count_numbers(parts, part_count), before = 0;
    int64_t begin = numbers * thread / threads, end = numbers * (thread + 1) / threads;
    for (int i = 0; i < part_count; before += parts[i++].count) {
        int64_t first = begin > before ? begin - before : 0;
        int64_t last = end - before < parts[i].count ? end - before : parts[i].count;
        for (; first < last; first += TREE_SUM_WIDTH) {
            int64_t left = last - first;
            work(e, message, &parts[i], first, left < TREE_SUM_WIDTH ? (int)left : TREE_SUM_WIDTH, before + first,
                 numbers);
        }
    }
}

static const void *number_at(const void *numbers, bool f64, int64_t at) {
    return (const char *)numbers + at * (int64_t)(f64 ? sizeof(double) : sizeof(float));
}

static void add_own(const RtExchange *e, int message, const RtExchangePart *part, int64_t first, int count, int64_t at,
                    int64_t numbers) {
    int64_t each = e->chunks / e->rows;
    for (int64_t row = 0; row < e->rows; row++)
        tree_sum(number_at(part->chunks, e->f64, row * each * part->count + first), e->f64, each, part->count, count,
                 e->messages[message].own + row * numbers + at);
}

static void add_all(const RtExchange *e, int message, const RtExchangePart *part, int64_t first, int count, int64_t at,
                    int64_t numbers) {
    double sums[TREE_SUM_WIDTH];
    tree_sum(e->messages[message].all + at, true, e->rows * e->ranks->size, numbers, count, sums);
    for (int i = 0; i < count; i++) {
        if (e->f64)
            ((double *)part->result)[first + i] = sums[i];
        else
            ((float *)part->result)[first + i] = (float)sums[i];
    }
}

void rt_exchange_add_own(const RtExchange *e, int message, const RtExchangePart *parts, int count, int thread,
                         int threads) {
    for_share(e, message, parts, count, thread, threads, add_own);
}

void rt_exchange_begin(const RtExchange *e, int message, const RtExchangePart *parts, int count) {
    size_t bytes = (size_t)(count_numbers(parts, count) * e->rows) * sizeof(double);
    e->ranks->carrier->begin(message, e->messages[message].own, e->messages[message].all, bytes);
}

void rt_exchange_end(const RtExchange *e, int message) {
    e->ranks->carrier->end(message);
}

void rt_exchange_look(const RtExchange *e) {
    e->ranks->carrier->look();
}

void rt_exchange_add_all(const RtExchange *e, int message, const RtExchangePart *parts, int count, int thread,
                         int threads) {
    for_share(e, message, parts, count, thread, threads, add_all);
}
