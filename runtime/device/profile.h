/* profile.h: where the time of a program goes: every call of a kernel is timed, by whoever runs it (the backends), and
 * set against the arithmetic and memory that the plan says it has. The first few runs of each graph are kept call by
 * call, for a picture on a line of time. */
#ifndef NDARTS_RUNTIME_DEVICE_PROFILE_H
#define NDARTS_RUNTIME_DEVICE_PROFILE_H

#include "codegen/plan/plan.h"

#include <stdio.h>

typedef struct Profile Profile;
typedef struct ProfileGraph ProfileGraph; /* of one graph of the program */

/* threads: that call kernels at the same time; 1 for a GPU. */
Profile *profile_create(const Plan *plan, int threads);
void profile_destroy(Profile *profile); /* NULL is allowed */
ProfileGraph *profile_add_graph(Profile *profile, const PlanGraph *graph);

/* A run begins and ends while no kernel runs. */
void profile_begin_run(ProfileGraph *graph);
void profile_end_run(ProfileGraph *graph);
/* Seconds that a launch takes by itself, and that were taken off the time of every call: said beside the tables. */
void profile_set_launch(ProfileGraph *graph, double seconds);
/* What a thread did, from begin to end: `calls` calls of a kernel, or its share of a stage. Threads do not disturb each
 * other. */
void profile_add_calls(ProfileGraph *graph, int thread, int kernel, long calls, double begin, double end);
void profile_add_stage(ProfileGraph *graph, int thread, int stage, double begin, double end);

/* Tables for a person: kinds of kernels, then kernels, by time. On the CPU the machine's peak is measured for it. */
void profile_print(const Profile *profile, FILE *out);
/* The runs that were kept, as JSON in the format of Chrome's tracing, which Perfetto reads too. */
bool profile_write_trace(const Profile *profile, const char *path, Error *error);

#endif
