/* run_trace.c: `ndarts-run trace`. */
#include "tools/ndarts_run.h"

#include "runtime/loops/trace.h"

bool run_trace(const Options *o, Error *error) {
    TraceOptions trace = {.program = options_program(o),
                          .weights = o->weights,
                          .feed = o->feed,
                          .out = o->output,
                          .epoch = o->epoch < 0 ? 0 : o->epoch,
                          .steps = o->steps,
                          .hessian = o->hessian || o->spectrum,
                          .spectrum = o->spectrum,
                          .epoch_per_step = o->epoch_per_step};
    if (!trace.program.path || !trace.feed || !trace.out)
        return error_set(error, ERROR_INPUT, "trace needs a text, --feed F.safetensors and -o OUT.safetensors");
    return trace_run(&trace, error);
}
