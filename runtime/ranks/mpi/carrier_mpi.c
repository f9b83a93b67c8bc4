/* carrier_mpi.c: MPI as what carries bytes between ranks: the plugin libndarts_mpi.so. MPI's own handler of errors ends all
 * ranks, and says which of them met what. */
#include "runtime/ranks/carrier.h"

#include <limits.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static MPI_Request under_way[TREE_SUM_MESSAGES]; /* MPI_REQUEST_NULL: none, or it is there */

static bool carrier_open(int *rank, int *size) {
    int given;
    for (int i = 0; i < TREE_SUM_MESSAGES; i++)
        under_way[i] = MPI_REQUEST_NULL;
    return MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given) == MPI_SUCCESS && given >= MPI_THREAD_FUNNELED &&
           MPI_Comm_rank(MPI_COMM_WORLD, rank) == MPI_SUCCESS && MPI_Comm_size(MPI_COMM_WORLD, size) == MPI_SUCCESS;
}

static _Noreturn void carrier_abort(int status) {
    MPI_Abort(MPI_COMM_WORLD, status);
    abort();
}

/* The others come within microseconds, or much later: then whoever else wants this core gets it, another rank perhaps; or
 * after hours, when they train what is theirs alone. */
static void wait_for(MPI_Request *request) {
    enum { EAGER = 2000, PATIENT = 100000 };
    const struct timespec nap = {.tv_nsec = 20000}, sleep = {.tv_nsec = 5000000};
    int done = 0;
    for (int turn = 0; !done; turn += turn < PATIENT) {
        if (turn > EAGER)
            nanosleep(turn < PATIENT ? &nap : &sleep, NULL);
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
    }
}

/* MPI counts in ints: words reach eight times as far. */
static void begin(const void *own, void *all, size_t bytes, MPI_Request *request) {
    bool words = bytes % sizeof(uint64_t) == 0;
    size_t count = words ? bytes / sizeof(uint64_t) : bytes;
    MPI_Datatype type = words ? MPI_UINT64_T : MPI_BYTE;
    if (count > INT_MAX) {
        fprintf(stderr, "error: %zu bytes are more than a message of MPI can have\n", bytes);
        carrier_abort(2);
    }
    MPI_Iallgather(own, (int)count, type, all, (int)count, type, MPI_COMM_WORLD, request);
}

static void carrier_gather(const void *own, void *all, size_t bytes) {
    MPI_Request request;
    begin(own, all, bytes, &request);
    wait_for(&request);
}

static void carrier_begin(int message, const void *own, void *all, size_t bytes) {
    begin(own, all, bytes, &under_way[message]);
}

static void carrier_end(int message) {
    wait_for(&under_way[message]);
}

/* MPI sends and receives while it is called. */
static void carrier_look(void) {
    for (int i = 0; i < TREE_SUM_MESSAGES; i++) {
        int done;
        if (under_way[i] != MPI_REQUEST_NULL)
            MPI_Test(&under_way[i], &done, MPI_STATUS_IGNORE);
    }
}

static void carrier_close(void) {
    MPI_Finalize();
}

extern const RanksCarrier ndarts_carrier;
const RanksCarrier ndarts_carrier = {.version = RANKS_CARRIER_VERSION,
                                     .name = "MPI",
                                     .open = carrier_open,
                                     .gather = carrier_gather,
                                     .begin = carrier_begin,
                                     .end = carrier_end,
                                     .look = carrier_look,
                                     .abort = carrier_abort,
                                     .close = carrier_close};
