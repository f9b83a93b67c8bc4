/* ndarts_run.h: the commands of ndarts-run, run_NAME.c each. */
#ifndef NDARTS_TOOLS_NDARTS_RUN_H
#define NDARTS_TOOLS_NDARTS_RUN_H

#include "tools/command_line.h"

/* Does what the options say and prints the results; false: error says why not. */
typedef bool RunCommand(const Options *options, Error *error);
RunCommand run_search, run_train, run_eval, run_derive, run_genotype, run_trace, run_hessian, run_infer, run_import,
    run_export, run_tune, run_compile, run_bench, run_cost, run_lookup, run_report, run_info;

#endif
