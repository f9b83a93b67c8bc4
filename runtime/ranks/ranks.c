/* ranks.c: ranks in terms of what carries their bytes. */
#include "runtime/ranks/ranks.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_COMPARED = 64, DIGEST = 65 };

int ranks_size(const Ranks *r) {
    return r ? r->size : 1;
}

bool ranks_is_first(const Ranks *r) {
    return !r || r->rank == 0;
}

void ranks_gather(const Ranks *r, const void *own, void *all, size_t bytes) {
    if (r)
        r->carrier->gather(own, all, bytes);
    else
        memcpy(all, own, bytes);
}

int ranks_find_other(const Ranks *r, const void *own, size_t bytes) {
    if (bytes > MOST_COMPARED)
        bug("%zu bytes are compared", bytes);
    int size = ranks_size(r), other = 0;
    char *all = memory_alloc((size_t)size * bytes);
    ranks_gather(r, own, all, bytes);
    for (int i = size - 1; i > 0; i--)
        other = memcmp(all + (size_t)i * bytes, all, bytes) ? i : other;
    free(all);
    return other;
}

bool ranks_all(const Ranks *r, bool own) {
    int size = ranks_size(r);
    bool all = true, *each = memory_alloc((size_t)size * sizeof *each);
    ranks_gather(r, &own, each, sizeof own);
    for (int i = 0; i < size; i++)
        all = all && each[i];
    free(each);
    return all;
}

bool ranks_agree(const Ranks *r, const char *what, const char *text, Error *error) {
    char digest[DIGEST];
    hash_sha256_hex(text, strlen(text), digest);
    int other = ranks_find_other(r, digest, MOST_COMPARED);
    return !other || error_set(error, ERROR_INPUT, "rank %d has %s than rank 0; all must have the same", other, what);
}
