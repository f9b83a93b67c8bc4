/* schedules.c: schedules by name, and their values. */
#include "ir/schedules.h"

#include "base/diag.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const schedule_names[SCHEDULE_COUNT] = {
#define SCHEDULE(name, value) #name,
#include "ir/schedules.def"
#undef SCHEDULE
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

double schedule_at(ScheduleKind kind, double from, double to, double part) {
    const double pi = 3.14159265358979323846;
    switch (kind) {
#define SCHEDULE(name, value)                                                                                          \
    case SCHEDULE_##name:                                                                                              \
        return value;
#include "ir/schedules.def"
#undef SCHEDULE
    default:
        bug("schedule %d", (int)kind);
    }
}

double schedule_value(const Schedule *schedule, double epoch, double epochs) {
    return schedule_at(schedule->kind, schedule->from, schedule->to,
                       epoch / (schedule->epochs > 0 ? schedule->epochs : epochs));
}

const char *schedule_print(Arena *arena, const Schedule *schedule) {
    Str out = str_create(arena);
    str_addf(&out, "%s(", schedule_names[schedule->kind]);
    str_add_double(&out, schedule->from);
    str_add(&out, ", ");
    str_add_double(&out, schedule->to);
    str_add(&out, ", ");
    str_add_double(&out, schedule->epochs);
    str_add(&out, ")");
    return out.data;
}

bool schedule_parse(const char *text, Schedule *schedule) {
    const char *open = strchr(text, '(');
    int kind = open ? find(text, (size_t)(open - text)) : -1;
    char *end = (char *)open;
    double *const numbers[] = {&schedule->from, &schedule->to, &schedule->epochs};
    for (int i = 0; kind >= 0 && i < 3; i++) {
        const char *begin = end + 1;
        *numbers[i] = strtod(begin, &end);
        if (end == begin || *end != (i < 2 ? ',' : ')') || !isfinite(*numbers[i]))
            kind = -1;
    }
    if (kind < 0 || end[1] || schedule->epochs < 0)
        return false;
    schedule->kind = (ScheduleKind)kind;
    return true;
}
