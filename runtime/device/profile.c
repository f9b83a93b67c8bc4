/* profile.c: collects times of calls; the tables that are made of them. */
#include "runtime/device/profile.h"

#include "base/clock.h"

#include "codegen/codegen.h"
#include "runtime/device/machine.h"
#include "runtime/device/profile_data.h"

#include <stdlib.h>
#include <string.h>

/* ---- collecting ---- */

Profile *profile_create(const Plan *plan, int threads) {
    Arena *arena = arena_create();
    Profile *p = ARENA_NEW(arena, Profile);
    *p = (Profile){.arena = arena, .plan = plan, .threads = threads, .started = clock_now()};
    return p;
}

void profile_destroy(Profile *p) {
    if (!p)
        return;
    for (int i = 0; i < p->graph_count; i++)
        for (int t = 0; t < p->threads; t++)
            free(p->graphs[i].threads[t].events);
    arena_destroy(p->arena);
}

ProfileGraph *profile_add_graph(Profile *p, const PlanGraph *plan) {
    ProfileGraph *g = &p->graphs[p->graph_count++];
    *g = (ProfileGraph){.profile = p, .plan = plan, .threads = ARENA_ARRAY(p->arena, ProfileThread, p->threads)};
    for (int t = 0; t < p->threads; t++) {
        g->threads[t].seconds = ARENA_ARRAY(p->arena, double, p->plan->kernel_count);
        g->threads[t].calls = ARENA_ARRAY(p->arena, long, p->plan->kernel_count);
    }
    return g;
}

static long count_events(const ProfileGraph *g) {
    long count = 0;
    for (int t = 0; t < g->profile->threads; t++)
        count += g->threads[t].event_count;
    return count;
}

/* An event that there is no memory for is left out. */
static void add_event(ProfileThread *t, ProfileEvent event) {
    if (t->event_count == t->event_capacity) {
        long capacity = t->event_capacity ? 2 * t->event_capacity : 1024;
        ProfileEvent *grown = realloc(t->events, sizeof *grown * (size_t)capacity);
        if (!grown)
            return;
        t->events = grown;
        t->event_capacity = capacity;
    }
    t->events[t->event_count++] = event;
}

/* The first run is no measure for the others: it is the first to touch its memory. */
void profile_begin_run(ProfileGraph *g) {
    enum { RUNS = 3, ENOUGH_EVENTS = 20000 };
    g->keep = g->run_count >= 1 && g->run_count <= RUNS && count_events(g) < ENOUGH_EVENTS;
    g->run_began = clock_now();
}

void profile_end_run(ProfileGraph *g) {
    double end = clock_now();
    g->seconds += end - g->run_began;
    if (g->keep)
        add_event(&g->threads[0], (ProfileEvent){EVENT_run, g->run_count + 1, g->run_began, end});
    g->run_count++;
}

void profile_set_launch(ProfileGraph *g, double seconds) {
    g->profile->launch_seconds = seconds;
}

void profile_add_calls(ProfileGraph *g, int thread, int kernel, long calls, double begin, double end) {
    ProfileThread *t = &g->threads[thread];
    t->seconds[kernel] += end - begin;
    t->calls[kernel] += calls;
    if (g->keep)
        add_event(t, (ProfileEvent){EVENT_kernel, kernel, begin, end});
}

void profile_add_stage(ProfileGraph *g, int thread, int stage, double begin, double end) {
    if (g->keep)
        add_event(&g->threads[thread], (ProfileEvent){EVENT_stage, stage, begin, end});
}

/* ---- tables ---- */

typedef struct ProfileLine {
    const char *name, *rest;
    double seconds, flops, bytes;
    long calls;
} ProfileLine;

typedef struct Table {
    Arena *arena;
    int count;
    ProfileLine *lines;
    double seconds, flops; /* of all */
    double peak;           /* of one thread, operations per second; 0: unknown */
} Table;

static void add_line(ProfileLine *to, const ProfileLine *from) {
    to->seconds += from->seconds;
    to->flops += from->flops;
    to->bytes += from->bytes;
    to->calls += from->calls;
}

static int compare_lines(const void *a, const void *b) {
    double x = ((const ProfileLine *)a)->seconds, y = ((const ProfileLine *)b)->seconds;
    return (x < y) - (x > y);
}

static ProfileLine kernel_line(const ProfileGraph *g, int kernel) {
    const Profile *p = g->profile;
    const PlanKernel *work = &p->plan->kernels[kernel];
    ProfileLine line = {.name = work->name, .rest = work->origin};
    for (int t = 0; t < p->threads; t++) {
        line.seconds += g->threads[t].seconds[kernel];
        line.calls += g->threads[t].calls[kernel];
    }
    line.flops = (double)work->flops * (double)line.calls;
    line.bytes = (double)work->bytes * (double)line.calls;
    return line;
}

static Table make_table(const ProfileGraph *g, double peak) {
    Table table = {.arena = arena_create(), .peak = peak};
    table.lines = ARENA_ARRAY(table.arena, ProfileLine, g->profile->plan->kernel_count);
    for (int i = 0; i < g->profile->plan->kernel_count; i++) {
        ProfileLine line = kernel_line(g, i);
        if (line.calls == 0)
            continue;
        table.lines[table.count++] = line;
        table.seconds += line.seconds;
        table.flops += line.flops;
    }
    qsort(table.lines, (size_t)table.count, sizeof *table.lines, compare_lines);
    return table;
}

