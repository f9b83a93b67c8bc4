/* cache_prune.h: how large the cache may become. */
#ifndef NDARTS_RUNTIME_DEVICE_CACHE_PRUNE_H
#define NDARTS_RUNTIME_DEVICE_CACHE_PRUNE_H

#include "base/diag.h"

/* How large the cache may become: $NDARTS_CACHE_SIZE (bytes, or with K, M, G), else 1 GB; 0: no limit. */
bool rt_cache_limit(int64_t *bytes, Error *error);
/* Removes what dead processes left, then what was used longest ago until the cache is no larger; nothing that is in use
 * or was a moment ago. */
void rt_cache_prune(int64_t limit);

#endif
