/* map_run.c: the loop over the vectors of a run. */
#include "codegen/c/map.h"

void map_open_run(CgPrinter *p, int axis, const MapRun *run) {
    if (run->to - run->from == run->width) {
        cg_c_open(p, "%s", "");
        p->axis_name[axis] = arena_printf(p->arena, "%lld", (long long)run->from);
    } else {
        const char *name = cg_c_name(p, "i");
        cg_c_open(p, "for (int64_t %s = %lld; %s < %lld; %s += %d)", name, (long long)run->from, name,
                  (long long)run->to, name, run->width);
        p->axis_name[axis] = name;
    }
    cg_c_set_range(p, axis, run->from, run->to - 1);
    p->vector_axis = axis;
    p->width = run->width;
}

void map_close_run(CgPrinter *p, int axis) {
    cg_c_close(p);
    cg_c_clear_range(p, axis);
    p->vector_axis = -1;
    p->width = 1;
}
