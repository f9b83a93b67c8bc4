/* cuda_waits.h: what a step has to wait for: those that write what it reads, and those that read or write what it
 * overwrites. Memory is compared byte by byte, so values that share memory over time come one after the other. Private to
 * cuda_group.c. */
#ifndef NDARTS_CODEGEN_CUDA_CUDA_WAITS_H
#define NDARTS_CODEGEN_CUDA_CUDA_WAITS_H

#include "codegen/cuda/cuda.h"

/* A group while groups are being made: merged ones point to the one they joined. Those of one level are independent of each
 * other, and wait for lower levels only. */
typedef struct CudaDraft {
    CudaGroup group;
    int level; /* from 1 */
    struct CudaDraft *joined;
    struct CudaDraft **before; /* all that it waits for; some may have been merged since */
    int before_count, before_capacity;
    int found;       /* the search that has met it last */
    int latest;      /* level at which it can still be done; 0: the last */
    CudaGroup *made; /* what has become of it */
} CudaDraft;

/* The group that a draft has become part of. */
CudaDraft *cuda_draft_root(CudaDraft *draft);

enum { WAITS_MOST = 8 };

/* What a step waits for, and the highest level of it and its groups there. */
typedef struct CudaWaits {
    int all_count, all_capacity;
    CudaDraft **all;
    int level; /* 0: nothing */
    int count;
    CudaDraft *drafts[WAITS_MOST];
    bool more; /* than these */
} CudaWaits;

typedef struct CudaMemory CudaMemory;
CudaMemory *cuda_memory_create(Arena *arena, const CgOptions *options);
CudaWaits cuda_memory_find_waits(CudaMemory *memory, Arena *arena, const CgStep *step);
void cuda_memory_note(CudaMemory *memory, const CgStep *step, CudaDraft *draft);

#endif
