/* nccl.h: NCCL, which moves bytes between the GPUs of several ranks: found with dlopen, on streams, and so in captured graphs. */
#ifndef NDARTS_RUNTIME_DEVICE_NCCL_H
#define NDARTS_RUNTIME_DEVICE_NCCL_H

#include "base/diag.h"
#include "runtime/ranks/ranks.h"

typedef struct Nccl Nccl;

/* All ranks call it together, each with a GPU of its own, which is set. NULL with ERROR_MACHINE: what to install, or what NCCL
 * says. */
Nccl *nccl_open(const Ranks *ranks, Error *error);
void nccl_close(Nccl *nccl); /* NULL is allowed */

/* Statuses of NCCL, 0 being success. Gathers between begin and end are one. */
int nccl_begin(const Nccl *nccl);
/* At `all` are as many bytes as `own` for each rank, in their order: those of this one are there, the others come. */
int nccl_gather(const Nccl *nccl, void *all, size_t own, void *stream);
int nccl_end(const Nccl *nccl);
/* ERROR_MACHINE with what NCCL says, unless the status is success. */
bool nccl_check(const Nccl *nccl, int status, Error *error);

#endif
