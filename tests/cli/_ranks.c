/* _ranks.c: preloaded by cli/ranks.py into one rank: in numbers that it receives a bit is wrong, from some message on. */
#include <mpi.h>
#include <stddef.h>

int MPI_Iallgather(const void *own, int own_count, MPI_Datatype own_type, void *all, int count, MPI_Datatype type,
                   MPI_Comm comm, MPI_Request *request);
int MPI_Test(MPI_Request *request, int *done, MPI_Status *status);

static unsigned char *received;
static int numbers, messages;

int MPI_Iallgather(const void *own, int own_count, MPI_Datatype own_type, void *all, int count, MPI_Datatype type,
                   MPI_Comm comm, MPI_Request *request) {
    received = all;
    numbers = own_count;
    return PMPI_Iallgather(own, own_count, own_type, all, count, type, comm, request);
}

/* The first of the sums of a layer, not the few bytes by which ranks agree; the bit is one that is left in single precision.
 * A single sum may be zero. */
int MPI_Test(MPI_Request *request, int *done, MPI_Status *status) {
    enum { AT_LEAST = 9, WHICH = 5, BYTE = 5 };
    int result = PMPI_Test(request, done, status);
    if (*done && numbers >= AT_LEAST && ++messages >= WHICH)
        received[BYTE] ^= 1;
    return result;
}
