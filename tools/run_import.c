/* run_import.c: `ndarts-run import`. */
#include "tools/ndarts_run.h"

#include "runtime/exchange/import_checkpoint.h"

bool run_import(const Options *o, Error *error) {
    ImportOptions import = {.path = options_input(o),
                            .output = o->output,
                            .key = o->key,
                            .strip = o->strip,
                            .net = o->net,
                            .sets = o->sets.items,
                            .set_count = o->sets.count};
    if (!import.path || !import.output)
        return error_set(error, ERROR_INPUT,
                         "import needs a checkpoint and where the weights go: W.pt -o W.safetensors");
    return import_checkpoint(&import, error);
}
