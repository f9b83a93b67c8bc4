/* schedules.c: schedules by name, and their values. */
#include "ir/schedules.h"

#include "base/diag.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

const char *const schedule_names[SCHEDULE_COUNT] = {
#define SCHEDULE(name, ...) #name,
#include "ir/schedules.def"
#undef SCHEDULE
};

static const ScheduleParam params[SCHEDULE_COUNT][SCHEDULE_MOST_PARAMS] = {
#define NEED(name)                                                                                                     \
    { #name, SCHEDULE_NEED, 0 }
#define HAS(name, otherwise)                                                                                           \
    { #name, SCHEDULE_HAS, otherwise }
#define MANY(name)                                                                                                     \
    { #name, SCHEDULE_MANY, 0 }
#define LIST(...)                                                                                                      \
    { __VA_ARGS__ }
#define SCHEDULE(name, params, value, summary) params,
#include "ir/schedules.def"
#undef SCHEDULE
#undef LIST
#undef MANY
#undef HAS
#undef NEED
};

static int find(const char *name, size_t length) {
    for (int i = 0; i < SCHEDULE_COUNT; i++)
        if (strlen(schedule_names[i]) == length && strncmp(schedule_names[i], name, length) == 0)
            return i;
    return -1;
}

int schedule_find(const char *name) {
    return find(name, strlen(name));
}

/* How many numbers of each sort a schedule has; of a list there may be any number more. */
typedef struct ParamCount {
    int all, needed;
    bool is_list;
} ParamCount;

static ParamCount count_params(ScheduleKind kind) {
    ParamCount count = {0};
    for (; count.all < SCHEDULE_MOST_PARAMS && params[kind][count.all].name; count.all++) {
        count.needed += params[kind][count.all].kind == SCHEDULE_NEED;
        count.is_list = count.is_list || params[kind][count.all].kind == SCHEDULE_MANY;
    }
    return count;
}

/* ---- values ---- */

static const double pi = 3.14159265358979323846;

static double within(double value, double low, double high) {
    return value < low ? low : value > high ? high : value;
}

/* 0: those of the run; below 0: so many less. */
static double whole_of(double epochs, const ScheduleTime *at) {
    return epochs > 0 ? epochs : at->epochs + epochs;
}

/* stop 0: at the end of the whole. */
static double part_of(double whole, double stop, double t) {
    return whole > 0 ? fmin(t, stop > 0 ? stop : whole) / whole : 0;
}

static double part_between(double t, double from, double to) {
    return to > from ? within((t - from) / (to - from), 0, 1) : 1;
}

/* How many of the list are over. */
static double passed(const Schedule *s, int first, double t) {
    int count = 0;
    for (int i = first; i < s->count; i++)
        count += s->numbers[i] <= t;
    return count;
}

/* Periods follow each other, each so many times as long as the one before. */
static double part_of_period(double t, double period, double times) {
    if (times <= 1)
        return fmod(t, period) / period;
    while (t >= period) {
        t -= period;
        period *= times;
    }
    return t / period;
}

/* PyTorch's OneCycleLR: rises until a tick before the part `rise` of the whole, then falls until the last tick. */
static double one_cycle(const Schedule *s, double t, double tick, double whole, bool is_cosine) {
    double from = s->numbers[0], to = s->numbers[1], peak = s->numbers[3] * whole - tick;
    double part = part_between(t, 0, peak);
    if (t > peak) {
        from = s->numbers[1], to = s->numbers[2];
        part = part_between(t, peak, whole - tick);
    }
    return is_cosine ? to + (from - to) * (1.0 + cos(pi * part)) / 2.0 : from + (to - from) * part;
}

double schedule_value(const Schedule *s, const ScheduleTime *at) {
    double t = at->done, tick = at->tick;
#define p(i) s->numbers[i]
#define WHOLE(i) whole_of(p(i), at)
#define PART(i) part_of(WHOLE(i), p(i + 1), t)
    switch (s->kind) {
#define SCHEDULE(name, params, value, summary)                                                                         \
    case SCHEDULE_##name:                                                                                              \
        return value;
#include "ir/schedules.def"
#undef SCHEDULE
    default:
        bug("schedule %d", (int)s->kind);
    }
#undef p
#undef WHOLE
#undef PART
}

/* The number of that name; of a schedule that has none 0. */
static double called(const Schedule *s, const char *name) {
    for (int i = 0; i < SCHEDULE_MOST_PARAMS && params[s->kind][i].name; i++)
        if (str_equal(params[s->kind][i].name, name))
            return s->numbers[i];
    return 0;
}

const char *schedule_mistake(const Schedule *s) {
    const double *n = s->numbers;
    if (s->kind == SCHEDULE_step && !(n[1] > 0))
        return "'every' is above 0";
    if (s->kind == SCHEDULE_warm_restarts && !(n[2] >= 1e-3 && n[3] >= 1))
        return "'period' is at least 0.001, and 'times' at least 1";
    if (called(s, "stop") < 0)
        return "'stop' is at least 0";
    if (called(s, "warm_up") < 0)
        return "'warm_up' is at least 0";
    if (!(called(s, "rise") >= 0 && called(s, "rise") <= 1))
        return "'rise' is a part of the whole, 0 to 1";
    if (s->kind == SCHEDULE_exponential && !(n[0] > 0 && n[1] > 0))
        return "an exponential goes between numbers above 0";
    return NULL;
}

/* ---- as text ---- */

/* What has its default is left out at the end, but for the first of such numbers. */
static int count_printed(const Schedule *s) {
    ParamCount params_of = count_params(s->kind);
    int count = s->count;
    while (!params_of.is_list && count > params_of.needed + 1 &&
           s->numbers[count - 1] == params[s->kind][count - 1].otherwise)
        count--;
    return count;
}

const char *schedule_print(Arena *arena, const Schedule *schedule) {
    Str out = str_create(arena);
    str_addf(&out, "%s(", schedule_names[schedule->kind]);
    int count = count_printed(schedule);
    for (int i = 0; i < count; i++) {
        str_add(&out, i ? ", " : "");
        str_add_double(&out, schedule->numbers[i]);
    }
    str_add(&out, ")");
    return out.data;
}

/* The numbers from behind the bracket to its end; false when they are no such list. */
static bool parse_numbers(const char *text, Schedule *s) {
    for (s->count = 0; *text != ')'; s->count++) {
        char *end;
        if (s->count == SCHEDULE_MOST_NUMBERS)
            return false;
        s->numbers[s->count] = strtod(text, &end);
        if (end == text || !isfinite(s->numbers[s->count]) || (*end != ',' && *end != ')'))
            return false;
        text = *end == ',' ? end + 1 : end;
    }
    return text[1] == '\0';
}

bool schedule_parse(const char *text, Schedule *schedule) {
    const char *open = strchr(text, '(');
    int kind = open ? find(text, (size_t)(open - text)) : -1;
    if (kind < 0 || !parse_numbers(open + 1, schedule))
        return false;
    schedule->kind = (ScheduleKind)kind;
    ParamCount count = count_params(schedule->kind);
    if (schedule->count < count.needed || (!count.is_list && schedule->count > count.all))
        return false;
    for (; !count.is_list && schedule->count < count.all; schedule->count++)
        schedule->numbers[schedule->count] = params[kind][schedule->count].otherwise;
    return !schedule_mistake(schedule);
}