/* "2 conv2d, add, 3 conv2d: ..." -> "conv2d, add": each operation once, counts left out. */
static const char *kind_of(Arena *arena, const char *origin) {
    Str kind = str_create(arena);
    StrMap seen = str_map_create(arena);
    size_t length = strcspn(origin, ":");
    for (size_t at = 0; at < length;) {
        at += strspn(origin + at, " ,0123456789");
        const char *name = arena_strndup(arena, origin + at, strcspn(origin + at, ",:"));
        at += strlen(name);
        if (*name && !str_map_get(&seen, name))
            str_addf(&kind, "%s%s", kind.length ? ", " : "", name);
        str_map_set(&seen, name, &seen);
    }
    return kind.length ? kind.data : "?";
}

/* One line for all kernels that do the same. */
static Table group_lines(const Table *kernels) {
    Table groups = *kernels;
    StrMap lines = str_map_create(groups.arena);
    groups.lines = ARENA_ARRAY(groups.arena, ProfileLine, kernels->count);
    groups.count = 0;
    for (int i = 0; i < kernels->count; i++) {
        const char *kind = kind_of(groups.arena, kernels->lines[i].rest);
        ProfileLine *line = str_map_get(&lines, kind);
        if (!line) {
            line = &groups.lines[groups.count++];
            *line = (ProfileLine){.name = kind, .rest = ""};
            str_map_set(&lines, kind, line);
        }
        add_line(line, &kernels->lines[i]);
    }
    qsort(groups.lines, (size_t)groups.count, sizeof *groups.lines, compare_lines);
    return groups;
}

/* A kernel that takes no longer than an empty one has no time left. */
static double rate(double amount, double seconds) {
    return seconds > 0 ? amount / seconds : 0;
}

static void print_line(const Table *table, const ProfileLine *line, FILE *out) {
    fprintf(out, "  %9.4f s %5.1f %% %9ld %9.2f %9.1f %8.1f ", line->seconds, rate(100 * line->seconds, table->seconds),
            line->calls, 1e6 * line->seconds / (double)line->calls, rate(1e-9 * line->flops, line->seconds),
            rate(1e-9 * line->bytes, line->seconds));
    if (table->peak > 0)
        fprintf(out, "%6.1f %%  ", rate(100 * line->flops, line->seconds) / table->peak);
    fprintf(out, "%s%s%s\n", line->name, *line->rest ? "  " : "", line->rest);
}

static void print_table(const Table *table, const char *title, int most, FILE *out) {
    fprintf(out, "       time   share     calls   us/call   GFLOP/s     GB/s %s %s\n",
            table->peak > 0 ? " of peak " : "", title);
    int count = table->count < most ? table->count : most;
    double rest = table->seconds;
    for (int i = 0; i < count; i++) {
        print_line(table, &table->lines[i], out);
        rest -= table->lines[i].seconds;
    }
    if (count < table->count)
        fprintf(out, "  %9.4f s %5.1f %%  %d more\n", rest, rate(100 * rest, table->seconds), table->count - count);
}

static void print_graph(const ProfileGraph *g, double peak, FILE *out) {
    enum { MOST_KINDS = 12, MOST_KERNELS = 40 };
    int threads = g->profile->threads;
    Table table = make_table(g, peak);
    fprintf(out,
            "\nprofile of %s: %d run%s of %.4f s; %d thread%s, in kernels %.1f %% of their time; %.3f GFLOP a run, "
            "%.1f GFLOP/s",
            graph_kind_name(g->plan->kind), g->run_count, g->run_count == 1 ? "" : "s", g->seconds / g->run_count,
            threads, threads == 1 ? "" : "s", 100 * table.seconds / (g->seconds * threads),
            1e-9 * table.flops / g->run_count, 1e-9 * table.flops / g->seconds);
    if (peak > 0)
        fprintf(out, " of %.0f (%.1f %%)", 1e-9 * peak * threads, 100 * table.flops / g->seconds / (peak * threads));
    fprintf(out, "\n");
    Table groups = group_lines(&table);
    print_table(&groups, "operations", MOST_KINDS, out);
    print_table(&table, "kernels", MOST_KERNELS, out);
    arena_destroy(table.arena);
}

void profile_print(const Profile *p, FILE *out) {
    bool cpu = cg_targets[p->plan->target]->by_image;
    double peak = cpu ? machine_measure_peak(p->threads) / p->threads : 0;
    if (p->plan->precision == PRECISION_f64)
        peak /= 2;
    for (int i = 0; i < p->graph_count; i++)
        if (p->graphs[i].run_count > 0)
            print_graph(&p->graphs[i], peak, out);
    fprintf(out,
            "\nEach kernel's GFLOP/s and GB/s are those of one thread%s; bytes are what it reads and writes, each "
            "once, from wherever it lies.\n",
            cpu ? ", of peak: of the multiply-adds that a thread can do, measured now" : "");
    if (p->launch_seconds > 0)
        fprintf(out, "What a launch of an empty kernel takes, %.2f us, is taken off each launch.\n",
                1e6 * p->launch_seconds);
}
