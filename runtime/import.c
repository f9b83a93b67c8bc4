/* import.c: `ndarts-run import`: weights out of a PyTorch checkpoint into a safetensors file, and, when a network is
 * given, whether they are that network's. */
#include "runtime/import.h"

#include "runtime/args.h"
#include "runtime/step_graph.h"

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

static bool compare(Import *c, Error *error) {
    IrGraph *graph = rt_inference_graph(c->arena, c->net, c->sets.items, c->sets.count, false, error);
    if (!graph || !rt_weights_check(c->arena, graph->module, c->net, c->path, &c->imported.file, error))
        return false;
    fprintf(stderr, "all weights of %s are there, by name and shape\n", c->net);
    return true;
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
