/* import.c: `ndarts-run import`: weights out of a PyTorch checkpoint into a safetensors file, and, when a network is
 * given, whether they are that network's. */
#include "runtime/exchange/import.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "runtime/driver/step_graph.h"
#include "runtime/driver/weights_names.h"
#include "runtime/loops/args.h"

#include <inttypes.h>
#include <string.h>

typedef struct Import {
    Arena *arena;
    const char *path, *output, *key, *net, *strip;
    ArgList sets;
    Imported imported;
    const char *prefix;
    StrMap strays; /* tensors without the prefix */
} Import;

static bool parse_command(Import *c, int argc, char **argv, Error *error) {
    Arg args[] = {{NULL, ARG_text, &c->path, 0, 0},       {"-o", ARG_text, &c->output, 0, 0},
                  {"--key", ARG_text, &c->key, 0, 0},     {"--net", ARG_text, &c->net, 0, 0},
                  {"--strip", ARG_text, &c->strip, 0, 0}, {"--set", ARG_list, &c->sets, 0, 0}};
    if (!args_parse(c->arena, argc, argv, args, sizeof args / sizeof args[0], error))
        return false;
    return (c->path && c->output) ||
           error_set(error, ERROR_INPUT, "import needs a checkpoint and where the weights go: W.pt -o W.safetensors");
}

/* ---- prefixes ---- */

static bool has_prefix(const TensorFile *file, const char *prefix) {
    for (size_t i = 0; i < file->count; i++)
        if (str_starts_with(file->tensors[i].name, prefix) && file->tensors[i].name[strlen(prefix)])
            return true;
    return false;
}

/* --strip model or --strip model. */
static bool check_strip(Import *c, Error *error) {
    const TensorFile *file = &c->imported.file;
    const char *dotted = arena_printf(c->arena, "%s.", c->strip);
    c->prefix = has_prefix(file, dotted) ? dotted : c->strip;
    return has_prefix(file, c->prefix) ||
           error_set(error, ERROR_INPUT, "%s: no weight's name begins with '%s'; the first is '%.200s'", c->path,
                     c->strip, file->count ? file->tensors[0].name : "");
}

/* What is said, what fits the network, or what usual wrappers write. */
static bool strip(Import *c, const IrModule *net, Error *error) {
    TensorFile *file = &c->imported.file;
    bool exact = false;
    if (c->strip && !check_strip(c, error))
        return false;
    if (!c->strip && net) {
        const RtTensorInfo *wanted = rt_weights_wanted(c->arena, net);
        c->prefix = weights_find_prefix(c->arena, wanted, net->param_count, file, &exact);
    } else if (!c->strip) {
        c->prefix = weights_usual_prefix(c->arena, file);
    }
    c->strays = str_map_create(c->arena);
    *file = *c->prefix ? weights_strip(c->arena, file, c->prefix, &c->strays) : *file;
    return true;
}

/* ---- the command ---- */

static void list_names(const StrMap *names, const char *what) {
    enum { SHOWN = 8 };
    for (size_t i = 0; i < names->count && i < SHOWN; i++)
        fprintf(stderr, "%s%.200s", i ? ", " : what, names->entries[i].key);
    if (names->count > SHOWN)
        fprintf(stderr, " and %zu more", names->count - SHOWN);
    fprintf(stderr, names->count ? "\n" : "");
}

static void report(const Import *c) {
    const Imported *in = &c->imported;
    int64_t numbers = 0;
    for (size_t i = 0; i < in->file.count; i++)
        numbers += tensor_count(&in->file.tensors[i]);
    fprintf(stderr, "%s: %zu tensors, %" PRId64 " numbers", c->path, in->file.count, numbers);
    if (*in->from)
        fprintf(stderr, ", from '%s'", in->from);
    if (*c->prefix)
        fprintf(stderr, ", prefix '%s' stripped", c->prefix);
    fprintf(stderr, "\n");
    list_names(&in->left_out, "  not a tensor, left out: ");
    list_names(&c->strays, "  without the prefix, left out: ");
    list_names(&in->skipped, "  elsewhere in the file, of no use here, nothing was made or run: ");
}

/* Weights that are safetensors already get other names, or are only held against the network. */
static bool read_weights(Import *c, Error *error) {
    Imported *in = &c->imported;
    size_t size;
    const char *bytes = file_read(c->arena, c->path, &size, error);
    if (!bytes)
        return false;
    if (file_kind(bytes, size) != FILE_safetensors)
        return import_bytes(c->arena, c->path, bytes, size, c->key, in, error);
    if (c->key)
        return error_set(error, ERROR_INPUT, "%s: a safetensors file has no parts, so --key says nothing", c->path);
    *in = (Imported){.from = "", .left_out = str_map_create(c->arena), .skipped = str_map_create(c->arena)};
    return safetensors_read(c->arena, c->path, &in->file, error);
}

static bool import(Import *c, int argc, char **argv, Error *error) {
    if (!parse_command(c, argc, argv, error))
        return false;
    IrGraph *graph = NULL;
    if (c->net) {
        graph = rt_inference_graph(c->arena, c->net, c->sets.items, c->sets.count, false, error);
        if (!graph)
            return false;
    }
    if (!read_weights(c, error) || !strip(c, graph ? graph->module : NULL, error))
        return false;
    report(c);
    if (graph && !rt_weights_check(c->arena, graph->module, c->net, c->path, &c->imported.file, error))
        return false;
    if (graph)
        fprintf(stderr, "all weights of %s are there, by name and shape\n", c->net);
    return safetensors_write(c->output, &c->imported.file, error);
}

int rt_import_main(int argc, char **argv) {
    Import c = {.arena = arena_create()};
    Error error = {ERROR_NONE, ""};
    bool ok = import(&c, argc, argv, &error);
    arena_destroy(c.arena);
    return ok ? 0 : error_report(&error);
}
