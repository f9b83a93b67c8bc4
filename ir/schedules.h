/* schedules.h: numbers that change with the epoch (schedules.def). A run-time scalar whose name is a schedule written
 * out, "linear(1, 0, 50)", has that value: from 1 to 0 over 50 epochs; over the epochs of the run when that is 0. */
#ifndef NDARTS_IR_SCHEDULES_H
#define NDARTS_IR_SCHEDULES_H

#include "base/arena.h"

#include <stdbool.h>

typedef enum ScheduleKind {
#define SCHEDULE(name, value) SCHEDULE_##name,
#include "ir/schedules.def"
#undef SCHEDULE
    SCHEDULE_COUNT
} ScheduleKind;

typedef struct Schedule {
    ScheduleKind kind;
    double from, to;
    double epochs; /* 0: those of the run */
} Schedule;

extern const char *const schedule_names[SCHEDULE_COUNT];
/* -1 when there is none of that name. */
int schedule_find(const char *name);
double schedule_at(ScheduleKind kind, double from, double to, double part);
double schedule_value(const Schedule *schedule, double epoch, double epochs);
/* "linear(1, 0, 50)", and back; false when it is no schedule. */
const char *schedule_print(Arena *arena, const Schedule *schedule);
bool schedule_parse(const char *text, Schedule *schedule);

#endif
