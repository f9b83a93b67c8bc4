/* cuda_memory.h: what a module takes of a GPU's memory. */
#ifndef NDARTS_RUNTIME_DEVICE_CUDA_MEMORY_H
#define NDARTS_RUNTIME_DEVICE_CUDA_MEMORY_H

#include "codegen/plan/plan.h"
#include "runtime/device/cuda_api.h"

enum { CUDA_ALIGNMENT = 256 };

/* Values within a stage: bytes of one image. */
size_t cuda_memory_of_image(const PlanGraph *graph);
/* The table of a graph's calls: the buffers and numbers that each is given. */
size_t cuda_memory_of_table(const PlanGraph *graph);
/* Before anything is allocated: is there room? The error says what is needed, for what, and which batch would fit. */
bool cuda_memory_check(const CudaApi *api, const Plan *plan, Arena *arena, Error *error);
/* Bytes that may be taken at once for speed alone, when all that there must be has its place. */
size_t cuda_memory_spare(const CudaApi *api);

#endif
