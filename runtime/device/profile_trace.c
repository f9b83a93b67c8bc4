/* profile_trace.c: the runs that a profile kept, in the Trace Event Format: one process, a row for each thread; a run
 * (on the first row) holds its stages, a stage its kernels. Times are in microseconds from when profiling began. */
#include "runtime/device/profile_data.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct ProfileTrace {
    Str out;
    const Profile *profile;
    const ProfileGraph *graph;
    const char **kernels; /* their names */
} ProfileTrace;

/* Operations of the kernel and the shape of its result; the whole origin would make the file several times larger. */
static const char *kernel_name(Arena *arena, const Plan *plan, int kernel) {
    const char *origin = plan->kernels[kernel].origin, *arrow = strstr(origin, "-> ");
    const char *shape = arrow ? arrow + 3 : "";
    return arena_printf(arena, "%.*s %.*s %s", (int)strcspn(origin, ":"), origin, (int)strcspn(shape, ";"), shape,
                        plan->kernels[kernel].name);
}

/* Stages count on through the preparation and the run itself. */
static const char *stage_name(const ProfileTrace *t, Arena *arena, int stage) {
    static const char *const domains[] = {[DOMAIN_images] = "images",
                                          [DOMAIN_parallel] = "parallel",
                                          [DOMAIN_serial] = "serial",
                                          [DOMAIN_exchange] = "exchange"};
    const PlanGraph *graph = t->graph->plan;
    bool prepare = stage < graph->prepare_count;
    const PlanStage *s = prepare ? &graph->prepare[stage] : &graph->stages[stage - graph->prepare_count];
    return arena_printf(arena, "%s %d, %s", prepare ? "prepare" : "stage",
                        prepare ? stage : stage - graph->prepare_count, domains[s->domain]);
}

/* One object a line. Takes it. */
static void add_object(ProfileTrace *t, json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
    str_add(&t->out, t->out.length ? ",\n" : "");
    str_add(&t->out, text);
    free(text);
    json_decref(object);
}

static double microseconds(double seconds) {
    return round(1e9 * seconds) / 1e3;
}

static void add_event(ProfileTrace *t, int thread, const ProfileEvent *event) {
    Arena *arena = arena_create();
    const char *name = event->kind == EVENT_run
                           ? arena_printf(arena, "%s, run %d", graph_kind_name(t->graph->plan->kind), event->number)
                       : event->kind == EVENT_stage ? stage_name(t, arena, event->number)
                                                    : t->kernels[event->number];
    add_object(t, json_pack("{s:s, s:i, s:i, s:f, s:f, s:o}", "ph", "X", "pid", 1, "tid", thread, "ts",
                            microseconds(event->begin - t->profile->started), "dur",
                            microseconds(event->end - event->begin), "name", json_text(name)));
    arena_destroy(arena);
}

static void add_graph(ProfileTrace *t, const ProfileGraph *graph) {
    t->graph = graph;
    for (int i = 0; i < t->profile->threads; i++)
        for (long j = 0; j < graph->threads[i].event_count; j++)
            add_event(t, i, &graph->threads[i].events[j]);
}

static void add_titles(ProfileTrace *t) {
    add_object(t, json_pack("{s:s, s:i, s:s, s:{s:s}}", "ph", "M", "pid", 1, "name", "process_name", "args", "name",
                            "ndarts"));
    for (int i = 0; i < t->profile->threads; i++) {
        char name[32];
        snprintf(name, sizeof name, "thread %d", i);
        add_object(t, json_pack("{s:s, s:i, s:i, s:s, s:{s:s}}", "ph", "M", "pid", 1, "tid", i, "name", "thread_name",
                                "args", "name", name));
    }
}

bool profile_write_trace(const Profile *p, const char *path, Error *error) {
    Arena *arena = arena_create();
    ProfileTrace t = {.out = str_create(arena), .profile = p};
    t.kernels = ARENA_ARRAY(arena, const char *, p->plan->kernel_count);
    for (int i = 0; i < p->plan->kernel_count; i++)
        t.kernels[i] = kernel_name(arena, p->plan, i);
    add_titles(&t);
    for (int i = 0; i < p->graph_count; i++)
        add_graph(&t, &p->graphs[i]);
    /* Whole, it would be many times as large in memory as it is as a text. */
    const char *text = arena_printf(arena, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n%s]}\n", t.out.data);
    bool ok = file_write_atomic(path, text, strlen(text), error);
    arena_destroy(arena);
    return ok;
}
