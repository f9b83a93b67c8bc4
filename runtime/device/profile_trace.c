/* profile_trace.c: the runs that a profile kept, in the Trace Event Format: one process, a row for each thread; a run
 * (on the first row) holds its stages, a stage its kernels. Times are in microseconds from when profiling began. */
#include "runtime/device/profile_data.h"

#include "base/json.h"
#include "base/str.h"
#include "base/tensor_file.h"

#include <string.h>

typedef struct Trace {
    Str out;
    const Profile *profile;
    const ProfileGraph *graph;
    const char **kernels; /* their names, as JSON strings */
} Trace;

static const char *quote(Arena *arena, const char *text) {
    json_t *string = json_text(text);
    const char *quoted = json_print(arena, string, JSON_ENCODE_ANY);
    json_decref(string);
    return quoted;
}

/* Operations of the kernel and the shape of its result; the whole origin would make the file several times larger. */
static const char *kernel_name(Arena *arena, const Plan *plan, int kernel) {
    const char *origin = plan->kernels[kernel].origin, *arrow = strstr(origin, "-> ");
    const char *shape = arrow ? arrow + 3 : "";
    return quote(arena, arena_printf(arena, "%.*s %.*s %s", (int)strcspn(origin, ":"), origin, (int)strcspn(shape, ";"),
                                     shape, plan->kernels[kernel].name));
}

/* Stages count on through the preparation and the run itself. */
static void add_stage_name(Trace *t, int stage) {
    static const char *const domains[] = {
        [DOMAIN_images] = "images", [DOMAIN_parallel] = "parallel", [DOMAIN_serial] = "serial"};
    const PlanGraph *graph = t->graph->plan;
    bool prepare = stage < graph->prepare_count;
    const PlanStage *s = prepare ? &graph->prepare[stage] : &graph->stages[stage - graph->prepare_count];
    str_addf(&t->out, "\"%s %d, %s\"", prepare ? "prepare" : "stage", prepare ? stage : stage - graph->prepare_count,
             domains[s->domain]);
}

static void add_event(Trace *t, int thread, const ProfileEvent *event) {
    str_addf(&t->out, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"name\":", thread,
             1e6 * (event->begin - t->profile->started), 1e6 * (event->end - event->begin));
    if (event->kind == EVENT_run)
        str_addf(&t->out, "\"%s, run %d\"", graph_kind_name(t->graph->plan->kind), event->number);
    else if (event->kind == EVENT_stage)
        add_stage_name(t, event->number);
    else
        str_add(&t->out, t->kernels[event->number]);
    str_add(&t->out, "}");
}

static void add_graph(Trace *t, const ProfileGraph *graph) {
    t->graph = graph;
    for (int i = 0; i < t->profile->threads; i++)
        for (long j = 0; j < graph->threads[i].event_count; j++)
            add_event(t, i, &graph->threads[i].events[j]);
}

static void add_titles(Trace *t) {
    str_add(&t->out, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
                     "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"ndarts\"}}");
    for (int i = 0; i < t->profile->threads; i++)
        str_addf(&t->out,
                 ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",\"args\":{\"name\":\"thread %d\"}}", i,
                 i);
}

bool profile_write_trace(const Profile *p, const char *path, Error *error) {
    Arena *arena = arena_create();
    Trace t = {.out = str_create(arena), .profile = p};
    t.kernels = ARENA_ARRAY(arena, const char *, p->plan->kernel_count);
    for (int i = 0; i < p->plan->kernel_count; i++)
        t.kernels[i] = kernel_name(arena, p->plan, i);
    add_titles(&t);
    for (int i = 0; i < p->graph_count; i++)
        add_graph(&t, &p->graphs[i]);
    str_add(&t.out, "]}\n");
    bool ok = file_write_atomic(path, t.out.data, t.out.length, error);
    arena_destroy(arena);
    return ok;
}
