/* genotype_derive.c: the genotype that a file with architecture parameters stands for.
 * It is a checkpoint (which says what space it searched), any safetensors file with the parameters under their names,
 * or the alphas.jsonl of a search, which holds their weights. */
#include "runtime/driver/runtime.h"

#include "base/file.h"
#include "base/installed.h"
#include "base/json.h"
#include "base/str.h"
#include "frontend/frontend.h"
#include "runtime/loops/checkpoint.h"
#include "runtime/loops/genotype.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the settings that describe the space ---- */
static const char *const darts_candidates[] = {"none",         "max_pool_3x3", "avg_pool_3x3", "skip_connect",
                                               "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"};

/* For bare parameters: the cell of DARTS, with `none` when there are eight candidates. */
static IrModule *darts_settings(Arena *arena, int64_t width) {
    IrModule *module = ir_module_create(arena, "darts");
    bool with_none = width == 8;
    ir_module_set(module, "space.inputs", ir_attr_int("", 2), (Span){0});
    ir_module_set(module, "space.nodes", ir_attr_int("", 4), (Span){0});
    ir_module_set(module, "space.keep", ir_attr_int("", 2), (Span){0});
    ir_module_set(module, "space.candidates",
                  ir_attr_symbols("", with_none ? 8 : 7, darts_candidates + (with_none ? 0 : 1)), (Span){0});
    return module;
}

static IrModule *spec_settings(Arena *arena, const GenotypeSource *o, Error *error) {
    FrontendOptions options = {
        .sets = o->sets, .set_count = o->set_count, .library = installed_library(arena), .text = o->spec_text};
    Diag *diag = diag_create(arena, diag_stream());
    IrModule *module = frontend_load(arena, o->spec, &options, diag, error);
    if (!module)
        diag_fail(diag, o->spec, error);
    return module;
}

/* The metadata entry "settings" of a checkpoint, or NULL. */
static const char *stored_settings(Arena *arena, const TensorFile *file) {
    json_t *metadata = json_loads(file->metadata ? file->metadata : "{}", 0, NULL);
    const char *text = json_bytes(arena, json_string_value(json_object_get(metadata, "settings")));
    json_decref(metadata);
    return text;
}

/* A checkpoint is read as one, so that its checksum is looked at. */
static bool read_tensors(Arena *arena, const char *path, TensorFile *file, Error *error) {
    Checkpoint checkpoint;
    if (!safetensors_read(arena, path, file, error))
        return false;
    if (!stored_settings(arena, file))
        return true;
    if (!checkpoint_read(arena, path, &checkpoint, error))
        return false;
    *file = checkpoint.tensors;
    return true;
}

/* ---- alphas.jsonl ---- */

static size_t longest_row(json_t *rows) {
    size_t longest = 0, r;
    json_t *row;
    json_array_foreach(rows, r, row) longest = json_array_size(row) > longest ? json_array_size(row) : longest;
    return longest;
}

/* The weights of edges. */
static bool add_list(Arena *arena, const char *path, const char *name, json_t *list, TensorFile *file, Error *error) {
    size_t count = json_array_size(list), i;
    double *values = ARENA_ARRAY(arena, double, count + 1);
    json_t *value;
    json_array_foreach(list, i, value) {
        if (!json_is_number(value))
            return error_set(error, ERROR_INPUT, "%s: weight %zu of '%s' is no number", path, i, name);
        values[i] = json_number_value(value);
    }
    Tensor t = {.name = arena_strdup(arena, name), .type = TENSOR_f64, .rank = 1, .data = values};
    t.shape[0] = (int64_t)count;
    tensor_file_add(arena, file, t);
    return true;
}

/* Edges with fewer candidates have shorter rows; what is beyond is never looked at. */
static bool add_rows(Arena *arena, const char *path, const char *name, json_t *rows, TensorFile *file, Error *error) {
    size_t width = longest_row(rows), height = json_array_size(rows), r, c;
    double *values = ARENA_ARRAY(arena, double, width *height + 1);
    json_t *row, *value;
    json_array_foreach(rows, r, row) {
        if (json_array_size(row) == 0)
            return error_set(error, ERROR_INPUT, "%s: row %zu of '%s' has no weights", path, r, name);
        json_array_foreach(row, c, value) {
            if (!json_is_number(value))
                return error_set(error, ERROR_INPUT, "%s: weight %zu in row %zu of '%s' is no number", path, c, r,
                                 name);
            values[r * width + c] = json_number_value(value);
        }
    }
    Tensor t = {.name = arena_strdup(arena, name), .type = TENSOR_f64, .rank = 2, .data = values};
    t.shape[0] = (int64_t)height;
    t.shape[1] = (int64_t)width;
    tensor_file_add(arena, file, t);
    return true;
}

static bool add_line(Arena *arena, const char *path, json_t *line, TensorFile *file, Error *error) {
    const char *name;
    json_t *rows;
    json_object_foreach(line, name, rows) {
        if (!json_is_array(rows))
            continue;
        bool list = json_is_number(json_array_get(rows, 0));
        if (!(list ? add_list : add_rows)(arena, path, name, rows, file, error))
            return false;
    }
    return true;
}

