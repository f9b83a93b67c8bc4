/* net.h: a net, and calls for it. Private to lib/. */
#ifndef NDARTS_LIB_NET_H
#define NDARTS_LIB_NET_H

#include "lib/call.h"

#include <pthread.h>

struct NdartsNet {
    pthread_mutex_t mutex;
    RtProgram *program;
    bool has_weights, broken; /* broken: memory ran out in the middle of something */
};

/* As call_guarded, one call for a net at a time. */
NdartsStatus net_call(NdartsNet *net, CallBody *body, void *call, char **message);
/* Not broken, with an error otherwise. */
bool net_is_usable(const NdartsNet *net, Error *error);
/* An array of the caller as one of the tensors that the net names itself. */
Tensor net_tensor(const RtTensorInfo *info, const NdartsArray *array);
/* Whether the numbers of an output can go there. */
bool net_check_output(const RtTensorInfo *info, const NdartsArray *array, Error *error);

#endif
