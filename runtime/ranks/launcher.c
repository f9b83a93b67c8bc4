/* launcher.c: from a launcher's environment to ranks: finds out whether there are others, loads the plugin that carries
 * bytes to them, and leaves the terminal to rank 0.
 *
 *     OMPI_COMM_WORLD_SIZE   Open MPI's mpirun          SLURM_STEP_NUM_TASKS   srun
 *     PMI_SIZE               MPICH's, Intel's mpirun
 *
 * The plugin, libndarts_mpi.so, lies beside the program, or where libraries are installed. */
#include "runtime/ranks/ranks.h"

#include "base/file.h"
#include "base/installed.h"
#include "base/str.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char plugin[] = "libndarts_mpi.so";

typedef struct Launcher {
    /* place: its own among those on this host; cores: how many all of them there were given; list: in place of on_host, the
     * ranks that are there, with commas between */
    const char *size, *on_host, *place, *name, *cores, *list, *hint;
} Launcher;

static const Launcher launchers[] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE",
                                      "OMPI_COMM_WORLD_LOCAL_RANK", "Open MPI's mpirun", .hint = ""},
                                     {"PMI_SIZE", "MPI_LOCALNRANKS", "MPI_LOCALRANKID", "mpirun", .hint = ""},
                                     {"SLURM_STEP_NUM_TASKS", NULL, "SLURM_LOCALID", "srun", "SLURM_CPUS_ON_NODE",
                                      "SLURM_GTIDS", ", or srun wants --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)"}};
enum { LAUNCHERS = sizeof launchers / sizeof *launchers };

static int number(const char *name) {
    const char *text = name ? getenv(name) : NULL;
    return text ? atoi(text) : 0;
}

/* NULL: there are no others. Who says each its place is the one: srun --mpi=pmi2 sets PMI_SIZE too, and no more of that. */
static const Launcher *find_launcher(void) {
    const Launcher *found = NULL;
    for (int i = LAUNCHERS - 1; i >= 0; i--)
        if (number(launchers[i].size) > 1 && (getenv(launchers[i].place) || !found))
            found = &launchers[i];
    return found;
}

int ranks_on_host(void) {
    const Launcher *launcher = find_launcher();
    int count = launcher ? number(launcher->on_host) : 0;
    const char *list = launcher && launcher->list ? getenv(launcher->list) : NULL;
    for (const char *at = list; at; at = strchr(at + 1, ','))
        count++;
    return count > 0 ? count : 1;
}

int ranks_share_of_cores(int own) {
    const Launcher *launcher = find_launcher();
    int given = launcher ? number(launcher->cores) : 0, share = (given > 0 ? given : own) / ranks_on_host();
    return share < 1 ? 1 : share < own ? share : own;
}

int ranks_place_on_host(void) {
    const Launcher *launcher = find_launcher();
    int place = launcher ? number(launcher->place) : 0;
    return place > 0 ? place : 0;
}

/* ---- the plugin ---- */

/* With the symbols of MPI for all: it loads parts of its own that look for them. */
static void *load_beside(Arena *arena, const char *from_program) {
    char program[PATH_MAX];
    if (!realpath(installed_file(), program))
        return NULL;
    int length = (int)(strrchr(program, '/') - program);
    const char *path = arena_printf(arena, "%.*s/%s%s", length, program, from_program, plugin);
    return file_is_missing(path) ? NULL : dlopen(path, RTLD_NOW | RTLD_GLOBAL);
}

static const RanksCarrier *load_carrier(Arena *arena, const Launcher *launcher, Error *error) {
    dlerror();
    void *library = load_beside(arena, "");
    library = library ? library : load_beside(arena, NDARTS_PLUGINS_FROM_BIN);
    const char *reason = dlerror();
    const RanksCarrier *carrier = library ? dlsym(library, RANKS_CARRIER_SYMBOL) : NULL;
    if (carrier && carrier->version == RANKS_CARRIER_VERSION)
        return carrier;
    error_set(error, ERROR_INPUT,
              "%s started %d processes, and this one cannot join the others: %s (docs/ranks.md); for one process alone "
              "leave out %s",
              launcher->name, number(launcher->size),
              library  ? "the plugin libndarts_mpi.so is of another version"
              : reason ? reason
                       : "the plugin libndarts_mpi.so was not built, for there was no MPI (Debian: libopenmpi-dev)",
              launcher->name);
    return NULL;
}

/* ---- the terminal ---- */

static int own_messages = -1; /* where the messages of a rank that is not the first would have gone */

/* Without one it prints twice what is said by all, no more. */
static void be_silent(void) {
    int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    own_messages = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO);
    if (nothing < 0 || own_messages < 0)
        return;
    fflush(NULL);
    dup2(nothing, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    close(nothing);
}

static void say(const Ranks *r, const Error *error) {
    if (own_messages >= 0)
        dup2(own_messages, STDERR_FILENO);
    if (r->rank > 0)
        fprintf(stderr, "rank %d of %d: ", r->rank, r->size);
    error_report(error);
}

/* ---- all ---- */

bool ranks_open(Arena *arena, const Ranks **ranks, Error *error) {
    const Launcher *launcher = find_launcher();
    *ranks = NULL;
    if (!launcher)
        return true;
    const RanksCarrier *carrier = load_carrier(arena, launcher, error);
    if (!carrier)
        return false;
    Ranks *r = ARENA_NEW(arena, Ranks);
    r->carrier = carrier;
    if (!carrier->open(&r->rank, &r->size))
        return error_set(error, ERROR_MACHINE, "%s cannot begin", carrier->name);
    if (r->size != number(launcher->size))
        return error_set(error, ERROR_INPUT,
                         "%s started %d processes, of which %s sees %d: it is of another MPI than the one that "
                         "ndarts was built with%s (docs/ranks.md)",
                         launcher->name, number(launcher->size), carrier->name, r->size, launcher->hint);
    if (r->rank > 0)
        be_silent();
    *ranks = r;
    return true;
}

void ranks_close(const Ranks *r) {
    if (r)
        r->carrier->close();
}

/* What is wrong for all is said by rank 0, which ends the others while they wait. MPICH's mpirun does not read what was
 * said in the instant before. */
_Noreturn void ranks_fail(const Ranks *r, const Error *error) {
    enum { PATIENCE = 2 /* seconds */ };
    const struct timespec heard = {.tv_nsec = 200000000};
    if (r->rank > 0)
        sleep(PATIENCE);
    say(r, error);
    fflush(NULL);
    nanosleep(&heard, NULL);
    r->carrier->abort((int)error->kind);
    abort();
}
