/* run_hessian.c: `ndarts-run hessian`. */
#include "tools/ndarts_run.h"

#include "base/tensor_file.h"
#include "runtime/data/data.h"
#include "runtime/loops/hessian_run.h"

#include <string.h>

static void print_tensor(const Tensor *t) {
    const char *name = strchr(t->name, '/') + 1;
    for (int64_t i = 0; i < tensor_count(t); i++)
        printf("%s%s%.10g", i ? " " : name, i ? "" : " ", tensor_get(t, i));
    printf("\n");
}

bool run_hessian(const Options *o, Error *error) {
    HessianOptions options = {
        .program = options_program(o), .weights = o->weights, .epoch = o->epoch, .spectrum = o->spectrum};
    TensorFile results = {0};
    if (!options.program.path)
        return error_set(error, ERROR_INPUT, "hessian needs the text of a search, or its folder");
    options.program.prefer = "search";
    options.program.look_at = data_look_at;
    options.program.batch = o->batch;
    if (!hessian_run(o->arena, &options, &results, error))
        return false;
    for (size_t i = 0; i < results.count; i++)
        print_tensor(&results.tensors[i]);
    return !o->output || safetensors_write(o->output, &results, error);
}
