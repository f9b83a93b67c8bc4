/* net.h: a net, and calls for it. Private to lib/. */
#ifndef NDARTS_LIB_NET_H
#define NDARTS_LIB_NET_H

#include "lib/call.h"

#include <pthread.h>

struct NdartsNet {
    pthread_mutex_t mutex;
    RtProgram *program;
    bool has_weights;
    bool broken;     /* memory ran out in the middle of something */
    bool cut_off;    /* the process was forked in the middle of something */
    NdartsNet *next; /* of all nets of the process */
};

/* Without a program yet; NULL when there is no memory. */
NdartsNet *net_create(void);
void net_destroy(NdartsNet *net);

/* As call_guarded, one call for a net at a time; NULL is no net. */
NdartsStatus net_call(NdartsNet *net, CallBody *body, void *call, char **message);
/* Neither broken nor cut off, with an error otherwise. */
bool net_is_usable(const NdartsNet *net, Error *error);
/* An array of the caller as one of the tensors that the net names itself. */
Tensor net_tensor(const RtTensorInfo *info, const NdartsArray *array);
/* Whether the numbers of an output can go there. */
bool net_check_output(const RtTensorInfo *info, const NdartsArray *array, Error *error);

#endif
