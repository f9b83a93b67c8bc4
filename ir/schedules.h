/* schedules.h: numbers that change with the epoch (schedules.def). A schedule is written out as its name with all its
 * numbers, "linear(1, 0, 50)": from 1 to 0 over 50 epochs. That is the name of a run-time scalar that has its value, and a
 * setting that is a rate or a momentum. */
#ifndef NDARTS_IR_SCHEDULES_H
#define NDARTS_IR_SCHEDULES_H

#include "base/arena.h"

#include <stdbool.h>

enum { SCHEDULE_MOST_PARAMS = 5, SCHEDULE_MOST_NUMBERS = 16 };

typedef enum ScheduleKind {
#define SCHEDULE(name, ...) SCHEDULE_##name,
#include "ir/schedules.def"
#undef SCHEDULE
    SCHEDULE_COUNT
} ScheduleKind;

typedef struct Schedule {
    ScheduleKind kind;
    int count; /* of all numbers: those left out are there */
    double numbers[SCHEDULE_MOST_NUMBERS];
} Schedule;

typedef enum ScheduleParamKind { SCHEDULE_NONE, SCHEDULE_NEED, SCHEDULE_HAS, SCHEDULE_MANY } ScheduleParamKind;

typedef struct ScheduleParam {
    const char *name; /* NULL: there is none */
    ScheduleParamKind kind;
    double otherwise;
} ScheduleParam;

/* When a value is wanted. */
typedef struct ScheduleTime {
    double done, epochs; /* epochs that are done, of those of the run */
    double tick;         /* epochs from one value to the next: 1, or those of a step */
} ScheduleTime;

extern const char *const schedule_names[SCHEDULE_COUNT];
/* -1 when there is none of that name. */
int schedule_find(const char *name);
double schedule_value(const Schedule *schedule, const ScheduleTime *at);
/* "linear(1, 0, 50)", and back; false when it is no schedule, or one that has no values. */
const char *schedule_print(Arena *arena, const Schedule *schedule);
bool schedule_parse(const char *text, Schedule *schedule);
/* What is wrong with its numbers, or NULL. */
const char *schedule_mistake(const Schedule *schedule);

#endif