/* The line of the wanted epoch, or the last one that is whole. */
static bool read_lines(Arena *arena, const GenotypeSource *o, TensorFile *file, Error *error) {
    SourceFile *source = source_read(arena, o->file, error);
    if (!source)
        return false;
    json_t *found = NULL;
    for (const char *text = source->text; *text;) {
        size_t length = strcspn(text, "\n");
        json_t *line = json_loadb(text, length, 0, NULL);
        json_t *epoch = json_object_get(line, "epoch");
        if (json_is_integer(epoch) && (o->epoch < 0 || json_integer_value(epoch) == o->epoch)) {
            json_decref(found);
            found = json_incref(line);
        }
        json_decref(line);
        text += length + (text[length] == '\n');
    }
    bool ok = found          ? add_line(arena, o->file, found, file, error)
              : o->epoch < 0 ? error_set(error, ERROR_INPUT, "%s: no line with the alphas of an epoch", o->file)
                             : error_set(error, ERROR_INPUT, "%s: no line of epoch %lld", o->file, (long long)o->epoch);
    json_decref(found);
    return ok;
}

/* ---- together ---- */
static bool find_parameter(const GenotypeSource *o, const TensorFile *file, const char *name, Tensor *found,
                           Error *error) {
    const Tensor *t = tensor_find(file, name);
    if (!t)
        return error_set(error, ERROR_INPUT, "%s: no architecture parameters '%s'", o->file, name);
    *found = *t;
    return true;
}

/* betas: NULL where edges have no weights. */
static bool find_alphas(Arena *arena, const GenotypeSource *o, const TensorFile *file, const IrModule *settings,
                        Tensor **alphas, Tensor **betas, int *count, Error *error) {
    const char *const *names = genotype_alpha_names(settings, count);
    *alphas = ARENA_ARRAY(arena, Tensor, *count);
    for (int i = 0; i < *count; i++) {
        const char *of_edges = genotype_beta_name(arena, settings, names[i]);
        if (of_edges && !*betas)
            *betas = ARENA_ARRAY(arena, Tensor, *count);
        if (!find_parameter(o, file, names[i], &(*alphas)[i], error) ||
            (of_edges && !find_parameter(o, file, of_edges, &(*betas)[i], error)))
            return false;
    }
    return true;
}

/* The search that left an alphas.jsonl left its network beside it. */
static const char *network_beside(Arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - path) : 0;
    const char *network = arena_printf(arena, "%.*snetwork.ir", (int)folder, path);
    return str_ends_with(path, "alphas.jsonl") && !file_is_missing(network) ? network : NULL;
}

/* guessed: nothing says of what space the parameters are. */
static IrModule *choose_settings(Arena *arena, const GenotypeSource *o, const TensorFile *file, bool *guessed,
                                 Error *error) {
    if (o->spec)
        return spec_settings(arena, o, error);
    const char *text = stored_settings(arena, file), *network = network_beside(arena, o->file);
    if (text)
        return checkpoint_parse_settings(arena, o->file, text, error);
    if (network)
        return ir_read_module(arena, network, diag_create(arena, diag_stream()), error);
    const Tensor *t = tensor_find(file, "alphas_normal");
    *guessed = true;
    return darts_settings(arena, t && t->rank == 2 ? t->shape[1] : 7);
}

/* runs/fashion/checkpoint.safetensors -> fashion; a/mine.safetensors -> mine. */
static const char *default_name(Arena *arena, const char *path) {
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    if (slash && (str_equal(file, "checkpoint.safetensors") || str_equal(file, "alphas.jsonl"))) {
        const char *begin = slash;
        while (begin > path && begin[-1] != '/')
            begin--;
        return arena_strndup(arena, begin, (size_t)(slash - begin));
    }
    return arena_strndup(arena, file, strcspn(file, "."));
}

static bool derive_file(Arena *arena, const GenotypeSource *o, Genotype *genotype, Error *error) {
    TensorFile file = {0};
    Tensor *alphas = NULL, *betas = NULL;
    int count = 0;
    bool lines = !o->tensors && str_ends_with(o->file, ".jsonl"), guessed = false, ok = true;
    if (o->tensors)
        file = *o->tensors;
    else
        ok = lines ? read_lines(arena, o, &file, error) : read_tensors(arena, o->file, &file, error);
    IrModule *settings = ok ? choose_settings(arena, o, &file, &guessed, error) : NULL;
    ok = settings && find_alphas(arena, o, &file, settings, &alphas, &betas, &count, error);
    const GenotypeValues values = {.tensors = alphas, .betas = betas, .count = count, .are_weights = lines};
    if (ok && o->keep_ops)
        ok = genotype_keep(arena, settings, o->name ? o->name : "kept", &values, o->keep_ops, genotype, error);
    else
        ok = ok && genotype_build(arena, settings, o->name ? o->name : default_name(arena, o->file), &values, o->files,
                                  genotype, error);
    if (!ok && guessed)
        fprintf(diag_stream(),
                "note: the space was taken to be that of DARTS; --spec SPEC.nd says of what search they are\n");
    return ok;
}

/* A search's folder stands for its alphas.jsonl. */
bool genotype_derive(Arena *arena, const GenotypeSource *o, Genotype *genotype, Error *error) {
    struct stat status;
    GenotypeSource source = *o;
    if (!o->tensors && stat(o->file, &status) == 0 && S_ISDIR(status.st_mode)) {
        size_t length = strlen(o->file);
        while (length > 1 && o->file[length - 1] == '/')
            length--;
        source.file = arena_printf(arena, "%.*s/alphas.jsonl", (int)length, o->file);
    }
    return derive_file(arena, &source, genotype, error);
}
