/* import_checkpoint.c: weights out of a PyTorch checkpoint into a safetensors file, and, when a network is
 * given, whether they are that network's. */
#include "runtime/exchange/import_checkpoint.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "runtime/driver/step_graph.h"
#include "runtime/driver/weights_names.h"
#include "runtime/exchange/import.h"

#include <inttypes.h>
#include <string.h>

typedef struct Import {
    Arena *arena;
    const ImportOptions *options;
    Imported imported;
    const char *prefix;
    StrMap strays; /* tensors without the prefix */
} Import;

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
    const char *dotted = arena_printf(c->arena, "%s.", c->options->strip);
    c->prefix = has_prefix(file, dotted) ? dotted : c->options->strip;
    return has_prefix(file, c->prefix) ||
           error_set(error, ERROR_INPUT, "%s: no weight's name begins with '%s'; the first is '%.200s'",
                     c->options->path, c->options->strip, file->count ? file->tensors[0].name : "");
}

/* What is said, what fits the network, or what usual wrappers write. */
static bool strip(Import *c, const IrModule *net, Error *error) {
    TensorFile *file = &c->imported.file;
    bool exact = false;
    if (c->options->strip && !check_strip(c, error))
        return false;
    if (!c->options->strip && net) {
        const RtTensorInfo *wanted = rt_weights_wanted(c->arena, net);
        c->prefix = weights_find_prefix(c->arena, wanted, net->param_count, file, &exact);
    } else if (!c->options->strip) {
        c->prefix = weights_usual_prefix(c->arena, file);
    }
    c->strays = str_map_create(c->arena);
    *file = *c->prefix ? weights_strip(c->arena, file, c->prefix, &c->strays) : *file;
    return true;
}

/* ---- names ---- */

/* What other programs call architecture parameters of a kind of cell. */
static const struct {
    const char *theirs, *ours;
} others[] = {{"arch_parameters", "alphas_normal"}}; /* NAS-Bench-201's supernet, which has one kind */

static void rename_tensors(TensorFile *file) {
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        Tensor *tensor = (Tensor *)tensor_find(file, others[i].theirs);
        if (!tensor || tensor_find(file, others[i].ours))
            continue;
        tensor->name = others[i].ours;
        fprintf(stderr, "'%s' becomes '%s'\n", others[i].theirs, others[i].ours);
    }
}

/* ---- together ---- */

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
    fprintf(stderr, "%s: %zu tensors, %" PRId64 " numbers", c->options->path, in->file.count, numbers);
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
    const char *bytes = file_read(c->arena, c->options->path, &size, error);
    if (!bytes)
        return false;
    if (file_kind(bytes, size) != FILE_safetensors)
        return import_bytes(c->arena, c->options->path, bytes, size, c->options->key, in, error);
    if (c->options->key)
        return error_set(error, ERROR_INPUT, "%s: a safetensors file has no parts, so --key says nothing",
                         c->options->path);
    *in = (Imported){.from = "", .left_out = str_map_create(c->arena), .skipped = str_map_create(c->arena)};
    return safetensors_read(c->arena, c->options->path, &in->file, error);
}

static bool import(Import *c, Error *error) {
    IrGraph *graph = NULL;
    if (c->options->net) {
        graph = rt_inference_graph(c->arena, c->options->net, c->options->sets, c->options->set_count, false, error);
        if (!graph)
            return false;
    }
    if (!read_weights(c, error) || !strip(c, graph ? graph->module : NULL, error))
        return false;
    rename_tensors(&c->imported.file);
    report(c);
    if (graph &&
        !rt_weights_check(c->arena, graph->module, c->options->net, c->options->path, &c->imported.file, error))
        return false;
    if (graph)
        fprintf(stderr, "all weights of %s are there, by name and shape\n", c->options->net);
    return safetensors_write(c->options->output, &c->imported.file, error);
}

bool import_checkpoint(const ImportOptions *options, Error *error) {
    Import c = {.arena = arena_create(), .options = options};
    bool ok = import(&c, error);
    arena_destroy(c.arena);
    return ok;
}
