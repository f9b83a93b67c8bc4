/* schedule_table.c: the schedules of the C dialect, in the order in which they are tried. */
#include "codegen/c/emit_c.h"

CgSchedule *const cg_schedules[] = {cg_schedule_window, cg_schedule_shuffle, cg_schedule_map, NULL};
