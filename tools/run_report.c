/* run_report.c: `ndarts-run report`. */
#include "tools/ndarts_run.h"

#include "runtime/report/report.h"

bool run_report(const Options *o, Error *error) {
    ReportOptions report = {.folders = o->inputs.items, .count = o->inputs.count, .out = o->output, .table = o->table};
    const char *written;
    if (!report.count)
        return error_set(error, ERROR_INPUT,
                         "report needs the folders of runs, for example  ndarts-run report runs/fashion_quick");
    if (!report_write(o->arena, &report, &written, error))
        return false;
    printf("%s\n", written);
    return true;
}
