/* nccl.c: as much of NCCL 2 as is needed (nccl.h of NVIDIA's documentation): its types are ints, pointers, and an identity of
 * 128 bytes, which rank 0 makes and the others get by what carries bytes between processes. */
#include "runtime/device/nccl.h"

#include "base/library.h"

#include <stdlib.h>

enum { SUCCESS = 0, BYTES = 0 /* ncclInt8 */ };

typedef struct NcclId {
    char bytes[128];
} NcclId;

/* Every function that is used: its name without "nccl" and its parameters. */
#define NCCL_FUNCTIONS(X)                                                                                              \
    X(GetUniqueId, (NcclId *))                                                                                         \
    X(CommInitRank, (void **communicator, int ranks, NcclId, int rank))                                                \
    X(CommDestroy, (void *communicator))                                                                               \
    X(GroupStart, (void))                                                                                              \
    X(GroupEnd, (void))                                                                                                \
    X(AllGather, (const void *own, void *all, size_t count, int type, void *communicator, void *stream))

struct Nccl {
    void *communicator;
    int rank;
    const char *(*GetErrorString)(int status);
#define NCCL_FUNCTION(name, parameters) int(*name) parameters;
    NCCL_FUNCTIONS(NCCL_FUNCTION)
#undef NCCL_FUNCTION
};

/* NULL: they are all there; else one that is not. */
static const char *find_functions(void *library, Nccl *n) {
    const struct {
        const char *name;
        void *function;
    } functions[] = {
#define NCCL_FUNCTION(name, parameters) {"nccl" #name, &n->name},
        NCCL_FUNCTIONS(NCCL_FUNCTION)
#undef NCCL_FUNCTION
            {"ncclGetErrorString", &n->GetErrorString}};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (!library_find(library, functions[i].name, functions[i].function))
            return functions[i].name;
    return NULL;
}

static bool load(Nccl *n, int ranks, Error *error) {
    void *library = library_open("nccl", 2, 2);
    const char *missing = library ? find_functions(library, n) : NULL;
    if (library && !missing)
        return true;
    return error_set(
        error, ERROR_MACHINE,
        "%d ranks with GPUs need NCCL, and libnccl.so.2 %s%s; install it (package libnccl2, or `pip install "
        "nvidia-nccl-cu13`) and let LD_LIBRARY_PATH name its folder; --device=cpu needs none of it",
        ranks, missing ? "lacks " : "is not installed", missing ? missing : "");
}

static bool join(Nccl *n, const Ranks *ranks, Error *error) {
    NcclId own = {{0}}, *all = calloc((size_t)ranks->size, sizeof *all);
    if (!all)
        return error_set(error, ERROR_MACHINE, "out of memory");
    bool ok = ranks->rank > 0 || nccl_check(n, n->GetUniqueId(&own), error);
    if (ok)
        ranks_gather(ranks, &own, all, sizeof own);
    ok = ok && nccl_check(n, n->CommInitRank(&n->communicator, ranks->size, all[0], ranks->rank), error);
    free(all);
    return ok;
}

Nccl *nccl_open(const Ranks *ranks, Error *error) {
    Nccl *n = calloc(1, sizeof *n);
    if (!n) {
        error_set(error, ERROR_MACHINE, "out of memory");
        return NULL;
    }
    n->rank = ranks->rank;
    if (load(n, ranks->size, error) && join(n, ranks, error))
        return n;
    free(n);
    return NULL;
}

void nccl_close(Nccl *n) {
    if (n)
        n->CommDestroy(n->communicator);
    free(n);
}

int nccl_begin(const Nccl *n) {
    return n->GroupStart();
}

int nccl_gather(const Nccl *n, void *all, size_t own, void *stream) {
    return n->AllGather((char *)all + own * (size_t)n->rank, all, own, BYTES, n->communicator, stream);
}

int nccl_end(const Nccl *n) {
    return n->GroupEnd();
}

bool nccl_check(const Nccl *n, int status, Error *error) {
    return status == SUCCESS ||
           error_set(error, ERROR_MACHINE, "exchanging between GPUs by NCCL: %s", n->GetErrorString(status));
}
