/* run_tune.c: `ndarts-run tune`. */
#include "tools/ndarts_run.h"

#include "runtime/driver/measure_tiles.h"

bool run_tune(const Options *o, Error *error) {
    GraphKind kinds[GRAPH_KIND_COUNT];
    RtProgramOptions program = options_program(o);
    if (!program.path)
        return error_set(error, ERROR_INPUT, "tune needs a text, for example  ndarts-run tune specs/noisy_darts_a.nd");
    program.batch = o->batch;
    program.kinds = kinds;
    return options_graph_kinds(o, kinds, &program.kind_count, error) && measure_tiles(&program, error);
}
