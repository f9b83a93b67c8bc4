/* import.c: `ndarts-run import`: weights out of a PyTorch checkpoint into a safetensors file, and, when a network is
 * given, whether they are that network's. */
#include "runtime/import.h"

#include "runtime/args.h"
#include "runtime/step_graph.h"
#include "runtime/tensors.h"

#include <inttypes.h>

typedef struct Import {
    Arena *arena;
    const char *path, *output, *key, *net;
    ArgList sets;
    Imported imported;
} Import;

static bool parse_command(Import *c, int argc, char **argv, Error *error) {
    Arg args[] = {{NULL, ARG_text, &c->path, 0, 0},
                  {"-o", ARG_text, &c->output, 0, 0},
                  {"--key", ARG_text, &c->key, 0, 0},
                  {"--net", ARG_text, &c->net, 0, 0},
                  {"--set", ARG_list, &c->sets, 0, 0}};
    if (!args_parse(c->arena, argc, argv, args, sizeof args / sizeof args[0], error))
        return false;
    return (c->path && c->output) ||
           error_set(error, ERROR_INPUT, "import needs a checkpoint and where the weights go: W.pt -o W.safetensors");
}

/* ---- against a network ---- */

typedef struct Comparison {
    Str missing, left_over, different;
    int missing_count, left_over_count, different_count;
} Comparison;

static bool has_shape(const IrParam *param, const Tensor *tensor) {
    bool equal = param->type.rank == tensor->rank;
    for (int i = 0; equal && i < tensor->rank; i++)
        equal = param->type.dim[i] == tensor->shape[i];
    return equal;
}

static void compare_param(Import *c, const IrParam *param, Comparison *to) {
    const Tensor *tensor = tensor_find(&c->imported.file, param->name);
    if (!tensor) {
        to->missing_count++;
        str_addf(&to->missing, "  missing: %s %s\n", param->name,
                 rt_shape_string(c->arena, param->type.rank, param->type.dim));
    } else if (!has_shape(param, tensor)) {
        to->different_count++;
        str_addf(&to->different, "  %s: expected %s, found %s\n", param->name,
                 rt_shape_string(c->arena, param->type.rank, param->type.dim),
                 rt_shape_string(c->arena, tensor->rank, tensor->shape));
    }
}

/* What is there without being needed, but for counters and the auxiliary head. */
static bool is_left_over(const IrModule *module, const char *name) {
    return !ir_module_find_param(module, name) && !str_ends_with(name, ".num_batches_tracked") &&
           !str_starts_with(name, "auxiliary_head.") && !str_starts_with(name, "alphas");
}

static bool compare(Import *c, Error *error) {
    IrGraph *graph = rt_inference_graph(c->arena, c->net, c->sets.items, c->sets.count, false, error);
    if (!graph)
        return false;
    Comparison to = {str_create(c->arena), str_create(c->arena), str_create(c->arena), 0, 0, 0};
    const TensorFile *file = &c->imported.file;
    for (int i = 0; i < graph->module->param_count; i++)
        compare_param(c, &graph->module->params[i], &to);
    for (size_t i = 0; i < file->count; i++) {
        if (is_left_over(graph->module, file->tensors[i].name)) {
            to.left_over_count++;
            str_addf(&to.left_over, "  left over: %s %s\n", file->tensors[i].name,
                     rt_shape_string(c->arena, file->tensors[i].rank, file->tensors[i].shape));
        }
    }
    if (!to.missing_count && !to.different_count && !to.left_over_count) {
        fprintf(stderr, "all weights of %s are there, by name and shape\n", c->net);
        return true;
    }
    fprintf(stderr, "%s%s%s", to.missing.data, to.different.data, to.left_over.data);
    return error_set(error, ERROR_INPUT,
                     "%s does not fit %s: %d missing, %d of another shape, %d left over; nothing was written", c->path,
                     c->net, to.missing_count, to.different_count, to.left_over_count);
}

/* ---- the command ---- */

static void report(const Import *c) {
    const Imported *in = &c->imported;
    int64_t numbers = 0;
    for (size_t i = 0; i < in->file.count; i++)
        numbers += tensor_count(&in->file.tensors[i]);
    fprintf(stderr, "%s: %zu tensors, %" PRId64 " numbers", c->path, in->file.count, numbers);
    if (*in->from)
        fprintf(stderr, ", from '%s'", in->from);
    if (*in->prefix)
        fprintf(stderr, ", prefix '%s' stripped", in->prefix);
    fprintf(stderr, "\n");
    for (size_t i = 0; i < in->left_out.count && i < 8; i++)
        fprintf(stderr, "  not a tensor, left out: %s\n", in->left_out.entries[i].key);
    if (in->left_out.count > 8)
        fprintf(stderr, "  and %zu more that are no tensors\n", in->left_out.count - 8);
}

static bool import(Import *c, int argc, char **argv, Error *error) {
    if (!parse_command(c, argc, argv, error) || !import_checkpoint(c->arena, c->path, c->key, &c->imported, error))
        return false;
    report(c);
    return (!c->net || compare(c, error)) && safetensors_write(c->output, &c->imported.file, error);
}

int rt_import_main(int argc, char **argv) {
    Import c = {.arena = arena_create()};
    Error error = {ERROR_NONE, ""};
    bool ok = import(&c, argc, argv, &error);
    arena_destroy(c.arena);
    return ok ? 0 : error_report(&error);
}
