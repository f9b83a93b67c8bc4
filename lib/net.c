/* net.c: the nets of a process, and calls for them. A mutex makes calls for one net wait for each other. A net that ran out
 * of memory in the middle of something is not used again.
 *
 * A process that fork makes has copies of all nets, and of the threads only the one that forked. A net for which another
 * thread was in a call is half changed there, and nobody would open its mutex: it is marked, and the mutex is made anew. */
#include "lib/net.h"

#include <stdlib.h>

static pthread_mutex_t nets_mutex = PTHREAD_MUTEX_INITIALIZER;
static NdartsNet *nets;

/* ---- fork ---- */

static void lock_nets(void) {
    pthread_mutex_lock(&nets_mutex);
}

static void unlock_nets(void) {
    pthread_mutex_unlock(&nets_mutex);
}

static void cut_off(NdartsNet *net) {
    if (pthread_mutex_trylock(&net->mutex) == 0) {
        pthread_mutex_unlock(&net->mutex);
        return;
    }
    net->cut_off = true;
    pthread_mutex_init(&net->mutex, NULL);
}

static void cut_off_nets(void) {
    for (NdartsNet *net = nets; net; net = net->next)
        cut_off(net);
    unlock_nets();
}

static void watch_forks(void) {
    pthread_atfork(lock_nets, unlock_nets, cut_off_nets);
}

/* ---- nets ---- */

NdartsNet *net_create(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    NdartsNet *net = calloc(1, sizeof *net);
    if (!net || pthread_mutex_init(&net->mutex, NULL) != 0) {
        free(net);
        return NULL;
    }
    pthread_once(&once, watch_forks);
    lock_nets();
    net->next = nets;
    nets = net;
    unlock_nets();
    return net;
}

void net_destroy(NdartsNet *net) {
    lock_nets();
    NdartsNet **at = &nets;
    while (*at != net)
        at = &(*at)->next;
    *at = net->next;
    unlock_nets();
    pthread_mutex_destroy(&net->mutex);
    free(net);
}

/* ---- calls ---- */

static bool refuse_null(void *unused, Error *error) {
    (void)unused;
    return error_set(error, ERROR_INPUT, "the net is NULL");
}

NdartsStatus net_call(NdartsNet *net, CallBody *body, void *call, char **message) {
    bool lost;
    if (!net)
        return call_guarded(refuse_null, NULL, &lost, message);
    pthread_mutex_lock(&net->mutex);
    NdartsStatus status = call_guarded(body, call, &lost, message);
    net->broken |= lost;
    pthread_mutex_unlock(&net->mutex);
    return status;
}

bool net_is_usable(const NdartsNet *net, Error *error) {
    if (net->cut_off)
        return error_set(error, ERROR_MACHINE,
                         "another thread was in a call for the net when this process was forked; open it anew here");
    return !net->broken ||
           error_set(error, ERROR_MACHINE, "the net ran out of memory before and cannot be used any more; close it");
}
