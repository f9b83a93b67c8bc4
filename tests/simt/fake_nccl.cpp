/* fake_nccl.cpp: the part of NCCL that runtime/device/nccl.c uses, on the stand-in for libcudart: a gather waits on its stream and
 * can be captured. Ranks are processes of this machine, which meet in shared memory: a page with a barrier, and so much room
 * for each. Of what a real one wants it checks that gathers stand between begin and end, that own rows lie in their place, and
 * that all ranks gather as much in the same order. It says on stderr how many gathers ran, and how many were put there, when
 * $FAKE_NCCL_COUNT is set: more ran where a graph was replayed. */
#include "fake_cudart.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

enum { SUCCESS = 0, SYSTEM_ERROR = 2, INTERNAL_ERROR = 3, INVALID_ARGUMENT = 4, INVALID_USAGE = 5 };
enum { ROOM = 1 << 16, MOST_RANKS = 16 };

struct Id {
    char name[128];
};

struct Shared {
    std::atomic<int> arrived, turn;
    size_t bytes[MOST_RANKS]; /* that each gathers */
    char rows[MOST_RANKS][ROOM];
};

struct Communicator {
    Shared *shared;
    int ranks, rank;
};

int depth, put, runs;
struct Report {
    ~Report() {
        if (getenv("FAKE_NCCL_COUNT"))
            fprintf(stderr, "fake nccl: %d gathers of %d\n", runs, put);
    }
} report;

void meet(Communicator *c) {
    int turn = c->shared->turn;
    if (++c->shared->arrived == c->ranks) {
        c->shared->arrived = 0;
        c->shared->turn++;
    }
    while (c->shared->turn == turn)
        usleep(20);
}

/* A room at a time: everybody puts, everybody takes. */
int gather(Communicator *c, char *all, size_t own) {
    c->shared->bytes[c->rank] = own;
    runs++;
    for (size_t at = 0; at < own; at += ROOM) {
        size_t count = own - at < ROOM ? own - at : (size_t)ROOM;
        memcpy(c->shared->rows[c->rank], all + own * (size_t)c->rank + at, count);
        meet(c);
        for (int r = 0; r < c->ranks; r++) {
            if (c->shared->bytes[r] != own)
                return INTERNAL_ERROR;
            if (r != c->rank)
                memcpy(all + own * (size_t)r + at, c->shared->rows[r], count);
        }
        meet(c);
    }
    return SUCCESS;
}

} // namespace

extern "C" {

const char *ncclGetErrorString(int status) {
    return status == INVALID_USAGE ? "invalid usage" : status == INVALID_ARGUMENT ? "invalid argument" : "system error";
}

int ncclGetUniqueId(Id *id) {
    snprintf(id->name, sizeof id->name, "/fake-nccl-%d", (int)getpid());
    return SUCCESS;
}

int ncclCommInitRank(void **communicator, int ranks, Id id, int rank) {
    if (ranks > MOST_RANKS || getenv("FAKE_NCCL_FAILS"))
        return SYSTEM_ERROR;
    int file = shm_open(id.name, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, sizeof(Shared)) != 0)
        return SYSTEM_ERROR;
    void *memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        return SYSTEM_ERROR;
    Communicator *c = new Communicator{(Shared *)memory, ranks, rank};
    meet(c);
    shm_unlink(id.name);
    *communicator = c;
    return SUCCESS;
}

int ncclCommDestroy(void *communicator) {
    munmap(((Communicator *)communicator)->shared, sizeof(Shared));
    delete (Communicator *)communicator;
    return SUCCESS;
}

int ncclGroupStart(void) {
    depth++;
    return SUCCESS;
}

int ncclGroupEnd(void) {
    return depth-- > 0 ? SUCCESS : INVALID_USAGE;
}

int ncclAllGather(const void *own, void *all, size_t count, int type, void *communicator, void *stream) {
    Communicator *c = (Communicator *)communicator;
    if (depth != 1 || type != 0 || (const char *)own != (char *)all + count * (size_t)c->rank)
        return depth != 1 ? INVALID_USAGE : INVALID_ARGUMENT;
    put++;
    return fake_cudart_put(stream, [=] { return gather(c, (char *)all, count); });
}
}
