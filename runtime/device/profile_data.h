/* profile_data.h: what a profile consists of; shared by profile.c and profile_trace.c. */
#ifndef NDARTS_RUNTIME_DEVICE_PROFILE_DATA_H
#define NDARTS_RUNTIME_DEVICE_PROFILE_DATA_H

#include "runtime/device/profile.h"

typedef enum ProfileEventKind { EVENT_run, EVENT_stage, EVENT_kernel } ProfileEventKind;

typedef struct ProfileEvent {
    ProfileEventKind kind;
    int number; /* of the run (from 1), stage or kernel */
    double begin, end;
} ProfileEvent;

/* What one thread writes; apart from the others', which share no line of the cache with it. */
typedef struct ProfileThread {
    double *seconds; /* by kernel */
    long *calls;
    ProfileEvent *events; /* of the runs that are kept */
    long event_count, event_capacity;
    char apart[64];
} ProfileThread;

struct ProfileGraph {
    Profile *profile;
    const PlanGraph *plan;
    int run_count;
    double seconds, run_began;
    bool keep; /* the events of the run in progress */
    ProfileThread *threads;
};

struct Profile {
    Arena *arena;
    const Plan *plan;
    int threads;
    double started, launch_seconds;
    int graph_count;
    ProfileGraph graphs[GRAPH_KIND_COUNT];
};

#endif
