/* search_save.c: the genotype that a search keeps in its folder, and its drawings. */
#include "runtime/loops/search.h"

#include "base/file.h"
#include "base/str.h"

#include <string.h>

/* The text's file name without folder and suffix. */
static const char *text_name(const Search *s, Arena *arena) {
    const char *slash = strrchr(s->loop.options.path, '/');
    const char *name = slash ? slash + 1 : s->loop.options.path;
    size_t length = strlen(name);
    return arena_strndup(arena, name, str_ends_with(name, ".nd") ? length - 3 : length);
}

bool search_build_genotype(Search *s, Arena *arena, Genotype *genotype, Error *error) {
    int count;
    const char *const *names = genotype_alpha_names(s->loop.module, &count);
    Tensor *alphas = ARENA_ARRAY(arena, Tensor, count), *betas = NULL;
    for (int i = 0; i < count; i++) {
        if (rt_param_find(s->loop.program, names[i]) < 0)
            return error_set(error, ERROR_INPUT, "the search has no architecture parameters '%s'", names[i]);
        alphas[i] = rt_param_get(s->loop.program, names[i], arena);
        const char *of_edges = genotype_beta_name(arena, s->loop.module, names[i]);
        if (!of_edges)
            continue;
        betas = betas ? betas : ARENA_ARRAY(arena, Tensor, count);
        betas[i] = rt_param_get(s->loop.program, of_edges, arena);
    }
    const GenotypeValues values = {.tensors = alphas, .betas = betas, .count = count};
    return genotype_build(arena, s->loop.module, text_name(s, arena), &values, s->loop.files, genotype, error);
}

bool search_read_genotype(Search *s, Arena *arena, int64_t epoch, int64_t ended, Genotype *genotype, Error *error) {
    const GenotypeSource source = {.file = loop_file(&s->loop, "alphas.jsonl"),
                                   .name = text_name(s, arena),
                                   .epoch = epoch,
                                   .files = s->loop.files};
    if (!genotype_derive(arena, &source, genotype, error))
        return false;
    genotype->text =
        arena_printf(arena, "# Of epoch %lld; the search ended early, after epoch %lld of %lld.\n%s",
                     (long long)epoch + 1, (long long)ended + 1, (long long)s->loop.at.epochs, genotype->text);
    return true;
}

/* ", NAME = "; the first argument has no comma. */
static void begin_argument(Str *out, const char *name) {
    str_addf(out, "%s%s = ", out->data[out->length - 1] == '(' ? "" : ", ", name);
}

static void add_int(Str *out, const char *name, int value, int otherwise) {
    if (value == otherwise)
        return;
    begin_argument(out, name);
    str_addf(out, "%d", value);
}

static void add_number(Str *out, const char *name, double value) {
    if (value == 0)
        return;
    begin_argument(out, name);
    str_add_double(out, value);
}

/* If the text of the search sets it. */
static void add_list(Str *out, bool given, const char *name, int count, const double *values) {
    if (!given)
        return;
    begin_argument(out, name);
    for (int i = 0; i < count; i++) {
        str_add(out, i ? ", " : "[");
        str_add_double(out, values[i]);
    }
    str_add(out, "]");
}

/* What the images are, where that is not what the source has anyway. */
static void add_shape(Str *out, const DataOptions *o) {
    const DataSource *source = data_source_find(o->source);
    add_int(out, "classes", o->classes, source->classes);
    add_int(out, "H", o->height, source->side);
    add_int(out, "W", o->width, source->side);
    add_int(out, "channels", o->channels, source->channels);
    if (o->transposed) {
        begin_argument(out, "transposed");
        str_add(out, "true");
    }
    add_int(out, "labels_from", o->labels_from, 0);
}

/* How pictures are made to size and changed. */
static void add_pictures(Str *out, const bool *given, const DataOptions *o) {
    add_int(out, "resize", o->resize, 0);
    if (o->interpolation == IMAGE_bicubic) {
        begin_argument(out, "interpolation");
        str_add(out, "bicubic");
    }
    add_list(out, given[SETTING_data_area_0] || given[SETTING_data_area_1], "area", 2, o->area);
    add_list(out, given[SETTING_data_ratio_0] || given[SETTING_data_ratio_1], "ratio", 2, o->ratio);
    add_number(out, "brightness", o->brightness);
    add_number(out, "contrast", o->contrast);
    add_number(out, "saturation", o->saturation);
    add_number(out, "hue", o->hue);
}

/* The images of the search, all of them. */
static void add_data(Str *out, const Search *s) {
    const DataOptions *o = &s->loop.data_options;
    const DataSettings *d = &s->loop.settings.data;
    const bool *given = s->loop.settings.given;
    str_addf(out, "    data %s(", o->source);
    if (o->path)
        str_add_quoted(out, o->path);
    add_shape(out, o);
    add_pictures(out, given, o);
    add_int(out, "crop", o->crop, -1);
    str_addf(out, ", flip = %s, cutout = %d", o->flip ? "true" : "false", o->height / 2);
    add_list(out, given[SETTING_data_mean_0], "mean", 3, (const double[]){d->mean_0, d->mean_1, d->mean_2});
    add_list(out, given[SETTING_data_std_0], "std", 3, (const double[]){d->std_0, d->std_1, d->std_2});
    str_add(out, ")\n");
}

/* The published training, on the data of the search. */
static const char *training_text(const Search *s, Arena *arena) {
    Str out = str_create(arena);
    str_add(
        &out,
        "\n# The published training, on the data of the search. `ndarts-run train` on this file runs it; --recipe NAME "
        "replaces it.\ntrain {\n    network main\n");
    add_data(&out, s);
    bool has_test = data_has_test(&s->loop.data_options); /* else there is nothing to choose the best epoch by */
    str_addf(&out, "    epochs 600  batch 96  seed 0  drop_path 0.2%s\n", has_test ? "" : "  hold_out 0.2");
    str_add(&out, "    weights sgd(lr = cosine(0.025, 0), momentum = 0.9, decay = 3e-4, clip = 5)\n}\n");
    return out.data;
}

const char *search_genotype_text(const Search *s, Arena *arena, const Genotype *genotype) {
    return genotype->has_network ? arena_printf(arena, "%s%s", genotype->text, training_text(s, arena))
                                 : genotype->text;
}

bool search_save_genotype(Search *s, Arena *arena, const Genotype *genotype, Error *error) {
    const char *text = search_genotype_text(s, arena, genotype);
    return file_write_atomic(loop_file(&s->loop, "genotype.nd"), text, strlen(text), error) &&
           genotype_write_dot(arena, s->loop.options.out, genotype, error);
}

bool search_check_genotype(Search *s, Error *error) {
    Arena *arena = arena_create();
    bool ok = genotype_check(arena, s->loop.module, text_name(s, arena), s->loop.files, error);
    arena_destroy(arena);
    return ok;
}

void search_draw_cells(Search *s, Arena *arena, const Genotype *genotype) {
    if (!genotype_draw(arena, s->loop.options.out, genotype))
        fprintf(diag_notes(),
                "no drawings of the cells: Graphviz's dot is not installed or failed; the .dot files are in %s\n",
                s->loop.options.out);
}
